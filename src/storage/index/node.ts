/**
 * The nodes of the key index. Comparing strings costs a cache miss each, about twenty of them a
 * look-up, so each node keeps for its keys small integers, made of the four bytes that follow what
 * all its keys begin with: most steps of a search only read those, and a string is touched when
 * heads are equal and once at the end.
 *
 * A search by heads assumes that the key begins like the node's keys. If it does not, the place it
 * ends at is wrong; the index notices by comparing with the neighbours and searches by strings.
 *
 * What is left are cache misses, so there are few objects: heads lie in blocks that many nodes
 * share, a leaf has no array of keys (an item knows its key), and one class for both levels keeps
 * the loops monomorphic.
 */

import { assert, type KeyString, type Revision } from '../../common/index.js';
import type { KeyItem } from './item.js';

/** Most keys of a node; while one is split it has one more. */
export const order = 63;
const headsPerNode = order + 1;
const nodesPerBlock = 1024;

const noKeys: KeyString[] = [];
const noItems: KeyItem[] = [];
const noKids: Node[] = [];

/** A leaf (with items) or a level above (with keys and kids). */
export class Node {
  readonly leaf: boolean;
  /** Keys: of items, or between kids. */
  count: number;
  /** Living keys at and below this node. */
  live: number;
  /** No revision at or below this node is newer. */
  newest: Revision;
  /** All keys agree in at least so many first bytes; heads are the next four of each. */
  #skip: number;
  readonly #heads: Int32Array;
  readonly #base: number;
  readonly items: KeyItem[];
  /** `keys[i]` <= every key of `kids[i + 1]`, and > every key of `kids[i]`. */
  readonly keys: KeyString[];
  readonly kids: Node[];

  constructor(leaf: boolean, keys: KeyString[], items: KeyItem[], kids: Node[]) {
    const room = takeHeads();
    this.leaf = leaf;
    this.count = leaf ? items.length : keys.length;
    this.live = 0;
    this.newest = 0;
    this.#skip = 0;
    this.#heads = room.heads;
    this.#base = room.base;
    this.items = items;
    this.keys = keys;
    this.kids = kids;
    this.#refresh();
    this.#recount();
  }

  /** Takes over the array; keys ascend. */
  static leaf(items: KeyItem[]): Node {
    return new Node(true, noKeys, items, noKids);
  }

  /** Takes over the arrays; one more kid than keys. */
  static inner(keys: KeyString[], kids: Node[]): Node {
    return new Node(false, keys, noItems, kids);
  }

  keyAt(i: number): KeyString {
    return this.leaf ? (this.items[i] as KeyItem).key : (this.keys[i] as KeyString);
  }

  /** All keys are below `key`; false if there are none. */
  endsBefore(key: KeyString): boolean {
    return this.count > 0 && this.keyAt(this.count - 1) < key;
  }

