/**
 * What all permissions of a user cover together, for one kind of access: ranges that touch or
 * overlap are joined, so that a request which spans two grants is one question. Sorted, apart from
 * each other, and not changed any more: a check is a binary search.
 */

import type { KeyString } from '../../common/index.js';

/** A range as requests write it: rangeEnd '' is one key, a zero byte is all from `key` on. */
export interface KeyRange {
  readonly key: KeyString;
  readonly rangeEnd: KeyString;
}

/** The end of a range that has none: '' is no key, so no end of another range either. */
const openEnd: KeyString = '';
/** In requests and permissions: all keys from the first on. */
const fromKey: KeyString = '\0';

/** The first key behind the range; {@link openEnd}: there is none. */
function endOf({ key, rangeEnd }: KeyRange): KeyString {
  if (rangeEnd === '') return `${key}\0`;
  return rangeEnd === fromKey ? openEnd : rangeEnd;
}

/** Whether the end `a` is behind the end `b`. */
function isBehind(a: KeyString, b: KeyString): boolean {
  if (b === openEnd) return false;
  return a === openEnd || a > b;
}

export class Coverage {
  /** The joined ranges, in order: [starts[i], ends[i]). */
  readonly #starts: KeyString[] = [];
  readonly #ends: KeyString[] = [];

  /** Adds a range that begins at or behind the start of the last one added. */
  add(range: KeyRange): void {
    const end = endOf(range);
    const last = this.#starts.length - 1;
    const lastEnd = this.#ends[last];
    if (lastEnd === undefined || (lastEnd !== openEnd && range.key > lastEnd)) {
      this.#starts.push(range.key);
      this.#ends.push(end);
    } else if (isBehind(end, lastEnd)) this.#ends[last] = end;
  }

  /** Number of ranges that are apart from each other. */
  get size(): number {
    return this.#starts.length;
  }

  /** Whether all keys from `key` to `rangeEnd` (as in requests) are in it. */
  covers(key: KeyString, rangeEnd: KeyString): boolean {
    const place = this.#lastFrom(key);
    if (place < 0) return false;
    const end = this.#ends[place] as KeyString;
    if (end === openEnd) return true;
    // A single key: the range that begins at or before it has to go on beyond it.
    if (rangeEnd === '') return key < end;
    return rangeEnd !== fromKey && key < end && rangeEnd <= end;
  }

  /** The last range that begins at or before `key`; -1: none does. */
  #lastFrom(key: KeyString): number {
    const starts = this.#starts;
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((starts[middle] as KeyString) <= key) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
