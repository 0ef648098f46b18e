/**
 * What one frame may cost when there are many streams. Told by what was looked at and what left,
 * not by the time it took: see docs/limits.md, "Work that grows".
 */

import { afterEach, describe, expect, test, vi } from 'vitest';
import { HeldData } from '../../src/transport/held-data.js';
import type { MethodHandler, ServerCall } from '../../src/transport/index.js';
import { Output } from '../../src/transport/output.js';
import { SendTurns } from '../../src/transport/send-turns.js';
import { Stream } from '../../src/transport/stream.js';
import { StreamTable } from '../../src/transport/stream-table.js';
import {
  Bench,
  data,
  grpcMessage,
  type RawPeer,
  requestHead,
  reset,
  settings,
  windowUpdate,
} from './support/raw-peer.js';
import { hanging } from './support/servers.js';

const unary = '/test.Echo/Unary';
const initialWindowSize = 4;

afterEach(() => {
  vi.restoreAllMocks();
  hanging.length = 0;
});

/** Opens so many calls that never end. */
async function openHanging(bench: Bench, peer: RawPeer, count: number): Promise<void> {
  const frames: Buffer[] = [];
  for (let i = 0; i < count; i++) {
    frames.push(peer.headers(2 * i + 1, requestHead('/test.Echo/HangStream')));
  }
  peer.send(...frames);
  await bench.settle();
  expect(bench.server.streamCount).toBe(count);
}

/** Opens so many calls whose answer (`bytes`) the peer's window of 0 holds back. */
async function openBlocked(bench: Bench, peer: RawPeer, count: number): Promise<void> {
  const frames: Buffer[] = [];
  for (let i = 0; i < count; i++) frames.push(peer.call(2 * i + 1, unary, Buffer.alloc(100)));
  peer.send(...frames);
  await bench.settle();
  expect(bench.server.streamCount).toBe(count);
}

/** Notes the ends of the calls, and the turns in between, as another connection's data has them. */
function watchEnds(bench: Bench): readonly string[] {
  const order: string[] = [];
  const between = (): void => {
    order.push('turn');
    if (bench.server.streamCount > 0 && order.length < 10_000) bench.clock.afterTurn(between);
  };
  for (const call of hanging) {
    call.onCancel = () => {
      if (order.length === 0) bench.clock.afterTurn(between);
      order.push('end');
    };
  }
  return order;
}

