/**
 * What people complain of in the clients there are (L-43), as far as it is not tested beside the
 * part it belongs to: each complaint is a test that is named after it.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { Etcd, type EtcdClientError, text } from '../../src/client/index.js';
import { decodeWatchRequest, encodeWatchResponse, HeaderEncoder } from '../../src/proto/index.js';
import { eventually } from '../helpers/eventually.js';
import { etcdMinor } from '../helpers/target.js';
import { startProxy } from './proxy.js';
import { describeTargets } from './target.js';

/** One number of /metrics. */
async function metric(endpoint: string, name: string): Promise<number> {
  const body = await (await fetch(`http://${endpoint}/metrics`)).text();
  const line = body.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ')[1]);
}

describeTargets('complaints', { bothTransports: true }, (target) => {
  const endpoint = () => target.server().endpoints[0] ?? '';

  it('"watch is dead after a reconnect" (etcd3#31, #78; jetcd#523)', async () => {
    const proxy = await startProxy(endpoint());
    const kv = target.client({ endpoints: proxy.endpoint }).kv.namespace(target.prefix()).as(text);
    await using watcher = kv.watch({ all: true });
    await watcher.ready;
    for (let i = 0; i < 5; i += 1) {
      proxy.cut();
      // A put of unknown outcome would be no fault of the watch.
      await eventually(
        () =>
          kv.put('k', String(i)).then(
            () => true,
            () => undefined,
          ),
        'a put goes through',
      );
      let value = '';
      while (value !== String(i)) {
        const { value: event } = await watcher.next();
        if (event?.type === 'put') value = event.value;
      }
    }
    await proxy[Symbol.asyncDispose]();
  });

  it('"the stream leaks when the last watcher closes" (etcd3#62)', async () => {
    const streams = () => metric(endpoint(), 'etcd_debugging_mvcc_watch_stream_total');
    const watchers = () => metric(endpoint(), 'etcd_debugging_mvcc_watcher_total');
    const none = () => streams().then((n) => (n === 0 ? true : undefined));
    await eventually(none, 'no streams of other tests');
    const client = target.client();
    const three = [1, 2, 3].map((i) => client.kv.watch({ key: `w${i}` }));
    await Promise.all(three.map(({ ready }) => ready));
    expect(await streams()).toBe(1);
    expect(await watchers()).toBe(3);
    await three[0]?.close();
    await eventually(() => watchers().then((n) => (n === 2 ? true : undefined)), 'two watchers');
    expect(await streams()).toBe(1);
    await Promise.all(three.map((watcher) => watcher.close()));
    await eventually(none, 'no stream');
    // Also one that nobody waited for, and one that is closed before it was created.
    await client.kv.watch({ key: 'w4' }).close();
    await eventually(none, 'still no stream');
    expect(await watchers()).toBe(0);
  });

  it('"a lease leaks when it is given up before it was granted" (etcd3 1.1.1)', async () => {
    const proxy = await startProxy(endpoint());
    const client = target.client({ endpoints: proxy.endpoint });
    await client.connect();
    const before = new Set(await client.leases.list());
    proxy.dropReplies();
    const dropped = proxy.replyDropped();
    const abort = new AbortController();
    const creating = client.leases.create(3600, { signal: abort.signal });
    await dropped;
    abort.abort();
    await expect(creating).rejects.toMatchObject({ reason: 'ABORTED', outcome: 'unknown' });
    proxy.cut();
    proxy.resume();
    const direct = target.client();
    await eventually(async () => {
      const leases = await direct.leases.list();
      return leases.every((id) => before.has(id)) ? true : undefined;
    }, 'no new lease');
    await proxy[Symbol.asyncDispose]();
  });

  it('"a watcher for each client is left behind" (python-etcd3#291, #1411)', async () => {
    const connected = async (): Promise<number> => {
      const client = new Etcd(endpoint());
      await using watcher = client.kv.watch({ all: true });
      await watcher.ready;
      await client.close();
      return metric(endpoint(), 'etcd_debugging_mvcc_watcher_total');
    };
    for (let i = 0; i < 5; i += 1) await connected();
    await eventually(
      () =>
        metric(endpoint(), 'etcd_debugging_mvcc_watcher_total').then((n) =>
          n === 0 ? true : undefined,
        ),
      'no watchers',
    );
  });

  it('"events pile up" (nats.js, etcd3): a reader that stops costs its buffer, no more', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(text);
    await using stopped = kv.watch({ all: true }, { bufferEventsMax: 10 });
    await stopped.ready;
    for (let i = 0; i < 20; i += 1) await kv.put('k', String(i));
    // The server does not keep it either: it was cancelled there.
    await eventually(
      () =>
        metric(endpoint(), 'etcd_debugging_mvcc_watcher_total').then((n) =>
          n === 0 ? true : undefined,
        ),
      'no watcher',
    );
    for (let i = 0; i < 20; i += 1) expect((await stopped.next()).value?.type).toBe('put');
  });

  it('"the whole backup in memory": a slow reader holds the server back', async () => {
    const proxy = await startProxy(endpoint());
    const direct = target.client();
    const kv = direct.kv.namespace(target.prefix());
    for (let i = 0; i < 16; i += 1) await kv.put(`k${i}`, Buffer.alloc(1_000_000, i));
    const client = target.client({ endpoints: proxy.endpoint });
    let read = 0;
    let received = 0;
    for await (const chunk of client.maintenance.snapshot({ timeoutMs: 150_000 })) {
      read += chunk.length;
      if (read > chunk.length) continue;
      let before = -1;
      while (before !== proxy.receivedBytes) {
        before = proxy.receivedBytes;
        await sleep(1000);
      }
      received = before;
    }
    expect(read).toBeGreaterThan(16_000_000);
    expect(received).toBeLessThan(8_000_000);
    await kv.deleteRange({ all: true });
    await proxy[Symbol.asyncDispose]();
  });

  it('"unordered reads of what was written" : a read after a put sees it', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(text);
    for (let i = 0; i < 20; i += 1) {
      await kv.put('a', String(i));
      expect((await kv.get('a'))?.value).toBe(String(i));
    }
  });
});

