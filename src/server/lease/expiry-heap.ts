/**
 * The leases of the primary by time of expiry: a binary heap of the leases themselves.
 *
 * A renewal, by far the most frequent thing to happen to a lease, only moves its expiry later and
 * leaves the heap alone: an entry's `wakeMs` is a lower bound, and whoever finds the top due asks
 * the lease itself (measured: a renewal is a map lookup and two writes).
 */

import { assert, present } from '../../common/index.js';

/** What the heap needs of a lease. */
export interface HeapItem {
  /** Place in the heap, -1 outside; belongs to the heap. */
  heapIndex: number;
  /** When the heap hands it out; belongs to the heap. */
  wakeMs: number;
}

/** A min-heap by `wakeMs`. */
export class LeaseHeap<T extends HeapItem> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** The one to wake first. */
  top(): T | undefined {
    return this.#items[0];
  }

  /** Adds an item, or moves it to another time. */
  schedule(item: T, wakeMs: number): void {
    const { heapIndex } = item;
    if (heapIndex === -1) {
      item.wakeMs = wakeMs;
      item.heapIndex = this.#items.length;
      this.#items.push(item);
      this.#siftUp(item);
      return;
    }
    assert(this.#items[heapIndex] === item, 'a lease knows its place in the heap');
    const earlier = wakeMs < item.wakeMs;
    item.wakeMs = wakeMs;
    if (earlier) this.#siftUp(item);
    else this.#siftDown(item);
  }

  /** Takes an item out, if it is in. */
  remove(item: T): void {
    const { heapIndex } = item;
    if (heapIndex === -1) return;
    assert(this.#items[heapIndex] === item, 'a lease knows its place in the heap');
    const last = present(this.#items.pop(), 'the last item of a heap');
    item.heapIndex = -1;
    if (last === item) return;
    this.#items[heapIndex] = last;
    last.heapIndex = heapIndex;
    this.#siftUp(last);
    this.#siftDown(last);
  }

  clear(): void {
    for (const item of this.#items) item.heapIndex = -1;
    this.#items.length = 0;
  }

  #siftUp(item: T): void {
    const items = this.#items;
    let at = item.heapIndex;
    while (at > 0) {
      const parentIndex = (at - 1) >> 1;
      const parent = items[parentIndex] as T;
      if (parent.wakeMs <= item.wakeMs) break;
      items[at] = parent;
      parent.heapIndex = at;
      at = parentIndex;
    }
    items[at] = item;
    item.heapIndex = at;
  }

  #siftDown(item: T): void {
    const items = this.#items;
    const { length } = items;
    let at = item.heapIndex;
    for (;;) {
      let childIndex = 2 * at + 1;
      if (childIndex >= length) break;
      let child = items[childIndex] as T;
      const right = items[childIndex + 1];
      if (right !== undefined && right.wakeMs < child.wakeMs) {
        child = right;
        childIndex += 1;
      }
      if (item.wakeMs <= child.wakeMs) break;
      items[at] = child;
      child.heapIndex = at;
      at = childIndex;
    }
    items[at] = item;
    item.heapIndex = at;
  }
}
