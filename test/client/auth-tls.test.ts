/** TLS towards the servers, and certificates that say who a client is. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ClientTls, Etcd, type EtcdOptions, text } from '../../src/client/index.js';
import { type Certificates, makeCertificates } from '../e2e/certificates.js';
import {
  freePort,
  type ServerKind,
  type ServerProcess,
  startEtcd,
  startKvorum,
} from '../helpers/server.js';
import { describeWith } from '../helpers/tools.js';
import { authKinds, enableAuth, root, alice as withPassword } from './auth-target.js';

const transports = ['grpc-js', 'native'] as const;
const pem = (path: string): Buffer => readFileSync(path);

for (const kind of ['etcd', 'kvorum'] as const) {
  describeWith(['openssl', kind], `TLS: ${kind}`, () => {
    const { certificates, endpoints } = serverWithTls(kind);

    it.each(transports)('lets in who has a certificate: %s', async (name) => {
      const transport = { transport: name, endpoints: endpoints() };
      const { ca, client, stranger, otherCa } = certificates();
      const good = { ca: pem(ca), cert: pem(client.cert), key: pem(client.key) };
      await using alice = new Etcd({ ...transport, tls: good });
      await alice.kv.put('a', '1');
      expect((await alice.kv.as(text).get('a'))?.value).toBe('1');
      await using named = new Etcd({ ...transport, tls: { ...good, serverName: 'localhost' } });
      await named.connect();
      for (const tls of [
        { ca: pem(ca) },
        { ...good, ca: pem(otherCa) },
        { ...good, cert: pem(stranger.cert), key: pem(stranger.key) },
        { ...good, serverName: 'elsewhere' },
      ]) {
        await using other = new Etcd({ ...transport, tls, connectTimeoutMs: 1000 });
        const error: unknown = await other.kv.get('a', { timeoutMs: 1500 }).catch((e) => e);
        expect(error).toMatchObject({ name: 'EtcdClientError', outcome: 'failed' });
      }
      const { ca: _, ...unverified } = good;
      await using careless = new Etcd({
        ...transport,
        tls: { ...unverified, insecureSkipVerify: true },
      });
      await careless.connect();
    });

    it.each(transports)('asks for certificates before each connection: %s', async (name) => {
      const { ca, client, stranger } = certificates();
      const given = [stranger, client];
      let asked = 0;
      const tls = async (): Promise<ClientTls> => {
        const { cert, key } = given[asked] ?? client;
        asked += 1;
        return { ca: pem(ca), cert: pem(cert), key: pem(key) };
      };
      await using alice = new Etcd({ transport: name, endpoints: endpoints(), tls });
      const read = () => alice.kv.get('a', { timeoutMs: 20_000 });
      await read();
      expect(asked).toBeGreaterThanOrEqual(2);
      const failing = (): never => {
        throw new Error('no certificate today');
      };
      await using none = new Etcd({ transport: name, endpoints: endpoints(), tls: failing });
      await expect(none.connect()).rejects.toMatchObject({
        reason: 'CONNECT_FAILED',
        message: expect.stringContaining('no certificate today'),
      });
    });
  });
}

for (const kind of authKinds) {
  describeWith(['openssl', kind], `auth by certificate: ${kind}`, () => {
    const { certificates, endpoints } = serverWithTls(kind);
    const tls = (): ClientTls => {
      const { ca, client } = certificates();
      return { ca: pem(ca), cert: pem(client.cert), key: pem(client.key) };
    };
    const options = (more: EtcdOptions = {}) => ({ endpoints: endpoints(), tls: tls(), ...more });
    beforeAll(async () => {
      await enableAuth(options());
    });

    it.each(transports)('its common name is the user: %s', async (transport) => {
      await using alice = new Etcd(options({ transport }));
      const kv = alice.kv.as(text);
      await kv.put('app/a', '1');
      expect((await kv.get('app/a'))?.value).toBe('1');
      const denied = { reason: 'PERMISSION_DENIED' };
      await expect(kv.get('other')).rejects.toMatchObject(denied);
      await expect(kv.watch({ key: 'other' }).next()).rejects.toMatchObject(denied);
      await using watcher = kv.watch({ key: 'app/a' });
      await watcher.ready;
      await using lease = await alice.leases.create(60, { intervalMs: 50 });
      await lease.renew();
      await using admin = new Etcd(options({ transport, credentials: root }));
      expect(await admin.auth.users(), 'a token goes before the certificate').toContain('root');
      const password = { ...withPassword };
      await admin.auth.changePassword(password.user, password.password);
      await kv.put('app/a', '2');
      expect((await watcher.next()).value).toMatchObject({ value: '2' });
    });

    it('puts succeed while users and roles are changed', async () => {
      await using alice = new Etcd(options());
      await using admin = new Etcd(options({ credentials: root }));
      let isOver = false;
      const changes = (async () => {
        let count = 0;
        for (; !isOver; count += 1)
          await admin.auth.addRole(`storm${count}`).catch(() => undefined);
        return count;
      })();
      const puts = Array.from({ length: 500 }, (_, i) => alice.kv.put('app/storm', String(i)));
      const done = await Promise.allSettled(puts);
      isOver = true;
      expect(await changes).toBeGreaterThan(0);
      expect(done.filter(({ status }) => status === 'rejected')).toEqual([]);
    });
  });
}

/** A server that asks clients for certificates, for the surrounding describe block. */
function serverWithTls(kind: ServerKind) {
  let dir = '';
  let certificates: Certificates | undefined;
  let server: ServerProcess | undefined;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'kvorum-client-tls-'));
    certificates = makeCertificates(dir);
    const { cert, key } = certificates.server;
    const ports = { client: await freePort(), peer: await freePort() };
    const url = `https://127.0.0.1:${ports.client}`;
    const files = ['--cert-file', cert, '--key-file', key, '--trusted-ca-file', certificates.ca];
    const urls = ['--listen-client-urls', url, '--advertise-client-urls', url];
    const args = [...urls, ...files, '--client-cert-auth'];
    server = await (kind === 'etcd' ? startEtcd : startKvorum)({ ports, args });
  });
  afterAll(async () => {
    await server?.dispose();
    rmSync(dir, { recursive: true, force: true });
  });
  return {
    endpoints: () => `https://${server?.endpoint}`,
    certificates: () => {
      if (certificates === undefined) throw new Error('no certificates were made');
      return certificates;
    },
  };
}
