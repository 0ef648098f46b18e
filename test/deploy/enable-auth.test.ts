/** What the job of the Helm chart does: authentication is on afterwards, however often it runs. */

import { join } from 'node:path';
import { expect, it } from 'vitest';
import { endProgramsAfterEach, type Program, serve, temporaryDirectory } from '../e2e/program.js';
import { exec } from '../helpers/exec.js';
import { describeWith, repoRoot } from '../helpers/tools.js';

endProgramsAfterEach();

const script = join(repoRoot, 'deploy/helm/kvorum/files/enable-auth.mjs');
const flags = [
  ...['--listen-client-urls', 'http://127.0.0.1:0', '--listen-peer-urls', 'http://127.0.0.1:0'],
  ...['--advertise-client-urls', 'http://127.0.0.1:2379'],
];

function start(...more: readonly string[]): Promise<Program> {
  return serve([...flags, ...more], { cwd: temporaryDirectory() });
}

/** Runs the job against the server. */
function enable(server: Program, password: string) {
  const url = server.clientUrls[0] ?? '';
  const env = { KVORUM_URL: url, KVORUM_ROOT_PASSWORD: password };
  return exec(process.execPath, [script], { env });
}

async function put(server: Program, token?: string): Promise<unknown> {
  const answer = await fetch(`${server.clientUrls[0]}/v3/kv/put`, {
    method: 'POST',
    headers: token === undefined ? {} : { authorization: token },
    body: JSON.stringify({ key: 'YQ==', value: 'MQ==' }),
  });
  return answer.json();
}

describeWith(['kvorum'], 'the job that turns authentication on', () => {
  it('does so, and only once', async () => {
    const server = await start();
    const first = await enable(server, 'secret');
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout.toString()).toBe('authentication is on\nroot can log in\n');
    expect(await put(server)).toMatchObject({ message: 'etcdserver: user name is empty' });
    const again = await enable(server, 'secret');
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(again.stdout.toString()).toBe('root can log in\n');
    const other = await enable(server, 'another');
    expect(other.code).not.toBe(0);
    expect(other.stderr).toContain('root cannot log in: etcdserver: authentication failed');
  });

  it('goes on where an earlier one was interrupted', async () => {
    const server = await start();
    const body = JSON.stringify({ name: 'root', password: 'secret' });
    await fetch(`${server.clientUrls[0]}/v3/auth/user/add`, { method: 'POST', body });
    expect(await enable(server, 'secret')).toMatchObject({ code: 0, stderr: '' });
    expect(await put(server)).toMatchObject({ message: 'etcdserver: user name is empty' });
  });

  it('fails where nobody answers, so that it is tried again', async () => {
    const server = await start();
    await server.stop();
    const outcome = await enable(server, 'secret');
    expect(outcome.code).not.toBe(0);
    expect(outcome.stderr).toContain('ECONNREFUSED');
  });
});