  /** Leaf: number of keys < `key`, if `key` begins like the keys of the node. */
  lowerByHead(key: KeyString): number {
    const head = headOf(key, this.#skip);
    const low = this.#lowerHead(head);
    let end = low;
    while (end < this.count && this.#heads[this.#base + end] === head) end += 1;
    // Nearly always there is one, and it is the key that is looked for.
    if (end === low || (this.items[low] as KeyItem).key === key) return low;
    return this.#lowerItem(key, low, end);
  }

  /** Above the leaves: number of keys <= `key`, if `key` begins like the keys of the node. */
  upperByHead(key: KeyString): number {
    const head = headOf(key, this.#skip);
    const low = this.#lowerHead(head);
    let end = low;
    while (end < this.count && this.#heads[this.#base + end] === head) end += 1;
    return end === low ? low : this.#upperKey(key, low, end);
  }

  /** Leaf: number of keys < `key`. */
  lower(key: KeyString): number {
    return this.#lowerItem(key, 0, this.count);
  }

  /** Above the leaves: number of keys <= `key`. */
  upper(key: KeyString): number {
    return this.#upperKey(key, 0, this.count);
  }

  insertItem(at: number, item: KeyItem): void {
    insertAt(this.items, at, item);
    this.#insertHead(at, item.key);
  }

  /** Adds a kid behind the one at `at`, with `key` between the two. */
  insertKid(at: number, key: KeyString, kid: Node): void {
    insertAt(this.keys, at, key);
    insertAt(this.kids, at + 1, kid);
    this.#insertHead(at, key);
  }

  removeItem(at: number): void {
    this.items.splice(at, 1);
    this.#removeHead(at);
  }

  /** Moves what is at and behind `cut` to a new node; returns it and the key between the two. */
  split(cut: number): { readonly separator: KeyString; readonly right: Node } {
    const separator = this.keyAt(cut);
    let right: Node;
    if (this.leaf) right = Node.leaf(this.items.splice(cut));
    else {
      const keys = this.keys.splice(cut);
      keys.shift();
      right = Node.inner(keys, this.kids.splice(cut + 1));
    }
    this.live -= right.live;
    this.count = cut;
    if (this.#commonBytes() > this.#skip) this.#refresh();
    return { separator, right };
  }

  /** Joins the kids at `at` and `at + 1` into the first. */
  mergeKids(at: number): void {
    const left = this.kids[at] as Node;
    const right = this.kids[at + 1] as Node;
    if (left.leaf) {
      for (const item of right.items) left.items.push(item);
      left.count = left.items.length;
    } else {
      left.keys.push(this.keys[at] as KeyString);
      for (const key of right.keys) left.keys.push(key);
      for (const kid of right.kids) left.kids.push(kid);
      left.count = left.keys.length;
    }
    left.live += right.live;
    left.newest = Math.max(left.newest, right.newest);
    left.#refresh();
    this.keys.splice(at, 1);
    this.kids.splice(at + 1, 1);
    this.#removeHead(at);
    right.free();
  }

  /** Gives the room of its heads back; the node must not be used any more. */
  free(): void {
    freeHeads.push({ heads: this.#heads, base: this.#base });
  }

  /** True if heads and what they skip are right; for tests. */
  isSound(): boolean {
    if (this.count !== (this.leaf ? this.items.length : this.keys.length)) return false;
    for (let i = 0; i < this.count; i += 1) {
      const key = this.keyAt(i);
      if (sharedBytes(key, this.keyAt(0), this.#skip) !== this.#skip) return false;
      if (this.#heads[this.#base + i] !== headOf(key, this.#skip)) return false;
    }
    return true;
  }

  /** The key was inserted already, its head and its count were not. */
  #insertHead(at: number, key: KeyString): void {
    const heads = this.#heads;
    const base = this.#base;
    const skip = this.#skip;
    const end = this.count;
    assert(end < headsPerNode, 'a node has room for one more head');
    this.count = end + 1;
    // A key between two others begins as they do.
    if (at === 0 || at === end) {
      const other = this.keyAt(at === 0 ? end : 0);
      if (sharedBytes(key, other, skip) < skip) {
        this.#refresh();
        return;
      }
    }
    // A loop: copyWithin() is a call into native code, dearer than moving thirty numbers.
    for (let i = base + end; i > base + at; i -= 1) heads[i] = heads[i - 1] as number;
    heads[base + at] = headOf(key, skip);
  }

  #removeHead(at: number): void {
    const heads = this.#heads;
    const base = this.#base;
    heads.copyWithin(base + at, base + at + 1, base + this.count);
    this.count -= 1;
  }

  #refresh(): void {
    const skip = this.#commonBytes();
    this.#skip = skip;
    for (let i = 0; i < this.count; i += 1) {
      this.#heads[this.#base + i] = headOf(this.keyAt(i), skip);
    }
  }

  /** How many first bytes all keys share. */
  #commonBytes(): number {
    if (this.count === 0) return 0;
    const first = this.keyAt(0);
    return sharedBytes(first, this.keyAt(this.count - 1), first.length);
  }

  #recount(): void {
    let live = 0;
    let newest = 0;
    for (const item of this.items) {
      if (!item.dead) live += 1;
      if (item.main > newest) newest = item.main;
    }
    for (const kid of this.kids) {
      live += kid.live;
      if (kid.newest > newest) newest = kid.newest;
    }
    this.live = live;
    this.newest = newest;
  }

  /** Number of heads < `head`. */
  #lowerHead(head: number): number {
    const heads = this.#heads;
    const base = this.#base;
    let low = base;
    let high = base + this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((heads[middle] as number) < head) low = middle + 1;
      else high = middle;
    }
    return low - base;
  }

  /** Place of the first item with a key >= `key` in [from, to). */
  #lowerItem(key: KeyString, from: number, to: number): number {
    const { items } = this;
    let low = from;
    let high = to;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((items[middle] as KeyItem).key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Place of the first key > `key` in [from, to). */
  #upperKey(key: KeyString, from: number, to: number): number {
    const { keys } = this;
    let low = from;
    let high = to;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((keys[middle] as KeyString) <= key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Room for the heads of one node. */
interface Room {
  readonly heads: Int32Array;
  readonly base: number;
}

/** Given back by merged nodes. */
const freeHeads: Room[] = [];
let block = new Int32Array(0);
let blockUsed = 0;

/** Typed arrays of one node each would cost more than what they hold. */
function takeHeads(): Room {
  const free = freeHeads.pop();
  if (free !== undefined) return free;
  if (blockUsed === block.length) {
    block = new Int32Array(nodesPerBlock * headsPerNode);
    blockUsed = 0;
  }
  const base = blockUsed;
  blockUsed += headsPerNode;
  return { heads: block, base };
}

/** The four bytes from `skip` on, missing ones as zero, as a signed number that sorts like them. */
function headOf(key: KeyString, skip: number): number {
  if (skip + 4 <= key.length) {
    return (
      ((key.charCodeAt(skip) << 24) |
        (key.charCodeAt(skip + 1) << 16) |
        (key.charCodeAt(skip + 2) << 8) |
        key.charCodeAt(skip + 3)) ^
      0x8000_0000
    );
  }
  let head = 0;
  for (let i = skip; i < key.length; i += 1) head |= key.charCodeAt(i) << (24 - 8 * (i - skip));
  return head ^ 0x8000_0000;
}

function sharedBytes(a: KeyString, b: KeyString, max: number): number {
  const end = Math.min(a.length, b.length, max);
  let i = 0;
  while (i < end && a.charCodeAt(i) === b.charCodeAt(i)) i += 1;
  return i;
}

/** splice() would allocate an array for what it did not remove. */
function insertAt<T>(list: T[], at: number, value: T): void {
  list.push(value);
  for (let i = list.length - 1; i > at; i -= 1) list[i] = list[i - 1] as T;
  list[at] = value;
}
