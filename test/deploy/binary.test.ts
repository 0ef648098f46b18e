/** kvorum as a single executable (`npm run binary`), on a machine path without Node. */

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadNative } from '../../src/launch/native-code.js';
import {
  anyPeerPort,
  endProgramsAfterEach,
  run,
  serve,
  temporaryDirectory,
} from '../e2e/program.js';
import { exec } from '../helpers/exec.js';
import { bytes, RawClient } from '../helpers/grpc.js';
import { describeWith, toolPath } from '../helpers/tools.js';

endProgramsAfterEach();

/** A machine without anything: no program is found, and the folder is empty. */
function nowhere(): { readonly cwd: string; readonly env: Readonly<Record<string, string>> } {
  const cwd = temporaryDirectory();
  const temporary = join(cwd, 'tmp');
  mkdirSync(temporary);
  return { cwd, env: { PATH: '', TMPDIR: temporary, NODE_OPTIONS: '' } };
}

const anyPorts: readonly string[] = [
  ...['--listen-client-urls', 'http://127.0.0.1:0', ...anyPeerPort],
  ...['--advertise-client-urls', 'http://127.0.0.1:2379'],
];

/** Of a server whose certificate nobody knows. */
function statusOf(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = get(url, { rejectUnauthorized: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    asked.once('error', reject);
  });
}

async function putAndGet(endpoint: string): Promise<string | undefined> {
  const client = new RawClient(endpoint);
  try {
    await client.put({ key: bytes('a'), value: bytes('is here') });
    return (await client.range({ key: bytes('a') })).kvs[0]?.value.toString();
  } finally {
    client.close();
  }
}

describeWith(['single-executable'], 'the single executable', () => {
  const program = () => toolPath('single-executable');

  it('says its version', async () => {
    const { cwd, env } = nowhere();
    const outcome = await exec(program(), ['--version'], { cwd, env });
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout.toString()).toMatch(
      /^etcd Version: 3\.7\.\d+\n(.*\n)*kvorum Version: \d/,
    );
  });

  it('has nothing left to compile', async () => {
    const { cwd, env } = nowhere();
    expect(await exec(program(), ['compile'], { cwd, env })).toMatchObject({ code: 0, stderr: '' });
    expect(readdirSync(join(cwd, 'tmp'))).toEqual([]);
  });

  it('serves, and stops when it is told to', async () => {
    const { cwd, env } = nowhere();
    const args = [...anyPorts, '--log-level=debug'];
    const server = await serve(args, { program: program(), cwd, env });
    expect(await putAndGet(server.endpoint())).toBe('is here');
    expect(await server.stop()).toBe('SIGTERM');
    expect(readdirSync(cwd).sort(), 'its data').toEqual(['default.etcd', 'tmp']);
    expect(readdirSync(join(cwd, 'tmp')), 'no native code is left behind').toEqual([]);
    expect(
      server.log.some(({ msg }) => msg === 'warmed up'),
      'it took the compiled code that it brings',
    ).toBe(false);
    const again = await serve(args, { program: program(), cwd, env });
    const client = new RawClient(again.endpoint());
    expect((await client.range({ key: bytes('a') })).kvs[0]?.value.toString()).toBe('is here');
    client.close();
  });

  it('brings what is loaded late: passwords, YAML, certificates, threads', async () => {
    const { cwd, env } = nowhere();
    const config = [
      'name: from-file',
      'listen-client-urls: https://127.0.0.1:0',
      'advertise-client-urls: https://127.0.0.1:2379',
      'listen-peer-urls: http://127.0.0.1:0',
      'io-threads: 1',
      'client-transport-security:',
      '  auto-tls: true',
    ];
    writeFileSync(join(cwd, 'kvorum.yml'), config.join('\n'));
    const args = ['--config-file', 'kvorum.yml'];
    const server = await serve(args, { program: program(), cwd, env });
    expect(server.clientUrls[0]).toMatch(/^https:/);
    expect(await statusOf(`${server.clientUrls[0]}/health`), 'by way of its thread').toBe(200);
    await server.stop();
    expect(readdirSync(join(cwd, 'from-file.etcd', 'fixtures', 'client')).sort()).toEqual([
      'cert.pem',
      'key.pem',
    ]);
    const plain = await serve(anyPorts, { program: program(), cwd, env });
    const ask = async (path: string, body: object) => {
      const url = `http://${plain.endpoint()}/v3/auth/${path}`;
      return (await fetch(url, { method: 'POST', body: JSON.stringify(body) })).json();
    };
    await ask('user/add', { name: 'u', password: 'secret' });
    expect(await ask('user/list', {})).toMatchObject({ users: ['u'] });
  });

  it('says where it could not load its native code from, or finds another folder', async () => {
    const { cwd, env } = nowhere();
    const gone = { ...env, TMPDIR: join(cwd, 'gone') };
    const server = await serve(anyPorts, { program: program(), cwd, env: gone });
    expect(await putAndGet(server.endpoint())).toBe('is here');
  });

  it('runs no other files than its own: there may be a node_modules where it is started', async () => {
    const { cwd, env } = nowhere();
    for (const name of ['classic-level', 'bcrypt', 'yaml']) {
      mkdirSync(join(cwd, 'node_modules', name), { recursive: true });
      writeFileSync(join(cwd, 'node_modules', name, 'index.js'), 'throw new Error("taken")');
    }
    const outcome = run(['--version'], { program: program(), cwd, env });
    expect(await outcome.ended).toBe(0);
    expect(outcome.stderr).toBe('');
  });
});

describe('native code in memory', () => {
  it('is loaded from nowhere if there is no folder for it, and says why', () => {
    const dir = temporaryDirectory();
    const folders = [join(dir, 'gone'), dir];
    const load = () => loadNative('wrong', Buffer.from('no library'), folders);
    expect(load).toThrow(/^kvorum found no folder to load wrong from; TMPDIR names another\.\n/);
    expect(load).toThrow(`${join(dir, 'gone')}: ENOENT`);
    expect(load).toThrow(`${dir}: `);
    expect(readdirSync(dir), 'and leaves nothing behind').toEqual([]);
  });
});
