/**
 * The site as somebody meets it: every page is reached from the start page by links, all of which
 * lead somewhere, and a browser finds, reads and shows it. `npm run docs:site` installs what builds
 * it; without that, and without a browser, this is left out by name.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { dirname, extname, join, posix } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exec } from '../helpers/exec.js';
import { repoRoot } from '../helpers/tools.js';

const home = join(repoRoot, 'scripts/docs-site');
const site = join(repoRoot, 'dist/site');
const isInstalled = [home, join(repoRoot, 'scripts/api-docs')].every((dir) =>
  existsSync(join(dir, 'node_modules/.package-lock.json')),
);
const notInstalled = isInstalled
  ? ''
  : ' (skipped: VitePress and TypeDoc are not installed; npm run docs:site does it)';

const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find((name) => {
  return spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;
});
const noBrowser = chromium === undefined ? ' (skipped: chromium is not installed)' : '';

/** All files of the site with this ending, by their paths on it. */
function filesOf(ending: string): string[] {
  return readdirSync(site, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith(ending));
}

/** The links of a page, as paths on the site with anchors; those that leave it are left out. */
function linksOf(path: string): string[] {
  const html = readFileSync(join(site, path), 'utf8');
  return [...html.matchAll(/<a\s[^>]*?href="([^"]+)"/g)]
    .map(([, href = '']) => href.replaceAll('&amp;', '&'))
    .filter((href) => !/^[a-z]+:/i.test(href))
    .map((href) => {
      const [to = '', anchor] = href.split('#');
      const base = to === '' ? path : to.startsWith('/') ? to.slice(1) : join(dirname(path), to);
      const file = posix.normalize(base === '' || base.endsWith('/') ? `${base}index.html` : base);
      return anchor === undefined ? file : `${file}#${decodeURIComponent(anchor)}`;
    });
}

/** Follows links from the start page; what it has seen, and links that lead nowhere. */
function walk(): { seen: Set<string>; broken: string[] } {
  const seen = new Set(['index.html']);
  const broken: string[] = [];
  for (const page of seen) {
    for (const link of linksOf(page)) {
      const [file = '', anchor] = link.split('#');
      if (!existsSync(join(site, file)) || !statSync(join(site, file)).isFile()) {
        broken.push(`${page}: ${link}`);
      } else if (file.endsWith('.html')) {
        if (anchor && !idsOf(file).has(anchor)) broken.push(`${page}: ${link}`);
        seen.add(file);
      }
    }
  }
  return { seen, broken };
}

