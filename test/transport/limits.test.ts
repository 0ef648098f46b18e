/** HTTP/2: what an attacker may send, and that others are answered meanwhile. */

import { describe, expect, test } from 'vitest';
import {
  Bench,
  data,
  frame,
  grpcMessage,
  type Pairs,
  preface,
  type RawPeer,
  requestHead,
  reset,
  settings,
  u32,
  windowUpdate,
} from './support/raw-peer.js';
import { hanging } from './support/servers.js';

const unary = '/test.Echo/Unary';
const hello = Buffer.from('hello');

/** Others are answered while `attack` is under way. */
async function attacked(bench: Bench, attack: (peer: RawPeer) => void): Promise<RawPeer> {
  const good = await bench.peer();
  const bad = await bench.peer();
  attack(bad);
  good.send(good.call(1, unary, hello));
  await bench.settle(5_000);
  expect(good.dataOf(1)).toEqual(grpcMessage(hello));
  expect(good.over).toBe(false);
  return bad;
}

describe('floods (L-45)', () => {
  test('rapid reset (CVE-2023-44487)', async () => {
    const bench = new Bench({ limits: { resetsPerSecondMax: 1_000 } });
    const bad = await attacked(bench, (peer) => {
      for (let i = 0; i < 10_000; i++) {
        peer.send(peer.headers(2 * i + 1, requestHead('/test.Echo/Hang')), reset(2 * i + 1));
      }
    });
    expect([bad.goaway, bad.goawayText]).toEqual(['ENHANCE_YOUR_CALM', 'too many resets']);
    expect(bench.server.streamCount).toBe(0);
  });

  test('a thousand cancelled calls in one go are no flood', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    for (let i = 0; i < 1_000; i++) {
      peer.send(peer.call(2 * i + 1, '/test.Echo/Hang', hello), reset(2 * i + 1));
    }
    await bench.settle();
    expect(peer.goaway).toBeUndefined();
    expect(bench.server.streamCount).toBe(0);
    hanging.length = 0;
  });

  test('streams that the server has to reset (CVE-2025-8671)', async () => {
    const bench = new Bench({ limits: { resetsPerSecondMax: 100 } });
    const bad = await attacked(bench, (peer) => {
      for (let i = 0; i < 500; i++) {
        peer.send(peer.headers(2 * i + 1, requestHead(unary)), windowUpdate(2 * i + 1, 0));
      }
    });
    expect(bad.goaway).toBe('ENHANCE_YOUR_CALM');
  });

  const controls: ReadonlyArray<readonly [string, (peer: RawPeer) => Buffer]> = [
    ['SETTINGS', () => settings([4, 65_535])],
    ['PRIORITY', () => frame(2, 0, 1, Buffer.from([0, 0, 0, 3, 1]))],
    ['unknown frames', () => frame(0xbe, 0, 0)],
    ['GOAWAY', () => frame(7, 0, 0, u32(0, 0))],
  ];
  test.each(controls)('%s', async (_name, one) => {
    const bench = new Bench();
    const bad = await attacked(bench, (peer) => {
      for (let i = 0; i < 3_000; i++) peer.send(one(peer));
    });
    expect(bad.over).toBe(true);
  });

  test('empty DATA', async () => {
    const bench = new Bench();
    const bad = await attacked(bench, (peer) => {
      peer.send(peer.headers(1, requestHead('/test.Echo/HangStream')));
      for (let i = 0; i < 3_000; i++) peer.send(data(1, Buffer.alloc(0)));
    });
    expect(bad.goaway).toBe('ENHANCE_YOUR_CALM');
    hanging.length = 0;
  });

  test('DATA of one byte is slow but served', async () => {
    const bench = new Bench({}, { splitChance: 0 });
    const peer = await bench.peer();
    const bytes = grpcMessage(Buffer.alloc(200_000, 5));
    const frames = [...bytes].map((byte) => data(1, Buffer.from([byte])));
    peer.send(peer.headers(1, requestHead('/test.Echo/Metadata')));
    peer.send(Buffer.concat(frames), data(1, Buffer.alloc(0), true));
    await bench.settle(1_000);
    expect(peer.statusOf(1)[0]).toBe('0');
  });

  test('CONTINUATION without end (CVE-2024-27316)', async () => {
    const bench = new Bench();
    const bad = await attacked(bench, (peer) => {
      peer.send(frame(1, 0, 1, peer.block(requestHead(unary))));
      for (let i = 0; i < 100; i++) peer.send(frame(9, 0, 1, Buffer.alloc(4_096)));
    });
    expect([bad.goaway, bad.goawayText]).toEqual(['ENHANCE_YOUR_CALM', 'header block too long']);
  });

  test('empty CONTINUATION without end', async () => {
    const bench = new Bench();
    const bad = await attacked(bench, (peer) => {
      peer.send(frame(1, 0, 1, peer.block(requestHead(unary))));
      for (let i = 0; i < 3_000; i++) peer.send(frame(9, 0, 1));
    });
    expect(bad.goaway).toBe('ENHANCE_YOUR_CALM');
  });

  test('a header list above the limit: 431, and the connection goes on', async () => {
    const bench = new Bench({ limits: { headerListBytesMax: 1_000 } });
    const peer = await bench.peer();
    const long: Pairs = Array.from({ length: 50 }, (_, i) => [`x-${i}`, 'y'.repeat(20)] as const);
    peer.send(peer.headers(1, requestHead(unary, long), true), peer.call(3, unary, hello));
    await bench.settle();
    expect(peer.fieldsOf(1)[':status']).toBe('431');
    expect(peer.statusOf(3)[0]).toBe('0');
  });

  test('an HPACK bomb: one entry referred to thousands of times', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.headers(1, requestHead(unary, [['x', 'y'.repeat(1_900)]]), true));
    const index = peer.block([['x', 'y'.repeat(1_900)]]);
    const start = peer.block(requestHead(unary));
    const bomb = Buffer.concat([start, ...Array.from({ length: 10_000 }, () => index)]);
    peer.send(frame(1, 5, 3, bomb), peer.call(5, unary, hello));
    await bench.settle();
    expect(peer.fieldsOf(3)[':status']).toBe('431');
    expect(peer.statusOf(5)[0]).toBe('0');
  });
});

