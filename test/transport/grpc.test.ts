/** gRPC over HTTP/2 at the server: framing, statuses, metadata, compression, deadlines. */

import { gunzipSync, gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, test } from 'vitest';
import { GrpcCode } from '../../src/common/index.js';
import { deadlineWheelOf } from '../../src/transport/deadline-wheel.js';
import type { HttpHandler } from '../../src/transport/index.js';
import { decodeBinary, decodeMessage, encodeMessage } from '../../src/transport/metadata.js';
import { formatTimeout, parseTimeout } from '../../src/transport/timeout.js';
import { Bench, data, grpcMessage, type Pairs, requestHead, reset } from './support/raw-peer.js';
import { echoHttp, hanging } from './support/servers.js';

const unary = '/test.Echo/Unary';
const hello = Buffer.from('hello');

beforeEach(() => {
  hanging.length = 0;
});

/** Status of one request made of this head and these DATA frames. */
async function statusOf(
  head: Pairs,
  payloads: readonly Buffer[],
  bench = new Bench(),
): Promise<{
  status: readonly [string | undefined, string | undefined];
  http: string | undefined;
}> {
  const peer = await bench.peer();
  peer.send(peer.headers(1, head, payloads.length === 0));
  for (const [i, payload] of payloads.entries()) {
    peer.send(data(1, payload, i === payloads.length - 1));
  }
  await bench.settle();
  expect(bench.server.streamCount).toBe(0);
  return { status: peer.statusOf(1), http: peer.fieldsOf(1)[':status'] };
}