const known = new Map<string, Set<string>>();
function idsOf(file: string): Set<string> {
  const had = known.get(file);
  if (had !== undefined) return had;
  const html = readFileSync(join(site, file), 'utf8');
  const ids = new Set([...html.matchAll(/\sid="([^"]+)"/g)].map(([, id = '']) => id));
  known.set(file, ids);
  return ids;
}

describe.skipIf(!isInstalled)(`the site${notInstalled}`, () => {
  beforeAll(async () => {
    const build = join(repoRoot, 'scripts/run.mjs');
    const done = await exec(process.execPath, [build, 'docs:site'], { timeoutMs: 900_000 });
    expect(done.code, done.stderr).toBe(0);
  }, 900_000);

  it('has a page for each page of docs', () => {
    const pages = readdirSync(join(repoRoot, 'docs'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.md') && !path.startsWith('api'))
      .map((path) => path.replace(/README\.md$/, 'index.md').replace(/\.md$/, '.html'));
    expect(pages.length).toBeGreaterThan(40);
    expect(pages.filter((path) => !existsSync(join(site, path)))).toEqual([]);
  });

  it('is reached as a whole from its start page, by links that lead somewhere', () => {
    const { seen, broken } = walk();
    expect(broken).toEqual([]);
    const others = filesOf('.html').filter((path) => !seen.has(path) && path !== '404.html');
    expect(others).toEqual([]);
    expect(seen.size).toBeGreaterThan(100);
  });

  it('asks nothing of other servers', () => {
    const asked = filesOf('.html').flatMap((path) =>
      [...readFileSync(join(site, path), 'utf8').matchAll(/<(?:script|link|img)\s[^>]*>/g)]
        .map(([tag]) => tag)
        .filter((tag) => /(?:src|href)="https?:/.test(tag)),
    );
    expect(asked).toEqual([]);
  });

  describe.skipIf(chromium === undefined)(`in a browser${noBrowser}`, () => {
    let server: Server;
    let browser: Browser;
    let page: Page;
    let base = '';

    beforeAll(async () => {
      server = createServer((request, response) => {
        const { pathname } = new URL(request.url ?? '/', 'http://site');
        const file = join(site, pathname.endsWith('/') ? `${pathname}index.html` : pathname);
        if (!file.startsWith(site) || !existsSync(file)) return void response.writeHead(404).end();
        response.writeHead(200, { 'content-type': types[extname(file)] ?? 'text/plain' });
        response.end(readFileSync(file));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const { chromium: driver } = createRequire(join(home, 'package.json'))(
        'playwright-core',
      ) as Playwright;
      const executablePath = `${spawnSync('which', [chromium ?? '']).stdout}`.trim();
      browser = await driver.launch({ executablePath, args: ['--no-sandbox'] });
      page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
      mkdirSync(shots, { recursive: true });
    });
    afterAll(async () => {
      await browser?.close();
      server?.close();
    });

    it('shows the start page, and the first page behind it', async () => {
      await page.goto(`${base}/`);
      expect(await page.textContent('h1')).toContain('kvorum');
      await page.screenshot({ path: join(shots, 'start.png') });
      await page.click('.VPHero a[href$="/start.html"]');
      await page.waitForURL(/start/);
      expect(await page.textContent('h1')).toContain('Five minutes');
    });

    it('finds what is searched for', async () => {
      await page.goto(`${base}/`);
      await page.click('#local-search button');
      await page.fill('#localsearch-input', 'disk is lost');
      await page.waitForSelector('.VPLocalSearchBox .result');
      await page.screenshot({ path: join(shots, 'search.png') });
      await page.click('.VPLocalSearchBox .result');
      await page.waitForURL(/operations/);
    });

    it('shows a how-to, also in the dark', async () => {
      await page.goto(`${base}/slow.html`);
      expect(await page.textContent('h1')).toContain('When it is slow');
      await page.screenshot({ path: join(shots, 'slow.png') });
      const isDark = () => page.evaluate("document.documentElement.classList.contains('dark')");
      const before = await isDark();
      await page.click('.VPSwitchAppearance >> nth=0');
      expect(await isDark()).toBe(!before);
      await page.screenshot({ path: join(shots, 'dark.png') });
    });

    it('leads to the API reference', async () => {
      await page.goto(`${base}/`);
      await page.click('.VPHero a[href$="/reference/index.html"]');
      await page.waitForURL(/reference/);
      await page.click('a[href="modules/client.html"] >> nth=0');
      await page.waitForURL(/modules\/client/);
      expect(await page.textContent('h1')).toContain('client');
      await page.screenshot({ path: join(shots, 'reference.png') });
    });
  });
});

/** Pictures of the last run, for people. */
const shots = join(repoRoot, 'dist/site-pictures');

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
};

/** What is used of playwright-core, which is only installed beside VitePress. */
interface Playwright {
  readonly chromium: {
    launch(options: { executablePath: string; args: readonly string[] }): Promise<Browser>;
  };
}
interface Browser {
  newPage(options: { viewport: { width: number; height: number } }): Promise<Page>;
  close(): Promise<void>;
}
interface Page {
  goto(url: string): Promise<unknown>;
  click(selector: string): Promise<void>;
  fill(selector: string, text: string): Promise<void>;
  textContent(selector: string): Promise<string | null>;
  waitForSelector(selector: string): Promise<unknown>;
  waitForURL(url: RegExp): Promise<void>;
  evaluate(script: string): Promise<unknown>;
  screenshot(options: { path: string }): Promise<unknown>;
}
