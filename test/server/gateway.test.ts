/** The gateway over methods of the test's own: what it binds, bounds, passes on and gives up. */

import { describe, expect, it } from 'vitest';
import {
  GrpcCode,
  gatewayBacklogBytesMax,
  gatewayBodiesBytesMax,
  gatewayStalledMs,
  gatewayStreamBacklogBytes,
  httpBodyMsMax,
} from '../../src/common/index.js';
import { jsonRpcs } from '../../src/proto/index.js';
import { bindings, unbound } from '../../src/server/gateway/bindings.js';
import { createGateway } from '../../src/server/gateway/index.js';
import { SimClock } from '../../src/sim/index.js';
import type {
  HttpRequest,
  HttpResponse,
  MethodHandler,
  ServerCall,
} from '../../src/transport/index.js';
import { encodeReference } from '../proto/reference.js';

const identity = { commonName: 'mallory', certificateVerified: true };
const limits = { messageBytesMax: 2_097_152, textBytesMax: 4_194_304 };

/** A body that comes as the test says. */
class Body implements AsyncIterable<Buffer>, AsyncIterator<Buffer, undefined> {
  readonly #pieces: Buffer[] = [];
  #isOver = false;
  taken = 0;
  isDropped = false;
  #wake = (): void => {};

  [Symbol.asyncIterator](): this {
    return this;
  }

  add(...pieces: readonly string[]): this {
    this.#pieces.push(...pieces.map((piece) => Buffer.from(piece)));
    this.#wake();
    return this;
  }

  end(): this {
    this.#isOver = true;
    this.#wake();
    return this;
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        this.taken += 1;
        return { done: false, value: piece };
      }
      if (this.#isOver) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async return(): Promise<IteratorResult<Buffer, undefined>> {
    this.isDropped = true;
    return { done: true, value: undefined };
  }
}

interface Asked {
  readonly request: HttpRequest;
  readonly response: Promise<HttpResponse>;
  isDropped: boolean;
}

class Bench {
  readonly clock = new SimClock();
  readonly calls: ServerCall[] = [];
  readonly ended: Array<readonly [method: string, code: GrpcCode]> = [];
  readonly #gateway;

  constructor(methods: Readonly<Record<string, MethodHandler>>) {
    this.#gateway = createGateway({
      methods: new Map(Object.entries(methods)),
      clock: this.clock,
      observe: (method, _kind, code) => this.ended.push([method, code]),
      limits,
    });
  }

  ask(path: string, body: Body | string, headers: Record<string, string> = {}): Asked {
    const request: HttpRequest = {
      method: 'POST',
      path,
      query: new URLSearchParams(),
      headers,
      body: typeof body === 'string' ? new Body().add(body).end() : body,
      peer: { address: '10.1.2.3:4567', identity },
      wantsWebSocket: false,
      onGone: undefined,
      drop: () => {
        asked.isDropped = true;
      },
    };
    const asked: Asked = { request, response: this.#gateway(request), isDropped: false };
    return asked;
  }

  /** Status and whole body. */
  async answer(asked: Asked): Promise<readonly [status: number, body: string]> {
    return this.clock.runUntil(wholeOf(asked.response));
  }

  pass(ms = 1): Promise<void> {
    return this.clock.run(this.clock.nowMs() + ms);
  }
}

async function wholeOf(response: Promise<HttpResponse>): Promise<readonly [number, string]> {
  const { status, body } = await response;
  if (typeof body === 'string') return [status, body];
  let text = '';
  for await (const piece of body as AsyncIterable<string>) text += piece;
  return [status, text];
}

const rangeName = '/etcdserverpb.KV/Range';
const watchName = '/etcdserverpb.Watch/Watch';

const range = (handle: (request: Buffer, call: ServerCall) => void) =>
  new Bench({ [rangeName]: { kind: 'unary', handle } });
const watch = (handle: (call: ServerCall) => void) =>
  new Bench({ [watchName]: { kind: 'bidi', handle } });

const empty = Buffer.alloc(0);

