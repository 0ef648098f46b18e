/**
 * Secrets stay secret: after a run with passwords and tokens, good and bad, nothing that a server
 * leaves behind or shows has one of them: its log at the level debug with every call taken for
 * slow, its metrics and debugging pages, the texts of errors, its command line and environment, its
 * write-ahead log and database, a snapshot, and the trace of Raft.
 *
 * CVE-2021-28235 (a password could be seen in debugging pages), GHSA-528j-9r78-wffx (credentials in
 * the write-ahead log).
 */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytes, RawClient } from '../helpers/grpc.js';
import type { SnapshotResponse } from '../helpers/grpc-types.js';
import { type ServerProcess, startTarget } from '../helpers/server.js';
import { targetKind, targetTool } from '../helpers/target.js';
import { describeWith } from '../helpers/tools.js';
import { outcomeOf } from './matrix/outcome.js';
import { withToken } from './matrix/world.js';

/** Every one as a reader of some artefact may meet it. */
function formsOf(secret: string): readonly Buffer[] {
  const raw = Buffer.from(secret);
  const forms = [
    secret,
    raw.toString('hex'),
    raw.toString('base64').replace(/=+$/, ''),
    raw.toString('base64url'),
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
    [...raw].join(','),
    [...raw].join(' '),
  ];
  return [...forms.map((form) => Buffer.from(form)), Buffer.from(secret, 'utf16le')];
}

/** What of a token is secret: behind it comes the index of an entry, which may stand elsewhere. */
function lettersOf(token: string): string {
  return token.split('.')[0] ?? token;
}

/** etcd writes its tokens to its log, at the level debug, and to its entries; kvorum must not. */
function kept(name: string): boolean {
  return targetKind === 'kvorum' || !/^token of/.test(name);
}

/** Names of the secrets that `content` has. */
function leaksIn(content: Buffer, secrets: ReadonlyMap<string, string>): string[] {
  return [...secrets]
    .filter(([, secret]) => formsOf(secret).some((form) => content.includes(form)))
    .map(([name]) => name);
}

/** All files below `dir`, by path. */
function filesBelow(dir: string): readonly string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe('the search for secrets', () => {
  const secrets = new Map([['it', 'pä$$word "x"']]);
  it.each([
    'the password is pä$$word "x".',
    '{"password":"pä$$word \\"x\\""}',
    Buffer.from('pä$$word "x"').toString('base64'),
    Buffer.from('pä$$word "x"').toString('hex'),
  ])('finds it in %s', (text) => {
    expect(leaksIn(Buffer.from(text), secrets)).toEqual(['it']);
  });

  it('finds nothing where nothing is', () => {
    expect(leaksIn(Buffer.from('the password is pa$$word'), secrets)).toEqual([]);
  });
});