describe('what is not a call', () => {
  const without = (name: string): Pairs => requestHead(unary).filter(([key]) => key !== name);

  test.each([
    [
      'an unknown method',
      requestHead('/test.Echo/Nope'),
      '200',
      '12',
      'unknown method Nope for service test.Echo',
    ],
    ['an unknown service', requestHead('/no.Such/Nope'), '200', '12', 'unknown service no.Such'],
    [
      'a path without a slash',
      requestHead('nonsense'),
      '200',
      '12',
      'malformed method name: "nonsense"',
    ],
    [
      'no content-type',
      without('content-type'),
      '415',
      '3',
      'invalid gRPC request content-type ""',
    ],
    [
      'gRPC-Web',
      [...without('content-type'), ['content-type', 'application/grpc-web']] as Pairs,
      '415',
      '3',
      'invalid gRPC request content-type "application/grpc-web"',
    ],
    [
      'GET',
      [[':method', 'GET'], ...without(':method')] as Pairs,
      '405',
      '13',
      'Received a HEADERS frame with :method "GET" which should be POST',
    ],
    [
      'an unknown encoding',
      requestHead(unary, [['grpc-encoding', 'snappy']]),
      '200',
      '12',
      'grpc: Decompressor is not installed for grpc-encoding "snappy"',
    ],
    [
      'a malformed timeout',
      requestHead(unary, [['grpc-timeout', '5x']]),
      '400',
      '13',
      'malformed grpc-timeout: transport: timeout unit is not recognized: "5x"',
    ],
    [
      'malformed binary metadata',
      requestHead(unary, [['x-bin', '%%']]),
      '400',
      '13',
      'malformed binary metadata "%25%25" in header "x-bin"',
    ],
  ])('%s', async (_name, head, http, code, message) => {
    const got = await statusOf(head, [grpcMessage(hello)]);
    expect(got).toEqual({ http, status: [code, message] });
  });

  test('what it can read is told with the refusal of an encoding', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.call(1, unary, hello, [['grpc-encoding', 'zstd']]));
    await bench.settle();
    expect(peer.fieldsOf(1)['grpc-accept-encoding']).toBe('gzip');
  });

  test.each(['application/grpc', 'application/grpc+proto', 'application/grpc;charset=utf-8'])(
    'content-type %s is fine',
    async (type) => {
      const head = [...without('content-type'), ['content-type', type]] as Pairs;
      expect((await statusOf(head, [grpcMessage(hello)])).status).toEqual(['0', undefined]);
    },
  );

  test('plain HTTP goes to the HTTP handler, with a body of any length', async () => {
    const bench = new Bench({ http: echoHttp });
    const peer = await bench.peer();
    const get = (path: string): Pairs => [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', 'test'],
    ];
    peer.send(peer.headers(1, get('/version?x=1'), true));
    peer.send(peer.headers(3, [[':method', 'POST'], ...get('/v3/kv').slice(1)]));
    peer.send(data(3, Buffer.alloc(1_000)), data(3, Buffer.alloc(234), true));
    await bench.settle();
    expect(peer.fieldsOf(1)).toMatchObject({ ':status': '200', 'content-type': 'text/plain' });
    expect(peer.dataOf(1).toString()).toBe('GET /version?x=1 0');
    expect(peer.dataOf(3).toString()).toBe('POST /v3/kv? 1234');
    peer.send(peer.headers(5, [[':method', 'POST'], ...get('/v3/kv').slice(1)]));
    for (let sent = 0; sent < 600; sent += 100) {
      for (let i = 0; i < 100; i++) peer.send(data(5, Buffer.alloc(16_384)));
      await bench.settle();
    }
    peer.send(data(5, Buffer.alloc(1), true));
    await bench.settle();
    expect(peer.dataOf(5).toString()).toBe(`POST /v3/kv? ${600 * 16_384 + 1}`);
    expect(bench.server.streamCount).toBe(0);
  });

  test('a body of plain HTTP that is not read is held up, and dropped with the answer', async () => {
    let finish = (): void => {};
    const http: HttpHandler = async () => {
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return { status: 200, headers: {}, body: 'done' };
    };
    const bench = new Bench({ http });
    const peer = await bench.peer();
    const head: Pairs = [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', '/v3/kv'],
      [':authority', 'test'],
    ];
    peer.send(peer.headers(1, head));
    await bench.settle();
    for (let i = 0; i < 256; i++) peer.send(data(1, Buffer.alloc(16_384)));
    await bench.settle();
    // That was the window; nothing of it was given back.
    peer.send(data(1, Buffer.alloc(1)));
    await bench.settle();
    finish();
    await bench.settle();
    expect(peer.fieldsOf(1)[':status']).toBe(undefined);
    expect(bench.server.streamCount).toBe(0);
    peer.send(peer.headers(3, head));
    await bench.settle();
    peer.send(data(3, Buffer.alloc(16_384)));
    await bench.settle();
    finish();
    await bench.settle();
    expect(peer.dataOf(3).toString()).toBe('done');
    expect(bench.server.streamCount).toBe(0);
  });

  test('a streamed HTTP body stops when the client goes away', async () => {
    let stopped = false;
    async function* body(): AsyncGenerator<string> {
      try {
        for (;;) yield 'x'.repeat(10_000);
      } finally {
        stopped = true;
      }
    }
    const bench = new Bench({ http: async () => ({ status: 200, headers: {}, body: body() }) });
    const peer = await bench.peer();
    const head: Pairs = [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/watch'],
    ];
    peer.send(peer.headers(1, head, true));
    await bench.settle();
    expect(peer.dataOf(1)).toHaveLength(65_535);
    expect(stopped).toBe(false);
    peer.send(reset(1));
    await bench.settle();
    expect(stopped).toBe(true);
    expect(bench.server.streamCount).toBe(0);
  });
});