/** The largest number of calls that ended with nothing in between. */
function longestRun(order: readonly string[]): number {
  let longest = 0;
  let run = 0;
  for (const what of order) {
    run = what === 'end' ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  return longest;
}

describe('SETTINGS and many streams', () => {
  test('frames full of INITIAL_WINDOW_SIZE look at no stream, and the last value counts', async () => {
    const bench = new Bench();
    const peer = await bench.peer([initialWindowSize, 65_535]);
    await openHanging(bench, peer, 20_000);
    let looks = 0;
    const { values } = StreamTable.prototype;
    vi.spyOn(StreamTable.prototype, 'values').mockImplementation(function (this: StreamTable) {
      if (++looks > 10) throw new Error('all streams are looked at again and again');
      return values.call(this);
    });
    const full = Array.from(
      { length: 2_729 },
      (_, i) => [initialWindowSize, i % 2 === 0 ? 1 : 60_000] as const,
    );
    for (let i = 0; i < 10; i++) peer.send(settings(...full, [initialWindowSize, 20 + i]));
    await bench.settle();
    expect(looks).toBe(0);
    peer.send(peer.call(40_001, unary, Buffer.alloc(100)));
    await bench.settle();
    expect(peer.dataOf(40_001)).toHaveLength(29);
    // The windows of streams that were open before have changed in the same way.
    hanging[0]?.send(Buffer.alloc(100));
    await bench.settle();
    expect(peer.dataOf(1)).toHaveLength(29);
    expect(peer.goaway).toBeUndefined();
  });

  test('a value that the same frame replaces does nothing', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.headers(1, requestHead('/test.Echo/HangStream')), windowUpdate(1, 1_000));
    await bench.settle();
    // With the first value the window of stream 1 would be too large.
    peer.send(settings([initialWindowSize, 0x7fff_ffff], [initialWindowSize, 10]));
    await bench.settle();
    expect(peer.goaway).toBeUndefined();
    peer.send(settings([initialWindowSize, 0x7fff_ffff - 999]));
    await bench.settle();
    expect(peer.goaway).toBe('FLOW_CONTROL_ERROR');
  });

  test('a window that closed streams once had is no reason to refuse a larger one', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.headers(1, requestHead('/test.Echo/HangStream')), windowUpdate(1, 1_000));
    peer.send(reset(1), settings([initialWindowSize, 0x7fff_ffff]));
    await bench.settle();
    peer.send(peer.call(3, unary, Buffer.from('hello')));
    await bench.settle();
    expect(peer.goaway).toBeUndefined();
    expect(peer.dataOf(3)).toEqual(grpcMessage(Buffer.from('hello')));
  });

  test('windows that go up and down are charged: ENHANCE_YOUR_CALM', async () => {
    const bench = new Bench();
    const peer = await bench.peer([initialWindowSize, 0]);
    await openBlocked(bench, peer, 5_000);
    for (let i = 0; i < 200; i++) {
      // Enough for nobody: each time all of them are looked at in vain.
      peer.send(settings([initialWindowSize, 1]), settings([initialWindowSize, 0]));
    }
    await bench.settle(3_000);
    expect(peer.goaway).toBe('ENHANCE_YOUR_CALM');
    expect(peer.goawayText).toBe('too many changes of the windows');
    expect(bench.server.streamCount).toBe(0);
  });

  test('a client that raises its window as it measures its bandwidth is served', async () => {
    const bench = new Bench();
    const peer = await bench.peer([initialWindowSize, 0]);
    await openBlocked(bench, peer, 20_000);
    peer.send(windowUpdate(0, 16 << 20));
    // As grpc-go's estimator: few steps, each of them twice the last.
    for (let window = 1; window <= 128; window *= 2) {
      peer.send(settings([initialWindowSize, window]));
      await bench.settle(200);
    }
    await bench.settle(2_000);
    expect(peer.goaway).toBeUndefined();
    expect(bench.server.streamCount).toBe(0);
    expect(peer.dataOf(39_999)).toHaveLength(105);
  });

  test('what a larger window lets out leaves in portions', async () => {
    const bench = new Bench();
    const peer = await bench.peer([initialWindowSize, 0]);
    await openBlocked(bench, peer, 20_000);
    peer.send(windowUpdate(0, 16 << 20));
    await bench.settle();
    const portions: number[] = [];
    const { flush } = Output.prototype;
    vi.spyOn(Output.prototype, 'flush').mockImplementation(function (this: Output) {
      portions.push(this.bytes);
      flush.call(this);
    });
    peer.send(settings([initialWindowSize, 1]));
    await bench.settle(1_000);
    // A frame of one byte of DATA has ten; of the SETTINGS there is an acknowledgement.
    expect(Math.max(...portions)).toBeLessThanOrEqual(4_096 * 10 + 9);
    expect(peer.dataOf(1)).toHaveLength(1);
    expect(peer.dataOf(39_999)).toHaveLength(1);
  });
});

describe('many calls that end at once', () => {
  test('a lost connection ends its calls a share at a time', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    await openHanging(bench, peer, 2_500);
    const order = watchEnds(bench);
    peer.stream.destroy();
    await bench.settle(1_000);
    expect([bench.server.streamCount, bench.server.connectionCount]).toEqual([0, 0]);
    expect(order.filter((what) => what === 'end')).toHaveLength(2_500);
    expect(longestRun(order)).toBe(1_000);
  });

  test('a deadline that thousands share', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    const frames: Buffer[] = [];
    for (let i = 0; i < 2_500; i++) {
      const head = requestHead('/test.Echo/HangStream', [['grpc-timeout', '1S']]);
      frames.push(peer.headers(2 * i + 1, head));
    }
    peer.send(...frames);
    await bench.settle(900);
    const order = watchEnds(bench);
    await bench.settle(1_000);
    expect(order.filter((what) => what === 'end')).toHaveLength(2_500);
    expect(longestRun(order)).toBeLessThanOrEqual(1_000);
    expect(peer.statusOf(4_999)[0]).toBe('4');
  });
});

