/** JSON Web Tokens: got with a password, or made elsewhere; each change of auth makes them old. */

import { createPrivateKey, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ClientEvent, Etcd, type EtcdOptions } from '../../src/client/index.js';
import { exec } from '../helpers/exec.js';
import { type ServerProcess, startEtcd, startKvorum } from '../helpers/server.js';
import { describeWith, toolPath } from '../helpers/tools.js';
import { alice, enableAuth, jwtKinds, root } from './auth-target.js';

for (const kind of jwtKinds) {
  describeWith(['openssl', kind], `auth by JWT: ${kind}`, () => {
    const dir = mkdtempSync(join(tmpdir(), 'kvorum-client-jwt-'));
    const file = (name: string): string => join(dir, name);
    let server: ServerProcess;
    const clients: Etcd[] = [];

    beforeAll(async () => {
      const openssl = async (...args: string[]): Promise<void> => {
        const done = await exec(toolPath('openssl'), args);
        expect(done.code, done.stderr).toBe(0);
      };
      await openssl('genrsa', '-out', file('key.pem'), '2048');
      await openssl('rsa', '-in', file('key.pem'), '-pubout', '-out', file('pub.pem'));
      const keys = `pub-key=${file('pub.pem')},priv-key=${file('key.pem')}`;
      const args = ['--auth-token', `jwt,${keys},sign-method=RS256,ttl=2s`];
      server = await (kind === 'etcd' ? startEtcd : startKvorum)({ args });
      await enableAuth({ endpoints: server.endpoint });
    });
    afterAll(async () => {
      for (const client of clients) await client.close();
      await server?.dispose();
      rmSync(dir, { recursive: true, force: true });
    });

    function clientOf(options: EtcdOptions): Etcd {
      const client = new Etcd({ endpoints: server.endpoint, ...options });
      clients.push(client);
      return client;
    }

    /** As a program would that has the key and knows the revision. */
    async function tokenOf(user: string, ttlSeconds: number): Promise<string> {
      const { authRevision } = await clientOf({ credentials: root }).auth.status();
      const exp = Math.floor(Date.now() / 1000) + ttlSeconds;
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const claims = { username: user, revision: authRevision, exp };
      const text = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`;
      const key = createPrivateKey(readFileSync(file('key.pem')));
      return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
    }

    it('the token of a password is renewed when it is over, or old', async () => {
      const events: string[] = [];
      const onEvent = ({ type }: ClientEvent): void => {
        if (type.startsWith('auth')) events.push(type);
      };
      const client = clientOf({ credentials: alice, onEvent });
      await using watcher = client.kv.watch({ prefix: 'app/' });
      await watcher.ready;
      await using lease = await client.leases.create(60, { intervalMs: 100 });
      await client.kv.put('app/a', '1');
      expect(events).toEqual(['authenticated']);
      await clientOf({ credentials: root }).auth.addRole('other');
      await client.kv.put('app/a', '2');
      expect(events).toEqual(['authenticated', 'authenticated']);
      // Longer than a token is good for.
      await new Promise((resolve) => setTimeout(resolve, 3500));
      await client.kv.put('app/a', '3');
      await using late = client.kv.watch({ prefix: 'app/' });
      await late.ready;
      await lease.renew();
      expect(events.length).toBeGreaterThanOrEqual(3);
      for (const value of ['1', '2', '3']) {
        const { value: event } = await watcher.next();
        expect(event?.type === 'put' && event.value.toString()).toBe(value);
      }
    });

    it('a function gives tokens that were made elsewhere', async () => {
      let asked = 0;
      const token = (): Promise<string> => {
        asked += 1;
        return tokenOf('alice', 60);
      };
      const client = clientOf({ credentials: { token } });
      await client.kv.put('app/j', '1');
      expect(asked).toBe(1);
      await clientOf({ credentials: root }).auth.addRole('another');
      await client.kv.put('app/j', '2');
      expect(asked).toBe(2);
      await expect(client.kv.put('other', '1')).rejects.toMatchObject({
        reason: 'PERMISSION_DENIED',
      });
    });

    it('a fixed one is good until auth is changed, then refused at once', async () => {
      const client = clientOf({ credentials: { token: await tokenOf('alice', 60) } });
      await client.kv.put('app/f', '1');
      await clientOf({ credentials: root }).auth.addRole('third');
      const old = { reason: 'AUTH_OLD_REVISION', code: 'INVALID_ARGUMENT', attempts: 1 };
      await expect(client.kv.put('app/f', '2')).rejects.toMatchObject(old);
      const { attempts: _, ...refused } = old;
      await expect(client.kv.watch({ key: 'app/f' }).next()).rejects.toMatchObject(refused);
    });

    it('one that is over, or not signed by the right key, is refused', async () => {
      const good = await tokenOf('alice', 60);
      for (const token of [await tokenOf('alice', -60), `${good.slice(0, -8)}AAAAAAAA`]) {
        await expect(clientOf({ credentials: { token } }).kv.get('app/j')).rejects.toMatchObject({
          reason: 'INVALID_AUTH_TOKEN',
          code: 'UNAUTHENTICATED',
        });
      }
    });
  });
}
