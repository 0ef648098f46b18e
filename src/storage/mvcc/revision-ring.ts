/**
 * The recent revisions in order and where their records are: what the flush writes next, what
 * watchers catch up from and what reads of a recent old revision use. Three columns instead of an
 * object each: it holds a million entries when records are small.
 */

import { assert, type Revision } from '../../common/index.js';
import { noLocation } from '../index/index.js';

/** A queue of (main, sub, location) in ascending order; positions count from the process start. */
export class RevisionRing {
  #mains = new Float64Array(1024);
  #subs = new Float64Array(1024);
  #locations = new Float64Array(1024);
  #mask = 1023;
  #head = 0;
  #tail = 0;

  /** Position of the oldest entry, and after the newest. */
  get start(): number {
    return this.#head;
  }

  get end(): number {
    return this.#tail;
  }

  push(main: Revision, sub: number, location: number): void {
    if (this.#tail - this.#head > this.#mask) this.#double();
    const i = this.#tail & this.#mask;
    this.#mains[i] = main;
    this.#subs[i] = sub;
    this.#locations[i] = location;
    this.#tail += 1;
  }

  main(position: number): Revision {
    return this.#mains[position & this.#mask] as number;
  }

  sub(position: number): number {
    return this.#subs[position & this.#mask] as number;
  }

  location(position: number): number {
    return this.#locations[position & this.#mask] as number;
  }

  /** Forgets entries whose record left memory: those in front of `location`. */
  dropBefore(location: number): void {
    while (this.#head < this.#tail && this.location(this.#head) < location) this.#head += 1;
  }

  /** Location of exactly this revision, or `noLocation`. */
  find(main: Revision, sub: number): number {
    const p = this.lowerBound(main, sub);
    if (p === this.#tail || this.main(p) !== main || this.sub(p) !== sub) return noLocation;
    return this.location(p);
  }

  /** Position of the first entry at or after (main, sub). */
  lowerBound(main: Revision, sub: number): number {
    let low = this.#head;
    let high = this.#tail;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const m = this.main(middle);
      if (m < main || (m === main && this.sub(middle) < sub)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The oldest revision that is here completely; undefined if the ring is empty. */
  firstComplete(): Revision | undefined {
    if (this.#head === this.#tail) return undefined;
    return this.sub(this.#head) === 0 ? this.main(this.#head) : this.main(this.#head) + 1;
  }

  #double(): void {
    const size = (this.#mask + 1) * 2;
    assert(size <= 2 ** 30, 'the ring of revisions stays addressable');
    const mains = new Float64Array(size);
    const subs = new Float64Array(size);
    const locations = new Float64Array(size);
    for (let p = this.#head; p < this.#tail; p += 1) {
      const to = p & (size - 1);
      mains[to] = this.main(p);
      subs[to] = this.sub(p);
      locations[to] = this.location(p);
    }
    this.#mains = mains;
    this.#subs = subs;
    this.#locations = locations;
    this.#mask = size - 1;
  }
}