describe('paths of the gateway', () => {
  it('bind every method of the .proto files, or say why not', () => {
    const bound = new Set([...bindings().values()].map(({ name }) => name));
    const services = new Set([...bound].map((name) => name.split('/')[1]));
    const declared = jsonRpcs().filter(({ name }) => services.has(name.split('/')[1]));
    expect(declared.length).toBeGreaterThan(45);
    for (const { name } of declared) {
      expect(bound.has(name), name).toBe(!Object.hasOwn(unbound, name));
    }
    for (const name of Object.keys(unbound)) {
      expect(declared.map((rpc) => rpc.name)).toContain(name);
    }
  });
});

describe('a call of the gateway', () => {
  it('CVE-2018-16886 (L-50): never has the name of the certificate', async () => {
    const seen: unknown[] = [];
    const bench = range((_request, call) => {
      seen.push(call.peer, call.metadata('authorization'), call.metadata('hasleader'));
      call.reply(empty);
    });
    const headers = { authorization: 'Bearer tok.1', 'grpc-metadata-hasleader': 'true' };
    expect(await bench.answer(bench.ask('/v3/kv/range', '{}', headers))).toEqual([200, '{}']);
    const nobody = { commonName: '', certificateVerified: false };
    expect(seen).toEqual([{ address: '10.1.2.3:4567', identity: nobody }, 'Bearer tok.1', 'true']);
    expect(bench.ended).toEqual([[rangeName, GrpcCode.OK]]);
  });

  it('sees headers as grpc-gateway passes them on', async () => {
    const seen: Record<string, string | undefined> = {};
    const keys = ['authorization', 'grpcgateway-authorization', 'grpcgateway-user-agent'];
    keys.push('x-forwarded-for', 'x-forwarded-host', 'user-agent', 'x-other', 'bad', 'a');
    const bench = range((_request, call) => {
      for (const key of keys) seen[key] = call.metadata(key);
      call.reply(empty);
    });
    await bench.answer(
      bench.ask('/v3/kv/range', '', {
        authorization: 'tok',
        'user-agent': 'curl',
        'x-other': 'x',
        'x-forwarded-for': '1.1.1.1',
        host: 'h:1',
        'grpc-metadata-a': 'A',
        'grpc-metadata-bad': 'ü',
      }),
    );
    expect(seen).toEqual({
      authorization: 'tok',
      'grpcgateway-authorization': 'tok',
      'grpcgateway-user-agent': 'curl',
      'x-forwarded-for': '1.1.1.1, 10.1.2.3',
      'x-forwarded-host': 'h:1',
      'user-agent': undefined,
      'x-other': undefined,
      bad: undefined,
      a: 'A',
    });
  });

  it('is given the body that came in pieces of one byte, and not what follows', async () => {
    const got: Buffer[] = [];
    const bench = range((request, call) => {
      got.push(Buffer.from(request));
      call.reply(empty);
    });
    const body = new Body()
      .add(...'{"key":"YQ=="}')
      .add('{"key":"Yg=="}')
      .end();
    await bench.answer(bench.ask('/v3/kv/range', body));
    expect(got).toEqual([Buffer.from('0a0161', 'hex')]);
    expect([body.taken, body.isDropped]).toEqual([14, true]);
  });

  it('ends at its deadline, and is cancelled', async () => {
    let cancelled = 0;
    const bench = range((_request, call) => {
      call.onCancel = () => {
        cancelled += 1;
      };
    });
    const asked = bench.ask('/v3/kv/range', '{}', { 'grpc-timeout': '2S' });
    await bench.pass(1_990);
    expect(cancelled).toBe(0);
    const [status, text] = await bench.answer(asked);
    expect([status, JSON.parse(text).message]).toEqual([504, 'context deadline exceeded']);
    expect(bench.ended).toEqual([[rangeName, GrpcCode.DEADLINE_EXCEEDED]]);
    expect(cancelled).toBe(1);
  });

  it('is not made at all after its deadline, and not counted', async () => {
    const bench = range(() => {
      throw new Error('it was called');
    });
    const headers = { 'grpc-timeout': '-1S' };
    expect((await bench.answer(bench.ask('/v3/kv/range', '{}', headers)))[0]).toBe(504);
    expect(bench.ended).toEqual([]);
  });

  it('is cancelled when the client goes away', async () => {
    let cancelled = 0;
    const bench = range((_request, call) => {
      call.onCancel = () => {
        cancelled += 1;
      };
    });
    const asked = bench.ask('/v3/kv/range', '{}');
    await bench.pass();
    asked.request.onGone?.();
    await bench.answer(asked);
    expect(cancelled).toBe(1);
    expect(bench.ended).toEqual([[rangeName, GrpcCode.CANCELLED]]);
  });

  it.each([
    [GrpcCode.NOT_FOUND, 404],
    [GrpcCode.UNAUTHENTICATED, 401],
    [GrpcCode.RESOURCE_EXHAUSTED, 429],
    [GrpcCode.UNKNOWN, 500],
    [GrpcCode.UNAVAILABLE, 503],
    [GrpcCode.CANCELLED, 499],
  ])('says code %s as HTTP %s, in the words of both gateways', async (code, status) => {
    const bench = range((_request, call) => call.fail(code, 'why'));
    const asked = bench.ask('/v3/kv/range', '{}');
    const [got, body] = await bench.answer(asked);
    const { headers } = await asked.response;
    expect([got, JSON.parse(body)]).toEqual([
      status,
      { error: 'why', code, message: 'why', details: [] },
    ]);
    expect(headers['www-authenticate']).toBe(code === GrpcCode.UNAUTHENTICATED ? 'why' : undefined);
  });
});