describe('pings', () => {
  const ping = frame(6, 0, 0, Buffer.alloc(8));

  test('more often than every 5 s without traffic: too_many_pings, as grpc-go', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    for (let i = 0; i < 3; i++) peer.send(ping);
    await bench.settle();
    expect(peer.goaway).toBeUndefined();
    peer.send(ping);
    await bench.settle();
    expect([peer.goaway, peer.goawayText]).toEqual(['ENHANCE_YOUR_CALM', 'too_many_pings']);
  });

  /** What etcd 3.7.3 with --grpc-keepalive-min-time=1s does, with this many pings. */
  const cases: ReadonlyArray<readonly [string, boolean, number, number]> = [
    ['far apart, without a stream', false, 1_300, 4],
    ['far apart, with one', true, 1_300, Number.POSITIVE_INFINITY],
    ['at once, without a stream', false, 0, 4],
    ['at once, with one', true, 0, 4],
    ['a little too close, with one', true, 600, 4],
  ];
  test.each(cases)('%s: ended when etcd ends it', async (_name, withStream, gapMs, last) => {
    const bench = new Bench({ limits: { keepaliveMinTimeMs: 1_000 } });
    const peer = await bench.peer();
    if (withStream) peer.send(peer.headers(1, requestHead('/test.Echo/HangStream')));
    await bench.settle();
    let sent = 0;
    while (peer.goaway === undefined && sent < 8) {
      peer.send(ping);
      sent++;
      await bench.settle(Math.max(1, gapMs));
    }
    expect(sent).toBe(Math.min(8, last));
    expect(peer.goawayText).toBe(Number.isFinite(last) ? 'too_many_pings' : '');
    hanging.length = 0;
  });

  test('every 5 s while a stream is open, or between replies, is fine', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.headers(1001, requestHead('/test.Echo/HangStream')));
    for (let i = 0; i < 20; i++) {
      peer.send(ping);
      await bench.settle(5_001);
    }
    for (let i = 0; i < 20; i++) {
      peer.send(peer.call(1003 + 2 * i, unary, hello));
      await bench.settle();
      peer.send(ping);
    }
    await bench.settle();
    expect(peer.goaway).toBeUndefined();
  });

  test('one for each reply, as from a bandwidth estimator, is no flood', async () => {
    const bench = new Bench({ limits: { controlFramesPerSecondMax: 20 } });
    const peer = await bench.peer();
    for (let i = 0; i < 100; i++) {
      peer.send(peer.call(2 * i + 1, unary, hello), ping);
      await bench.settle(3);
    }
    expect(peer.goaway).toBeUndefined();
    expect(peer.statusOf(199)[0]).toBe('0');
  });

  test('a silent peer is pinged, and given up when it does not answer', async () => {
    const bench = new Bench({ limits: { keepaliveIntervalMs: 10_000, keepaliveTimeoutMs: 2_000 } });
    const peer = await bench.peer();
    await bench.settle(11_000);
    const sent = peer.frames.filter((f) => f.type === 6);
    expect(sent).toHaveLength(1);
    peer.send(frame(6, 1, 0, sent[0]?.payload ?? Buffer.alloc(8)));
    await bench.settle(5_000);
    expect(peer.over).toBe(false);
    await bench.settle(10_000);
    expect(peer.over).toBe(true);
    expect(bench.server.connectionCount).toBe(0);
  });
});

