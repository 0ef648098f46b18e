/**
 * How VitePress makes the site. The text is in docs/ and nowhere else, in Markdown that GitHub
 * shows as well: what only a site has (the head of the start page, where the reference is) is here.
 */

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { slugOf } from '../slug.mjs';
import { sidebar } from './sidebar.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const base = process.env.KVORUM_SITE_BASE ?? '/';

/** A link to a report of the public surface leads to the reference that shows the same. */
const reports = /^(?:\.{0,2}\/)*api\/kvorum[\w.-]*\.api\.md$/;
const referencePath = 'reference/index.html';

/** The head of the start page. */
const hero = {
  name: 'kvorum',
  text: 'etcd v3, in one Node process',
  tagline: 'Configuration, discovery, locks and elections for a cluster. Every etcd client works.',
  actions: [
    { theme: 'brand', text: 'Five minutes', link: '/start' },
    { theme: 'alt', text: 'Operations', link: '/operations' },
    { theme: 'alt', text: 'SDK', link: '/client/' },
    { theme: 'alt', text: 'API reference', link: `/${referencePath}`, target: '_self' },
  ],
};

/** What a page is called: a link whose text is the name of its file says that instead. */
function titleOf(path, from) {
  const file = join(dirname(from), path);
  return /^# (.*)$/m.exec(readFileSync(file, 'utf8'))?.[1].replaceAll('`', '') ?? path;
}

/** Links that are right on GitHub, made right for the site. */
function adaptLinks(md) {
  md.core.ruler.push('adapt-links', ({ tokens: blocks, env }) => {
    const tokens = blocks.flatMap(({ children }) => children ?? []);
    for (const [i, link] of tokens.entries()) {
      if (link.type !== 'link_open') continue;
      const href = link.attrGet('href') ?? '';
      const shown = tokens[i + 1];
      if (shown?.type === 'text' && /^[\w./-]+\.md$/.test(shown.content) && env.path) {
        shown.content = titleOf(href.replace(/#.*/, ''), env.path);
      }
      if (reports.test(href)) {
        link.attrSet('href', `${base}${referencePath}`);
        // The reference is no page of VitePress: the browser has to load it.
        link.attrSet('target', '_self');
      } else if (!/^[a-z]+:/i.test(href)) {
        link.attrSet('href', href.replace(/(^|\/)README\.md(?=$|#)/, '$1index.md'));
      }
    }
  });
}

export default {
  title: 'kvorum',
  description: 'A distributed key-value store that speaks the etcd v3 protocol',
  base,
  srcDir: here('../dist/pages'), // a copy of docs/, see build.mjs
  outDir: here('../../../dist/site'),
  cacheDir: here('../dist/cache'),
  rewrites: { 'README.md': 'index.md', 'client/README.md': 'client/index.md' },
  ignoreDeadLinks: [/\/?reference\/index/],
  markdown: {
    anchor: { slugify: slugOf },
    config: adaptLinks,
    // `<as printed>` is text in our pages.
    html: false,
  },
  transformPageData(page) {
    if (page.relativePath === 'index.md') Object.assign(page.frontmatter, { layout: 'home', hero });
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Start', link: '/start' },
      { text: 'Operations', link: '/operations' },
      { text: 'SDK', link: '/client/' },
      { text: 'Reference', link: `/${referencePath}`, target: '_self' },
    ],
    sidebar,
  },
};
