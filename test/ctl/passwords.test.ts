/** Passwords that are typed: twice, the same, and never printed. */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { startNode, type TestNode } from '../../src/testing/index.js';
import { runCtlHere } from '../helpers/ctl-in-process.js';

let node: TestNode;
beforeAll(async () => {
  node = await startNode();
});
afterAll(() => node.stop());

async function run(line: string, secrets: readonly string[]) {
  const words = [...line.split(' '), '--endpoints', node.endpoint];
  const { code, stdout, stderr } = await runCtlHere(words, { secrets });
  return { code, out: stdout.toString(), err: stderr };
}

const asked = 'Password of eve: Type password of eve again for confirmation: ';

it('a user is added with the password that was typed twice', async () => {
  expect(await run('user add eve', ['pw', 'pw'])).toEqual({
    ...{ code: 0, out: 'User eve created\n', err: asked },
  });
  expect(await run('user passwd eve', ['new', 'new'])).toEqual({
    ...{ code: 0, out: 'Password updated\n', err: asked },
  });
});

it('passwords that differ, or are empty, change nothing', async () => {
  expect(await run('user add bob', ['pw', 'wp'])).toMatchObject({ code: 128, out: '' });
  expect(await run('user add bob', [''])).toEqual({
    ...{ code: 128, out: '', err: 'Password of bob: Error: empty password\n' },
  });
  expect((await run('user get bob', [])).err).toMatch(/user name not found/);
});

it('who is asked for the password of --user is signed in', async () => {
  expect((await run('user add root:rootpw', [])).code).toBe(0);
  expect((await run('auth enable', [])).code).toBe(0);
  expect(await run('user list --user root', ['rootpw'])).toEqual({
    ...{ code: 0, out: 'eve\nroot\n', err: 'Password: ' },
  });
  expect(await run('user list --user root', ['wrong'])).toMatchObject({ code: 2, out: '' });
});
