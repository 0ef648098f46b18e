/** Passwords and tokens: who is let in, and what happens when a token is no longer good. */

import { beforeAll, expect, it } from 'vitest';
import {
  type ClientEvent,
  Etcd,
  type EtcdOptions,
  election,
  mutex,
  openSession,
  text,
} from '../../src/client/index.js';
import { eventually } from '../helpers/eventually.js';
import { RawClient } from '../helpers/grpc.js';
import { startCluster } from '../helpers/server.js';
import { describeWith } from '../helpers/tools.js';
import {
  alice,
  authKinds,
  authTargets,
  enableAuth,
  endTokensOfAlice,
  root,
} from './auth-target.js';
import { describeTargets, type TargetOfTests } from './target.js';

describeTargets('auth', { targets: authTargets, bothTransports: true }, (target) => {
  beforeAll(() => enableAuth({ endpoints: target.server().endpoints }));
  const asAlice = (options: EtcdOptions = {}) => target.client({ credentials: alice, ...options });

  it('lets in who has a password, and says who has not', async () => {
    const kv = asAlice().kv.as(text);
    await kv.put('app/a', '1');
    expect((await kv.get('app/a'))?.value).toBe('1');
    await expect(kv.put('other', '1')).rejects.toMatchObject({
      reason: 'PERMISSION_DENIED',
      code: 'PERMISSION_DENIED',
      outcome: 'failed',
    });
    for (const credentials of [
      { user: 'alice', password: 'no' },
      { user: 'nobody', password: 'no' },
    ]) {
      const wrong = target.client({ credentials });
      const failed = { reason: 'AUTH_FAILED', code: 'INVALID_ARGUMENT', outcome: 'failed' };
      await expect(wrong.kv.get('app/a')).rejects.toMatchObject(failed);
      await expect(wrong.connect()).rejects.toMatchObject(failed);
      await expect(wrong.kv.watch({ key: 'app/a' }).next()).rejects.toMatchObject(failed);
    }
    await expect(target.client().kv.get('app/a')).rejects.toMatchObject({ reason: 'USER_EMPTY' });
  });

  it('asks for nothing before the first call, and for one token for all', async () => {
    const { events, onEvent } = eventsOf();
    const client = asAlice({ onEvent });
    expect(events).toEqual([]);
    await Promise.all(Array.from({ length: 20 }, (_, i) => client.kv.get(`app/${i}`)));
    expect(events).toEqual(['authenticated']);
  });

  it('"deadlock on an invalid token" (etcd3#178): asks for another, once for all', async () => {
    const { events, onEvent } = eventsOf();
    const kv = asAlice({ onEvent }).kv.as(text);
    await kv.put('app/t', '0');
    await endTokensOfAlice(target);
    const puts = Array.from({ length: 20 }, (_, i) => kv.put('app/t', String(i)));
    const done = await Promise.allSettled(puts);
    expect(done.filter(({ status }) => status === 'rejected')).toEqual([]);
    expect(events).toEqual(['authenticated', 'authenticated']);
    expect((await kv.get('app/t'))?.version).toBe(21);
  });

  it('"the token expires, the watch dies" (etcd#12615): watches and leases go on', async () => {
    const client = asAlice();
    const kv = client.kv.as(text);
    await using watcher = kv.watch({ prefix: 'app/w' });
    await watcher.ready;
    const lease = await client.leases.create(60, { intervalMs: 100 });
    await endTokensOfAlice(target);
    await target.server().stop(0);
    await target.server().start(0);
    await kv.put('app/w', 'after');
    expect((await watcher.next()).value).toMatchObject({ key: 'app/w', value: 'after' });
    await lease.renew();
    expect(lease.state).toBe('alive');
    await lease.revoke();
  });

  it('a watch that is created with an old token gets another', async () => {
    const { events, onEvent } = eventsOf();
    const client = asAlice({ onEvent });
    const kv = client.kv.as(text);
    await using first = kv.watch({ key: 'app/x' });
    await first.ready;
    await endTokensOfAlice(target);
    await using second = kv.watch({ key: 'app/y' });
    await second.ready;
    await kv.put('app/x', '1');
    await kv.put('app/y', '1');
    expect((await first.next()).value).toMatchObject({ key: 'app/x' });
    expect((await second.next()).value).toMatchObject({ key: 'app/y' });
    expect(events).toEqual(['authenticated', 'authenticated']);
  });

  it('a snapshot that is asked for with an old token is sent all the same', async () => {
    const client = target.client({ credentials: root });
    await client.kv.get('a');
    await target.client({ credentials: root }).auth.changePassword(root.user, root.password);
    let bytes = 0;
    for await (const chunk of client.maintenance.snapshot()) bytes += chunk.length;
    expect(bytes).toBeGreaterThan(1000);
  });

  it('a watch that is not permitted is refused, and says why', async () => {
    const watcher = asAlice().kv.watch({ prefix: 'other/' });
    await expect(watcher.next()).rejects.toMatchObject({
      reason: 'PERMISSION_DENIED',
      code: 'PERMISSION_DENIED',
    });
    await expect(watcher.ready).rejects.toMatchObject({ reason: 'PERMISSION_DENIED' });
  });

  it('locks, leaderships and sessions outlive their tokens', async () => {
    const client = asAlice();
    const { kv } = client;
    await using session = await openSession(client, { ttlSeconds: 10 });
    const locks = mutex(kv, 'app/lock');
    await using held = await locks.acquire(session);
    await using term = await election(kv, 'app/office').campaign(session, 'alice');
    await endTokensOfAlice(target);
    const other = asAlice();
    await using waiter = await openSession(other, { ttlSeconds: 10 });
    const second = mutex(other.kv, 'app/lock').acquire(waiter);
    await term.proclaim('alice again');
    await endTokensOfAlice(target);
    expect(held.signal.aborted || term.signal.aborted || session.signal.aborted).toBe(false);
    await held.release();
    await using next = await second;
    expect(next.signal.aborted).toBe(false);
    await term.resign();
  });

  it('puts succeed while users and roles are changed', async () => {
    const admin = target.client({ credentials: root });
    const { events, onEvent } = eventsOf();
    const client = asAlice({ onEvent });
    // First: etcd looks at a password again if auth was changed meanwhile, here without end.
    await client.connect();
    let isOver = false;
    const changes = (async () => {
      let count = 0;
      for (; !isOver; count += 1) await admin.auth.addRole(`storm${count}`).catch(() => undefined);
      return count;
    })();
    const puts = Array.from({ length: 400 }, (_, i) => client.kv.put('app/storm', String(i)));
    const done = await Promise.allSettled(puts);
    isOver = true;
    expect(await changes).toBeGreaterThan(0);
    expect(done.filter(({ status }) => status === 'rejected')).toEqual([]);
    expect((await client.kv.get('app/storm'))?.version).toBe(400);
    // A refusal says that the revision is old: a token in memory has none, and is still good.
    expect(events).toEqual(['authenticated']);
  });

  it('a password can come from a function, and change', async () => {
    const admin = target.client({ credentials: root });
    await admin.auth.addUser('vera', 'first');
    await admin.auth.grantRole('vera', 'app');
    let password = 'first';
    const asked: string[] = [];
    const give = async (): Promise<string> => {
      asked.push(password);
      return password;
    };
    const vera = target.client({ credentials: { user: 'vera', password: give } });
    await vera.kv.put('app/v', '1');
    password = 'second';
    await admin.auth.changePassword('vera', password);
    await vera.kv.put('app/v', '2');
    expect(asked).toEqual(['first', 'second']);
    await admin.auth.deleteUser('vera');
    await expect(vera.kv.get('app/v')).rejects.toMatchObject({ reason: 'AUTH_FAILED' });
  });

  it('who changes the own password goes on with the new one', async () => {
    const admin = target.client({ credentials: root });
    await admin.auth.addUser('ruth', 'first');
    await admin.auth.grantRole('ruth', 'root');
    const ruth = target.client({ credentials: { user: 'ruth', password: 'first' } });
    await ruth.auth.changePassword('ruth', 'second');
    await ruth.kv.put('app/r', '1');
    await ruth.auth.changePassword('alice', alice.password);
    await ruth.auth.deleteUser('ruth');
  });

  it('functions that fail are told as what they are', async () => {
    const cause = new Error('the vault is sealed');
    for (const credentials of [
      { token: () => Promise.reject(cause) },
      {
        user: 'alice',
        password: () => {
          throw cause;
        },
      },
    ]) {
      const { events, onEvent } = eventsOf();
      const client = target.client({ credentials, onEvent });
      await expect(client.kv.get('app/a')).rejects.toMatchObject({
        name: 'EtcdClientError',
        code: 'UNAVAILABLE',
        reason: 'CREDENTIALS_FAILED',
        outcome: 'failed',
        attempts: 0,
        cause,
      });
      expect(events).toEqual(['authFailed']);
    }
    for (const given of ['', 'two\nlines', undefined]) {
      const client = target.client({ credentials: { token: () => given as string } });
      await expect(client.kv.get('app/a')).rejects.toMatchObject({ reason: 'CREDENTIALS_FAILED' });
    }
    const slow = target.client({
      credentials: { user: 'alice', password: () => new Promise(() => undefined) },
      timeoutMs: 50,
    });
    await expect(slow.kv.get('app/a', { timeoutMs: 5000 })).rejects.toMatchObject({
      reason: 'CREDENTIALS_FAILED',
    });
  });

  it('a watch waits for a function that fails for a while', async () => {
    let attempts = 0;
    const password = (): string => {
      attempts += 1;
      if (attempts < 3) throw new Error('not yet');
      return alice.password;
    };
    const client = target.client({ credentials: { user: 'alice', password } });
    await using watcher = client.kv.watch({ key: 'app/z' });
    await watcher.ready;
    expect(attempts).toBe(3);
  });

  it('uses tokens made elsewhere, and asks for them again', async () => {
    const asked: number[] = [];
    const tokenOf = async (): Promise<string> => {
      asked.push(asked.length);
      return asked.length === 1 ? 'not.a.token' : await freshToken(target);
    };
    const client = target.client({ credentials: { token: tokenOf } });
    await client.kv.put('app/j', '1');
    expect(asked).toHaveLength(2);
    const bearer = target.client({ credentials: { token: `Bearer ${await freshToken(target)}` } });
    await bearer.kv.put('app/j', '2');
  });

  it('a token that stays the same is refused once, for watches and leases, too', async () => {
    const client = target.client({ credentials: { token: 'no.1' } });
    const refused = { reason: 'INVALID_AUTH_TOKEN', code: 'UNAUTHENTICATED', outcome: 'failed' };
    await expect(client.kv.get('app/a')).rejects.toMatchObject({ ...refused, attempts: 1 });
    await expect(client.kv.watch({ key: 'app/a' }).next()).rejects.toMatchObject(refused);
    const { id } = await asAlice().leases.grant(60);
    const kept = client.leases.keepAlive({ id, ttlSeconds: 60 }, { intervalMs: 50 });
    await eventually(() => kept.state === 'lost' || undefined, 'the lease counts as lost');
    expect(kept.signal.reason).toMatchObject({ reason: 'LEASE_LOST', cause: refused });
  });

  it('a function whose tokens are never good is not asked for ever', async () => {
    let asked = 0;
    const token = (): string => {
      asked += 1;
      return `no.${asked}`;
    };
    const client = target.client({
      credentials: { token },
      retry: { delayMinMs: 1, delayMaxMs: 2 },
    });
    const refused = { reason: 'INVALID_AUTH_TOKEN', code: 'UNAUTHENTICATED' };
    await expect(client.kv.get('app/a')).rejects.toMatchObject(refused);
    expect(asked).toBe(6);
    await expect(client.kv.watch({ key: 'app/a' }).next()).rejects.toMatchObject(refused);
    expect(asked, 'the last of them is tried first').toBe(11);
  });

  it('needs no token where auth is off, and gets one when it is switched on', async () => {
    const { events, onEvent } = eventsOf();
    const admin = target.client({ credentials: root });
    await admin.auth.disable();
    const client = asAlice({ onEvent });
    const strict = target.client({ credentials: { ...alice, ifAuthOff: 'fail' } });
    await using watcher = client.kv.watch({ key: 'app/o' });
    await watcher.ready;
    await client.kv.put('app/o', '1');
    await expect(strict.kv.get('app/o')).rejects.toMatchObject({
      reason: 'AUTH_NOT_ENABLED',
      code: 'FAILED_PRECONDITION',
      outcome: 'failed',
      message: expect.stringContaining('auth switched off'),
    });
    expect(await admin.auth.status()).toMatchObject({ enabled: false });
    await admin.auth.enable();
    await client.kv.put('app/o', '2');
    expect((await watcher.next()).value).toMatchObject({
      type: 'put',
      revision: expect.any(Number),
    });
    expect((await watcher.next()).value).toMatchObject({ key: 'app/o' });
    await strict.kv.get('app/o');
    expect(await admin.auth.users()).toContain('alice');
    expect(events).toEqual(['authNotEnabled', 'authenticated']);
  });
});

