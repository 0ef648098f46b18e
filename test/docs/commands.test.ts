/** The commands of the pages, run as they stand there; page-shell.ts says where. */

import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reasonToSkip } from '../helpers/tools.js';
import { markedPages, runningBlocks } from './blocks.js';
import type { Block } from './markdown.js';
import { PageShell, startsServer } from './page-shell.js';

const usual = ['bash', 'curl'].filter((name) => {
  return spawnSync(name, ['--version'], { stdio: 'ignore' }).status !== 0;
});
const pages = markedPages
  .map((page) => ({ page, blocks: runningBlocks(page, 'sh') }))
  .filter(({ blocks }) => blocks.length > 0)
  .map((each) => ({ ...each, missing: missingFor(each.blocks) }));

/** What is added to the name of a page whose programs are not here. */
function missingFor(blocks: readonly Block[]): string {
  if (usual.length > 0) return ` (skipped: ${usual.join(' and ')} not installed)`;
  const needsEtcd = blocks.some(({ text }) => /^etcd /m.test(text));
  const others = reasonToSkip(['kvorum', 'etcdctl', 'etcdutl37']);
  return needsEtcd && others === '' ? reasonToSkip(['etcd']) : others;
}

it('are looked for in more than a few pages', () => {
  expect(pages.length).toBeGreaterThan(4);
});

for (const { page, blocks, missing } of pages) {
  describe.skipIf(missing !== '')(`${page}${missing}`, () => {
    let shell: PageShell;
    beforeAll(async () => {
      // A page that starts no server is about a cluster that is there.
      shell = await PageShell.open(!blocks.some(startsServer));
    });
    afterAll(() => shell?.close());

    it.each(blocks.map((block) => [`${page}:${block.line}`, block] as const))(
      '%s',
      async (_, block) => {
        if (block.info === 'serve') return shell.serve(block.text);
        const { code, stdout, stderr } = await shell.run(block.text);
        expect(code, `${shell.fill(block.text)}\n${stdout}\n${stderr}`).toBe(0);
        if (block.output !== undefined) {
          expect(stdout.toString().trimEnd()).toBe(shell.fill(block.output).trimEnd());
        }
      },
    );
  });
}
