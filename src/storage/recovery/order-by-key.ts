/**
 * Sorts items by key, those of one key staying in their order. Sorting strings by comparison costs
 * twenty cache misses each; here most of the work is a native sort of 64-bit numbers, made of the
 * five bytes that follow what all keys share, and of the position.
 */

import { assert, type KeyString } from '../../common/index.js';
import type { KeyItem } from '../index/index.js';

/** Fewer are sorted by insertion. */
const smallMax = 16;
/** Keys that are alike for longer are compared as strings. */
const depthMax = 24;

/** Positions in `items`, in order; there must be less than 2^24. */
export function orderByKey(items: readonly KeyItem[]): Uint32Array {
  assert(items.length < 1 << 24, 'positions fit beside the head of a key');
  const order = new Uint32Array(items.length);
  for (let i = 0; i < order.length; i += 1) order[i] = i;
  sortPart(items, order, 0, order.length, 0, 0);
  return order;
}

/** Sorts order[from, to): keys that agree in their first `skip` bytes, positions ascending. */
function sortPart(
  items: readonly KeyItem[],
  order: Uint32Array,
  from: number,
  to: number,
  skip: number,
  depth: number,
): void {
  if (to - from <= smallMax) {
    sortSmall(items, order, from, to);
    return;
  }
  if (depth > depthMax) {
    sortByComparison(items, order, from, to);
    return;
  }
  const part = order.slice(from, to);
  const shared = sharedBytes(items, part, skip);
  if (shared === undefined) return;
  // Little-endian, as is every machine that Node runs on here: the low half comes first.
  const words = new BigUint64Array(part.length);
  const halves = new Uint32Array(words.buffer);
  for (let i = 0; i < part.length; i += 1) {
    const key = keyAt(items, part, i);
    halves[i * 2 + 1] = headOf(key, shared);
    halves[i * 2] = (byteAt(key, shared + 4) << 24) | i;
  }
  words.sort();
  for (let i = 0; i < part.length; i += 1) {
    order[from + i] = part[(halves[i * 2] as number) & 0xff_ffff] as number;
  }
  let start = 0;
  for (let i = 1; i <= part.length; i += 1) {
    if (i < part.length && isSameHead(halves, i, start)) continue;
    if (i - start > 1) {
      sortPart(items, order, from + start, from + i, shared, depth + 1);
    }
    start = i;
  }
}

function isSameHead(halves: Uint32Array, a: number, b: number): boolean {
  return (
    halves[a * 2 + 1] === halves[b * 2 + 1] &&
    (halves[a * 2] as number) >>> 24 === (halves[b * 2] as number) >>> 24
  );
}

function sortSmall(items: readonly KeyItem[], order: Uint32Array, from: number, to: number): void {
  for (let i = from + 1; i < to; i += 1) {
    const position = order[i] as number;
    const key = keyAt(items, order, i);
    let at = i;
    while (at > from && keyAt(items, order, at - 1) > key) {
      order[at] = order[at - 1] as number;
      at -= 1;
    }
    order[at] = position;
  }
}

function sortByComparison(
  items: readonly KeyItem[],
  order: Uint32Array,
  from: number,
  to: number,
): void {
  const part = Array.from(order.subarray(from, to));
  const keyOf = (position: number): KeyString => (items[position] as KeyItem).key;
  part.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : a - b));
  order.set(part, from);
}

/** How many first bytes all keys share, at least `skip`; undefined if they are all the same. */
function sharedBytes(
  items: readonly KeyItem[],
  part: Uint32Array,
  skip: number,
): number | undefined {
  const first = keyAt(items, part, 0);
  let shared = first.length;
  let same = true;
  for (let i = 1; i < part.length; i += 1) {
    const key = keyAt(items, part, i);
    if (same && key === first) continue;
    same = false;
    const end = Math.min(shared, key.length);
    let at = Math.min(skip, end);
    while (at < end && key.charCodeAt(at) === first.charCodeAt(at)) at += 1;
    shared = at;
  }
  return same ? undefined : shared;
}

function keyAt(items: readonly KeyItem[], order: Uint32Array, i: number): KeyString {
  return (items[order[i] as number] as KeyItem).key;
}

/** Four bytes from `at` on as one number, missing ones as zero. */
function headOf(key: KeyString, at: number): number {
  if (at + 4 <= key.length) {
    return (
      (key.charCodeAt(at) << 24) |
      (key.charCodeAt(at + 1) << 16) |
      (key.charCodeAt(at + 2) << 8) |
      key.charCodeAt(at + 3)
    );
  }
  let head = 0;
  for (let i = at; i < key.length; i += 1) head |= key.charCodeAt(i) << (24 - 8 * (i - at));
  return head;
}

function byteAt(key: KeyString, at: number): number {
  return at < key.length ? key.charCodeAt(at) : 0;
}