describe('a paused call', () => {
  test('gets what came in frames of one byte, in order', async () => {
    const got: Buffer[] = [];
    let call: ServerCall | undefined;
    const methods = new Map<string, MethodHandler>([
      [
        '/test.Echo/OneByOne',
        {
          kind: 'bidi',
          handle: (opened) => {
            call = opened;
            opened.pause();
            opened.onMessage = (message) => {
              got.push(Buffer.from(message));
              opened.pause();
            };
          },
        },
      ],
    ]);
    const bench = new Bench({ methods });
    const peer = await bench.peer();
    peer.send(peer.headers(1, requestHead('/test.Echo/OneByOne')));
    const messages = Array.from({ length: 300 }, (_, i) => Buffer.from(`message ${i}`));
    const bytes = Buffer.concat(messages.map((message) => grpcMessage(message)));
    peer.send(...[...bytes].map((byte) => data(1, Buffer.from([byte]))));
    await bench.settle();
    for (const _ of messages) call?.resume();
    expect(got).toEqual(messages);
  });

  test('that goes on with a window full of messages gets them a piece at a time', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.headers(1, requestHead('/test.Echo/HangStream')));
    await bench.settle();
    const [call] = hanging;
    if (call === undefined) throw new Error('the call was not opened');
    call.pause();
    const message = grpcMessage(Buffer.alloc(11));
    const thousand = Buffer.concat(Array.from({ length: 1_000 }, () => message));
    peer.send(...Array.from({ length: 200 }, () => data(1, thousand)));
    await bench.settle();
    let got = 0;
    call.onMessage = () => got++;
    // Each look at the clock finds that it has taken long.
    let ms = bench.clock.nowMs();
    vi.spyOn(bench.clock, 'nowMs').mockImplementation(() => (ms += 10));
    const atOnce: number[] = [];
    const turns: Array<() => void> = [];
    vi.spyOn(bench.clock, 'afterTurn').mockImplementation((fire) => void turns.push(fire));
    const run = (): void => {
      while (turns.length > 0) {
        atOnce.push(got);
        for (const fire of turns.splice(0)) fire();
      }
    };
    call.resume();
    const first = got;
    // The handler may have enough of it in between.
    call.pause();
    run();
    expect([first > 0, got]).toEqual([true, first]);
    call.resume();
    run();
    expect(got).toBe(200_000);
    expect(atOnce.length).toBeGreaterThan(40);
  });

  test('keeps a frame of one byte without a buffer of its own', () => {
    let heldBytes = 0;
    const held = new HeldData({
      countHeld: (bytes) => {
        heldBytes += bytes;
      },
    });
    const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i % 251));
    for (let i = 0; i < bytes.length; i++) held.add(bytes, i, i + 1);
    expect(heldBytes).toBe(bytes.length);
    const pieces: Buffer[] = [];
    for (let piece = held.take(); piece !== undefined; piece = held.take()) pieces.push(piece);
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
    expect(pieces.length).toBeLessThan(25);
    expect(heldBytes).toBe(0);
  });
});

describe('the turns of streams', () => {
  test('equal a model with two arrays, whatever happens in whatever order', () => {
    let seed = 7;
    const below = (limit: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % limit;
    };
    const turns = new SendTurns();
    const streams = Array.from({ length: 20 }, (_, i) => new Stream(i, 0));
    let ready: Stream[] = [];
    let blocked: Stream[] = [];
    for (let step = 0; step < 5_000; step++) {
      const stream = streams[below(streams.length)] as Stream;
      const waits = ready.includes(stream) || blocked.includes(stream);
      switch (below(4)) {
        case 0:
          turns.ready(stream);
          if (!ready.includes(stream)) ready.push(stream);
          blocked = blocked.filter((other) => other !== stream);
          break;
        case 1:
          if (waits) turns.leave(stream);
          turns.block(stream);
          ready = ready.filter((other) => other !== stream);
          blocked = [...blocked.filter((other) => other !== stream), stream];
          break;
        case 2:
          if (!waits) break;
          turns.leave(stream);
          ready = ready.filter((other) => other !== stream);
          blocked = blocked.filter((other) => other !== stream);
          break;
        default:
          if (below(4) > 0) break;
          turns.unblockAll();
          ready = [...ready, ...blocked];
          blocked = [];
      }
      const order: number[] = [];
      for (let at = turns.head; at !== undefined; at = at.nextTurn) order.push(at.id);
      expect(order).toEqual(ready.map(({ id }) => id));
      expect(turns.blockedCount).toBe(blocked.length);
    }
  });
});
