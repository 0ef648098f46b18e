/**
 * All keys in order: a B+tree of latin1 strings. Every node counts the living keys below it, so
 * that the number of keys in a range at the present revision costs two descents, whatever its size.
 *
 * Own code because nothing ready-made keeps such counts, and because this is most of the memory of
 * the store: leaves are plain arrays, and full ones if keys arrive in order. Leaves are not linked:
 * a walk descends once and goes on by its path, and again after each slice, so that the tree may
 * change in between. Nodes are merged when they get small, only compaction removes keys.
 */

import { assert, type KeyString, type Revision } from '../../common/index.js';
import { itemPut, KeyItem } from './item.js';
import { Node, order } from './node.js';

const mergeBelow = order >>> 2;

/** Stops a walk by returning false. */
export type VisitItem = (key: KeyString, item: KeyItem) => boolean;

/** Leaves that need no visit, see {@link KeyIndex.walk}. */
export interface QuietLeaves {
  readonly newest: Revision;
  /** Stops the walk by returning false. */
  add(live: number): boolean;
}

/** The ordered map from key to item. */
export class KeyIndex {
  #root: Node = Node.leaf([]);
  #total = 0;
  /**
   * Path of the last {@link locate}: the inner nodes from the root, and the child taken in each.
   */
  readonly #path: Node[] = [];
  readonly #taken: number[] = [];
  #depth = 0;
  #leafAt: Node = this.#root;
  #slot = 0;
  /** What the path leads to: a transaction asks for the same key several times in a row. */
  #lastKey: KeyString | undefined;
  #lastItem: KeyItem | undefined;
  /** The path leads to the last leaf: keys that come in order go on there without a search. */
  #isLastLeaf = false;

  /** Keys, dead ones included. */
  get size(): number {
    return this.#total;
  }

  /** Living keys. */
  get live(): number {
    return this.#root.live;
  }

  get(key: KeyString): KeyItem | undefined {
    let node = this.#root;
    let low: KeyString | undefined;
    let high: KeyString | undefined;
    while (!node.leaf) {
      const i = node.upperByHead(key);
      if (i > 0) low = node.keys[i - 1];
      if (i < node.count) high = node.keys[i];
      node = node.kids[i] as Node;
    }
    const i = node.lowerByHead(key);
    if (i < node.count) {
      const item = node.items[i] as KeyItem;
      if (item.key === key) return item;
    }
    return isBetween(node, i, key, low, high) ? undefined : this.#getByStrings(key);
  }

