/** `npm run pre-commit` as the hook of a clone. */

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { exec } from '../helpers/exec.js';
import { describeWith } from '../helpers/tools.js';
import { makeClone } from './clone.js';

const dir = mkdtempSync(join(tmpdir(), 'kvorum-hook-'));
const clone = join(dir, 'clone');
const timeoutMs = 300_000;
const env = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@b.c',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@b.c',
};
const hook = join(clone, '.git/hooks/pre-commit');
const run = (command: string, ...args: string[]) =>
  exec(command, args, { cwd: clone, env, timeoutMs });
const preCommit = (...args: string[]) => run('node', 'scripts/run.mjs', 'pre-commit', ...args);

/** Tries to commit one file; resolves with what Git, and the hook, said. */
async function commit(path: string, text: string) {
  writeFileSync(join(clone, path), text);
  await run('git', 'add', path);
  const { code, stdout, stderr } = await run('git', 'commit', '--quiet', '--message', 'A change');
  await run('git', 'reset', '--quiet', '--hard');
  return { code, said: `${stderr}${stdout}` };
}

describeWith(['git'], 'npm run pre-commit', () => {
  beforeAll(async () => {
    makeClone(clone, true);
    await run('git', 'init', '--quiet');
    await run('git', 'add', '.');
    const first = await run('git', 'commit', '--quiet', '--message', 'All');
    expect(first.code, first.stderr).toBe(0);
  }, timeoutMs);
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it('is installed by one command, and lets through what is right', {
    timeout: timeoutMs,
  }, async () => {
    const installed = await preCommit('--install');
    expect(installed.code, installed.stderr).toBe(0);
    expect(existsSync(hook)).toBe(true);
    const right = await commit(
      'src/common/right.ts',
      '/** Right. */\nexport const right: number = 1;\n',
    );
    expect(right.code, right.said).toBe(0);
    // Nothing was compiled: what runs from dist is left alone.
    expect(existsSync(join(clone, 'dist/bin'))).toBe(false);
  });

  it('stops what the linter refuses', { timeout: timeoutMs }, async () => {
    const { code, said } = await commit('src/common/lint.ts', 'export  const lint = 1\n');
    expect(code).not.toBe(0);
    expect(said).toContain('src/common/lint.ts');
  });

  it('stops what has wrong types, in tests too', { timeout: timeoutMs }, async () => {
    const { code, said } = await commit('test/wrong.ts', "export const wrong: number = 'x';\n");
    expect(code).not.toBe(0);
    expect(said).toContain('test/wrong.ts(1,14): error TS2322');
  });

  it('is removed by one command, and a hook of somebody else is left alone', async () => {
    expect((await preCommit('--remove')).code).toBe(0);
    expect(existsSync(hook)).toBe(false);
    writeFileSync(hook, '#!/bin/sh\nexit 0\n');
    for (const option of ['--install', '--remove']) {
      const refused = await preCommit(option);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain('there is another hook');
    }
    expect(existsSync(hook)).toBe(true);
  });
});
