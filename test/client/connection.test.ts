import { createServer, type Server } from 'node:net';
import { describe, expect, it } from 'vitest';
import { type ClientEvent, Etcd, EtcdClientError, text } from '../../src/client/index.js';
import { eventually } from '../helpers/eventually.js';
import { startProxy } from './proxy.js';
import { describeTargets } from './target.js';

/** The error of something that must fail. */
async function errorOf(promise: Promise<unknown>): Promise<EtcdClientError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof EtcdClientError) return error;
    throw error;
  }
  throw new Error('it succeeded');
}

/** A server that accepts connections and never says anything. */
async function blackhole(): Promise<{ readonly endpoint: string; readonly server: Server }> {
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { endpoint: `127.0.0.1:${port}`, server };
}

describe('endpoints', () => {
  it.each([
    ['127.0.0.1:2379', '127.0.0.1:2379'],
    ['http://etcd-1', 'etcd-1:2379'],
    ['https://etcd.example:443/', 'etcd.example:443'],
    ['[::1]:2379', '[::1]:2379'],
    ['unix:///tmp/etcd.sock', 'unix:/tmp/etcd.sock'],
  ])('are read: %s', async (given, address) => {
    await using client = new Etcd(given);
    expect(client.endpoints).toEqual([address]);
  });

  it('may be several, in a list or separated by commas', async () => {
    await using list = new Etcd(['a:1', 'http://b:2', 'a:1']);
    expect(list.endpoints).toEqual(['a:1', 'b:2']);
    await using commas = new Etcd('a:1, b:2');
    expect(commas.endpoints).toEqual(['a:1', 'b:2']);
  });

  it.each(['', 'ftp://a:1', 'a:b', 'a:70000', 'a b:1'])('are refused: %j', (given) => {
    expect(() => new Etcd(given)).toThrow(EtcdClientError);
  });

  it('have options that make sense', () => {
    expect(() => new Etcd({ timeoutMs: 0 })).toThrow(/timeoutMs/);
    expect(() => new Etcd({ retry: { attemptsMax: -1 } })).toThrow(/attemptsMax/);
  });
});

describe.each(['grpc-js', 'native'] as const)('without a server, over %s', (transport) => {
  it('"dialTimeout is ignored for filtered ports" (etcd3#130): connecting has a limit', async () => {
    const { endpoint, server } = await blackhole();
    await using client = new Etcd({ endpoints: endpoint, transport, connectTimeoutMs: 100 });
    const error = await errorOf(client.connect());
    expect(error).toMatchObject({ reason: 'CONNECT_FAILED', code: 'UNAVAILABLE', attempts: 0 });
    expect(error.message).toMatch(/100 ms|time limit/);
    server.close();
  });

  it('a call ends at its deadline, and says that nothing was sent (L-33)', async () => {
    await using client = new Etcd({ endpoints: '127.0.0.1:1', transport });
    const error = await errorOf(client.kv.put('a', '1', { timeoutMs: 1500 }));
    expect(error).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      reason: 'CONNECT_FAILED',
      outcome: 'failed',
      attempts: 0,
      method: '/etcdserverpb.KV/Put',
    });
    expect(error.message).toContain('ECONNREFUSED');
  });

  it('the deadline also holds while a token is waited for (L-33)', async () => {
    const credentials = { user: 'u', password: 'p' };
    await using client = new Etcd({ endpoints: '127.0.0.1:1', transport, credentials });
    const error = await errorOf(client.kv.put('a', '1', { timeoutMs: 150 }));
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'failed', attempts: 0 });
    const signal = AbortSignal.timeout(50);
    expect(await errorOf(client.kv.get('a', { signal }))).toMatchObject({ reason: 'ABORTED' });
  });

  it('a signal ends a call that waits for a connection', async () => {
    await using client = new Etcd({ endpoints: '127.0.0.1:1', transport });
    const abort = new AbortController();
    const call = client.kv.put('a', '1', { signal: abort.signal });
    abort.abort();
    expect(await errorOf(call)).toMatchObject({ reason: 'ABORTED', outcome: 'failed' });
    const signal = AbortSignal.abort();
    expect(await errorOf(client.kv.get('a', { signal }))).toMatchObject({ reason: 'ABORTED' });
  });

  it('closing ends what waits, and what comes later', async () => {
    const client = new Etcd({ endpoints: '127.0.0.1:1', transport });
    const call = client.kv.get('a');
    await client.close();
    expect(await errorOf(call)).toMatchObject({ reason: 'CLOSED' });
    expect(await errorOf(client.kv.get('a'))).toMatchObject({ reason: 'CLOSED' });
    expect(await errorOf(client.connect())).toMatchObject({ reason: 'CLOSED' });
    await client.close();
  });
});