  /** As {@link get}, and remembers the place for `insertHere` and `adjustHere`. */
  locate(key: KeyString): KeyItem | undefined {
    if (key === this.#lastKey) return this.#lastItem;
    if (this.#isLastLeaf && this.#leafAt.endsBefore(key)) {
      this.#slot = this.#leafAt.count;
      this.#lastKey = key;
      this.#lastItem = undefined;
      return undefined;
    }
    const path = this.#path;
    const taken = this.#taken;
    let node = this.#root;
    let depth = 0;
    let low: KeyString | undefined;
    let high: KeyString | undefined;
    while (!node.leaf) {
      const i = node.upperByHead(key);
      if (i > 0) low = node.keys[i - 1];
      if (i < node.count) high = node.keys[i];
      path[depth] = node;
      taken[depth] = i;
      depth += 1;
      node = node.kids[i] as Node;
    }
    const i = node.lowerByHead(key);
    this.#depth = depth;
    this.#leafAt = node;
    this.#slot = i;
    this.#isLastLeaf = high === undefined;
    let item = i < node.count ? node.items[i] : undefined;
    if (item === undefined || item.key !== key) {
      item = isBetween(node, i, key, low, high) ? undefined : this.#locateByStrings(key);
    }
    this.#lastKey = key;
    this.#lastItem = item;
    return item;
  }

  /** The next put of the key that the last call, a `locate`, asked for; returns its item. */
  putHere(key: KeyString, main: Revision, sub: number, bytes: number, location: number): KeyItem {
    assert(key === this.#lastKey, 'a key is looked for before it is put');
    const item = this.#lastItem;
    if (item === undefined) {
      const added = new KeyItem(main, sub, bytes, location);
      this.insertHere(key, added);
      return added;
    }
    const wasDead = item.dead;
    itemPut(item, main, sub, bytes, location);
    this.touchHere(main);
    if (wasDead) this.adjustHere(1);
    return item;
  }

  /** The living key that the last call, a `locate`, found was ended by revision `main`. */
  diedHere(key: KeyString, main: Revision): void {
    assert(key === this.#lastKey && this.#lastItem?.dead === true, 'a key that died is dead');
    this.touchHere(main);
    this.adjustHere(-1);
  }

  /** Adds `item` under the key that the last call, a `locate`, did not find. */
  insertHere(key: KeyString, item: KeyItem): void {
    assert(key === this.#lastKey && this.#lastItem === undefined, 'an inserted key is new');
    const leaf = this.#leafAt;
    const at = this.#slot;
    item.key = key;
    leaf.insertItem(at, item);
    this.#lastItem = item;
    this.#total += 1;
    if (!item.dead) this.adjustHere(1);
    this.touchHere(item.main);
    if (leaf.count > order) this.#splitUpwards(leaf, at === leaf.count - 1);
  }

  /** The key that the last call, a `locate`, found has come to life (1) or died (-1). */
  adjustHere(by: 1 | -1): void {
    this.#leafAt.live += by;
    for (let d = 0; d < this.#depth; d += 1) (this.#path[d] as Node).live += by;
  }

  /** The key that the last call, a `locate`, found got a revision: call it for each change. */
  touchHere(main: Revision): void {
    assert(main >= this.#leafAt.newest, 'a change is not older than those before it');
    this.#leafAt.newest = main;
    for (let d = 0; d < this.#depth; d += 1) (this.#path[d] as Node).newest = main;
  }

  /**
   * Has `kill` end every living key of [start, end) with revision `main`, in order, until it
   * returns false; returns the key to go on from, or undefined at the end. One walk, where a
   * `locate` for each key would take as long as everything else.
   */
  killRange(
    start: KeyString,
    end: KeyString | undefined,
    main: Revision,
    kill: VisitItem,
  ): KeyString | undefined {
    if (end !== undefined && end <= start) return undefined;
    const walk: KillWalk = { main, kill, last: undefined };
    killBelow(this.#root, start, end, walk);
    return walk.last === undefined ? undefined : `${walk.last}\0`;
  }

  /** Removes a dead key for good. */
  remove(key: KeyString): void {
    const item = this.locate(key);
    assert(item?.dead === true, 'only a dead key is removed from the index');
    this.#forgetPath();
    this.#leafAt.removeItem(this.#slot);
    this.#total -= 1;
    let node = this.#leafAt;
    for (let d = this.#depth - 1; d >= 0 && node.count < mergeBelow; d -= 1) {
      const parent = this.#path[d] as Node;
      mergeChild(parent, this.#taken[d] as number);
      node = parent;
    }
    while (this.#root.kids.length === 1) {
      this.#root.free();
      this.#root = this.#root.kids[0] as Node;
    }
  }

  /** Living keys below `key`; all of them for undefined. */
  rank(key: KeyString | undefined): number {
    if (key === undefined) return this.#root.live;
    let node = this.#root;
    let rank = 0;
    while (!node.leaf) {
      const i = node.upper(key);
      for (let k = 0; k < i; k += 1) rank += (node.kids[k] as Node).live;
      node = node.kids[i] as Node;
    }
    const end = node.lower(key);
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
    assert(rank >= 0 && rank < this.#root.live, 'a rank is below the number of living keys');
    let node = this.#root;
    let left = rank;
    while (!node.leaf) {
      let i = 0;
      for (; left >= (node.kids[i] as Node).live; i += 1) left -= (node.kids[i] as Node).live;
      node = node.kids[i] as Node;
    }
    for (let i = 0; ; i += 1) {
      if ((node.items[i] as KeyItem).dead) continue;
      if (left === 0) return (node.items[i] as KeyItem).key;
      left -= 1;
    }
  }

  /**
   * Visits the keys of [start, end) in order, dead ones included, `max` at the most. Returns the
   * key to go on from, or undefined at the end. The tree must not change during the call.
   *
   * With `quiet`, whole leaves in which nothing is newer than `quiet.newest` are not visited, but
   * the number of their living keys is given to it; they count as one key each.
   */
  walk(
    start: KeyString,
    end: KeyString | undefined,
    max: number,
    visit: VisitItem,
    quiet?: QuietLeaves,
  ): KeyString | undefined {
    const path: Node[] = [];
    const taken: number[] = [];
    let node = this.#root;
    while (!node.leaf) {
      const i = node.upper(start);
      path.push(node);
      taken.push(i);
      node = node.kids[i] as Node;
    }
    let left = max;
    let i = node.lower(start);
    for (;;) {
      const { items, count } = node;
      // One comparison with the end for a whole leaf, except for the last one.
      const isLast = end !== undefined && count > 0 && node.keyAt(count - 1) >= end;
      const stop = isLast ? node.lower(end) : count;
      if (quiet !== undefined && i === 0 && !isLast && node.newest <= quiet.newest && count > 0) {
        if (left === 0) return node.keyAt(0);
        left -= 1;
        i = stop;
        if (!quiet.add(node.live)) return `${node.keyAt(count - 1)}\0`;
      }
      for (; i < stop; i += 1) {
        const item = items[i] as KeyItem;
        if (left === 0) return item.key;
        left -= 1;
        if (!visit(item.key, item)) return `${item.key}\0`;
      }
      const next = isLast ? undefined : nextLeaf(path, taken);
      if (next === undefined) return undefined;
      node = next;
      i = 0;
    }
  }

  /** Takes over a tree that was built in order; this one must be empty. */
  adopt(built: { readonly size: number; finish(): Node }): void {
    assert(this.#total === 0, 'only an empty index takes over a tree');
    this.#total = built.size;
    this.#root = built.finish();
    this.#forgetPath();
  }

  /** Checks every invariant of the tree; for tests. */
  verify(): void {
    let previous: KeyString | undefined;
    let seen = 0;
    const check = (node: Node): number => {
      let live = 0;
      if (node.leaf) {
        for (const item of node.items) {
          assert(previous === undefined || previous < item.key, 'keys ascend');
          previous = item.key;
          seen += 1;
          if (!item.dead) live += 1;
          assert(item.main <= node.newest, 'no revision is newer than its leaf says');
        }
      } else {
        assert(node.kids.length === node.keys.length + 1, 'one separator between two children');
        for (const kid of node.kids) live += check(kid);
      }
      assert(node.count <= order, 'no node is overfull');
      assert(node.isSound(), 'heads are right');
      assert(live === node.live, 'live counts are right');
      return live;
    };
    check(this.#root);
    assert(seen === this.#total, 'the number of keys is right');
  }

  #forgetPath(): void {
    this.#lastKey = undefined;
    this.#isLastLeaf = false;
  }

  #getByStrings(key: KeyString): KeyItem | undefined {
    let node = this.#root;
    while (!node.leaf) node = node.kids[node.upper(key)] as Node;
    const item = node.items[node.lower(key)];
    return item?.key === key ? item : undefined;
  }

  #locateByStrings(key: KeyString): KeyItem | undefined {
    let node = this.#root;
    for (let depth = 0; !node.leaf; depth += 1) {
      const i = node.upper(key);
      this.#path[depth] = node;
      this.#taken[depth] = i;
      node = node.kids[i] as Node;
    }
    this.#leafAt = node;
    // Known only for the way by heads; not worth finding out for this one.
    this.#isLastLeaf = false;
    this.#slot = node.lower(key);
    const item = node.items[this.#slot];
    return item?.key === key ? item : undefined;
  }

  /** Splits from the leaf up. A key added at the very end leaves the left node full. */
  #splitUpwards(leaf: Node, atEnd: boolean): void {
    this.#forgetPath();
    let left = leaf;
    for (let d = this.#depth - 1; ; d -= 1) {
      const cut = atEnd ? left.count - 1 : left.count >>> 1;
      const { separator, right } = left.split(cut);
      if (d < 0) {
        this.#root = Node.inner([separator], [left, right]);
        return;
      }
      const parent = this.#path[d] as Node;
      parent.insertKid(this.#taken[d] as number, separator, right);
      if (parent.count <= order) return;
      left = parent;
    }
  }
}

/**
 * Whether slot `i` of a leaf is really where `key` belongs: between its neighbours there, or at the
 * edge within the separators `low` and `high` that led to the leaf.
 */
function isBetween(
  leaf: Node,
  i: number,
  key: KeyString,
  low: KeyString | undefined,
  high: KeyString | undefined,
): boolean {
  const below = i > 0 ? leaf.keyAt(i - 1) : low;
  const above = i < leaf.count ? leaf.keyAt(i) : high;
  return (below === undefined || below <= key) && (above === undefined || key < above);
}

/** One call of {@link KeyIndex.killRange}. */
interface KillWalk {
  readonly main: Revision;
  readonly kill: VisitItem;
  /** The key that `kill` wanted to be the last one. */
  last: KeyString | undefined;
}

/**
 * {@link KeyIndex.killRange} for one node; an undefined bound lies outside of it. Returns how many
 * keys died.
 */
function killBelow(
  node: Node,
  start: KeyString | undefined,
  end: KeyString | undefined,
  walk: KillWalk,
): number {
  if (node.live === 0) return 0;
  let killed = 0;
  if (node.leaf) {
    const stop = end === undefined ? node.count : node.lower(end);
    for (let i = start === undefined ? 0 : node.lower(start); i < stop; i += 1) {
      const item = node.items[i] as KeyItem;
      if (item.dead) continue;
      killed += 1;
      const goesOn = walk.kill(item.key, item);
      assert(item.dead, 'a key that died is dead');
      if (goesOn) continue;
      walk.last = item.key;
      break;
    }
  } else {
    const first = start === undefined ? 0 : node.upper(start);
    const last = end === undefined ? node.count : node.upper(end);
    for (let i = first; i <= last && walk.last === undefined; i += 1) {
      const from = i === first ? start : undefined;
      killed += killBelow(node.kids[i] as Node, from, i === last ? end : undefined, walk);
    }
  }
  if (killed > 0) {
    node.live -= killed;
    node.newest = walk.main;
  }
  return killed;
}

/** Moves a path to the next leaf; undefined at the end. */
function nextLeaf(path: Node[], taken: number[]): Node | undefined {
  let d = path.length - 1;
  while (d >= 0 && taken[d] === (path[d] as Node).count) d -= 1;
  if (d < 0) return undefined;
  taken[d] = (taken[d] as number) + 1;
  let node = (path[d] as Node).kids[taken[d] as number] as Node;
  for (d += 1; !node.leaf; d += 1) {
    path[d] = node;
    taken[d] = 0;
    node = node.kids[0] as Node;
  }
  return node;
}

/** Merges a small child with a neighbour if both fit in three quarters of a node. */
function mergeChild(parent: Node, taken: number): void {
  if (parent.kids.length < 2) return;
  const i = taken === parent.kids.length - 1 ? taken - 1 : taken;
  const left = parent.kids[i] as Node;
  const right = parent.kids[i + 1] as Node;
  if (left.count + right.count + 1 > (order * 3) / 4) return;
  parent.mergeKids(i);
}
