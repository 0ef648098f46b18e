/**
 * A map that may grow without bound and never does much in one call. JavaScript's own Map copies
 * all it holds whenever its room is full: 35 ms at 400,000 entries, 90 ms at a million, within the
 * one insert that it happens in. This one is many Maps, each of a range of keys, and a full one is
 * cut in two near its middle key. Shards go by the order of keys and not by a hash: no choice of
 * keys can fill one shard, and what begins alike lies together, so it can be listed in order.
 */

import { assert, present } from './assert.js';

/** What `<` puts in one order; all keys of a map are of one kind. */
export type ShardedKey = string | number | bigint;

/** Entries of a shard above which it is cut in two: that takes about half a millisecond. */
const shardEntriesMax = 4096;
/** Every so-manieth key of a shard is looked at for the middle one. */
const sampleStep = 64;

export class ShardedMap<K extends ShardedKey, V> {
  #shards: Array<Map<K, V>> = [new Map()];
  /** Shard i + 1 begins with key i of these; in order. */
  #bounds: K[] = [];
  #size = 0;
  /** Whoever goes through the map looks at it to know that shards have been cut or cleared. */
  #version = 0;

  get size(): number {
    return this.#size;
  }

  get(key: K): V | undefined {
    return this.#shardOf(key).get(key);
  }

  has(key: K): boolean {
    return this.#shardOf(key).has(key);
  }

  set(key: K, value: V): this {
    const shard = this.#shardOf(key);
    const { size } = shard;
    shard.set(key, value);
    if (shard.size === size) return this;
    this.#size += 1;
    if (size >= shardEntriesMax) this.#cut(key, shard);
    return this;
  }

  delete(key: K): boolean {
    if (!this.#shardOf(key).delete(key)) return false;
    this.#size -= 1;
    if (this.#size === 0) this.clear();
    return true;
  }

  clear(): void {
    this.#version += 1;
    this.#shards = [new Map()];
    this.#bounds = [];
    this.#size = 0;
  }

  /**
   * In no order, but the same for the same calls before. Live: what is there from the first to the
   * last step comes once, what is deleted before its turn does not come, what is added may.
   */
  [Symbol.iterator](): Generator<[K, V], void> {
    return this.#each((entry) => entry);
  }

  /** As the map itself. */
  keys(): Generator<K, void> {
    return this.#each(([key]) => key);
  }

  /** As the map itself. */
  values(): Generator<V, void> {
    return this.#each(([, value]) => value);
  }

  *#each<T>(pick: (entry: [K, V]) => T): Generator<T, void> {
    let from: K | undefined;
    for (;;) {
      const place = from === undefined ? 0 : this.#placeOf(from);
      const version = this.#version;
      const end = this.#bounds[place];
      for (const entry of this.#shards[place] as Map<K, V>) {
        if (version === this.#version) yield pick(entry);
        else {
          // It may be a shard no more, but what stays in the map is in it still.
          const [key] = entry;
          const now = this.#shardOf(key);
          if (now.has(key)) yield pick([key, now.get(key) as V]);
        }
      }
      if (end === undefined) return;
      from = end;
    }
  }

  /** Entries from `start` on in order of their keys; live, as the map itself. */
  *from(start: K): Generator<[K, V], void> {
    let from = start;
    for (;;) {
      const place = this.#placeOf(from);
      const end = this.#bounds[place];
      const shard = this.#shards[place] as Map<K, V>;
      const keys = [...shard.keys()].filter((key) => key >= from).sort(byOrder);
      for (const key of keys) {
        const now = this.#shardOf(key);
        if (now.has(key)) yield [key, now.get(key) as V];
      }
      if (end === undefined) return;
      from = end;
    }
  }

  #shardOf(key: K): Map<K, V> {
    return this.#shards[this.#placeOf(key)] as Map<K, V>;
  }

  /** Place of the shard whose range has the key. */
  #placeOf(key: K): number {
    const bounds = this.#bounds;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((bounds[middle] as K) <= key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The shard itself stays as it is, for who is in it. */
  #cut(key: K, shard: Map<K, V>): void {
    const middle = middleOf(shard);
    const lower = new Map<K, V>();
    const upper = new Map<K, V>();
    for (const [each, value] of shard) (each < middle ? lower : upper).set(each, value);
    assert(lower.size > 0 && upper.size > 0, 'a shard is cut in two');
    const place = this.#placeOf(key);
    this.#shards.splice(place, 1, lower, upper);
    this.#bounds.splice(place, 0, middle);
    this.#version += 1;
  }
}

/**
 * About: by some keys, for to sort them all would take most of the time. Whoever chooses keys such
 * that it is far off makes smaller shards, and more of them.
 */
function middleOf<K extends ShardedKey>(shard: ReadonlyMap<K, unknown>): K {
  const sample: K[] = [];
  let i = 0;
  for (const key of shard.keys()) {
    if (i % sampleStep === 0) sample.push(key);
    i += 1;
  }
  sample.sort(byOrder);
  return present(sample[sample.length >> 1], 'the middle key of a full shard');
}

function byOrder<K extends ShardedKey>(a: K, b: K): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
