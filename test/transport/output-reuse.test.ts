/**
 * Buffers of the transport are used again: nobody must ever be sent, or given, bytes of somebody
 * else, however slowly the kernel takes what is written; and in a steady state none are made.
 */

import { describe, expect, test } from 'vitest';
import type { ByteStream, ByteStreamHandler } from '../../src/common/index.js';
import { encodeEvent, encodeWatchResponse } from '../../src/proto/index.js';
import { nodeNetwork } from '../../src/server/platform/index.js';
import { SimClock, SimRandom } from '../../src/sim/index.js';
import { copyBytesMax } from '../../src/transport/limits.js';
import { Output } from '../../src/transport/output.js';
import { SegmentPool, segmentPoolOf } from '../../src/transport/segment-pool.js';
import { Bench, type RawPeer } from './support/raw-peer.js';

/** A socket that looks at what was written only when the test says that the kernel takes it. */
class LazyStream implements ByteStream {
  readonly remoteAddress = 'lazy';
  readonly alpnProtocol = '';
  readonly identity = { commonName: '', certificateVerified: false };
  readonly taken: Buffer[] = [];
  writes = 0;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  /** The kernel takes so many bytes of what was written, as they are now. */
  take(bytes: number): void {
    let left = Math.min(bytes, this.#bytes);
    this.#bytes -= left;
    while (left > 0) {
      const chunk = this.#chunks.shift() as Uint8Array;
      const part = chunk.subarray(0, left);
      this.taken.push(Buffer.from(part));
      left -= part.length;
      if (part.length < chunk.length) this.#chunks.unshift(chunk.subarray(part.length));
    }
  }

  write(chunk: Uint8Array): boolean {
    this.writes += 1;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    return true;
  }

  backlogBytes(): number {
    return this.#bytes;
  }

  setHandler(_handler: ByteStreamHandler): void {}
  cork(): void {}
  uncork(): void {}
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
}

/** A connection, and what it should have sent. */
interface Subject {
  readonly stream: LazyStream;
  readonly output: Output;
  readonly expected: Buffer[];
}

function subject(pool: SegmentPool): Subject {
  const stream = new LazyStream();
  return { stream, output: new Output(stream, pool), expected: [] };
}

/** Adds bytes that no other call adds. */
function say(
  { output, expected }: Subject,
  random: SimRandom,
  bytesMax: number,
  byReference: boolean,
): void {
  const bytes = Buffer.alloc(1 + (random.u32() % bytesMax));
  let value = 0;
  for (let i = 0; i < bytes.length; i += 1) {
    if (i % 4 === 0) value = random.u32();
    bytes[i] = value >>> (8 * (i % 4));
  }
  expected.push(bytes);
  if (byReference) output.reference(bytes);
  else output.copy(bytes);
}

describe('segments of the output', () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    test(`are not used again before the kernel has taken them (seed ${seed})`, async () => {
      const random = new SimRandom(seed);
      const clock = new SimClock();
      const pool = new SegmentPool(clock);
      const all = Array.from({ length: 1 + (random.u32() % 6) }, () => subject(pool));
      const patience = random.u32() % 4;
      for (let step = 0; step < 400; step += 1) {
        const one = all[random.u32() % all.length] as Subject;
        const kind = random.u32() % 16;
        if (kind < 6) say(one, random, 200, false);
        else if (kind < 8) say(one, random, 20_000, false);
        else if (kind < 9) say(one, random, 20_000, true);
        else if (kind < 13) {
          one.output.flush();
          if (patience === 0) one.stream.take(Number.MAX_SAFE_INTEGER);
        } else if (kind < 15) one.stream.take(random.u32() % (2_000 << (2 * patience)));
        else await clock.run(clock.nowMs() + (random.u32() % 3_000));
      }
      for (const { stream, output, expected } of all) {
        output.flush();
        stream.take(Number.MAX_SAFE_INTEGER);
        expect(Buffer.concat(stream.taken).equals(Buffer.concat(expected))).toBe(true);
      }
      expect(pool.takenCount).toBeGreaterThan(0);
    });
  }

  test('are used again, and given back when idle, also by who has nothing more to say', async () => {
    const clock = new SimClock();
    const pool = new SegmentPool(clock);
    const all = Array.from({ length: 100 }, () => subject(pool));
    const message = Buffer.alloc(6_300);
    const turn = (): void => {
      for (const { output } of all) output.copy(message);
      for (const { output } of all) output.flush();
    };
    const settle = (): void => {
      for (const { stream } of all) stream.take(Number.MAX_SAFE_INTEGER);
    };
    for (let i = 0; i < 10; i += 1) {
      turn();
      settle();
    }
    const { madeCount, takenCount } = pool;
    for (let i = 0; i < 100; i += 1) {
      turn();
      settle();
    }
    expect(pool.madeCount - madeCount).toBe(0);
    expect(pool.takenCount - takenCount).toBeGreaterThan(1_000);
    await clock.run(clock.nowMs() + 30_000);
    expect(pool.freeBytes).toBe(0);
    for (const { output } of all) expect(output.buffer.length).toBe(0);
  });

