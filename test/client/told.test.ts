/** What a client tells: errors with method, key and caller; plain data; events of all it does. */

import { describe, expect, it } from 'vitest';
import {
  type ClientEvent,
  type EtcdClientError,
  isEtcdError,
  json,
  mutex,
  openSession,
  text,
} from '../../src/client/index.js';
import { eventually } from '../helpers/eventually.js';
import { startProxy } from './proxy.js';
import { describeTargets } from './target.js';

async function errorOf(call: Promise<unknown>): Promise<EtcdClientError> {
  try {
    await call;
  } catch (error) {
    if (isEtcdError(error)) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

describeTargets('told', { bothTransports: true }, (target) => {
  describe('errors', () => {
    it('say which method and key, and who called', async () => {
      const client = target.client();
      const kv = client.kv.namespace(target.prefix()).as(text);
      const key = `${kv.prefix}a`;
      async function theCaller(): Promise<void> {
        await kv.put('a', '1', { lease: 77n });
      }
      const put = await errorOf(theCaller());
      expect(put).toMatchObject({ reason: 'LEASE_NOT_FOUND', method: '/etcdserverpb.KV/Put', key });
      expect(put.stack).toContain('theCaller');
      const txn = kv.txn().then(kv.ops.put('a', '1', { lease: 77n }));
      const committed = await errorOf(txn.commit());
      expect(committed).toMatchObject({ method: '/etcdserverpb.KV/Txn', key });
      const past = await errorOf(kv.range({ prefix: 'a' }, { revision: 1_000_000_000 }));
      expect(past).toMatchObject({ method: '/etcdserverpb.KV/Range', key });
      const signal = AbortSignal.abort(new Error('enough'));
      expect(await errorOf(kv.delete('a', { signal }))).toMatchObject({ reason: 'ABORTED', key });
      await client.close();
      expect(await errorOf(kv.get('a'))).toMatchObject({ reason: 'CLOSED', key });
    });

    it('of waits and watches name the caller, too', async () => {
      const client = target.client();
      const kv = client.kv.namespace(target.prefix()).as(text);
      await using session = await openSession(client);
      await using other = await openSession(client);
      await using held = await mutex(kv, 'lock').acquire(session);
      expect(held.owned).toBe(true);
      async function theWaiter(): Promise<void> {
        await mutex(kv, 'lock').acquire(other, { timeoutMs: 50 });
      }
      const waited = await errorOf(theWaiter());
      expect(waited.reason).toBe('CALL_TIMEOUT');
      expect(waited.stack).toContain('theWaiter');
      for (let i = 0; i < 3; i += 1) await kv.put('a', String(i));
      const { revision } = await kv.put('a', 'last');
      await client.maintenance.compact(revision);
      async function theReader(): Promise<void> {
        for await (const _ of kv.watch({ key: 'a' }, { fromRevision: 1 })) return;
      }
      const compacted = await errorOf(theReader());
      expect(compacted).toMatchObject({ reason: 'COMPACTED', key: `${kv.prefix}a` });
      expect(compacted.method).toBe('/etcdserverpb.Watch/Watch');
      expect(compacted.stack).toContain('theReader');
    });

    it('of a lease that is renewed too late name the caller, too', async () => {
      const client = target.client();
      const lease = await client.leases.create(60);
      await client.leases.revoke(lease.id);
      async function theRenewer(): Promise<void> {
        await lease.renew();
      }
      const late = await errorOf(theRenewer());
      expect(late.reason).toBe('LEASE_LOST');
      expect(late.stack).toContain('theRenewer');
    });

    it('of codecs have the key; JSON has the message', async () => {
      const kv = target.client().kv.namespace(target.prefix());
      await kv.put('a', 'no JSON');
      const error = await errorOf(kv.as(json<number>()).get('a'));
      expect(error).toMatchObject({ reason: 'DECODE_FAILED', key: `${kv.prefix}a` });
      const read: unknown = JSON.parse(JSON.stringify(error));
      expect(read).toMatchObject({ reason: 'DECODE_FAILED', message: error.message });
    });
  });

  describe('data', () => {
    it('has what its type has when it is copied, and as JSON', async () => {
      const client = target.client();
      const kv = client.kv.namespace(target.prefix()).as(text);
      await using watcher = kv.watch({ all: true }, { prev: true });
      await watcher.ready;
      const lease = await client.leases.grant(60);
      await kv.put('a', '1', { lease });
      const entry = await kv.get('a');
      if (entry === undefined) throw new Error('it is there');
      const copy = { ...entry };
      expect(Object.keys(copy).sort()).toEqual(
        ['createRevision', 'key', 'keyBytes', 'lease', 'modRevision', 'value', 'version'].sort(),
      );
      expect(copy.keyBytes).toEqual(Buffer.from('a'));
      const { modRevision } = entry;
      const asJson = {
        ...{ key: 'a', keyBytes: 'YQ==', value: '1', lease: String(lease.id), version: 1 },
        ...{ createRevision: modRevision, modRevision },
      };
      expect(JSON.parse(JSON.stringify(entry))).toEqual(asJson);
      const { kvs, header } = await kv.range({ all: true });
      const clusterId = String(header.clusterId);
      expect(JSON.parse(JSON.stringify({ kvs, header }))).toMatchObject({
        kvs: [asJson],
        header: { clusterId, revision: header.revision },
      });
      const raw = await client.kv.get(`${kv.prefix}a`);
      expect(JSON.parse(JSON.stringify(raw))).toMatchObject({ value: 'MQ==' });
      await kv.delete('a');
      const put = (await watcher.next()).value;
      expect(JSON.parse(JSON.stringify(put))).toEqual({
        ...{ type: 'put', key: 'a', kv: asJson, value: '1', revision: modRevision, created: true },
      });
      const gone = (await watcher.next()).value;
      expect({ ...gone }).toMatchObject({ type: 'delete', keyBytes: Buffer.from('a') });
      expect(JSON.parse(JSON.stringify(gone))).toMatchObject({
        ...{ type: 'delete', key: 'a', keyBytes: 'YQ==', prev: asJson },
      });
      await client.leases.revoke(lease.id);
    });
  });

  describe('events', () => {
    it('tell of calls, watches, leases, and how they go on after a disconnection', async () => {
      const proxy = await startProxy(target.server().endpoints[0] ?? '');
      const events: ClientEvent[] = [];
      const opened: string[] = [];
      const called: string[] = [];
      const client = target.client({
        endpoints: proxy.endpoint,
        onEvent: (event) => events.push(event),
        hooks: [
          {
            interceptor: (call, next) => {
              called.push(call.method);
              return next(call);
            },
            streamInterceptor: async (stream, next) => {
              const where = await next({ ...stream, metadata: { 'x-trace': '1' } });
              opened.push(`${stream.method} ${where.endpoint}`);
              return where;
            },
            onEvent: (event) => events.push({ ...event }),
          },
        ],
      });
      const kv = client.kv.namespace(target.prefix()).as(text);
      await using watcher = kv.watch({ prefix: 'w' });
      await watcher.ready;
      const lease = await client.leases.create(60);
      await lease.renew();
      await kv.get('a');
      const of = (type: string) => events.filter((event) => event.type === type);
      const watchKey = `${kv.prefix}w`;
      expect(of('watchCreated')[0]).toMatchObject({ key: watchKey, resumed: false });
      expect(of('leaseRenewed')).toHaveLength(2); // there are two listeners
      expect(of('leaseRenewed')[0]).toMatchObject({ id: lease.id });
      const method = '/etcdserverpb.KV/Range';
      const get = of('callEnded').find((event) => 'method' in event && event.method === method);
      expect(get).toMatchObject({
        ...{ key: `${kv.prefix}a`, endpoint: proxy.endpoint, attempts: 1, error: undefined },
      });
      expect(called).toContain(method);
      expect(opened).toContain(`/etcdserverpb.Watch/Watch ${proxy.endpoint}`);
      expect(opened).toContain(`/etcdserverpb.Lease/LeaseKeepAlive ${proxy.endpoint}`);
      proxy.cut();
      await eventually(
        () => of('watchCreated').some((event) => 'resumed' in event && event.resumed) || undefined,
        'the watch goes on',
      );
      for (const type of ['disconnected', 'connected', 'streamEnded', 'streamOpened']) {
        expect(of(type), type).not.toEqual([]);
      }
      await watcher.close();
      expect(of('watchEnded').at(-1)).toMatchObject({ key: watchKey, error: undefined });
      lease.stop();
      expect(of('leaseStopped').at(-1)).toMatchObject({ id: lease.id });
      await lease.revoke();
      const failed = await errorOf(kv.put('a', '1', { lease: 77n }));
      expect(of('callEnded').at(-1)).toMatchObject({ error: failed, key: `${kv.prefix}a` });
      await proxy[Symbol.asyncDispose]();
    });

    it('tell of what is sent again', async () => {
      const proxy = await startProxy(target.server().endpoints[0] ?? '');
      const retries: ClientEvent[] = [];
      const client = target.client({
        endpoints: proxy.endpoint,
        onEvent: (event) => {
          if (event.type === 'retry') retries.push(event);
        },
      });
      await client.connect();
      proxy.dropReplies();
      const dropped = proxy.replyDropped();
      const get = client.kv.get('again');
      await dropped;
      proxy.cut();
      proxy.resume();
      await get;
      expect(retries[0]).toMatchObject({
        ...{ type: 'retry', method: '/etcdserverpb.KV/Range', key: 'again', attempt: 1 },
        error: { code: 'UNAVAILABLE' },
      });
      await proxy[Symbol.asyncDispose]();
    });
  });
});
