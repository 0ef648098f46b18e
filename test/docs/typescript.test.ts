/**
 * The programs in TypeScript of the pages: compiled together, as strictly as our own code and
 * against what a package of kvorum has, then each run by itself against a server of its own.
 */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startNode, type TestNode } from '../../src/testing/index.js';
import { exec } from '../helpers/exec.js';
import { describeWith, repoRoot } from '../helpers/tools.js';
import { markedPages, runningBlocks } from './blocks.js';

/** Inside of the checkout, whose package.json says what `kvorum/client` is. */
const dir = join(repoRoot, 'dist/docs-blocks');

const programs = markedPages.flatMap((page) =>
  runningBlocks(page, 'ts').map((block) => {
    const name = `${basename(page, '.md').toLowerCase()}-${block.line}`;
    return { ...block, name, where: `${page}:${block.line}` };
  }),
);

/** As whoever follows the pages may have it. */
const settings = {
  extends: '../../tsconfig.json',
  compilerOptions: {
    composite: false,
    declaration: false,
    sourceMap: false,
    tsBuildInfoFile: null,
    rootDir: '.',
    outDir: '.',
    typeRoots: ['../../node_modules/@types'],
  },
  include: ['*.ts'],
  exclude: [],
};

describeWith(['kvorum'], 'programs of the pages', () => {
  let compiled = '';
  let node: TestNode;

  beforeAll(async () => {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(settings));
    node = await startNode();
    for (const { name, text } of programs) {
      const here = text.replaceAll('127.0.0.1:2379', node.endpoint);
      writeFileSync(join(dir, `${name}.ts`), here);
    }
    const tsc = join(repoRoot, 'node_modules/typescript/bin/tsc');
    const { stdout } = await exec(process.execPath, [tsc, '-p', dir], { timeoutMs: 170_000 });
    compiled = stdout.toString();
  });
  afterAll(async () => {
    await node?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('compile', () => {
    expect(programs.length).toBeGreaterThan(5);
    expect(compiled).toBe('');
  });

  it.each(programs)('$where runs', async ({ name, output }) => {
    const { code, stdout, stderr } = await exec(process.execPath, [join(dir, `${name}.js`)], {
      cwd: dir,
    });
    expect(code, `${stdout}${stderr}`).toBe(0);
    if (output !== undefined) expect(stdout.toString()).toBe(output);
  });
});
