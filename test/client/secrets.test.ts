/** What is said of credentials before anything is sent, and where they are never seen. */

import { inspect } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type ClientEvent,
  Etcd,
  type EtcdOptions,
  election,
  mutex,
  openSession,
  registry,
  type TransportName,
} from '../../src/client/index.js';
import { authTargets, enableAuth } from './auth-target.js';
import { describeTargets } from './target.js';

const transports: readonly TransportName[] = ['native', 'grpc-js'];
/** Found wherever it is quoted. */
const secret = 'hunter2-open-sesame';

describe('credentials that make no sense', () => {
  const invalid: ReadonlyArray<readonly [string, EtcdOptions]> = [
    ['no user', { credentials: { user: '', password: secret } }],
    ['no password', { credentials: { user: 'a' } as never }],
    ['both', { credentials: { user: 'a', password: secret, token: secret } as never }],
    ['an empty token', { credentials: { token: '' } }],
    ['a token of two lines', { credentials: { token: `${secret}\n` } }],
    ['a token that is no text', { credentials: { token: 1 as never } }],
    ['no such way', { credentials: { user: 'a', password: secret, ifAuthOff: 'x' as never } }],
    ['metadata of two lines', { metadata: { authorization: `${secret}\r\nx: y` } }],
    ['metadata that is no text', { metadata: { a: 1 as never } }],
    ['a name in capitals', { metadata: { Authorization: secret } }],
    ['a name of gRPC', { metadata: { 'grpc-timeout': '1S' } }],
    ['a pseudo header', { metadata: { ':path': '/' } }],
    ['a password in an endpoint', { endpoints: `http://root:${secret}@127.0.0.1:2379` }],
    ['one without a scheme', { endpoints: `root:${secret}@127.0.0.1:2379` }],
    ['a user in an endpoint', { endpoints: `${secret}@127.0.0.1:2379` }],
  ];
  it.each(invalid)('%s', (_, options) => {
    const error = errorOf(() => new Etcd(options));
    expect(error).toMatchObject({ reason: 'INVALID_OPTION', code: 'INVALID_ARGUMENT' });
    expect(inspect(error)).not.toContain(secret);
  });

  it.each(transports)('metadata of a call, too: %s', async (transport) => {
    await using client = new Etcd({ endpoints: '127.0.0.1:1', transport });
    const metadata = { token: `${secret}\n` };
    const invalidOption = { reason: 'INVALID_OPTION' };
    const calls: ReadonlyArray<() => Promise<unknown>> = [
      () => client.kv.get('a', { metadata }),
      () => client.leases.keepAliveOnce(1n, { metadata }),
      () => client.maintenance.snapshot({ metadata }).next(),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject(invalidOption);
  });
});

describe('a server without users', () => {
  it.each(transports)('is told of: %s', async (transport) => {
    const server = new grpc.Server();
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    try {
      await using client = new Etcd({
        endpoints: `127.0.0.1:${port}`,
        transport,
        credentials: { user: 'alice', password: secret },
      });
      const failed = {
        name: 'EtcdClientError',
        reason: 'UNIMPLEMENTED',
        code: 'UNIMPLEMENTED',
        outcome: 'failed',
        message: expect.stringContaining('no Auth service'),
      };
      await expect(client.kv.put('a', '1')).rejects.toMatchObject(failed);
      await expect(client.kv.watch({ key: 'a' }).next()).rejects.toMatchObject(failed);
      await using other = new Etcd({ endpoints: `127.0.0.1:${port}`, transport });
      await expect(other.auth.users()).rejects.toMatchObject({ reason: 'UNIMPLEMENTED' });
    } finally {
      server.forceShutdown();
    }
  });
});

describeTargets('secrets', { targets: authTargets, bothTransports: true }, (target) => {
  beforeAll(async () => {
    await enableAuth({ endpoints: target.server().endpoints });
    const admin = target.client({ credentials: { user: 'root', password: 'secret' } });
    await admin.auth.addUser('sue', secret);
    await admin.auth.grantRole('sue', 'root');
  });

  it('are in nothing that can be looked at, in no event and no error', async () => {
    const events: ClientEvent[] = [];
    const sent: string[] = [];
    const client = target.client({
      credentials: { user: 'sue', password: secret },
      onEvent: (event) => events.push(event),
      interceptors: [
        (call, next) => {
          sent.push(inspect(call), Buffer.from(call.request).toString('latin1'));
          return next(call);
        },
      ],
    });
    const session = await openSession(client);
    const held = await mutex(client.kv, 'lock').acquire(session);
    const watcher = client.kv.watch({ all: true });
    await watcher.ready;
    const lease = await client.leases.create(60);
    const built = [
      ...[client, client.kv, client.kv.namespace('a'), client.leases, client.auth],
      ...[client.cluster, client.maintenance, session, held, watcher, lease],
      ...[election(client.kv, 'e'), registry(client)],
    ];
    const wrong = target.client({ credentials: { user: 'sue', password: `${secret}!` } });
    const errors = [
      await wrong.kv.get('a').catch((error: unknown) => error),
      await client.auth.addUser('sue', secret).catch((error: unknown) => error),
      await client.auth.changePassword('nobody', secret).catch((error: unknown) => error),
      await client.leases.keepAliveOnce(7n).catch((error: unknown) => error),
    ];
    expect(errors.every((error) => error instanceof Error)).toBe(true);
    const options = { depth: 20, showHidden: true, getters: true } as const;
    // What the caller itself hands over passes through its own interceptors; a token does not.
    const seen = [events, ...built, ...errors].map((each) => inspect(each, options));
    const token = /[A-Za-z]{16}\.\d+/;
    for (const text of seen) {
      expect(text).not.toContain(secret);
      expect(text).not.toMatch(token);
    }
    const texts = sent.filter((text) => !/UserAdd|ChangePassword/.test(text));
    expect(texts.some((text) => text.includes('Auth/Authenticate'))).toBe(false);
    expect(texts.some((text) => token.test(text))).toBe(false);
    expect(events.map(({ type }) => type)).toContain('authenticated');
    await held.release();
    await session.close();
    await watcher.close();
    await lease.revoke();
  });
});

function errorOf(make: () => unknown): unknown {
  try {
    make();
  } catch (error) {
    return error;
  }
  throw new Error('it was accepted');
}
