/** Flow control in both directions (RFC 9113 section 5.2 and 6.9). */

import { describe, expect, test } from 'vitest';
import type { MethodHandler, ServerCall } from '../../src/transport/index.js';
import {
  Bench,
  data,
  frame,
  grpcMessage,
  requestHead,
  settings,
  windowUpdate,
} from './support/raw-peer.js';
import { echoMethods } from './support/servers.js';

const unary = '/test.Echo/Unary';

describe('what the server sends', () => {
  test('fits the window byte by byte, however small the peer makes it', async () => {
    const bench = new Bench();
    const peer = await bench.peer([4, 1]);
    peer.send(peer.call(1, unary, Buffer.from('hello')));
    await bench.settle();
    expect(peer.dataOf(1)).toHaveLength(1);
    for (let i = 2; i <= 10; i++) {
      peer.send(windowUpdate(1, 1));
      await bench.settle();
      expect(peer.dataOf(1)).toHaveLength(i);
    }
    expect(peer.dataOf(1)).toEqual(grpcMessage(Buffer.from('hello')));
    expect(peer.statusOf(1)[0]).toBe('0');
    expect(bench.server.streamCount).toBe(0);
  });

  test('many small messages do not exceed the window either', async () => {
    const bench = new Bench();
    const peer = await bench.peer([4, 100]);
    peer.send(peer.call(1, '/test.Echo/Count', Buffer.alloc(50)));
    await bench.settle();
    expect(peer.dataOf(1)).toHaveLength(100);
    peer.send(windowUpdate(1, 200));
    await bench.settle();
    expect(peer.dataOf(1)).toHaveLength(300);
    expect(peer.statusOf(1)[0]).toBe('0');
  });

  test('never exceeds the connection window; streams share it in turns', async () => {
    const bench = new Bench();
    const peer = await bench.peer([4, 1 << 20]);
    const message = Buffer.alloc(100_000, 1);
    for (const id of [1, 3, 5]) {
      peer.send(peer.headers(id, requestHead(unary)));
      const bytes = grpcMessage(message);
      for (let at = 0; at < bytes.length; at += 16_384) {
        const part = bytes.subarray(at, at + 16_384);
        peer.send(data(id, part, at + 16_384 >= bytes.length));
      }
    }
    await bench.settle();
    const sizes = (): number[] => [1, 3, 5].map((id) => peer.dataOf(id).length);
    expect(sizes().reduce((a, b) => a + b)).toBe(65_535);
    peer.send(windowUpdate(0, 6 * 16_384));
    await bench.settle();
    expect(sizes().reduce((a, b) => a + b)).toBe(65_535 + 6 * 16_384);
    expect(Math.min(...sizes().slice(1))).toBeGreaterThan(0);
    peer.send(windowUpdate(0, 1 << 20));
    await bench.settle();
    expect(sizes()).toEqual([100_005, 100_005, 100_005]);
    expect(bench.server.streamCount).toBe(0);
  });

  test('a stream without window holds up nobody else', async () => {
    const bench = new Bench();
    const peer = await bench.peer([4, 0]);
    peer.send(peer.call(1, unary, Buffer.alloc(5_000)));
    await bench.settle();
    peer.send(settings([4, 65_535]), windowUpdate(1, 1));
    await bench.settle();
    peer.send(settings([4, 0]));
    peer.send(peer.call(3, unary, Buffer.alloc(10)), windowUpdate(3, 1_000));
    await bench.settle();
    expect(peer.statusOf(3)[0]).toBe('0');
  });

  test('6.9.2 a window that SETTINGS made negative must become positive first', async () => {
    const bench = new Bench();
    const peer = await bench.peer([4, 100]);
    peer.send(peer.call(1, unary, Buffer.alloc(1_000)));
    await bench.settle();
    expect(peer.dataOf(1)).toHaveLength(100);
    peer.send(settings([4, 40])); // the window is now -60
    peer.send(windowUpdate(1, 60));
    await bench.settle();
    expect(peer.dataOf(1)).toHaveLength(100);
    peer.send(windowUpdate(1, 7));
    await bench.settle();
    expect(peer.dataOf(1)).toHaveLength(107);
    peer.send(settings([4, 2_000]));
    await bench.settle();
    expect(peer.dataOf(1)).toHaveLength(1_005);
  });

  test('an end without data needs no window', async () => {
    const bench = new Bench();
    const peer = await bench.peer([4, 0]);
    peer.send(peer.call(1, '/test.Echo/Fail', Buffer.from('text')));
    await bench.settle();
    expect(peer.statusOf(1)).toEqual(['11', 'text']);
  });

  test('backlogBytes, the high-water mark and onDrain', async () => {
    const seen: string[] = [];
    let call: ServerCall | undefined;
    const methods = new Map<string, MethodHandler>([
      [
        '/test.Echo/Push',
        {
          kind: 'serverStream',
          handle: (_request, pushed) => {
            call = pushed;
            pushed.onDrain = () => seen.push(`drain at ${pushed.backlogBytes}`);
          },
        },
      ],
    ]);
    const bench = new Bench({ methods, limits: { streamBacklogHighWaterBytes: 10_000 } });
    const peer = await bench.peer([4, 0]);
    peer.send(peer.call(1, '/test.Echo/Push', Buffer.alloc(0)));
    await bench.settle();
    expect(call?.send(Buffer.alloc(6_000))).toBe(true);
    expect(call?.send(Buffer.alloc(6_000))).toBe(false);
    expect(call?.backlogBytes).toBe(12_010);
    peer.send(windowUpdate(1, 7_000));
    await bench.settle();
    expect(seen).toEqual([]);
    peer.send(windowUpdate(1, 100));
    await bench.settle();
    expect(seen).toEqual(['drain at 4910']);
    call?.end();
    peer.send(windowUpdate(1, 100_000));
    await bench.settle();
    expect(peer.statusOf(1)[0]).toBe('0');
  });
});