describe('bodies have bounds', () => {
  it('of time', async () => {
    const bench = range((_request, call) => call.reply(empty));
    const body = new Body().add('{"key":');
    const asked = bench.ask('/v3/kv/range', body);
    await bench.pass(httpBodyMsMax - 10);
    const [status, text] = await bench.answer(asked);
    expect([status, body.isDropped]).toEqual([408, true]);
    expect(text).toContain('did not come in time');
  });

  it('of size', async () => {
    const bench = range((_request, call) => call.reply(empty));
    const body = new Body();
    for (let i = 0; i < 100; i++) body.add(' '.repeat(65_536));
    body.add('{"x":"');
    for (let i = 0; i < 100; i++) body.add('y'.repeat(65_536));
    const [status] = await bench.answer(bench.ask('/v3/kv/range', body));
    expect(status).toBe(429);
    // Spaces in front count nothing; of the rest no more was read than it needed.
    expect(body.taken).toBe(100 + 1 + 64);
    expect(body.isDropped).toBe(true);
  });

  it('all together', async () => {
    const bench = range((_request, call) => call.reply(empty));
    const open: Body[] = [];
    const share = 4_000_000;
    for (let bytes = 0; bytes < gatewayBodiesBytesMax; bytes += share) {
      const body = new Body().add('{"x":"').add('y'.repeat(share));
      open.push(body);
      bench.ask('/v3/kv/range', body);
    }
    await bench.pass(1_000);
    const late = bench.ask('/v3/kv/range', new Body().add(`{"x":"${'y'.repeat(share)}`));
    const [status, text] = await bench.answer(late);
    expect([status, JSON.parse(text).message]).toEqual([429, 'etcdserver: too many requests']);
    for (const body of open) body.add('"}').end();
    await bench.pass(1_000);
    const [after] = await bench.answer(bench.ask('/v3/kv/range', `{"x":"${'y'.repeat(share)}"}`));
    expect(after).toBe(200);
  });
});

