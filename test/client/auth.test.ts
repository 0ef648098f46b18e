/** Users, roles and tokens, against servers with auth: etcd for now. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Etcd, type EtcdOptions, type TransportName, text } from '../../src/client/index.js';
import { type Certificates, makeCertificates } from '../e2e/certificates.js';
import { freePort, type ServerProcess, startEtcd } from '../helpers/server.js';
import { describeWith } from '../helpers/tools.js';

const root = { user: 'root', password: 'secret' } as const;

const transports = ['grpc-js', 'native'] as const;

for (const transport of transports) {
  describeWith(['etcd'], `auth: etcd over ${transport}`, () => authTests(transport));
}

function authTests(transport: TransportName): void {
  let server: ServerProcess;
  const clients: Etcd[] = [];

  beforeAll(async () => {
    server = await startEtcd();
    const client = clientOf();
    await client.auth.addUser('root', 'secret');
    await client.auth.addRole('root');
    await client.auth.grantRole('root', 'root');
    await client.auth.addRole('app');
    await client.auth.grantPermission('app', { kind: 'readwrite', range: { prefix: 'app/' } });
    await client.auth.addUser('alice', 'wonder');
    await client.auth.grantRole('alice', 'app');
    await client.auth.enable();
  });
  afterAll(async () => {
    for (const client of clients) await client.close();
    await server.dispose();
  });

  function clientOf(options: EtcdOptions = {}): Etcd {
    const client = new Etcd({ endpoints: server.endpoint, transport, ...options });
    clients.push(client);
    return client;
  }

  it('lets in who has a password, and says who has not', async () => {
    const alice = clientOf({ credentials: { user: 'alice', password: 'wonder' } });
    const kv = alice.kv.as(text);
    await kv.put('app/a', '1');
    expect((await kv.get('app/a'))?.value).toBe('1');
    await expect(kv.put('other', '1')).rejects.toMatchObject({
      reason: 'PERMISSION_DENIED',
      code: 'PERMISSION_DENIED',
      outcome: 'failed',
    });
    const wrong = clientOf({ credentials: { user: 'alice', password: 'no' } });
    await expect(wrong.kv.get('app/a')).rejects.toMatchObject({ reason: 'AUTH_FAILED' });
    await expect(wrong.connect()).rejects.toMatchObject({ reason: 'AUTH_FAILED' });
    await expect(clientOf().kv.get('app/a')).rejects.toMatchObject({ reason: 'USER_EMPTY' });
  });

  it('asks for one token for all calls that need one', async () => {
    let tokens = 0;
    const alice = clientOf({
      credentials: { user: 'alice', password: 'wonder' },
      onEvent: ({ type }) => {
        if (type === 'authenticated') tokens += 1;
      },
    });
    await Promise.all(Array.from({ length: 20 }, (_, i) => alice.kv.get(`app/${i}`)));
    expect(tokens).toBe(1);
  });

  it('"deadlock on an invalid token" (etcd3#178): asks for another, once for all', async () => {
    let tokens = 0;
    const alice = clientOf({
      credentials: { user: 'alice', password: 'wonder' },
      onEvent: ({ type }) => {
        if (type === 'authenticated') tokens += 1;
      },
    });
    const kv = alice.kv.as(text);
    await kv.put('app/t', '0');
    await invalidateTokens();
    const puts = Array.from({ length: 20 }, (_, i) => kv.put('app/t', String(i)));
    const done = await Promise.allSettled(puts);
    expect(done.filter(({ status }) => status === 'rejected')).toEqual([]);
    expect(tokens).toBe(2);
    expect((await kv.get('app/t'))?.version).toBe(21);
  });

  it('"the token expires, the watch dies" (etcd#12615): watches and leases go on', async () => {
    const alice = clientOf({ credentials: { user: 'alice', password: 'wonder' } });
    const kv = alice.kv.as(text);
    await using watcher = kv.watch({ prefix: 'app/w' });
    await watcher.ready;
    const lease = await alice.leases.create(10, { intervalMs: 100 });
    await invalidateTokens();
    await server.killAndRestart();
    await kv.put('app/w', 'after');
    expect((await watcher.next()).value).toMatchObject({ key: 'app/w', value: 'after' });
    await lease.renew();
    expect(lease.state).toBe('alive');
    await lease.revoke();
  });

  it('a watch that is not permitted is refused, and says why', async () => {
    const alice = clientOf({ credentials: { user: 'alice', password: 'wonder' } });
    const watcher = alice.kv.watch({ prefix: 'other/' });
    await expect(watcher.next()).rejects.toMatchObject({
      reason: 'PERMISSION_DENIED',
      code: 'PERMISSION_DENIED',
    });
    await expect(watcher.ready).rejects.toMatchObject({ reason: 'PERMISSION_DENIED' });
  });

  it('administers users, roles and permissions', async () => {
    const { auth } = clientOf({ credentials: root });
    expect(await auth.users()).toEqual(expect.arrayContaining(['alice', 'root']));
    expect(await auth.user('alice')).toEqual(['app']);
    expect(await auth.roles()).toEqual(expect.arrayContaining(['app', 'root']));
    expect(await auth.role('app')).toEqual([
      { kind: 'readwrite', key: Buffer.from('app/'), rangeEnd: Buffer.from('app0') },
    ]);
    await auth.addUser('bob', 'x');
    await auth.changePassword('bob', 'y');
    await auth.addRole('r');
    await auth.grantPermission('r', { kind: 'read', range: { key: 'k' } });
    await auth.grantRole('bob', 'r');
    const bob = clientOf({ credentials: { user: 'bob', password: 'y' } });
    expect(await bob.kv.get('k')).toBeUndefined();
    await expect(bob.kv.put('k', '1')).rejects.toMatchObject({ reason: 'PERMISSION_DENIED' });
    await auth.revokePermission('r', { key: 'k' });
    await expect(bob.kv.get('k')).rejects.toMatchObject({ reason: 'PERMISSION_DENIED' });
    await auth.revokeRole('bob', 'r');
    await auth.deleteRole('r');
    await auth.deleteUser('bob');
    await expect(auth.user('bob')).rejects.toMatchObject({ reason: 'USER_NOT_FOUND' });
    await expect(auth.addUser('alice', 'z')).rejects.toMatchObject({
      reason: 'USER_ALREADY_EXISTS',
    });
  });

  it('uses tokens made elsewhere, and asks for them again', async () => {
    const asked: number[] = [];
    const source = clientOf({ credentials: { user: 'alice', password: 'wonder' } });
    await source.kv.get('app/a');
    const tokenOf = async (): Promise<string> => {
      asked.push(asked.length);
      return asked.length === 1 ? 'not.a.token' : await freshToken();
    };
    const alice = clientOf({ credentials: { token: tokenOf } });
    await alice.kv.put('app/j', '1');
    expect(asked).toHaveLength(2);
  });

  it('needs no token where auth is off, and gets one when it is switched on', async () => {
    const admin = clientOf({ credentials: root });
    await admin.auth.disable();
    const alice = clientOf({ credentials: { user: 'alice', password: 'wonder' } });
    await alice.kv.put('app/o', '1');
    await admin.auth.enable();
    await alice.kv.put('app/o', '2');
    expect(await admin.auth.users()).toContain('alice');
  });

  /** Setting a password, even the same, ends all tokens of the user. */
  async function invalidateTokens(): Promise<void> {
    await clientOf({ credentials: root }).auth.changePassword('alice', 'wonder');
  }

  /** A token as another program would get it: from the JSON gateway. */
  async function freshToken(): Promise<string> {
    const reply = await fetch(`${server.clientUrl}/v3/auth/authenticate`, {
      method: 'POST',
      body: JSON.stringify({ name: 'alice', password: 'wonder' }),
    });
    return ((await reply.json()) as { readonly token: string }).token;
  }
}