const progressFlag = (kind: string): readonly string[] =>
  kind === 'etcd' && etcdMinor() < 6
    ? ['--experimental-watch-progress-notify-interval=100ms']
    : ['--watch-progress-notify-interval=100ms'];

for (const name of ['kvorum', 'etcd'] as const) {
  describeTargets('complaints', { targets: [name], flags: progressFlag(name) }, (target) => {
    it('"a quiet watch dies with every compaction" (kubernetes#54974)', async () => {
      const proxy = await startProxy(target.server().endpoints[0] ?? '');
      const prefix = target.prefix();
      const client = target.client({ endpoints: proxy.endpoint });
      const direct = target.client();
      const kv = direct.kv.namespace(prefix).as(text);
      await using quiet = client.kv.namespace(prefix).as(text).watch({ prefix: 'quiet/' });
      await quiet.ready;
      let last = 0;
      for (let i = 0; i < 10; i += 1) last = (await kv.put('busy', String(i))).revision;
      await eventually(() => (quiet.revision >= last ? true : undefined), 'a progress mark');
      await direct.maintenance.compact(last);
      proxy.cut();
      await kv.put('quiet/a', '1');
      expect((await quiet.next()).value).toMatchObject({ type: 'put', key: 'quiet/a' });
      await proxy[Symbol.asyncDispose]();
    });

    it('progress is told to who wants to know', async () => {
      const kv = target.client().kv.namespace(target.prefix()).as(text);
      await using watcher = kv.watch({ all: true }, { progress: true });
      const { revision } = await watcher.ready;
      const first = await watcher.next();
      expect(first.value).toMatchObject({ type: 'progress' });
      expect(first.value?.revision).toBeGreaterThanOrEqual(revision);
    });
  });
}

