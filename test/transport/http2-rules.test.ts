/** RFC 9113, rule by rule, with a peer that breaks them. Section numbers are of RFC 9113. */

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

const unary = '/test.Echo/Unary';
const hello = Buffer.from('hello');

/** The connection must end with this error, and nothing may be left. */
async function ends(bench: Bench, peer: RawPeer, error: string): Promise<void> {
  await bench.settle(3_000);
  expect(peer.goaway).toBe(error);
  expect(peer.over).toBe(true);
  expect([bench.server.streamCount, bench.server.connectionCount]).toEqual([0, 0]);
}

/** The stream must end with this error, and the connection go on. */
async function resets(bench: Bench, peer: RawPeer, id: number, error: string): Promise<void> {
  await bench.settle();
  expect(peer.resetOf(id)).toBe(error);
  expect(peer.goaway).toBeUndefined();
  peer.send(peer.call(id + 100, unary, hello));
  await bench.settle();
  expect(peer.statusOf(id + 100)).toEqual(['0', undefined]);
  expect(bench.server.streamCount).toBe(0);
}

describe('connection errors', () => {
  const cases: ReadonlyArray<readonly [string, string, (peer: RawPeer) => Buffer[]]> = [
    [
      '4.2 a frame above SETTINGS_MAX_FRAME_SIZE',
      'FRAME_SIZE_ERROR',
      () => [frame(0, 0, 1, Buffer.alloc(0), 16_385)],
    ],
    ['5.1 DATA on an idle stream', 'PROTOCOL_ERROR', () => [data(1, hello)]],
    ['5.1 RST_STREAM on an idle stream', 'PROTOCOL_ERROR', () => [reset(1)]],
    ['5.1 WINDOW_UPDATE on an idle stream', 'PROTOCOL_ERROR', () => [windowUpdate(1, 1)]],
    ['5.1.1 an even stream id', 'PROTOCOL_ERROR', (p) => [p.headers(2, requestHead(unary))]],
    ['6.1 DATA on stream 0', 'PROTOCOL_ERROR', () => [data(0, hello)]],
    [
      '6.1 padding longer than the frame',
      'PROTOCOL_ERROR',
      (p) => [p.headers(1, requestHead(unary)), frame(0, 8, 1, Buffer.from([9, 1]))],
    ],
    [
      '6.1 padded but empty',
      'PROTOCOL_ERROR',
      (p) => [p.headers(1, requestHead(unary)), frame(0, 8, 1)],
    ],
    ['6.2 HEADERS on stream 0', 'PROTOCOL_ERROR', (p) => [p.headers(0, requestHead(unary))]],
    [
      '6.2 HEADERS with padding longer than the rest',
      'PROTOCOL_ERROR',
      () => [frame(1, 4 | 8, 1, Buffer.from([200, 0x82]))],
    ],
    [
      '6.2 HEADERS too short for its priority',
      'FRAME_SIZE_ERROR',
      () => [frame(1, 4 | 0x20, 1, Buffer.from([0, 0]))],
    ],
    ['6.3 PRIORITY on stream 0', 'PROTOCOL_ERROR', () => [frame(2, 0, 0, Buffer.alloc(5))]],
    ['6.4 RST_STREAM of 3 bytes', 'FRAME_SIZE_ERROR', () => [frame(3, 0, 1, Buffer.alloc(3))]],
    ['6.5 SETTINGS on a stream', 'PROTOCOL_ERROR', () => [frame(4, 0, 1)]],
    ['6.5 SETTINGS of 5 bytes', 'FRAME_SIZE_ERROR', () => [frame(4, 0, 0, Buffer.alloc(5))]],
    [
      '6.5 an acknowledgement with payload',
      'FRAME_SIZE_ERROR',
      () => [frame(4, 1, 0, Buffer.alloc(6))],
    ],
    ['6.5.2 ENABLE_PUSH of 2', 'PROTOCOL_ERROR', () => [settings([2, 2])]],
    ['6.5.2 INITIAL_WINDOW_SIZE of 2^31', 'FLOW_CONTROL_ERROR', () => [settings([4, 0x8000_0000])]],
    ['6.5.2 MAX_FRAME_SIZE of 16383', 'PROTOCOL_ERROR', () => [settings([5, 16_383])]],
    ['6.5.2 MAX_FRAME_SIZE of 2^24', 'PROTOCOL_ERROR', () => [settings([5, 0x100_0000])]],
    ['6.6 PUSH_PROMISE', 'PROTOCOL_ERROR', () => [frame(5, 4, 1, Buffer.alloc(4))]],
    ['6.7 PING on a stream', 'PROTOCOL_ERROR', () => [frame(6, 0, 1, Buffer.alloc(8))]],
    ['6.7 PING of 7 bytes', 'FRAME_SIZE_ERROR', () => [frame(6, 0, 0, Buffer.alloc(7))]],
    ['6.8 GOAWAY on a stream', 'PROTOCOL_ERROR', () => [frame(7, 0, 1, Buffer.alloc(8))]],
    ['6.8 GOAWAY of 7 bytes', 'FRAME_SIZE_ERROR', () => [frame(7, 0, 0, Buffer.alloc(7))]],
    ['6.9 WINDOW_UPDATE of 0 for the connection', 'PROTOCOL_ERROR', () => [windowUpdate(0, 0)]],
    ['6.9 WINDOW_UPDATE of 3 bytes', 'FRAME_SIZE_ERROR', () => [frame(8, 0, 0, Buffer.alloc(3))]],
    [
      '6.9.1 the connection window above 2^31-1',
      'FLOW_CONTROL_ERROR',
      () => [windowUpdate(0, 0x7fff_ffff)],
    ],
    ['6.10 CONTINUATION without HEADERS', 'PROTOCOL_ERROR', () => [frame(9, 4, 1)]],
    [
      '6.10 CONTINUATION of another stream',
      'PROTOCOL_ERROR',
      () => [frame(1, 0, 1, Buffer.from([0x82])), frame(9, 4, 3)],
    ],
    [
      '6.10 DATA inside a header block',
      'PROTOCOL_ERROR',
      () => [frame(1, 0, 1, Buffer.from([0x82])), data(1, hello)],
    ],
    [
      '6.10 an unknown frame inside a header block',
      'PROTOCOL_ERROR',
      () => [frame(1, 0, 1, Buffer.from([0x82])), frame(99, 0, 1)],
    ],
    [
      '4.3 a header block that does not decode',
      'COMPRESSION_ERROR',
      () => [frame(1, 4, 1, Buffer.from([0x80]))],
    ],
  ];

  test.each(cases)('%s: %s', async (_name, error, frames) => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(...frames(peer));
    await ends(bench, peer, error);
  });

  test('3.4 the first frame is not SETTINGS: PROTOCOL_ERROR', async () => {
    const bench = new Bench();
    const peer = await bench.connect();
    peer.send(preface, frame(6, 0, 0, Buffer.alloc(8)));
    await ends(bench, peer, 'PROTOCOL_ERROR');
  });

  test('3.4 what is neither HTTP/2 nor HTTP/1.1 is closed', async () => {
    const bench = new Bench();
    const peer = await bench.connect();
    peer.send(Buffer.from('INVALID CONNECTION PREFACE\r\n\r\n'));
    await bench.settle();
    expect(peer.over).toBe(true);
  });

  test('5.1 HEADERS on a closed stream: STREAM_CLOSED', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.call(1, unary, hello));
    await bench.settle();
    peer.send(peer.headers(1, requestHead(unary), true));
    await ends(bench, peer, 'STREAM_CLOSED');
  });

  test('6.9.2 a SETTINGS change that takes a window above 2^31-1: FLOW_CONTROL_ERROR', async () => {
    const bench = new Bench();
    const peer = await bench.peer([4, 10]);
    peer.send(peer.headers(1, requestHead('/test.Echo/HangStream')));
    peer.send(windowUpdate(1, 0x7fff_ffff - 10), settings([4, 11]));
    await ends(bench, peer, 'FLOW_CONTROL_ERROR');
  });

  test('a broken connection does not touch another', async () => {
    const bench = new Bench();
    const good = await bench.peer();
    const bad = await bench.peer();
    bad.send(data(0, hello));
    good.send(good.call(1, unary, hello));
    await bench.settle(3_000);
    expect(bad.over).toBe(true);
    expect(good.dataOf(1)).toEqual(grpcMessage(hello));
  });
});