  test('one write has all that fits a segment, the large pieces by themselves', () => {
    const pool = new SegmentPool(new SimClock());
    const one = subject(pool);
    for (let i = 0; i < 20; i += 1) one.output.copy(Buffer.alloc(3_000, i));
    one.output.flush();
    expect(one.stream.writes).toBe(1);
    one.stream.take(Number.MAX_SAFE_INTEGER);
    one.output.copy(Buffer.alloc(9));
    one.output.reference(Buffer.alloc(copyBytesMax + 1));
    one.output.flush();
    expect(one.stream.writes).toBe(3);
  });

  test('of a connection that is closed are left to who still has them', async () => {
    const clock = new SimClock();
    const pool = new SegmentPool(clock);
    const slow = subject(pool);
    say(slow, new SimRandom(1), 1_000, false);
    slow.output.flush();
    slow.output.clear();
    const fast = subject(pool);
    for (let i = 0; i < 20; i += 1) {
      fast.output.copy(Buffer.alloc(1_000, 0xff));
      fast.output.flush();
      fast.stream.take(Number.MAX_SAFE_INTEGER);
      await clock.run(clock.nowMs() + 4_000);
    }
    slow.stream.take(Number.MAX_SAFE_INTEGER);
    expect(Buffer.concat(slow.stream.taken)).toEqual(Buffer.concat(slow.expected));
  });
});

describe('in a steady state', () => {
  test('answers to a hundred connections need no new buffers', async () => {
    const bench = new Bench();
    const pool = segmentPoolOf(bench.clock);
    const peers: RawPeer[] = [];
    for (let i = 0; i < 100; i += 1) peers.push(await bench.peer());
    const round = async (id: number): Promise<void> => {
      for (const peer of peers) peer.send(peer.call(id, '/test.Echo/Unary', Buffer.alloc(200, id)));
      await bench.settle();
    };
    let id = 1;
    for (; id < 20; id += 2) await round(id);
    const { madeCount } = pool;
    for (; id < 60; id += 2) await round(id);
    // 2000 answers; it is chance how many are under way at once.
    expect(pool.madeCount - madeCount).toBeLessThan(10);
    for (const peer of peers) expect(peer.statusOf(id - 2)[0]).toBe('0');
  });

  test('an event is encoded once, whoever gets it', () => {
    const event = encodeEvent('put', Buffer.alloc(3_000, 1), Buffer.alloc(3_000, 2));
    const header = Buffer.from('0a021801', 'hex');
    for (let watchId = 0; watchId < 3; watchId += 1) {
      const parts = encodeWatchResponse({ header, watchId }, [event, event]);
      expect(parts[parts.length - 1]).toBe(event);
      expect(parts[parts.length - 2]).toBe(event);
      const head = parts.slice(0, -2).reduce((sum, part) => sum + part.length, 0);
      expect(head).toBeLessThan(32);
    }
  });
});

describe('sockets', () => {
  test('read into one buffer, accepted or dialled; early bytes and an early end are kept', async () => {
    const memory = new Set<ArrayBufferLike>();
    const texts: string[] = [];
    let ends = 0;
    const handler = (at: number): ByteStreamHandler => ({
      onData(chunk) {
        memory.add(chunk.buffer);
        texts[at] = (texts[at] ?? '') + chunk.toString('latin1');
      },
      onEnd() {
        ends += 1;
      },
      onDrain() {},
      onClose() {},
    });
    const accepted: ByteStream[] = [];
    const listener = await nodeNetwork.listen({ host: '127.0.0.1', port: 0 }, undefined, (one) => {
      one.setHandler(handler(accepted.push(one)));
      one.write(Buffer.from('early '));
    });
    const until = async (done: () => boolean): Promise<void> => {
      while (!done()) await new Promise((resolve) => setImmediate(resolve));
    };
    const one = await nodeNetwork.connect(listener.address, undefined, 5_000);
    const two = await nodeNetwork.connect(listener.address, undefined, 5_000);
    await until(() => accepted.length === 2);
    accepted[1]?.end();
    await new Promise((resolve) => setTimeout(resolve, 20));
    one.setHandler(handler(3));
    two.setHandler(handler(4));
    await until(() => texts[3] === 'early ' && texts[4] === 'early ' && ends === 1);
    one.write(Buffer.from('a'));
    two.write(Buffer.from('b'));
    accepted[0]?.write(Buffer.from('late'));
    await until(() => texts[1] === 'a' && texts[2] === 'b' && texts[3] === 'early late');
    // What came early is a copy; all the rest came by way of one buffer.
    memory.clear();
    one.write(Buffer.from('a'));
    two.write(Buffer.from('b'));
    accepted[0]?.write(Buffer.from('r'));
    await until(() => texts[1] === 'aa' && texts[2] === 'bb' && texts[3] === 'early later');
    expect(memory.size).toBe(1);
    one.destroy();
    two.destroy();
    await listener.close();
  });
});