describeTargets('complaints', { targets: ['kvorum'] }, (target) => {
  it('progress comes when it is asked for', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    await using watcher = kv.watch({ all: true }, { progress: true });
    await watcher.ready;
    const { revision } = await kv.put('a', '1');
    expect((await watcher.next()).value).toMatchObject({ type: 'put' });
    watcher.requestProgress();
    expect((await watcher.next()).value).toEqual({ type: 'progress', revision });
  });
});

it('"stuck when the server does not take the create" (etcd3#114): says why', async () => {
  const refusing = await fakeWatchServer((call) => {
    const header = new HeaderEncoder(1n, 2n).header(7, 1);
    const cancelReason = 'rpc error: code = PermissionDenied desc = etcdserver: permission denied';
    const fields = { header, watchId: -1, created: true, canceled: true, cancelReason };
    call.write(Buffer.concat(encodeWatchResponse(fields, [])));
  });
  await using client = new Etcd(refusing.endpoint);
  const watcher = client.kv.watch({ all: true });
  await expect(watcher.next()).rejects.toMatchObject({ reason: 'PERMISSION_DENIED' });
  await client.close();
  refusing.server.forceShutdown();
});

it('a server that ends the stream again and again is not asked without a pause', async () => {
  let streams = 0;
  const broken = await fakeWatchServer((call) => {
    streams += 1;
    call.emit('error', { code: grpc.status.UNAVAILABLE, details: 'etcdserver: no leader' });
  });
  const client = new Etcd(broken.endpoint);
  const startMs = performance.now();
  const watcher = client.kv.watch({ all: true });
  await eventually(() => streams > 3 || undefined, 'some streams');
  await sleep(500);
  // However slow the machine is, there are no more of them than this in the time that has passed.
  expect(streams).toBeLessThan(4 + (performance.now() - startMs) / 50);
  await watcher.close();
  await client.close();
  broken.server.forceShutdown();
});

it.each(['grpc-js', 'native'] as const)(
  'a connection that the server drains keeps its watch and gets no more calls: %s',
  async (transport) => {
    const draining = await fakeWatchServer(
      (call) => {
        const header = new HeaderEncoder(1n, 2n).header(7, 1);
        const fields = { header, watchId: 0, created: true };
        call.write(Buffer.concat(encodeWatchResponse(fields, [])));
      },
      { 'grpc.max_connection_age_ms': 200 },
    );
    let disconnects = 0;
    await using client = new Etcd({
      endpoints: draining.endpoint,
      transport,
      onEvent: ({ type }) => {
        if (type === 'disconnected') disconnects += 1;
      },
    });
    const watcher = client.kv.watch({ all: true });
    await watcher.ready;
    const ask = () => client.kv.get('a').catch((error: EtcdClientError) => error.code);
    await eventually(async () => {
      // The server knows no Range; what matters is that it was asked.
      expect(await ask()).toBe('UNIMPLEMENTED');
      return disconnects > 1 ? true : undefined;
    }, 'a drained connection');
    await watcher.close();
    await client.close();
    draining.server.forceShutdown();
  },
);

type RawCall = grpc.ServerDuplexStream<Buffer, Buffer>;

/** A server whose Watch does what the test says at each create. */
async function fakeWatchServer(
  onCreate: (call: RawCall) => void,
  options: grpc.ServerOptions = {},
): Promise<{ readonly endpoint: string; readonly server: grpc.Server }> {
  const server = new grpc.Server(options);
  const same = (value: Buffer): Buffer => value;
  const definition = {
    path: '/etcdserverpb.Watch/Watch',
    requestStream: true,
    responseStream: true,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  } as const;
  server.addService(
    { watch: definition },
    {
      watch(call: RawCall) {
        call.on('data', (message: Buffer) => {
          if (decodeWatchRequest(message).type === 'create') onCreate(call);
        });
        call.on('end', () => call.end());
      },
    },
  );
  const credentials = grpc.ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { endpoint: `127.0.0.1:${port}`, server };
}