describe('stream errors', () => {
  const head = requestHead(unary);
  const without = (name: string): Pairs => head.filter(([key]) => key !== name);
  const malformed: ReadonlyArray<readonly [string, Pairs]> = [
    ['8.2.1 an upper-case name', [...head, ['X-Upper', 'v']]],
    ['8.2.1 a space in a name', [...head, ['a b', 'v']]],
    ['8.2.1 an empty name', [...head, ['', 'v']]],
    ['8.2.1 a line break in a value', [...head, ['x', 'a\nb']]],
    ['8.2.1 a NUL in a value', [...head, ['x', 'a\0b']]],
    ['8.2.1 a value that begins with a space', [...head, ['x', ' a']]],
    ['8.2.2 connection', [...head, ['connection', 'close']]],
    ['8.2.2 keep-alive', [...head, ['keep-alive', '1']]],
    ['8.2.2 proxy-connection', [...head, ['proxy-connection', 'close']]],
    ['8.2.2 transfer-encoding', [...head, ['transfer-encoding', 'chunked']]],
    ['8.2.2 upgrade', [...head, ['upgrade', 'h2c']]],
    ['8.2.2 te other than trailers', [...without('te'), ['te', 'gzip']]],
    ['8.3 an unknown pseudo-header', [[':unknown', 'v'], ...head]],
    ['8.3 a response pseudo-header', [[':status', '200'], ...head]],
    ['8.3 a pseudo-header behind a field', [...head, [':authority', 'again']]],
    ['8.3 a pseudo-header twice', [[':method', 'POST'], ...head]],
    ['8.3.1 no :method', without(':method')],
    ['8.3.1 no :scheme', without(':scheme')],
    ['8.3.1 no :path', without(':path')],
    ['8.3.1 an empty :path', [...without(':path').slice(0, 2), [':path', ''], ['te', 'trailers']]],
    ['8.1.1 a content-length that is no number', [...head, ['content-length', 'x']]],
    [
      '8.1.1 two different content-lengths',
      [...head, ['content-length', '10'], ['content-length', '11']],
    ],
  ];

  test.each(malformed)('%s: PROTOCOL_ERROR', async (_name, pairs) => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.headers(1, pairs, true));
    await resets(bench, peer, 1, 'PROTOCOL_ERROR');
  });

  const cases: ReadonlyArray<readonly [string, string, (peer: RawPeer) => Buffer[]]> = [
    [
      '5.1 DATA on a half-closed stream',
      'STREAM_CLOSED',
      (p) => [p.call(1, '/test.Echo/Hang', hello), data(1, hello)],
    ],
    [
      '5.1 HEADERS on a half-closed stream',
      'STREAM_CLOSED',
      (p) => [p.call(1, '/test.Echo/Hang', hello), p.headers(1, [['a', 'b']], true)],
    ],
    [
      '8.1 trailers without END_STREAM',
      'PROTOCOL_ERROR',
      (p) => [p.headers(1, head), p.headers(1, [['a', 'b']])],
    ],
    [
      '8.1 trailers with a pseudo-header',
      'PROTOCOL_ERROR',
      (p) => [p.headers(1, head), p.headers(1, [[':path', '/']], true)],
    ],
    [
      '8.1.1 less DATA than content-length',
      'PROTOCOL_ERROR',
      (p) => [p.headers(1, [...head, ['content-length', '11']]), data(1, grpcMessage(hello), true)],
    ],
    [
      '8.1.1 more DATA than content-length',
      'PROTOCOL_ERROR',
      (p) => [p.headers(1, [...head, ['content-length', '9']]), data(1, grpcMessage(hello))],
    ],
    [
      '8.1.1 content-length and no DATA',
      'PROTOCOL_ERROR',
      (p) => [p.headers(1, [...head, ['content-length', '1']], true)],
    ],
    [
      '6.3 PRIORITY of 4 bytes',
      'FRAME_SIZE_ERROR',
      (p) => [p.headers(1, head), frame(2, 0, 1, Buffer.alloc(4))],
    ],
    ['6.9 WINDOW_UPDATE of 0', 'PROTOCOL_ERROR', (p) => [p.headers(1, head), windowUpdate(1, 0)]],
    [
      '6.9.1 the stream window above 2^31-1',
      'FLOW_CONTROL_ERROR',
      (p) => [p.headers(1, head), windowUpdate(1, 0x7fff_ffff)],
    ],
  ];

  test.each(cases)('%s: %s', async (_name, error, frames) => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(...frames(peer));
    await resets(bench, peer, 1, error);
  });

  test('5.1.2 more streams than permitted: REFUSED_STREAM', async () => {
    const bench = new Bench({ limits: { concurrentStreamsMax: 2 } });
    const peer = await bench.peer();
    for (const id of [1, 3, 5]) peer.send(peer.call(id, '/test.Echo/Hang', hello));
    await bench.settle();
    expect([1, 3, 5].map((id) => peer.resetOf(id))).toEqual([
      undefined,
      undefined,
      'REFUSED_STREAM',
    ]);
    peer.send(reset(1), peer.call(7, unary, hello));
    await bench.settle();
    expect(peer.statusOf(7)).toEqual(['0', undefined]);
  });
});

