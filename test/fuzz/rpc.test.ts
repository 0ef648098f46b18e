import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bytes, failureOf, prefixEnd, RawClient } from '../helpers/grpc.js';
import { type ServerProcess, startKvorum } from '../helpers/server.js';
import { describeWith } from '../helpers/tools.js';
import { createWatch } from '../helpers/watching.js';
import { encodeReference } from '../proto/reference.js';
import {
  brokenRequest,
  isMessage,
  type Method,
  methodsOf,
  randomBytes,
  validRequest,
} from './messages.js';

const requestBytesMax = 1_572_864;
/** A call that takes longer hangs. */
/** Only ends what hangs. */
const deadlineMs = 100_000;
const { status } = grpc;

/** How a call with raw bytes ended; -1: a stream that answered and was then cancelled. */
interface Ending {
  readonly code: number;
  readonly text: string;
}
const answered: Ending = { code: -1, text: '' };

const asIs = (message: Buffer) => message;

function unary(
  client: RawClient,
  path: string,
  request: Buffer,
  withinMs = deadlineMs,
): Promise<Ending> {
  return new Promise((resolve) => {
    const options = { deadline: Date.now() + withinMs };
    client.channel.makeUnaryRequest(path, asIs, asIs, request, options, (error) => {
      if (error === null) resolve({ code: status.OK, text: '' });
      else resolve({ code: error.code, text: error.details });
    });
  });
}

/** Resolves with the first message or the status, whichever comes first. */
function firstOf(call: grpc.ClientReadableStream<Buffer>): Promise<Ending> {
  return new Promise((resolve) => {
    call.once('data', () => {
      resolve(answered);
      call.cancel();
    });
    call.once('error', (error: grpc.ServiceError) => {
      resolve({ code: error.code, text: error.details });
    });
    call.once('end', () => setImmediate(() => resolve({ code: status.OK, text: '' })));
  });
}

/** Requests that get an answer on their streams, whatever came before. */
const followUps: Readonly<Record<string, Buffer>> = {
  '/etcdserverpb.Watch/Watch': encodeReference('etcdserverpb.WatchRequest', {
    create_request: { key: Buffer.from('a') },
  }),
  '/etcdserverpb.Lease/LeaseKeepAlive': encodeReference('etcdserverpb.LeaseKeepAliveRequest', {
    ID: 77,
  }),
};

function call(client: RawClient, method: Method, request: Buffer): Promise<Ending> {
  const { path, kind } = method;
  const withinMs = isRecipe(method) ? recipeDeadlineMs : deadlineMs;
  const options = { deadline: Date.now() + withinMs };
  if (kind === 'unary') return unary(client, path, request, withinMs);
  if (kind === 'server_stream') {
    return firstOf(client.channel.makeServerStreamRequest(path, asIs, asIs, request, options));
  }
  const stream = client.channel.makeBidiStreamRequest(path, asIs, asIs, options);
  stream.write(request);
  const followUp = followUps[path];
  if (followUp === undefined) stream.end();
  else stream.write(followUp);
  return firstOf(stream);
}

/** Lock and Election: they wait as long as they are let, and their errors have no code. */
function isRecipe({ path }: Method): boolean {
  return /^\/v3(lock|election)pb\./.test(path);
}
/** So long may they wait. */
const recipeDeadlineMs = 500;
const ofRecipes: ReadonlySet<number> = new Set([status.UNKNOWN, status.DEADLINE_EXCEEDED]);

/** As etcd answers an action of Downgrade that there is not. */
const unknownAction = 'etcdserver: unknown method';

/** Statuses that no request, however odd, may end with: a hang, a lost connection, a bug. */
const forbidden: ReadonlySet<number> = new Set([
  status.DEADLINE_EXCEEDED,
  status.UNAVAILABLE,
  status.UNKNOWN,
  status.CANCELLED,
]);

