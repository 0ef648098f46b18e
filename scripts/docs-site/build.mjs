/**
 * `npm run docs:site`: the pages of docs/ and the API reference as one site of static files, in
 * dist/site. VitePress and TypeDoc have folders of their own, so that only who builds the site
 * installs them.
 */

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Where the site is written, from the root of the checkout. */
export const siteDir = 'dist/site';

/** Builds the site; resolves to an exit code. `npm` gives the command for npm's arguments. */
export function buildSite(root, { npm, say }) {
  const home = join(root, 'scripts/docs-site');
  const reference = join(root, 'scripts/api-docs');
  for (const dir of [home, reference]) {
    const code = installIn(dir, npm, say);
    if (code !== 0) return code;
  }
  say('building the pages ...');
  copyPages(root, join(home, 'dist/pages'));
  const vitepress = join(home, 'node_modules/vitepress/bin/vitepress.js');
  const pages = run(vitepress, ['build', home], home);
  if (pages !== 0) return pages;
  say('building the API reference ...');
  const typedoc = join(reference, 'node_modules/typedoc/bin/typedoc');
  const out = join(root, siteDir, 'reference');
  const options = ['--options', join(reference, 'typedoc.json'), '--out', out];
  // The pages have what is in the readme already; the title leads back to them.
  options.push('--readme', 'none', '--titleLink', process.env.KVORUM_SITE_BASE ?? '/');
  const code = run(typedoc, [...options, '--logLevel', 'Warn'], root);
  if (code === 0) say(`the site is in ${siteDir}`);
  return code;
}

/**
 * Pages become modules that import Vue, which has to be found from where they are. The reports of
 * the public surface stay behind: the reference shows the same for people.
 */
function copyPages(root, to) {
  rmSync(to, { recursive: true, force: true });
  const reports = join(root, 'docs/api');
  cpSync(join(root, 'docs'), to, { recursive: true, filter: (path) => path !== reports });
}

/** Installs what the lock file of a folder says, unless that is there. */
export function installIn(dir, npm, say) {
  if (existsSync(join(dir, 'node_modules/.package-lock.json'))) return 0;
  say(`installing what ${dir} needs ...`);
  const options = ['--ignore-scripts', '--no-fund', '--no-audit', '--loglevel=error'];
  const { file, args } = npm(['ci', ...options]);
  return spawnSync(file, args, { cwd: dir, stdio: ['inherit', process.stderr, 'inherit'] }).status;
}

function run(script, args, cwd) {
  const stdio = ['ignore', process.stderr, 'inherit'];
  return spawnSync(process.execPath, [script, ...args], { cwd, stdio }).status ?? 1;
}