describe('a stream of the gateway', () => {
  it('takes messages as the method wants them, and holds the client up meanwhile', async () => {
    const got: string[] = [];
    const bench = watch((call) => {
      bench.calls.push(call);
      call.onMessage = (message) => {
        got.push(message.toString('hex'));
        call.pause();
      };
      call.onEnd = () => call.end();
    });
    const body = new Body().add('{"progress_request":{}}', '{}', '{"progress_request":{}}').end();
    const asked = bench.ask('/v3/watch', body);
    await bench.pass();
    expect([got, body.taken]).toEqual([['1a00'], 1]);
    bench.calls[0]?.resume();
    await bench.pass();
    expect([got, body.taken]).toEqual([['1a00', ''], 2]);
    bench.calls[0]?.resume();
    await bench.pass();
    bench.calls[0]?.resume();
    expect(await bench.answer(asked)).toEqual([200, '']);
    expect(got).toHaveLength(3);
    expect(bench.ended).toEqual([[watchName, GrpcCode.OK]]);
  });

  it('is told to wait for a client that does not read, and when to go on', async () => {
    let drained = 0;
    const message = encodeReference('etcdserverpb.WatchResponse', {
      cancel_reason: 'x'.repeat(100_000),
    });
    const bench = watch((call) => {
      bench.calls.push(call);
      call.onDrain = () => {
        drained += 1;
      };
    });
    const asked = bench.ask('/v3/watch', new Body());
    await bench.pass();
    const call = bench.calls[0] as ServerCall;
    const sent = [1, 2, 3, 4].map(() => call.send(message));
    expect(sent).toEqual([true, true, false, false]);
    expect(call.backlogBytes).toBeGreaterThan(gatewayStreamBacklogBytes);
    const { body } = await bench.clock.runUntil(asked.response);
    const pieces = (body as AsyncIterable<string>)[Symbol.asyncIterator]();
    for (let i = 0; i < 9 && drained === 0; i++) await bench.clock.runUntil(pieces.next());
    expect(drained).toBe(1);
    expect(call.backlogBytes).toBeLessThanOrEqual(gatewayStreamBacklogBytes);
    asked.request.onGone?.();
    expect(call.cancelled).toBe(true);
  });

  it('ends with a line that says what went wrong, for clients of both gateways', async () => {
    const bench = watch((call) => {
      call.send(Buffer.from('1801', 'hex'));
      call.fail(GrpcCode.UNAVAILABLE, 'no leader');
    });
    const [status, text] = await bench.answer(bench.ask('/v3/watch', new Body()));
    const [first, second, rest] = text.split('\n');
    expect([status, first, rest]).toEqual([200, '{"result":{"created":true}}', '']);
    expect(JSON.parse(second ?? '')).toEqual({
      error: {
        grpc_code: 14,
        http_code: 503,
        message: 'no leader',
        http_status: 'Service Unavailable',
        code: 14,
        details: [],
      },
    });
  });

  it('takes no message that is too long', async () => {
    const bench = watch(() => {});
    const key = 'A'.repeat(2_900_000);
    const asked = bench.ask('/v3/watch', `{"create_request":{"key":"${key}"}}`);
    const [status, text] = await bench.answer(asked);
    expect(status).toBe(429);
    expect(text).toContain('grpc: received message larger than max (2175010 vs. 2097152)');
    expect(bench.ended).toEqual([[watchName, GrpcCode.RESOURCE_EXHAUSTED]]);
  });
});

describe('answers that clients do not take', () => {
  const kvs = { kvs: [{ value: Buffer.alloc(1 << 20, 'v') }] };

  /** Answers of 64 MiB; those that must wait for room do. */
  function large(): Bench {
    const message = encodeReference('etcdserverpb.RangeResponse', kvs);
    const reply = (call: ServerCall): void => call.replyParts(Array<Buffer>(64).fill(message));
    return range((_request, call) => {
      if (call.hasRoom) reply(call);
      else call.whenRoom(() => reply(call));
    });
  }

  it('make others wait, until they are taken', async () => {
    const bench = large();
    const count = Math.ceil(gatewayBacklogBytesMax / (64 << 20));
    const stuck = Array.from({ length: count }, () => bench.ask('/v3/kv/range', '{}'));
    await bench.pass(5_000);
    const waits = bench.ask('/v3/kv/range', '{}');
    let isAnswered = false;
    void waits.response.then(() => {
      isAnswered = true;
    });
    await bench.pass(100);
    expect(isAnswered).toBe(false);
    for (const asked of stuck) asked.request.onGone?.();
    await bench.pass(5_000);
    expect(isAnswered).toBe(true);
  });

  it('are cut off while others wait', async () => {
    const bench = large();
    const count = Math.ceil(gatewayBacklogBytesMax / (64 << 20));
    const stuck = Array.from({ length: count }, () => bench.ask('/v3/kv/range', '{}'));
    await bench.pass(gatewayStalledMs * 3);
    // Nobody waits: whoever is slow may be.
    expect(stuck.some(({ isDropped }) => isDropped)).toBe(false);
    bench.ask('/v3/kv/range', '{}');
    await bench.pass(gatewayStalledMs + 1_000);
    expect(stuck.every(({ isDropped }) => isDropped)).toBe(true);
  });
});