describeWith(['openssl', 'etcd'], 'TLS', () => {
  let dir: string;
  let certificates: Certificates;
  let server: ServerProcess | undefined;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'kvorum-client-tls-'));
    certificates = makeCertificates(dir);
    const { cert, key } = certificates.server;
    const ports = { client: await freePort(), peer: await freePort() };
    const url = `https://127.0.0.1:${ports.client}`;
    const files = ['--cert-file', cert, '--key-file', key, '--trusted-ca-file', certificates.ca];
    const urls = ['--listen-client-urls', url, '--advertise-client-urls', url];
    server = await startEtcd({ ports, args: [...urls, ...files, '--client-cert-auth'] });
  });
  afterAll(async () => {
    await server?.dispose();
    rmSync(dir, { recursive: true, force: true });
  });

  const pem = (path: string): Buffer => readFileSync(path);

  it.each(transports)('lets in who has a certificate: %s', async (name) => {
    const transport = { transport: name };
    const endpoints = `https://${server?.endpoint}`;
    const { ca, client, stranger } = certificates;
    const good = { ca: pem(ca), cert: pem(client.cert), key: pem(client.key) };
    await using alice = new Etcd({ ...transport, endpoints, tls: good });
    await alice.kv.put('a', '1');
    expect((await alice.kv.as(text).get('a'))?.value).toBe('1');
    await using named = new Etcd({
      ...transport,
      endpoints,
      tls: { ...good, serverName: 'localhost' },
    });
    await named.connect();
    for (const tls of [
      { ca: pem(ca) },
      { ...good, ca: pem(certificates.otherCa) },
      { ...good, cert: pem(stranger.cert), key: pem(stranger.key) },
      { ...good, serverName: 'elsewhere' },
    ]) {
      await using other = new Etcd({ ...transport, endpoints, tls, connectTimeoutMs: 1000 });
      const error: unknown = await other.kv.get('a', { timeoutMs: 1500 }).catch((e: unknown) => e);
      expect(error).toMatchObject({ name: 'EtcdClientError', outcome: 'failed' });
    }
    const { ca: _, ...unverified } = good;
    await using careless = new Etcd({
      ...transport,
      endpoints,
      tls: { ...unverified, insecureSkipVerify: true },
    });
    await careless.connect();
  });
});
