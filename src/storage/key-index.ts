/**
 * All keys in order: a B+tree of latin1 strings. Every node counts the living keys below it, so
 * that the number of keys in a range at the present revision costs two descents, whatever its size.
 *
 * Own code because nothing ready-made keeps such counts, and because this is most of the memory of
 * the store: leaves are two plain arrays, and full ones if keys arrive in order. Leaves are not
 * linked: a walk descends again for each leaf, which costs little and lets the tree change between
 * two slices of a walk. Nodes are merged when they get small, only compaction removes keys.
 */

import { assert, type KeyString } from '../common/index.js';
import type { KeyItem } from './key-index-item.js';

/** Most keys of a node. */
export const order = 64;
const mergeBelow = order / 4;

/** The lowest level. */
export interface Leaf {
  readonly leaf: true;
  readonly keys: KeyString[];
  readonly items: KeyItem[];
  live: number;
}

/** A level above. */
export interface Inner {
  readonly leaf: false;
  /** `keys[i]` <= every key of `kids[i + 1]`, and > every key of `kids[i]`. */
  readonly keys: KeyString[];
  readonly kids: Node[];
  live: number;
}

export type Node = Leaf | Inner;

/** Stops a walk by returning false. */
export type VisitItem = (key: KeyString, item: KeyItem) => boolean;

/** The ordered map from key to item. */
export class KeyIndex {
  private root: Node = { leaf: true, keys: [], items: [], live: 0 };
  private total = 0;
  /**
   * Path of the last {@link locate}: the inner nodes from the root, and the child taken in each.
   */
  private readonly path: Inner[] = [];
  private readonly taken: number[] = [];
  private depth = 0;
  private leafAt: Leaf = this.root as Leaf;
  private slot = 0;

  /** Keys, dead ones included. */
  get size(): number {
    return this.total;
  }

  /** Living keys. */
  get live(): number {
    return this.root.live;
  }

  get(key: KeyString): KeyItem | undefined {
    let node = this.root;
    while (!node.leaf) node = node.kids[upperBound(node.keys, key)] as Node;
    const i = lowerBound(node.keys, key);
    return i < node.keys.length && node.keys[i] === key ? node.items[i] : undefined;
  }

  /** As {@link get}, and remembers the place for `insertHere` and `adjustHere`. */
  locate(key: KeyString): KeyItem | undefined {
    let node = this.root;
    let depth = 0;
    while (!node.leaf) {
      const i = upperBound(node.keys, key);
      this.path[depth] = node;
      this.taken[depth] = i;
      depth += 1;
      node = node.kids[i] as Node;
    }
    const i = lowerBound(node.keys, key);
    this.depth = depth;
    this.leafAt = node;
    this.slot = i;
    return i < node.keys.length && node.keys[i] === key ? node.items[i] : undefined;
  }

  /** Adds `item` under the key that the last call, a `locate`, did not find. */
  insertHere(key: KeyString, item: KeyItem): void {
    const leaf = this.leafAt;
    const at = this.slot;
    assert(at >= leaf.keys.length || leaf.keys[at] !== key, 'an inserted key is new');
    insertAt(leaf.keys, at, key);
    insertAt(leaf.items, at, item);
    this.total += 1;
    if (!item.dead) this.adjustHere(1);
    if (leaf.keys.length > order) this.splitUpwards(leaf, at === leaf.keys.length - 1);
  }

  /** The key that the last call, a `locate`, found has come to life (1) or died (-1). */
  adjustHere(by: 1 | -1): void {
    this.leafAt.live += by;
    for (let d = 0; d < this.depth; d += 1) (this.path[d] as Inner).live += by;
  }

  /** Removes a dead key for good. */
  remove(key: KeyString): void {
    const item = this.locate(key);
    assert(item?.dead === true, 'only a dead key is removed from the index');
    this.leafAt.keys.splice(this.slot, 1);
    this.leafAt.items.splice(this.slot, 1);
    this.total -= 1;
    let node: Node = this.leafAt;
    for (let d = this.depth - 1; d >= 0 && node.keys.length < mergeBelow; d -= 1) {
      const parent = this.path[d] as Inner;
      mergeChild(parent, this.taken[d] as number);
      node = parent;
    }
    while (!this.root.leaf && this.root.kids.length === 1) this.root = this.root.kids[0] as Node;
  }

  /** Living keys below `key`; all of them for undefined. */
  rank(key: KeyString | undefined): number {
    if (key === undefined) return this.root.live;
    let node = this.root;
    let rank = 0;
    while (!node.leaf) {
      const i = upperBound(node.keys, key);
      for (let k = 0; k < i; k += 1) rank += (node.kids[k] as Node).live;
      node = node.kids[i] as Node;
    }
    const end = lowerBound(node.keys, key);
    for (let i = 0; i < end; i += 1) if (!(node.items[i] as KeyItem).dead) rank += 1;
    return rank;
  }

  /** Living keys in [start, end). */
  count(start: KeyString, end: KeyString | undefined): number {
    if (end !== undefined && end <= start) return 0;
    return this.rank(end) - this.rank(start);
  }