describe('keepalive', () => {
  test('a peer that answers its pings stays, however much longer the timeout is', async () => {
    const bench = new Bench({ limits: { keepaliveIntervalMs: 500, keepaliveTimeoutMs: 2_500 } });
    const peer = await bench.peer();
    let answered = 0;
    for (let round = 0; round < 40; round++) {
      await bench.settle(250);
      const pings = peer.frames.filter((f) => f.type === 6);
      for (const { payload } of pings.slice(answered)) peer.send(frame(6, 1, 0, payload));
      answered = pings.length;
    }
    expect(answered).toBeGreaterThan(2);
    expect(peer.over).toBe(false);
    await bench.settle(6_000);
    expect(peer.over).toBe(true);
  });
});

describe('the handshake and slow readers (L-46)', () => {
  test.each([
    ['says nothing', Buffer.alloc(0)],
    ['stops inside the preface', preface.subarray(0, 20)],
    ['sends no SETTINGS', preface],
  ])('a client that %s is disconnected in time', async (_name, bytes) => {
    const bench = new Bench({ limits: { handshakeTimeoutMs: 1_000 } });
    const peer = await bench.connect();
    if (bytes.length > 0) peer.send(bytes);
    await bench.settle(900);
    expect(peer.over).toBe(false);
    await bench.settle(200);
    expect(peer.over).toBe(true);
    expect(bench.server.connectionCount).toBe(0);
  });

  test('the handshake limit does not end a connection that is idle afterwards', async () => {
    const bench = new Bench({ limits: { handshakeTimeoutMs: 1_000 } });
    const peer = await bench.peer();
    await bench.settle(60_000);
    expect(peer.over).toBe(false);
  });

  test('a client that does not read from its socket is not buffered for without bound', async () => {
    const bench = new Bench(
      { limits: { connectionBacklogBytesMax: 4 << 20 } },
      { highWaterBytes: 64 * 1024, splitChance: 0 },
    );
    const peer = await bench.peer([4, 0x7fff_ffff]);
    peer.send(windowUpdate(0, 0x7fff_ffff - 65_535));
    peer.stream.pause();
    for (let id = 1; id < 2_000; id += 2) {
      peer.send(peer.call(id, unary, Buffer.alloc(15_000)));
      if (id % 50 === 1) await bench.settle();
    }
    await bench.settle();
    peer.stream.resume();
    await bench.settle();
    // Either it was closed, or the server had stopped reading its requests.
    const answered = peer.frames.filter((f) => f.type === 0).length;
    expect(peer.over || answered === 1_000).toBe(true);
  });
});
