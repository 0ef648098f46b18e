/** --audit-log of a server process: who did what, from where, and what came of it. */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Etcd, text } from '../../src/client/index.js';
import { alice, enableAuth, root } from '../client/auth-target.js';
import { eventually } from '../helpers/eventually.js';
import { freePort, type ServerProcess, startKvorum } from '../helpers/server.js';
import { describeWith, itWith } from '../helpers/tools.js';
import { makeCertificates } from './certificates.js';

type Line = Readonly<Record<string, unknown>>;

const isMethod = (method: string) => (line: Line) => line.method === method;

function linesOf(path: string): readonly Line[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  expect(lines.pop(), 'the last line is whole').toBe('');
  return lines.map((line) => JSON.parse(line) as Line);
}

describeWith(['kvorum'], 'the audit of a server process', () => {
  let dir: string;
  const servers: ServerProcess[] = [];
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'kvorum-audit-'));
  });
  afterAll(async () => {
    for (const server of servers) await server.dispose();
    rmSync(dir, { recursive: true, force: true });
  });

  async function start(...args: readonly string[]): Promise<ServerProcess> {
    const server = await startKvorum({ args });
    servers.push(server);
    return server;
  }

  it('has users, addresses, keys, results and revisions, and no value or password', async () => {
    const path = join(dir, 'auth.log');
    const rules = join(dir, 'rules.yaml');
    writeFileSync(rules, 'rules:\n  - prefixes: [app/quiet/]\n    log: none\notherwise: all\n');
    const server = await start('--audit-log', path, '--audit-rules', rules);
    const endpoints = server.endpoint;
    await enableAuth({ endpoints });
    await using client = new Etcd({ endpoints, credentials: alice });
    const kv = client.kv.as(text);
    const { revision } = await kv.put('app/a', 'TheValue');
    await kv.put('app/quiet/a', 'TheValue');
    await kv.get('app/a');
    await kv.deleteRange({ prefix: 'app/' });
    await expect(kv.put('other', 'TheValue')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await expect(kv.get('other')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await kv.txn().if(kv.when('app/a').missing()).then(kv.ops.put('app/b', 'TheValue')).commit();
    await using watcher = kv.watch({ key: 'app/a' });
    await watcher.ready;
    await expect(kv.watch({ key: 'other' }).next()).rejects.toMatchObject({});
    await using wrong = new Etcd({
      endpoints,
      credentials: { user: 'alice', password: 'ThePassword' },
    });
    await expect(wrong.kv.get('app/a')).rejects.toMatchObject({});
    await server.stop();

    const lines = linesOf(path);
    const puts = lines.filter(isMethod('KV/Put'));
    const peer = expect.stringMatching(/^127\.0\.0\.1:\d+$/);
    expect(puts).toEqual([
      {
        ...{ ts: expect.any(String), user: 'alice', peer, method: 'KV/Put' },
        ...{ keys: [{ op: 'put', key: 'app/a' }], code: 'OK', revision, ms: expect.any(Number) },
      },
      expect.objectContaining({
        ...{ user: 'alice', keys: [{ op: 'put', key: 'other' }], code: 'PermissionDenied' },
        error: 'etcdserver: permission denied',
      }),
    ]);
    const about = (method: string) => lines.filter(isMethod(method));
    expect(about('KV/DeleteRange')).toMatchObject([
      { keys: [{ op: 'delete', key: 'app/', end: 'app0' }], code: 'OK', revision: revision + 2 },
    ]);
    expect(about('KV/Range').map(({ code }) => code)).toContain('PermissionDenied');
    expect(about('KV/Txn')).toMatchObject([
      {
        keys: [
          { op: 'compare', key: 'app/a' },
          { op: 'put', key: 'app/b' },
        ],
        code: 'OK',
      },
    ]);
    expect(about('Watch/Watch')).toMatchObject([
      { user: 'alice', keys: [{ op: 'watch', key: 'app/a' }], code: 'OK' },
      { user: 'alice', keys: [{ op: 'watch', key: 'other' }], code: 'Canceled' },
    ]);
    expect(about('Auth/UserAdd').map(({ name }) => name)).toEqual(['root', 'alice']);
    expect(about('Auth/RoleGrantPermission')).toMatchObject([
      { role: 'app', permission: 'READWRITE', 'of key': 'app/', 'to key': 'app0' },
    ]);
    const logins = about('Auth/Authenticate').map(({ code, name }) => `${name} ${code}`);
    expect(logins).toContain('alice OK');
    expect(logins).toContain('alice InvalidArgument');
    const all = readFileSync(path, 'utf8');
    for (const secret of ['TheValue', 'ThePassword', alice.password, root.password]) {
      expect(all, 'no secret is in it').not.toContain(secret);
    }
  });

  itWith(['openssl'], 'names certificates', { timeout: 120_000 }, async () => {
    const path = join(dir, 'tls.log');
    const files = makeCertificates(join(dir, 'tls'));
    const url = `https://127.0.0.1:${await freePort()}`;
    const server = await startKvorum({
      args: [
        ...['--audit-log', path, '--listen-client-urls', url, '--advertise-client-urls', url],
        ...['--cert-file', files.server.cert, '--key-file', files.server.key],
        ...['--trusted-ca-file', files.ca, '--client-cert-auth'],
      ],
      clientTls: { ca: files.ca, cert: files.client.cert, key: files.client.key },
    });
    servers.push(server);
    const tls = {
      ca: readFileSync(files.ca),
      cert: readFileSync(files.client.cert),
      key: readFileSync(files.client.key),
    };
    await using client = new Etcd({ endpoints: url, tls });
    await client.kv.put('a', '1');
    await server.stop();
    expect(linesOf(path).filter(isMethod('KV/Put'))).toMatchObject([
      { cn: 'alice', keys: [{ op: 'put', key: 'a' }], code: 'OK' },
    ]);
  });

  it('is put aside by size, and goes on after a restart', async () => {
    const path = join(dir, 'large.log');
    const flags = ['--audit-log-max-size', '1', '--audit-log-max-files', '1'];
    const server = await start('--audit-log', path, ...flags);
    const key = (i: number) => `${'k'.repeat(900)}${i}`;
    const puts = async (from: number, to: number): Promise<void> => {
      await using client = new Etcd({ endpoints: server.endpoint });
      for (let i = from; i < to; i += 50) {
        await Promise.all(Array.from({ length: 50 }, (_, j) => client.kv.put(key(i + j), '')));
      }
    };
    await puts(0, 1500);
    await eventually(
      () => readdirSync(dir).some((n) => n.startsWith('large-')) || undefined,
      'one is aside',
    );
    await server.kill();
    await server.start();
    await puts(1500, 2000);
    await server.stop();
    const names = readdirSync(dir).filter((name) => name.startsWith('large'));
    expect(names.length).toBeLessThanOrEqual(2);
    // It may have been put aside with the very last line.
    const last = names.sort().flatMap((name) => linesOf(join(dir, name)));
    expect(last.length).toBeGreaterThan(100);
    expect(last.every(({ code }) => code === 'OK')).toBe(true);
  });

  const full = '/dev/full';
  const itOnLinux = existsSync(full) ? it : it.skip;
  itOnLinux('a full disk stops nothing, and is told and counted (needs /dev/full)', async () => {
    const server = await start('--audit-log', full);
    await using client = new Etcd({ endpoints: server.endpoint });
    for (let i = 0; i < 20; i++) await client.kv.put(`k${i}`, 'v');
    const failures = async () => {
      const answer = await fetch(`${server.clientUrl}/metrics`);
      const found = /^kvorum_audit_write_failures_total (\d+)$/m.exec(await answer.text());
      return Number(found?.[1]) > 1 || undefined;
    };
    await eventually(failures, 'it is tried again and again');
    await client.kv.put('after', 'v');
    expect(server.log).toContain('the audit log can not be written');
    await server.stop();
  });

  it('that can never be written is refused at the start', async () => {
    const path = join(dir, 'no', 'such', 'folder', 'a.log');
    await expect(start('--audit-log', path)).rejects.toThrow(/--audit-log can't be written/);
  });
});
