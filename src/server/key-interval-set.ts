/**
 * A set of keys given as half-open intervals, kept as a sorted list of disjoint intervals. Small
 * and short-lived: it serves the duplicate-key check of one transaction, where a quadratic
 * comparison of puts with deletes would let one request of legal size hold the event loop.
 */

import type { KeyString } from '../common/index.js';

/** Disjoint, sorted intervals [start, end). */
export class KeyIntervalSet {
  readonly #starts: KeyString[] = [];
  readonly #ends: KeyString[] = [];

  /** Adds [start, end); does nothing if it is empty. */
  add(start: KeyString, end: KeyString): void {
    if (end <= start) return;
    // The first interval that ends at or after `start`, and the first that begins after `end`.
    const from = lowerBound(this.#ends, start);
    let to = from;
    let mergedStart = start;
    let mergedEnd = end;
    for (; to < this.#starts.length; to++) {
      const intervalStart = this.#starts[to];
      const intervalEnd = this.#ends[to];
      if (intervalStart === undefined || intervalEnd === undefined || intervalStart > end) break;
      if (intervalStart < mergedStart) mergedStart = intervalStart;
      if (intervalEnd > mergedEnd) mergedEnd = intervalEnd;
    }
    this.#starts.splice(from, to - from, mergedStart);
    this.#ends.splice(from, to - from, mergedEnd);
  }

  addAll(other: KeyIntervalSet): void {
    for (let i = 0; i < other.#starts.length; i++) {
      this.add(other.#starts[i] ?? '', other.#ends[i] ?? '');
    }
  }

  has(key: KeyString): boolean {
    const at = lowerBound(this.#ends, `${key}\0`);
    const start = this.#starts[at];
    return start !== undefined && start <= key;
  }
}

/** Index of the first element >= `value`. */
function lowerBound(sorted: readonly KeyString[], value: KeyString): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? '') < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