describe('gRPC framing', () => {
  const head = requestHead(unary);
  const tooLarge = 'grpc: received message larger than max (2097153 vs. 2097152)';

  test.each([
    [
      'a length prefix that promises more',
      head,
      [grpcMessage(hello, 0, 6)],
      '13',
      'unexpected EOF',
    ],
    ['half a prefix', head, [Buffer.from([0, 0])], '13', 'unexpected EOF'],
    ['no message', head, [], '13', 'cardinality violation: received no request message'],
    [
      'two messages',
      head,
      [grpcMessage(hello), grpcMessage(hello)],
      '13',
      'cardinality violation: received multiple request messages',
    ],
    [
      'an unknown flag',
      head,
      [grpcMessage(hello, 2)],
      '13',
      'grpc: received unexpected payload format 2',
    ],
    [
      'a message above the limit',
      head,
      [grpcMessage(Buffer.alloc(10), 0, 2_097_153)],
      '8',
      tooLarge,
    ],
    [
      'the largest length there is',
      head,
      [grpcMessage(hello, 0, 0xffff_ffff)],
      '8',
      'grpc: received message larger than max (4294967295 vs. 2097152)',
    ],
    [
      'compressed flag without an encoding',
      head,
      [grpcMessage(hello, 1)],
      '13',
      'grpc: compressed flag set with identity or empty encoding',
    ],
    [
      'identity encoding',
      requestHead(unary, [['grpc-encoding', 'identity']]),
      [grpcMessage(hello)],
      '0',
      undefined,
    ],
  ] as ReadonlyArray<readonly [string, Pairs, readonly Buffer[], string, string | undefined]>)(
    '%s',
    async (_name, pairs, payloads, code, message) => {
      expect((await statusOf(pairs, payloads)).status).toEqual([code, message]);
    },
  );

  test('a message cut anywhere arrives whole', async () => {
    const whole = grpcMessage(Buffer.from('a message of some length'));
    for (let cut = 0; cut <= whole.length; cut++) {
      const bench = new Bench();
      const peer = await bench.peer();
      peer.send(peer.headers(1, head));
      peer.send(data(1, whole.subarray(0, cut)), data(1, whole.subarray(cut)));
      peer.send(data(1, Buffer.alloc(0), true));
      await bench.settle();
      expect(peer.dataOf(1)).toEqual(whole);
    }
  });

  test('a gzip bomb is not inflated beyond the limit', async () => {
    const bomb = gzipSync(Buffer.alloc(100 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(200_000);
    const pairs = requestHead(unary, [['grpc-encoding', 'gzip']]);
    const wire = grpcMessage(bomb, 1);
    const payloads: Buffer[] = [];
    for (let at = 0; at < wire.length; at += 16_384) payloads.push(wire.subarray(at, at + 16_384));
    const { status } = await statusOf(pairs, payloads);
    expect(status).toEqual([
      '8',
      'grpc: received message after decompression larger than max 2097152',
    ]);
  });

  test.each([
    ['truncated', gzipSync(hello).subarray(0, -10)],
    ['not gzip at all', Buffer.from('nonsense')],
    ['empty', Buffer.alloc(0)],
  ])('gzip that is %s', async (_name, wire) => {
    const pairs = requestHead(unary, [['grpc-encoding', 'gzip']]);
    const { status } = await statusOf(pairs, [grpcMessage(wire, 1)]);
    expect(status[0]).toBe('13');
    expect(status[1]).toContain('grpc: failed to decompress the received message');
  });

  test('a reply is compressed only if the request was', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    const text = Buffer.from('a '.repeat(500));
    const gzip: Pairs = requestHead(unary, [['grpc-encoding', 'gzip']]);
    peer.send(peer.headers(1, gzip), data(1, grpcMessage(gzipSync(text), 1), true));
    peer.send(peer.call(3, unary, text, [['grpc-accept-encoding', 'gzip']]));
    await bench.settle();
    expect(peer.fieldsOf(1)['grpc-encoding']).toBe('gzip');
    const reply = peer.dataOf(1);
    expect(reply[0]).toBe(1);
    expect(gunzipSync(reply.subarray(5))).toEqual(text);
    expect(peer.fieldsOf(3)['grpc-encoding']).toBeUndefined();
    expect(peer.dataOf(3)).toEqual(grpcMessage(text));
  });

  test.each(['0n', '0S', '00000000m'])(
    'deadline %s: exceeded before the handler runs',
    async (t) => {
      const path = '/test.Echo/Hang';
      const { status } = await statusOf(requestHead(path, [['grpc-timeout', t]]), [
        grpcMessage(hello),
      ]);
      expect(status).toEqual(['4', 'context deadline exceeded']);
      expect(hanging).toHaveLength(0);
    },
  );

  test('the longest deadline', async () => {
    const pairs = requestHead(unary, [['grpc-timeout', '99999999H']]);
    expect((await statusOf(pairs, [grpcMessage(hello)])).status).toEqual(['0', undefined]);
  });

  test.each(['-1S', '1', 'S', '123456789S', '1.5S', ' 1S', ''])(
    'malformed deadline "%s"',
    async (t) => {
      const bench = new Bench();
      const peer = await bench.peer();
      peer.send(peer.call(1, unary, hello, [['grpc-timeout', t]]));
      await bench.settle();
      if (t.startsWith(' ')) expect(peer.resetOf(1)).toBe('PROTOCOL_ERROR');
      else expect(peer.fieldsOf(1)[':status']).toBe('400');
    },
  );
});

describe('deadlines and cancellation', () => {
  test('a call that outlives its deadline ends with DEADLINE_EXCEEDED and is told', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.call(1, '/test.Echo/Hang', hello, [['grpc-timeout', '200m']]));
    await bench.settle(100);
    const [call] = hanging;
    let told = 0;
    if (call !== undefined) call.onCancel = () => void told++;
    expect(peer.statusOf(1)[0]).toBeUndefined();
    await bench.settle(150);
    expect(peer.statusOf(1)).toEqual(['4', 'context deadline exceeded']);
    expect([told, call?.cancelled]).toEqual([1, true]);
    call?.reply(hello);
    call?.fail(GrpcCode.INTERNAL, 'too late');
    await bench.settle();
    expect(peer.statusOf(1)).toEqual(['4', 'context deadline exceeded']);
    expect(bench.server.streamCount).toBe(0);
  });

  test('a deadline also ends a request that never arrives in full', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.headers(1, requestHead(unary, [['grpc-timeout', '50m']])));
    peer.send(data(1, Buffer.from([0, 0, 0])));
    await bench.settle(100);
    expect(peer.statusOf(1)).toEqual(['4', 'context deadline exceeded']);
    expect(peer.resetOf(1)).toBe('NO_ERROR');
  });

  test('many deadlines fire in order and none early', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    const count = 500;
    for (let i = 0; i < count; i++) {
      const timeoutMs = 20 + ((i * 7_919) % 20_000);
      const more: Pairs = [['grpc-timeout', `${timeoutMs}m`]];
      peer.send(peer.call(2 * i + 1, '/test.Echo/Hang', hello, more));
    }
    const startMs = bench.clock.nowMs();
    await bench.settle(10);
    const late: number[] = [];
    for (const call of hanging) {
      call.onCancel = () => late.push(bench.clock.nowMs() - (call.deadlineMs ?? 0));
    }
    await bench.settle(25_000);
    expect(late).toHaveLength(count);
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...late)).toBeLessThanOrEqual(9);
    expect(bench.clock.nowMs() - startMs).toBeGreaterThan(20_000);
    expect(bench.server.streamCount).toBe(0);
  });

  test('a call that ends in time leaves nothing behind in the wheel', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.call(1, unary, hello, [['grpc-timeout', '5S']]));
    peer.send(peer.call(3, '/test.Echo/Hang', hello, [['grpc-timeout', '5S']]), reset(3));
    await bench.settle();
    expect(peer.statusOf(1)[0]).toBe('0');
    expect(deadlineWheelOf(bench.clock).count).toBe(0);
  });

  test.each([
    ['before the request is complete', false],
    ['while the handler works', true],
  ])('the client cancels %s', async (_name, complete) => {
    const bench = new Bench();
    const peer = await bench.peer();
    const path = complete ? '/test.Echo/Hang' : '/test.Echo/HangStream';
    peer.send(peer.headers(1, requestHead(path)));
    if (complete) peer.send(data(1, grpcMessage(hello), true));
    await bench.settle();
    let told = 0;
    const [call] = hanging;
    if (call !== undefined) call.onCancel = () => void told++;
    peer.send(reset(1));
    await bench.settle();
    expect([told, call?.cancelled, bench.server.streamCount]).toEqual([1, true, 0]);
    call?.reply(hello);
    await bench.settle();
    expect(peer.dataOf(1)).toHaveLength(0);
  });

  test('a lost connection cancels its calls', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.call(1, '/test.Echo/Hang', hello));
    await bench.settle();
    let told = 0;
    const [call] = hanging;
    if (call !== undefined) call.onCancel = () => void told++;
    peer.stream.destroy();
    await bench.settle();
    expect([told, bench.server.streamCount, bench.server.connectionCount]).toEqual([1, 0, 0]);
  });

  test('every call is observed once, with its code', async () => {
    const seen: string[] = [];
    const bench = new Bench({
      observe: (method, kind, code) => seen.push(`${method} ${kind} ${code}`),
    });
    const peer = await bench.peer();
    peer.send(peer.call(1, unary, hello), peer.call(3, '/test.Echo/Fail', hello));
    peer.send(peer.call(5, '/test.Echo/Hang', hello, [['grpc-timeout', '10m']]));
    peer.send(peer.call(7, '/test.Echo/Hang', hello), reset(7));
    peer.send(peer.call(9, '/test.Echo/Nope', hello), peer.call(11, '/test.Echo/Count', hello));
    await bench.settle();
    expect(seen.sort()).toEqual([
      '/test.Echo/Count serverStream 0',
      '/test.Echo/Fail unary 11',
      '/test.Echo/Hang unary 1',
      '/test.Echo/Hang unary 4',
      '/test.Echo/Unary unary 0',
    ]);
  });
});