describe('what the server receives', () => {
  const limits = { streamWindowBytes: 70_000, connectionWindowBytes: 100_000 };

  test('the stream window is given back in steps of half a window', async () => {
    const bench = new Bench({ limits });
    const peer = await bench.peer();
    peer.send(peer.headers(1, requestHead('/test.Echo/HangStream')));
    await bench.settle();
    // Paid back from half a window on, so nothing is paid back for less.
    const chunk = data(1, Buffer.alloc(11_000));
    const bytes = grpcMessage(Buffer.alloc(0), 0, 1_000_000);
    peer.send(data(1, bytes), chunk, chunk, chunk);
    await bench.settle();
    expect(peer.frames.filter((f) => f.type === 8 && f.id === 1)).toHaveLength(0);
    peer.send(chunk);
    await bench.settle();
    expect(peer.frames.filter((f) => f.type === 8 && f.id === 1)).toHaveLength(1);
    expect(peer.resetOf(1)).toBeUndefined();
  });

  test('a paused call stops the window, another call goes on; resuming opens it again', async () => {
    const paused: ServerCall[] = [];
    const got: number[] = [];
    const methods = new Map<string, MethodHandler>([
      ...echoMethods,
      [
        '/test.Echo/Slow',
        {
          kind: 'bidi',
          handle: (call) => {
            paused.push(call);
            call.pause();
            call.onMessage = (message) => got.push(message.length);
            call.onEnd = () => call.end();
          },
        },
      ],
    ]);
    const bench = new Bench({ methods, limits });
    const peer = await bench.peer();
    peer.send(peer.headers(1, requestHead('/test.Echo/Slow')));
    for (let i = 0; i < 7; i++) peer.send(data(1, grpcMessage(Buffer.alloc(9_995))));
    await bench.settle();
    expect(peer.frames.filter((f) => f.type === 8 && f.id === 1)).toHaveLength(0);
    expect(got).toEqual([]);
    for (let id = 3; id < 43; id += 2) {
      peer.send(peer.call(id, unary, Buffer.alloc(10_000)));
      await bench.settle();
      expect(peer.statusOf(id)[0]).toBe('0');
      peer.send(windowUpdate(0, 10_005));
    }
    paused[0]?.resume();
    await bench.settle();
    expect(got).toEqual(Array.from({ length: 7 }, () => 9_995));
    expect(peer.frames.filter((f) => f.type === 8 && f.id === 1)).toHaveLength(1);
    peer.send(data(1, Buffer.alloc(0), true));
    await bench.settle();
    expect(peer.statusOf(1)[0]).toBe('0');
  });

  test('a call that pauses in the middle of a frame gets the rest later, in order', async () => {
    const got: string[] = [];
    let call: ServerCall | undefined;
    const methods = new Map<string, MethodHandler>([
      [
        '/test.Echo/OneByOne',
        {
          kind: 'bidi',
          handle: (opened) => {
            call = opened;
            opened.onMessage = (message) => {
              got.push(message.toString());
              opened.pause();
            };
            opened.onEnd = () => opened.end();
          },
        },
      ],
    ]);
    const bench = new Bench({ methods });
    const peer = await bench.peer();
    const messages = ['a', 'bb', 'ccc', 'dddd'].map((text) => grpcMessage(Buffer.from(text)));
    peer.send(peer.headers(1, requestHead('/test.Echo/OneByOne')));
    peer.send(
      data(1, Buffer.concat(messages.slice(0, 3))),
      data(1, Buffer.concat(messages.slice(3)), true),
    );
    await bench.settle();
    expect(got).toEqual(['a']);
    for (const expected of [
      ['a', 'bb'],
      ['a', 'bb', 'ccc'],
      ['a', 'bb', 'ccc', 'dddd'],
    ]) {
      call?.resume();
      expect(got).toEqual(expected);
    }
    expect(peer.statusOf(1)[0]).toBeUndefined();
    call?.resume();
    await bench.settle();
    expect(peer.statusOf(1)[0]).toBe('0');
  });

  test('more than the stream window while nobody reads: FLOW_CONTROL_ERROR', async () => {
    const methods = new Map<string, MethodHandler>([
      ['/test.Echo/Slow', { kind: 'bidi', handle: (call) => call.pause() }],
    ]);
    const bench = new Bench({ methods, limits });
    const peer = await bench.peer();
    peer.send(peer.headers(1, requestHead('/test.Echo/Slow')));
    for (let i = 0; i < 8; i++) peer.send(data(1, Buffer.alloc(10_000)));
    await bench.settle();
    expect(peer.resetOf(1)).toBe('FLOW_CONTROL_ERROR');
    expect(bench.server.streamCount).toBe(0);
  });

  test('more than the connection window: FLOW_CONTROL_ERROR for the connection', async () => {
    const methods = new Map<string, MethodHandler>([
      ['/test.Echo/Slow', { kind: 'bidi', handle: (call) => call.pause() }],
    ]);
    const bench = new Bench({ methods, limits });
    const peer = await bench.peer();
    // Paused streams hold more than one connection window: it is not renewed any more.
    for (let id = 1; id < 13; id += 2) {
      peer.send(peer.headers(id, requestHead('/test.Echo/Slow')));
      for (let i = 0; i < 6; i++) peer.send(data(id, Buffer.alloc(10_000)));
      await bench.settle();
    }
    await bench.settle(3_000);
    expect(peer.goaway).toBe('FLOW_CONTROL_ERROR');
    expect(bench.server.streamCount).toBe(0);
  });

  test('padding counts', async () => {
    const bench = new Bench({ limits });
    const peer = await bench.peer();
    peer.send(peer.headers(1, requestHead('/test.Echo/HangStream')));
    const padded = frame(0, 8, 1, Buffer.concat([Buffer.from([255]), Buffer.alloc(255)]));
    for (let i = 0; i < 137; i++) peer.send(padded);
    await bench.settle();
    expect(peer.frames.filter((f) => f.type === 8 && f.id === 1)).toHaveLength(1);
  });
});