describeTargets('connection', { bothTransports: true }, (target) => {
  const only = () => target.server().endpoints[0] ?? '';

  it('connects when it is asked to, or when it is first needed, once', async () => {
    const events: ClientEvent[] = [];
    const client = target.client({ endpoints: only(), onEvent: (event) => events.push(event) });
    expect(events).toEqual([]);
    await Promise.all([client.kv.get('a'), client.kv.get('b'), client.connect()]);
    const connects = events.map(({ type }) => type).filter((type) => type !== 'callEnded');
    expect(connects).toEqual(['connecting', 'connected']);
  });

  it('"one dead node fails the app" (etcd3#121): goes to the endpoints that are there', async () => {
    const { endpoint, server } = await blackhole();
    const client = target.client({
      endpoints: ['127.0.0.1:1', endpoint, only()],
      connectTimeoutMs: 1000,
    });
    for (let i = 0; i < 20; i += 1) await client.kv.get('a');
    server.close();
  });

  it('spreads calls over endpoints, and fails over when one goes', async () => {
    const proxies = await Promise.all([1, 2, 3].map(() => startProxy(only())));
    const client = target.client({ endpoints: proxies.map(({ endpoint }) => endpoint) });
    const kv = client.kv.namespace(target.prefix()).as(text);
    await kv.put('a', '1');
    await eventually(() => (proxies.every(({ open }) => open === 1) ? true : undefined), 'all');
    const before = proxies.map(({ sentBytes }) => sentBytes);
    for (let i = 0; i < 9; i += 1) await kv.get('a');
    const used = proxies.filter(({ sentBytes }, i) => sentBytes > (before[i] ?? 0) + 100);
    expect(used).toHaveLength(3);
    await Promise.all(proxies.slice(0, 2).map((proxy) => proxy.refuse()));
    for (let i = 0; i < 20; i += 1) expect((await kv.get('a'))?.value).toBe('1');
    await proxies[0]?.accept();
    await proxies[2]?.refuse();
    for (let i = 0; i < 5; i += 1) expect((await kv.get('a'))?.value).toBe('1');
    await Promise.all(proxies.map((proxy) => proxy[Symbol.asyncDispose]()));
  });

  it('"ETIMEDOUT for ever" (etcd3#153): a connection that has gone silent is replaced', async () => {
    const proxy = await startProxy(only());
    const client = target.client({
      endpoints: proxy.endpoint,
      keepalive: { intervalMs: 500, timeoutMs: 1000 },
    });
    await client.kv.get('a');
    const { accepted } = proxy;
    proxy.dropReplies();
    const read = client.kv.get('a');
    await eventually(() => (proxy.accepted > accepted ? true : undefined), 'another connection');
    proxy.resume();
    expect(await read).toBeUndefined();
    await proxy[Symbol.asyncDispose]();
  });

  it('repeats reads over cuts, and waits for a server that restarts', async () => {
    const proxy = await startProxy(only());
    let disconnects = 0;
    const client = target.client({
      endpoints: proxy.endpoint,
      onEvent: ({ type }) => {
        if (type === 'disconnected') disconnects += 1;
      },
    });
    const kv = client.kv.namespace(target.prefix()).as(text);
    await kv.put('a', '1');
    for (let i = 0; i < 10; i += 1) {
      proxy.cutAfter('replies', 5 + i * 7);
      expect((await kv.get('a'))?.value).toBe('1');
    }
    await kv.get('a');
    const before = disconnects;
    await proxy.refuse();
    await eventually(() => (disconnects > before ? true : undefined), 'the client knows');
    const read = kv.get('a');
    const write = kv.put('a', '2');
    setTimeout(() => void proxy.accept(), 300);
    expect((await read)?.key).toBe('a');
    await write;
    await proxy[Symbol.asyncDispose]();
  });

  it('a put whose reply is lost is of unknown outcome, and was executed once (L-35)', async () => {
    const proxy = await startProxy(only());
    const prefix = target.prefix();
    const kv = target.client({ endpoints: proxy.endpoint }).kv.namespace(prefix).as(text);
    const direct = target.client().kv.namespace(prefix).as(text);
    await kv.put('other', 'warm');
    proxy.dropReplies();
    const put = errorOf(kv.put('a', '1'));
    // Not when something was dropped: that can be a frame from before the server did anything.
    await eventually(async () => (await direct.exists('a')) || undefined, 'the put');
    proxy.cut();
    proxy.resume();
    expect(await put).toMatchObject({
      outcome: 'unknown',
      reason: 'CONNECTION_LOST',
      code: 'UNAVAILABLE',
      attempts: 1,
    });
    await kv.put('later', 'x');
    expect(await direct.get('a')).toMatchObject({ value: '1', version: 1 });
    await proxy[Symbol.asyncDispose]();
  });

  it('the same for transactions, deletes and leases (L-35)', async () => {
    const proxy = await startProxy(only());
    const prefix = target.prefix();
    const client = target.client({ endpoints: proxy.endpoint });
    const kv = client.kv.namespace(prefix).as(text);
    const direct = target.client().kv.namespace(prefix).as(text);
    const lose = async (act: () => Promise<unknown>, done: () => Promise<boolean>) => {
      await kv.get('warm');
      proxy.dropReplies();
      const failed = errorOf(act());
      await eventually(async () => (await done()) || undefined, 'what is not answered');
      proxy.cut();
      proxy.resume();
      expect((await failed).outcome).toBe('unknown');
    };
    await lose(
      () => kv.txn().then(kv.ops.put('t', '1')).commit(),
      () => direct.exists('t'),
    );
    await direct.put('d', '1');
    await lose(
      () => kv.delete('d'),
      async () => !(await direct.exists('d')),
    );
    const { leases } = target.client();
    const before = (await leases.list()).length;
    await lose(
      () => client.leases.grant(60),
      async () => (await leases.list()).length > before,
    );
    expect((await direct.get('t'))?.version).toBe(1);
    expect(await direct.exists('d')).toBe(false);
    await proxy[Symbol.asyncDispose]();
  });

  it('a put that provably never left is sent again', async () => {
    const proxy = await startProxy(only());
    const prefix = target.prefix();
    const kv = target.client({ endpoints: proxy.endpoint }).kv.namespace(prefix).as(text);
    await kv.put('warm', 'x');
    for (let i = 0; i < 20; i += 1) {
      proxy.cut();
      // The connection is dead, and the client may or may not know it yet.
      const outcome = await kv.put(`k${i}`, 'v').then(
        () => 'done',
        (error: unknown) => (error instanceof EtcdClientError ? error.outcome : 'bug'),
      );
      expect(['done', 'unknown']).toContain(outcome);
      if (outcome === 'done') expect((await kv.get(`k${i}`))?.version).toBe(1);
    }
    await proxy[Symbol.asyncDispose]();
  });

  it('a deadline that passes after sending leaves a put unknown, and a read failed', async () => {
    const proxy = await startProxy(only());
    const kv = target.client({ endpoints: proxy.endpoint }).kv.namespace(target.prefix());
    await kv.put('warm', 'x');
    proxy.dropReplies();
    const [put, get] = await Promise.all([
      errorOf(kv.put('a', '1', { timeoutMs: 1500 })),
      errorOf(kv.get('a', { timeoutMs: 1500 })),
    ]);
    expect(put).toMatchObject({ reason: 'CALL_TIMEOUT', outcome: 'unknown' });
    expect(get).toMatchObject({ reason: 'CALL_TIMEOUT', outcome: 'failed' });
    await proxy[Symbol.asyncDispose]();
  });

  it('a signal that comes after sending leaves a put unknown', async () => {
    const proxy = await startProxy(only());
    const kv = target.client({ endpoints: proxy.endpoint }).kv.namespace(target.prefix());
    await kv.put('warm', 'x');
    proxy.dropReplies();
    const dropped = proxy.replyDropped();
    const abort = new AbortController();
    const put = errorOf(kv.put('a', '1', { signal: abort.signal }));
    await dropped;
    abort.abort(new RangeError('enough'));
    const error = await put;
    expect(error).toMatchObject({ reason: 'ABORTED', outcome: 'unknown' });
    expect(error.cause).toBeInstanceOf(RangeError);
    await proxy[Symbol.asyncDispose]();
  });

  it('closing the client leaves a put that was sent unknown', async () => {
    const proxy = await startProxy(only());
    const client = target.client({ endpoints: proxy.endpoint });
    await client.kv.get('warm');
    proxy.dropReplies();
    const dropped = proxy.replyDropped();
    const put = errorOf(client.kv.put('a', '1'));
    await dropped;
    await client.close();
    expect(await put).toMatchObject({ reason: 'CLOSED', outcome: 'unknown' });
    await proxy[Symbol.asyncDispose]();
  });

  it('calls pass through interceptors, outermost first', async () => {
    const seen: string[] = [];
    const client = target.client({
      interceptors: [
        async (call, next) => {
          seen.push(`> ${call.method}`);
          const reply = await next({ ...call, metadata: { ...call.metadata, 'x-trace': '1' } });
          seen.push('<');
          return reply;
        },
        (call, next) => {
          seen.push(String(call.metadata['x-trace']));
          return next(call);
        },
      ],
    });
    await client.kv.get('a');
    expect(seen).toEqual(['> /etcdserverpb.KV/Range', '1', '<']);
  });

  it('learns the endpoints from the members', async () => {
    const client = target.client();
    const endpoints = await client.syncEndpoints();
    expect(endpoints).toEqual(target.server().endpoints);
    await client.kv.get('a');
    const syncing = target.client({ endpoints: only(), syncIntervalMs: 20 });
    await syncing.connect();
  });

  it('asks one endpoint if it is told which', async () => {
    const client = target.client();
    const status = await client.maintenance.status({ endpoint: only() });
    expect(status.version).toMatch(/^3\.\d+\.\d+/);
    const error = await errorOf(client.maintenance.status({ endpoint: '127.0.0.1:1' }));
    expect(error).toMatchObject({ reason: 'CONNECT_FAILED', endpoint: '127.0.0.1:1' });
  });
});