describeWith(['kvorum'], 'the server takes whatever clients send', () => {
  let server: ServerProcess;
  let client: RawClient;
  let bystander: RawClient;
  let methods: Method[] = [];
  beforeAll(async () => {
    server = await startKvorum({ args: ['--enable-grpc-reflection'] });
    client = new RawClient(server);
    bystander = new RawClient(server);
    methods = methodsOf(await (await fetch(`${server.clientUrl}/metrics`)).text());
  });
  afterAll(async () => {
    client?.close();
    bystander?.close();
    await server?.dispose();
  });
  afterEach(async () => {
    expect(server.running).toBe(true);
    await clearAlarms();
    await bystander.put({ key: bytes('bystander'), value: bytes('is well') });
    const { kvs } = await bystander.range({ key: bytes('bystander') });
    expect(kvs[0]?.value.toString()).toBe('is well');
    // Unexpected errors are answered, but also logged.
    expect(server.log).not.toMatch(/"level":"(error|fatal)"/);
  });

  /** Random requests do raise alarms. */
  async function clearAlarms(): Promise<void> {
    const { alarms } = await bystander.alarm({ action: 0 });
    for (const { memberID, alarm } of alarms) {
      await bystander.alarm({ action: 2, memberID, alarm });
    }
  }

  /** All requests at once, on one connection. */
  async function sendAll(method: Method, requests: readonly Buffer[]): Promise<void> {
    const endings = await Promise.all(requests.map((request) => call(client, method, request)));
    endings.forEach(({ code, text }, i) => {
      const request = requests[i] ?? Buffer.alloc(0);
      const what = `${method.path} ${request.toString('hex')}: ${code} ${text}`;
      const isOfRecipe = isRecipe(method) && ofRecipes.has(code);
      const isWrong = forbidden.has(code) && !isOfRecipe && text !== unknownAction;
      if (isWrong || text.includes('see the log')) expect.fail(what);
    });
  }

  it('knows the methods of etcd', () => {
    expect(methods.length).toBeGreaterThan(20);
    expect(methods.filter(({ path }) => path.includes('.ServerReflection/'))).toHaveLength(2);
    const kinds = new Set(methods.map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual(['bidi_stream', 'server_stream', 'unary']);
  });

  it.each([
    ['well-formed requests', (method: Method) => validRequest(method)],
    ['broken requests', (method: Method) => brokenRequest(method)],
    ['random bytes', () => randomBytes],
  ])(
    'each method answers %s with a status',
    async (_name, request) => {
      for (const method of methods) {
        const requests = fc.array(request(method), { minLength: 8, maxLength: 30 });
        await fc.assert(
          fc.asyncProperty(requests, (list) => sendAll(method, list)),
          { numRuns: 4, endOnFailure: true },
        );
        await clearAlarms();
      }
    },
    300_000,
  );

  it('answers what is no protobuf with Internal', async () => {
    const noise = Buffer.from('0affffffff0f', 'hex');
    for (const method of methods.filter(({ path }) => path.startsWith('/etcdserverpb.KV/'))) {
      expect(isMessage(method, noise)).toBe(false);
      const { code, text } = await call(client, method, noise);
      expect(code).toBe(status.INTERNAL);
      expect(text).toMatch(/^grpc: error unmarshalling request: /);
    }
    for (const path of Object.keys(followUps)) {
      const { code } = await call(client, { path, kind: 'bidi_stream' }, noise);
      expect(code).toBe(status.INTERNAL);
    }
  });

  it('ends a watch stream at garbage in the middle, and no other', async () => {
    const good = bystander.watch();
    await createWatch(good, { key: bytes('a') });
    const options = { deadline: Date.now() + deadlineMs };
    const path = '/etcdserverpb.Watch/Watch';
    const stream = client.channel.makeBidiStreamRequest(path, asIs, asIs, options);
    const ended = new Promise<number>((resolve) => {
      stream.on('error', (error: grpc.ServiceError) => resolve(error.code));
    });
    const created = new Promise((resolve) => stream.once('data', resolve));
    stream.write(followUps[path] ?? Buffer.alloc(0));
    await created;
    stream.write(Buffer.from('ffffffff', 'hex'));
    expect(await ended).toBe(status.INTERNAL);
    await bystander.put({ key: bytes('a'), value: bytes('1') });
    expect((await good.reader.next()).events).toHaveLength(1);
    good.reader.cancel();
  });

  it.each([
    ['/etcdserverpb.KV/Nothing', /unknown method Nothing for service etcdserverpb.KV/],
    ['/no.such.Service/Method', /unknown service no.such.Service/],
    ['/', /./],
    ['/x', /./],
  ])('answers %s with Unimplemented', async (path, text) => {
    const ending = await unary(client, path, Buffer.alloc(3));
    expect(ending.code).toBe(status.UNIMPLEMENTED);
    expect(ending.text).toMatch(text);
  });

  describe('limits', () => {
    /** A PutRequest of exactly so many bytes. */
    const putOf = (size: number) => {
      const make = (length: number) =>
        encodeReference('etcdserverpb.PutRequest', {
          key: Buffer.from('big'),
          value: Buffer.alloc(length),
        });
      const overhead = make(size).length - size;
      return make(size - overhead);
    };
    const put = '/etcdserverpb.KV/Put';

    it('takes requests of 1.5 MiB and not a byte more', async () => {
      for (const size of [requestBytesMax - 1, requestBytesMax]) {
        expect(putOf(size)).toHaveLength(size);
        expect((await unary(client, put, putOf(size))).code).toBe(status.OK);
      }
      expect(await unary(client, put, putOf(requestBytesMax + 1))).toEqual({
        code: status.INVALID_ARGUMENT,
        text: 'etcdserver: request is too large',
      });
    });

    it('refuses what is larger than gRPC may carry', async () => {
      const { code, text } = await unary(client, put, putOf(requestBytesMax + 600_000));
      expect(code).toBe(status.RESOURCE_EXHAUSTED);
      expect(text).toMatch(/received message larger than max \(\d+ vs\. 2097152\)/);
    });

    it('takes 128 operations and not 129', async () => {
      const op = (i: number) => ({ request_put: { key: bytes(`op${i}`), value: bytes('v') } });
      const ops = (count: number) => Array.from({ length: count }, (_, i) => op(i));
      expect((await client.txn({ success: ops(128) })).succeeded).toBe(true);
      const tooMany = {
        code: status.INVALID_ARGUMENT,
        text: 'etcdserver: too many operations in txn request',
      };
      expect(await failureOf(client.txn({ success: ops(129) }))).toEqual(tooMany);
      expect(await failureOf(client.txn({ failure: ops(129) }))).toEqual(tooMany);
      const compares = Array.from({ length: 129 }, () => ({ key: bytes('a') }));
      expect(await failureOf(client.txn({ compare: compares }))).toEqual(tooMany);
    });

    it('survives transactions nested as deep as a request has room for', async () => {
      for (const depth of [10, 100, 130, 200, 1000, 50_000]) {
        const ending = await unary(client, '/etcdserverpb.KV/Txn', nestedTxn(depth));
        expect([status.OK, status.INVALID_ARGUMENT, status.INTERNAL]).toContain(ending.code);
        if (depth > 1000) expect(ending.code).toBe(status.INTERNAL);
      }
    });

    it('refuses a wide bomb of nested transactions quickly', async () => {
      let txn: object = { success: [{ request_range: { key: bytes('a') } }] };
      for (let level = 0; level < 3; level++) {
        const nested = txn;
        txn = { success: Array.from({ length: 20 }, () => ({ request_txn: nested })) };
      }
      const request = encodeReference('etcdserverpb.TxnRequest', txn);
      const { code } = await unary(client, '/etcdserverpb.KV/Txn', request);
      expect([status.OK, status.INVALID_ARGUMENT]).toContain(code);
    });
  });

  it('deletes ten thousand keys in one event message, in fragments if asked', async () => {
    const value = bytes('v'.repeat(100));
    for (let batch = 0; batch < 100; batch++) {
      const ops = Array.from({ length: 100 }, (_, i) => ({
        request_put: { key: bytes(`many/${batch}/${i}`), value },
      }));
      await client.txn({ success: ops });
    }
    const range = { key: bytes('many/'), range_end: prefixEnd('many/') };
    const whole = bystander.watch();
    const pieces = bystander.watch();
    await createWatch(whole, { ...range, prev_kv: true });
    await createWatch(pieces, { ...range, prev_kv: true, fragment: true });
    expect((await client.deleteRange({ ...range, prev_kv: true })).prev_kvs).toHaveLength(10_000);
    expect((await whole.reader.next()).events).toHaveLength(10_000);
    let events = 0;
    let messages = 0;
    for (;;) {
      const response = await pieces.reader.next();
      events += response.events.length;
      messages++;
      if (!response.fragment) break;
    }
    expect(events).toBe(10_000);
    expect(messages).toBeGreaterThan(0);
    whole.reader.cancel();
    pieces.reader.cancel();
  });

  it('hashes the store for many callers at once without holding it as often', async () => {
    const value = Buffer.alloc(1_000_000);
    for (let i = 0; i < 8; i++) await client.put({ key: bytes(`large${i}`), value });
    // Of what is there now: keys of locks that were made above go on vanishing with their leases.
    const { header } = await client.put({ key: bytes('large8'), value });
    const before = residentMiB(server.pid);
    const revision = Number(header?.revision);
    const hashes = await Promise.all(
      Array.from({ length: 100 }, () => client.hashKv({ revision })),
    );
    expect(new Set(hashes.map(({ hash }) => hash)).size).toBe(1);
    expect(residentMiB(server.pid) - before).toBeLessThan(300);
  });

  it('does not grow over twenty thousand bad requests', async () => {
    const paths = methods.filter(
      ({ kind, path }) => kind === 'unary' && !/Defrag|Hash|v3(lock|election)pb/.test(path),
    );
    const burst = async (count: number) => {
      for (let done = 0; done < count; done += 200) {
        const calls = Array.from({ length: 200 }, (_, i) => {
          const method = paths[i % paths.length] ?? { path: '/', kind: 'unary' };
          const request = Buffer.from([0x0a, i % 256, ...Buffer.from(`x${done}`)]);
          return unary(client, i % 50 === 0 ? '/no/such' : method.path, request);
        });
        for (const { code } of await Promise.all(calls)) {
          expect(forbidden.has(code)).toBe(false);
        }
      }
    };
    await burst(4_000);
    const before = residentMiB(server.pid);
    await burst(20_000);
    const after = residentMiB(server.pid);
    // A leak of one such request each would be far above this; the heap breathes by some of it.
    expect(after - before).toBeLessThan(100);
  }, 300_000);
});

/** Memory of a process in MiB; 0 where there is no /proc. */
function residentMiB(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** So many transactions inside each other. */
function nestedTxn(depth: number): Buffer {
  const parts: Buffer[] = [];
  let inner = 0;
  for (let level = 0; level < depth; level++) {
    // RequestOp.request_txn = 4 inside of TxnRequest.success = 2.
    const op = Buffer.concat([Buffer.from([0x22]), varint(inner)]);
    const head = Buffer.concat([Buffer.from([0x12]), varint(op.length + inner), op]);
    parts.push(head);
    inner += head.length;
  }
  return Buffer.concat(parts.reverse());
}

function varint(value: number): Buffer {
  const out: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) out.push((rest % 128) | 0x80);
  out.push(rest);
  return Buffer.from(out);
}
