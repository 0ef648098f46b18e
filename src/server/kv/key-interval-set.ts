/**
 * A set of keys given as half-open intervals. Small and short-lived: it serves the duplicate-key
 * check of one transaction, where a comparison of each put with each delete, or a sorted list that
 * is added to one by one, would let one request of legal size hold the event loop.
 *
 * Kept as sorted lists of disjoint intervals whose sizes are powers of two, at most one of each: an
 * addition merges lists of the same size (Bentley and Saxe 1980, the logarithmic method), so n
 * additions in any order take n log n steps.
 */

import type { KeyString } from '../../common/index.js';

/** Disjoint, sorted intervals [start, end): starts and ends in turn. */
type Run = readonly KeyString[];

/** The union of intervals. */
export class KeyIntervalSet {
  /** `#runs[i]` stands for up to 2^i intervals; undefined: none. */
  readonly #runs: Array<Run | undefined> = [];

  /** Adds [start, end); does nothing if it is empty. */
  add(start: KeyString, end: KeyString): void {
    if (end <= start) return;
    this.#addRun([start, end], 0);
  }

  addAll(other: KeyIntervalSet): void {
    for (const [level, run] of other.#runs.entries()) {
      if (run !== undefined) this.#addRun(run, level);
    }
  }

  has(key: KeyString): boolean {
    return this.#runs.some((run) => run !== undefined && contains(run, key));
  }

  #addRun(run: Run, level: number): void {
    let at = level;
    let merged = run;
    for (let same = this.#runs[at]; same !== undefined; same = this.#runs[at]) {
      merged = merge(same, merged);
      this.#runs[at] = undefined;
      at += 1;
    }
    this.#runs[at] = merged;
  }
}

/** The union of two runs; intervals that touch become one. */
function merge(a: Run, b: Run): Run {
  const merged: KeyString[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const fromA = j >= b.length || (i < a.length && at(a, i) <= at(b, j));
    const [start, end] = fromA ? [at(a, i), at(a, i + 1)] : [at(b, j), at(b, j + 1)];
    if (fromA) i += 2;
    else j += 2;
    const last = merged.length - 1;
    if (last < 0 || at(merged, last) < start) merged.push(start, end);
    else if (at(merged, last) < end) merged[last] = end;
  }
  return merged;
}

function contains(run: Run, key: KeyString): boolean {
  // The last interval that starts at or before the key.
  let low = 0;
  let high = run.length / 2;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (at(run, middle * 2) <= key) low = middle + 1;
    else high = middle;
  }
  return low > 0 && key < at(run, low * 2 - 1);
}

function at(run: Run, i: number): KeyString {
  return run[i] as KeyString;
}
