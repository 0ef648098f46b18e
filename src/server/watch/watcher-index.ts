/**
 * Finds the watchers of a key: a map for watchers of single keys, an interval tree for ranges.
 * Watchers of the same key or range hang on a list through their own fields, so that a watcher
 * costs no object beside itself.
 */

import { assert, type KeyString, type Random, ShardedMap } from '../../common/index.js';
import { IntervalTree } from './interval-tree.js';
import type { Watcher } from './watcher.js';

/** A set of watchers. A watcher is in one index at a time. */
export class WatcherIndex {
  readonly #heads = new ShardedMap<KeyString, Watcher>();
  readonly #ranges: IntervalTree<Watcher>;
  readonly #found: Watcher[] = [];
  #size = 0;
  #ofRanges = 0;

  constructor(random: Random) {
    this.#ranges = new IntervalTree(() => random.u32());
  }

  get size(): number {
    return this.#size;
  }

  /** Watchers of ranges: any key may concern all of them. */
  get ofRanges(): number {
    return this.#ofRanges;
  }

  add(watcher: Watcher): void {
    assert(watcher.next === undefined && watcher.previous === undefined, 'a watcher is added once');
    const head = this.#replaceHead(watcher);
    watcher.next = head;
    if (head !== undefined) head.previous = watcher;
    this.#size += 1;
    if (watcher.end !== undefined) this.#ofRanges += 1;
  }

  /** Makes `watcher` the first of its key or range; returns who was. */
  #replaceHead(watcher: Watcher): Watcher | undefined {
    const { key, end } = watcher;
    if (end === undefined) {
      const head = this.#heads.get(key);
      this.#heads.set(key, watcher);
      return head;
    }
    const node = this.#ranges.find(key, end);
    if (node === undefined) {
      this.#ranges.insert(key, end, watcher);
      return undefined;
    }
    const head = node.value;
    node.value = watcher;
    return head;
  }

  remove(watcher: Watcher): void {
    const { previous, next } = watcher;
    if (next !== undefined) next.previous = previous;
    if (previous !== undefined) previous.next = next;
    else this.#removeHead(watcher, next);
    watcher.previous = undefined;
    watcher.next = undefined;
    this.#size -= 1;
    if (watcher.end !== undefined) this.#ofRanges -= 1;
  }

  #removeHead(watcher: Watcher, next: Watcher | undefined): void {
    const { key, end } = watcher;
    if (end === undefined) {
      assert(this.#heads.get(key) === watcher, 'a watcher to remove is in the index');
      if (next === undefined) this.#heads.delete(key);
      else this.#heads.set(key, next);
      return;
    }
    const node = this.#ranges.find(key, end);
    assert(node !== undefined && node.value === watcher, 'a watcher to remove is in the index');
    if (next === undefined) this.#ranges.remove(key, end);
    else node.value = next;
  }

  /**
   * The first watcher of each key or range that contains `key`; the others follow through `next`.
   * The array is reused by the next call.
   */
  heads(key: KeyString): readonly Watcher[] {
    const found = this.#found;
    found.length = 0;
    const head = this.#heads.get(key);
    if (head !== undefined) found.push(head);
    if (this.#ranges.size > 0) this.#ranges.stab(key, found);
    return found;
  }
}
