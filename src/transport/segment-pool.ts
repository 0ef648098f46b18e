/**
 * Buffers for what connections are about to write, shared by all connections of an event loop: one
 * that has something to say takes a segment, and gives it back when the kernel has taken the bytes,
 * as a rule within the same turn. A buffer of its own for each write was most of what the collector
 * had to look after (docs/adr/0010-buffers-and-syscalls.md).
 *
 * Who gives a segment back vouches that nobody looks at its bytes any more: the next connection
 * writes over them.
 */

import { assert, type Clock } from '../common/index.js';
import { segmentBytesMax, segmentBytesMin, segmentsFreeBytesMax } from './limits.js';

/** How often half of the segments that nobody needed meanwhile are let go. */
const trimMs = 2_000;

/** Who has given something to the network that was not taken at once. */
export interface SegmentUser {
  /** Looks whether it has been taken meanwhile; false: some of it has not. */
  settle(): boolean;
}

/** Free segments of one size. */
interface SizeClass {
  readonly bytes: number;
  readonly free: Buffer[];
  /** As many were free all the time since the last trim. */
  idle: number;
}

/** One for each event loop. */
export class SegmentPool {
  /** Segments made, and times that one was handed out: the difference was reused. */
  madeCount = 0;
  takenCount = 0;
  readonly #clock: Clock;
  readonly #classes: SizeClass[] = [];
  readonly #unsettled = new Set<SegmentUser>();
  #freeBytes = 0;
  #isTrimming = false;
  readonly #trim = (): void => this.#trimNow();

  constructor(clock: Clock) {
    this.#clock = clock;
    for (let bytes = segmentBytesMin; bytes <= segmentBytesMax; bytes *= 2) {
      this.#classes.push({ bytes, free: [], idle: 0 });
    }
  }

  /** Bytes of segments that nobody uses. */
  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** A segment of at least `bytes`, with anything in it. The caller's until it is given back. */
  take(bytes: number): Buffer {
    this.takenCount += 1;
    const size = this.#classOf(bytes);
    const segment = size?.free.pop();
    if (size === undefined || segment === undefined) {
      this.madeCount += 1;
      return Buffer.allocUnsafeSlow(size?.bytes ?? bytes);
    }
    this.#freeBytes -= size.bytes;
    if (size.free.length < size.idle) size.idle = size.free.length;
    return segment;
  }

  /** Nobody uses the segment any more. */
  give(segment: Buffer): void {
    const size = this.#classOf(segment.length);
    // Not one that was made for something larger than any of ours.
    if (size === undefined || size.bytes !== segment.length) return;
    if (this.#freeBytes + size.bytes > segmentsFreeBytesMax) return;
    this.#freeBytes += size.bytes;
    size.free.push(segment);
    this.#trimLater();
  }

  /** Looks after `user` until all that it wrote is taken, should it have nothing more to write. */
  watch(user: SegmentUser): void {
    this.#unsettled.add(user);
    this.#trimLater();
  }

  unwatch(user: SegmentUser): void {
    this.#unsettled.delete(user);
  }

  #classOf(bytes: number): SizeClass | undefined {
    let i = 0;
    while (i < this.#classes.length && (this.#classes[i] as SizeClass).bytes < bytes) i += 1;
    return this.#classes[i];
  }

  #trimLater(): void {
    if (this.#isTrimming) return;
    this.#isTrimming = true;
    this.#clock.after(trimMs, this.#trim);
  }

  #trimNow(): void {
    this.#isTrimming = false;
    for (const user of this.#unsettled) if (user.settle()) this.#unsettled.delete(user);
    for (const size of this.#classes) {
      assert(size.idle <= size.free.length, 'what was free all the time is free');
      const count = Math.ceil(size.idle / 2);
      size.free.length -= count;
      this.#freeBytes -= count * size.bytes;
      size.idle = size.free.length;
    }
    if (this.#freeBytes > 0 || this.#unsettled.size > 0) this.#trimLater();
  }
}

const pools = new WeakMap<Clock, SegmentPool>();

/** The pool that everything on this clock shares. */
export function segmentPoolOf(clock: Clock): SegmentPool {
  let pool = pools.get(clock);
  if (pool === undefined) {
    pool = new SegmentPool(clock);
    pools.set(clock, pool);
  }
  return pool;
}