describe('metadata and statuses', () => {
  const ask = async (key: string, more: Pairs): Promise<string> => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.call(1, '/test.Echo/Metadata', Buffer.from(key), more));
    await bench.settle();
    return peer.dataOf(1).subarray(5).toString('hex');
  };
  const text = (value: string): string => Buffer.from(value).toString('hex');

  test.each([
    ['token', [['token', 'secret.1']], text('secret.1')],
    ['missing', [], text('absent')],
    [
      'twice',
      [
        ['twice', 'a'],
        ['twice', 'b'],
      ],
      text('a'),
    ],
    ['x-bin', [['x-bin', 'AAEC/w==']], '000102ff'],
    ['x-bin', [['x-bin', 'AAEC/w']], '000102ff'],
    ['x-bin', [['x-bin', 'AQ,Ag==']], '01'],
    ['x-bin', [['x-bin', '']], ''],
  ] as ReadonlyArray<readonly [string, Pairs, string]>)('%s %j', async (key, more, hex) => {
    expect(await ask(key, more)).toBe(hex);
  });

  test('grpc-message is percent coded, and read back', () => {
    expect(encodeMessage('plain text, 100')).toBe('plain text, 100');
    expect(encodeMessage('50% \n ü')).toBe('50%25 %0A %C3%BC');
    for (const message of ['', 'a%b', '%', '%zz', 'Grüße\n\t', '🙂']) {
      expect(decodeMessage(encodeMessage(message))).toBe(message);
    }
    expect(decodeMessage('%E4%zz%41')).toBe('\ufffd%zzA');
  });

  test('base64 with and without padding', () => {
    expect(decodeBinary('')).toEqual(Buffer.alloc(0));
    expect(decodeBinary('AQ')).toEqual(Buffer.from([1]));
    expect(decodeBinary('AQ==')).toEqual(Buffer.from([1]));
    expect(decodeBinary('A')).toBeUndefined();
    expect(decodeBinary('A*==')).toBeUndefined();
  });

  test('timeouts', () => {
    expect(['1H', '2M', '3S', '4m', '5u', '6n'].map(parseTimeout)).toEqual([
      3_600_000, 120_000, 3_000, 4, 0.005, 0.000006,
    ]);
    expect([0, 0.5, 5_000, 1e9, 1e13].map(formatTimeout)).toEqual([
      '0n',
      '500u',
      '5000m',
      '1000000S',
      '2777778H',
    ]);
    expect(formatTimeout(Number.POSITIVE_INFINITY)).toBe('99999999H');
  });
});
