/** What the licences of others ask for: their text goes where their code goes. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const head = `This package contains code of other packages, joined with its own by a bundler.
Their licences follow.
`;

/** Writes THIRD-PARTY-NOTICES.txt for the packages that `modules` (paths from `root`) come from. */
export function writeNotices(root, dir, modules) {
  const folders = new Set();
  for (const path of modules) {
    const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path);
    if (found !== null) folders.add(found[1]);
  }
  const notices = [...folders].sort().map((folder) => noticeOf(join(root, folder)));
  writeFileSync(
    join(dir, 'THIRD-PARTY-NOTICES.txt'),
    [head, ...notices].join(`\n${'-'.repeat(72)}\n\n`),
  );
}

function noticeOf(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
  const texts = files.sort().map((file) => readFileSync(join(folder, file), 'utf8').trim());
  if (license === undefined) throw new Error(`${name} has no licence`);
  return `${name} ${version} (${license})\n\n${texts.join('\n\n')}\n`;
}