  /** The living key with `rank` living keys below it. */
  select(rank: number): KeyString {
    assert(rank >= 0 && rank < this.root.live, 'a rank is below the number of living keys');
    let node = this.root;
    let left = rank;
    while (!node.leaf) {
      let i = 0;
      for (; left >= (node.kids[i] as Node).live; i += 1) left -= (node.kids[i] as Node).live;
      node = node.kids[i] as Node;
    }
    for (let i = 0; ; i += 1) {
      if ((node.items[i] as KeyItem).dead) continue;
      if (left === 0) return node.keys[i] as KeyString;
      left -= 1;
    }
  }

  /**
   * Visits the keys of [start, end) in order, dead ones included, `max` at the most. Returns the
   * key to go on from, or undefined at the end. The tree must not change during the call.
   */
  walk(
    start: KeyString,
    end: KeyString | undefined,
    max: number,
    visit: VisitItem,
  ): KeyString | undefined {
    let from = start;
    let left = max;
    for (;;) {
      let node = this.root;
      let next: KeyString | undefined;
      while (!node.leaf) {
        const i = upperBound(node.keys, from);
        if (i < node.keys.length) next = node.keys[i];
        node = node.kids[i] as Node;
      }
      for (let i = lowerBound(node.keys, from); i < node.keys.length; i += 1) {
        const key = node.keys[i] as KeyString;
        if (end !== undefined && key >= end) return undefined;
        if (left === 0) return key;
        left -= 1;
        if (!visit(key, node.items[i] as KeyItem)) return `${key}\0`;
      }
      if (next === undefined || (end !== undefined && next >= end)) return undefined;
      from = next;
    }
  }

  /** Takes over a tree that was built in order; this one must be empty. */
  adopt(built: { readonly size: number; finish(): Node }): void {
    assert(this.total === 0, 'only an empty index takes over a tree');
    this.total = built.size;
    this.root = built.finish();
  }

  /** Checks every invariant of the tree; for tests. */
  verify(): void {
    let previous: KeyString | undefined;
    let seen = 0;
    const check = (node: Node): number => {
      let live = 0;
      if (node.leaf) {
        for (const [i, key] of node.keys.entries()) {
          assert(previous === undefined || previous < key, 'keys ascend');
          previous = key;
          seen += 1;
          if (!(node.items[i] as KeyItem).dead) live += 1;
        }
      } else {
        assert(node.kids.length === node.keys.length + 1, 'one separator between two children');
        for (const kid of node.kids) live += check(kid);
      }
      assert(node.keys.length <= order, 'no node is overfull');
      assert(live === node.live, 'live counts are right');
      return live;
    };
    check(this.root);
    assert(seen === this.total, 'the number of keys is right');
  }

  /** Splits from the leaf up. A key added at the very end leaves the left node full. */
  private splitUpwards(leaf: Leaf, atEnd: boolean): void {
    let left: Node = leaf;
    for (let d = this.depth - 1; ; d -= 1) {
      const cut = atEnd ? left.keys.length - 1 : left.keys.length >>> 1;
      let separator: KeyString;
      let right: Node;
      if (left.leaf) {
        right = { leaf: true, keys: left.keys.splice(cut), items: left.items.splice(cut), live: 0 };
        separator = right.keys[0] as KeyString;
      } else {
        const keys = left.keys.splice(cut);
        separator = keys.shift() as KeyString;
        right = { leaf: false, keys, kids: left.kids.splice(cut + 1), live: 0 };
      }
      right.live = countLive(right);
      left.live -= right.live;
      if (d < 0) {
        const live = left.live + right.live;
        this.root = { leaf: false, keys: [separator], kids: [left, right], live };
        return;
      }
      const parent = this.path[d] as Inner;
      const at = this.taken[d] as number;
      insertAt(parent.keys, at, separator);
      insertAt(parent.kids, at + 1, right);
      if (parent.keys.length <= order) return;
      left = parent;
    }
  }
}

/** Merges a small child with a neighbour if both fit in three quarters of a node. */
function mergeChild(parent: Inner, taken: number): void {
  if (parent.kids.length < 2) return;
  const i = taken === parent.kids.length - 1 ? taken - 1 : taken;
  const left = parent.kids[i] as Node;
  const right = parent.kids[i + 1] as Node;
  if (left.keys.length + right.keys.length + 1 > (order * 3) / 4) return;
  if (left.leaf && right.leaf) {
    for (const key of right.keys) left.keys.push(key);
    for (const item of right.items) left.items.push(item);
  } else if (!left.leaf && !right.leaf) {
    left.keys.push(parent.keys[i] as KeyString);
    for (const key of right.keys) left.keys.push(key);
    for (const kid of right.kids) left.kids.push(kid);
  }
  left.live += right.live;
  parent.keys.splice(i, 1);
  parent.kids.splice(i + 1, 1);
}

function countLive(node: Node): number {
  let live = 0;
  if (node.leaf) {
    for (const item of node.items) if (!item.dead) live += 1;
  } else {
    for (const kid of node.kids) live += kid.live;
  }
  return live;
}

/** Number of keys < `key`. */
function lowerBound(keys: readonly KeyString[], key: KeyString): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as KeyString) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Number of keys <= `key`. */
function upperBound(keys: readonly KeyString[], key: KeyString): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as KeyString) <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** splice() would allocate an array for what it did not remove. */
function insertAt<T>(list: T[], at: number, value: T): void {
  list.push(value);
  for (let i = list.length - 1; i > at; i -= 1) list[i] = list[i - 1] as T;
  list[at] = value;
}
