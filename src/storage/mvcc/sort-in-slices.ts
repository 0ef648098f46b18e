/**
 * A stable sort that gives way to the event loop: sorted runs, merged pair by pair. One call of
 * Array.sort for a million keys would block for more than half a second.
 */

import { type Clock, type Lane, laneTurn, mvccSliceKeysMax } from '../../common/index.js';

/** A sorted copy of `list`; no slice handles more than `mvccSliceKeysMax` elements. */
export async function sortInSlices<T>(
  list: readonly T[],
  compare: (a: T, b: T) => number,
  clock: Clock,
  lane: Lane = 'read',
): Promise<T[]> {
  let runs: T[][] = [];
  for (let i = 0; i < list.length; i += mvccSliceKeysMax) {
    if (i > 0) await laneTurn(clock, lane);
    runs.push(list.slice(i, i + mvccSliceKeysMax).sort(compare));
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let i = 0; i < runs.length; i += 2) {
      const left = runs[i] as T[];
      const right = runs[i + 1];
      merged.push(right === undefined ? left : await merge(left, right, compare, clock, lane));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

async function merge<T>(
  left: readonly T[],
  right: readonly T[],
  compare: (a: T, b: T) => number,
  clock: Clock,
  lane: Lane,
): Promise<T[]> {
  const result: T[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    const takeLeft =
      j >= right.length || (i < left.length && compare(left[i] as T, right[j] as T) <= 0);
    if (takeLeft) {
      result.push(left[i] as T);
      i += 1;
    } else {
      result.push(right[j] as T);
      j += 1;
    }
    if (result.length % mvccSliceKeysMax === 0) await laneTurn(clock, lane);
  }
  return result;
}