for (const kind of authKinds) {
  describeWith([kind], `auth: three members of ${kind}`, () => {
    it('members that restart, one after the other, are called with a good token', async () => {
      const members = await startCluster(kind, 3);
      try {
        const endpoints = members.map(({ endpoint }) => endpoint);
        await enableAuth({ endpoints });
        const timeoutMs = 60_000;
        await using client = new Etcd({ endpoints, credentials: alice, timeoutMs });
        const kv = client.kv.as(text);
        await using watcher = kv.watch({ prefix: 'app/' });
        await using lease = await client.leases.create(120, { intervalMs: 100 });
        await watcher.ready;
        for (const [at, member] of members.entries()) {
          await member.killAndRestart();
          // Each of them: who has restarted knows no token, the others know all.
          for (const endpoint of endpoints) await client.maintenance.status({ endpoint });
          await eventually(() => kv.put('app/m', String(at)).then(() => true), 'a put');
          let seen = '';
          while (seen !== String(at)) {
            const { value: event } = await watcher.next();
            if (event?.type === 'put') seen = event.value;
          }
        }
        await lease.renew();
      } finally {
        for (const member of members) await member.dispose();
      }
    });
  });
}

/** What is told of tokens. */
function eventsOf() {
  const events: string[] = [];
  const onEvent = ({ type }: ClientEvent): void => {
    if (type.startsWith('auth')) events.push(type);
  };
  return { events, onEvent };
}

/** A token as another program would get it. */
async function freshToken(target: TargetOfTests): Promise<string> {
  const raw = new RawClient(target.server().endpoints[0] ?? '');
  try {
    const request = { name: alice.user, password: alice.password };
    const reply = await raw.unary<{ token: string }>('etcdserverpb.Auth', 'Authenticate', request);
    return reply.token;
  } finally {
    raw.close();
  }
}