describeWith([targetTool], 'after a run with passwords and tokens', () => {
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-secrets-'));
  const trace = join(dir, 'trace');
  const secrets = new Map<string, string>([
    ['password of root', 'Root-Quux7-pass"word'],
    ['password of a user', 'Visitor-Zebra9-password'],
    ['changed password', 'Changed-Yak3-password'],
    ['wrong password', 'Wrong-Xylo5-password'],
    ['password of no user', 'Absent-Wombat1-password'],
    ['made-up token', 'ZyXwVuTsRqPoNmLk.1'],
    ['token without a form', 'Made-Up-Token-Vole8'],
  ]);
  const errors: string[] = [];
  const tokens = new Map<string, string>();
  let server: ServerProcess;
  let client: RawClient;
  let snapshot: Buffer;

  beforeAll(async () => {
    const own = ['--raft-trace-file', trace, '--warning-apply-duration', '1ns'];
    server = await startTarget({
      args: [
        ...['--log-level', 'debug', '--bcrypt-cost', '4'],
        ...['--warning-unary-request-duration', '1ns'],
        ...(targetKind === 'kvorum' ? own : []),
      ],
    });
    client = new RawClient(server);
    await run();
  });
  afterAll(async () => {
    client.close();
    await server.dispose();
    rmSync(dir, { recursive: true, force: true });
  });

  const secret = (name: string): string => secrets.get(name) ?? '';

  /** Everything that takes a password or a token, rightly and wrongly. */
  async function run(): Promise<void> {
    let metadata = withToken('');
    const attempt = async (service: string, method: string, request: object): Promise<void> => {
      errors.push(await outcomeOf(client.unary(service, method, request, { metadata })));
    };
    const auth = (method: string, request: object) => attempt('etcdserverpb.Auth', method, request);
    const signIn = async (name: string, password: string, as: string): Promise<void> => {
      const request = { name, password };
      const { token } = await client.unary<{ readonly token: string }>(
        'etcdserverpb.Auth',
        'Authenticate',
        request,
      );
      secrets.set(as, lettersOf(token));
      tokens.set(as, token);
      metadata = withToken(token);
    };
    metadata.remove('token');
    const root = { name: 'root', password: secret('password of root') };
    const visitor = { name: 'visitor', password: secret('password of a user') };
    await auth('Authenticate', root);
    for (const user of [root, root, visitor]) await auth('UserAdd', user);
    await auth('UserGrantRole', { user: 'root', role: 'root' });
    await auth('AuthEnable', {});
    await auth('UserAdd', { name: 'stranger', password: secret('password of a user') });
    await auth('Authenticate', { name: 'root', password: secret('wrong password') });
    await auth('Authenticate', { name: 'absent', password: secret('password of no user') });
    await signIn('visitor', visitor.password, 'token of a user');
    await auth('UserChangePassword', { name: 'root', password: secret('changed password') });
    await signIn('root', root.password, 'token of root');
    await auth('UserChangePassword', { name: 'visitor', password: secret('changed password') });
    await auth('UserChangePassword', { name: 'absent', password: secret('changed password') });
    await attempt('etcdserverpb.KV', 'Put', { key: bytes('a'), value: bytes('canary of a key') });
    await attempt('etcdserverpb.KV', 'Range', { key: bytes('a') });
    const stream = client.serverStream<SnapshotResponse>(
      'etcdserverpb.Maintenance',
      'Snapshot',
      {},
      { metadata },
    );
    snapshot = Buffer.concat((await stream.rest()).map(({ blob }) => blob));
    for (const name of ['made-up token', 'token without a form', 'token of a user']) {
      metadata = withToken(tokens.get(name) ?? secret(name));
      await attempt('etcdserverpb.KV', 'Range', { key: bytes('a') });
      await auth('UserList', {});
    }
    for (const path of ['authenticate', 'user/add', 'user/changepw']) {
      for (const body of [JSON.stringify(root), JSON.stringify(root).slice(0, -3)]) {
        const answer = await fetch(`${server.clientUrl}/v3/auth/${path}`, { method: 'POST', body });
        const text = await answer.text();
        const token = /"token":\s*"([^"]+)"/.exec(text)?.[1];
        if (token === undefined) errors.push(text);
        else secrets.set(`token of the gateway for ${path}`, lettersOf(token));
      }
    }
  }

  it('has tokens to look for, and calls that failed', () => {
    expect([...secrets.keys()]).toContain('token of root');
    expect(errors.filter((text) => text !== 'ok').length).toBeGreaterThan(8);
  });

  it('the texts of errors have none', () => {
    expect(leaksIn(Buffer.from(errors.join('\n')), secrets)).toEqual([]);
  });

  it('its log has none, though it speaks of all calls', () => {
    expect(server.log).toMatch(/Authenticate/);
    expect(leaksIn(Buffer.from(server.log), secrets).filter(kept)).toEqual([]);
  });

  it.each(['/metrics', '/debug/vars', '/health', '/version', '/debug/requests'])(
    '%s has none',
    async (path) => {
      const answer = await fetch(`${server.clientUrl}${path}`);
      const text = await answer.text();
      if (path === '/metrics') expect(text).toContain('Authenticate');
      expect(leaksIn(Buffer.from(text), secrets)).toEqual([]);
    },
  );

  it('its command line and environment have none', () => {
    for (const file of ['cmdline', 'environ']) {
      const path = `/proc/${server.pid}/${file}`;
      if (!existsSync(path)) continue;
      expect(leaksIn(readFileSync(path), secrets), file).toEqual([]);
    }
  });

  it('a snapshot has none', () => {
    expect(snapshot.includes('canary of a key')).toBe(true);
    expect(leaksIn(snapshot, secrets)).toEqual([]);
  });

  it('its trace of Raft has none', ({ skip }) => {
    if (targetKind === 'etcd') skip('etcd writes none');
    expect(leaksIn(readFileSync(trace), secrets)).toEqual([]);
  });

  it('its files have none, while it runs and after it has stopped', async () => {
    const look = (): void => {
      const files = filesBelow(server.dataDir).map((path) => [path, readFileSync(path)] as const);
      expect(files.some(([, content]) => content.includes('canary of a key'))).toBe(true);
      const found = files.flatMap(([path, content]) =>
        leaksIn(content, secrets)
          .filter(kept)
          .map((name) => `${path.slice(server.dataDir.length)}: ${name}`),
      );
      expect(found).toEqual([]);
    };
    look();
    await server.stop();
    look();
  });
});