describe('what is ignored or answered', () => {
  test('6.7 PING is answered with its payload', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(frame(6, 0, 0, Buffer.from('12345678')));
    await bench.settle();
    const pong = peer.frames.find((f) => f.type === 6);
    expect([pong?.flags, pong?.payload.toString()]).toEqual([1, '12345678']);
  });

  test('6.5 SETTINGS are acknowledged', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(settings([1, 100]), settings());
    await bench.settle();
    expect(peer.frames.filter((f) => f.type === 4 && f.flags === 1)).toHaveLength(3);
  });

  test('4.1 unknown frames and flags, 6.5 unknown settings, 5.3 priorities', async () => {
    const bench = new Bench();
    const peer = await bench.peer([0x7777, 1]);
    peer.send(frame(0xfe, 0xff, 77, hello), frame(2, 0, 9, Buffer.alloc(5)));
    peer.send(peer.call(1, unary, hello));
    await bench.settle();
    expect(peer.statusOf(1)[0]).toBe('0');
  });

  test('6.1, 6.2 padding and priority are taken off', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    const block = peer.block(requestHead(unary));
    const priority = Buffer.concat([u32(3), Buffer.from([16])]);
    const padded = Buffer.concat([Buffer.from([4]), priority, block, Buffer.alloc(4)]);
    const body = Buffer.concat([Buffer.from([200]), grpcMessage(hello), Buffer.alloc(200)]);
    peer.send(frame(1, 4 | 8 | 0x20, 1, padded), frame(0, 1 | 8, 1, body));
    await bench.settle();
    expect(peer.dataOf(1)).toEqual(grpcMessage(hello));
  });

  test('6.10 a header block in many CONTINUATION frames', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    const block = peer.block(requestHead(unary));
    const parts = [...block].map((byte) => Buffer.from([byte]));
    const frames = parts.map((part, i) =>
      frame(i === 0 ? 1 : 9, i === parts.length - 1 ? 4 : 0, 1, part),
    );
    peer.send(...frames, data(1, grpcMessage(hello), true));
    await bench.settle();
    expect(peer.dataOf(1)).toEqual(grpcMessage(hello));
  });

  test('8.1 trailers end a request', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.headers(1, requestHead(unary)), data(1, grpcMessage(hello)));
    peer.send(peer.headers(1, [['x-checksum', '1']], true));
    await bench.settle();
    expect(peer.statusOf(1)[0]).toBe('0');
  });

  test('frames under way to a stream that the server reset are ignored', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.headers(1, requestHead('/test.Echo/Nothing')));
    await bench.settle();
    expect(peer.resetOf(1)).toBe('NO_ERROR');
    peer.send(data(1, hello), peer.headers(1, [['a', 'b']], true), windowUpdate(1, 5), reset(1));
    peer.send(peer.call(3, unary, hello));
    await bench.settle();
    expect(peer.goaway).toBeUndefined();
    expect(peer.statusOf(3)[0]).toBe('0');
  });

  test('4.3.1 a smaller header table of the peer is obeyed, and announced', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    for (const id of [1, 3]) peer.send(peer.call(id, unary, hello));
    await bench.settle();
    peer.send(settings([1, 0]));
    await bench.settle();
    peer.send(peer.call(5, unary, hello), peer.call(7, unary, hello));
    await bench.settle();
    const heads = peer.frames.filter((f) => f.type === 1 && f.id === 5);
    expect(heads[0]?.payload[0]).toBe(0x20); // table size update to 0
    expect(peer.statusOf(5)[0]).toBe('0');
    expect(peer.statusOf(7)[0]).toBe('0');
  });
});
