/**
 * Makes the index from a checkpoint and the journal after it, both in the order of keys: the tree
 * is built from left to right, without a search. What a compaction removed since then goes on the
 * way, by the same rule as when it was removed.
 *
 * Nothing here is trusted: changes that do not follow from each other, or counters that differ from
 * those of the mark, make the result unusable, and the records themselves are read.
 */

import { assert, type KeyString, type LeaseId } from '../../common/index.js';
import {
  compactItem,
  type DropRevision,
  isCompactable,
  isVisible,
  itemDelete,
  itemPut,
  type KeyIndex,
  KeyIndexBuilder,
  type KeyItem,
  noLocation,
  type RevisionList,
} from '../index/index.js';
import type { Removal, StoreMark } from '../schema/index.js';
import type { Journal } from './journal.js';
import { orderByKey } from './order-by-key.js';

const drop: DropRevision = () => {};

/** What is filled. */
export interface MergeTarget {
  readonly index: KeyIndex;
  readonly leases: KeyLeaseMap;
}

/** Leases by key, as far as a start fills them. */
export interface KeyLeaseMap {
  readonly size: number;
  set(key: KeyString, lease: LeaseId): unknown;
  delete(key: KeyString): unknown;
  clear(): void;
}

/** Give it the items of the checkpoint in order, then `finish`. */
export class IndexMerger {
  readonly #target: MergeTarget;
  readonly #mark: StoreMark;
  readonly #removal: Removal | undefined;
  readonly #journal: Journal;
  readonly #order: Uint32Array;
  readonly #builder = new KeyIndexBuilder();
  #at = 0;
  #lease: LeaseId = 0n;
  #records = 0;
  #bytes = 0;
  #newest = 0;
  #wrong: string | undefined;

  /** `removal` is a compaction that was cut short. */
  constructor(
    target: MergeTarget,
    mark: StoreMark,
    removal: Removal | undefined,
    journal: Journal,
  ) {
    this.#target = target;
    this.#mark = mark;
    this.#removal = removal;
    this.#journal = journal;
    this.#order = orderByKey(journal.items);
  }

  /** The next item of the checkpoint. */
  readonly add = (item: KeyItem, lease: LeaseId): void => {
    const { key } = item;
    for (let next = this.#peek(); next !== undefined && next.key < key; next = this.#peek()) {
      this.#addNew(next);
    }
    this.#lease = lease;
    this.#changeTo(item);
    this.#end(item);
  };

  /** Fills the index and the leases; a text about what is wrong if they are not those stored. */
  finish(): string | undefined {
    for (let next = this.#peek(); next !== undefined; next = this.#peek()) this.#addNew(next);
    const mark = this.#mark;
    const wrong = this.#wrong;
    if (wrong !== undefined) return wrong;
    assert(this.#at === this.#order.length, 'all changes of the journal are made');
    if (this.#records !== mark.records || this.#bytes !== mark.sizeBytes) {
      return (
        `the saved index has ${this.#records} records of ${this.#bytes} bytes instead of ` +
        `${mark.records} of ${mark.sizeBytes}`
      );
    }
    if (this.#newest > mark.revision) return `the saved index has revision ${this.#newest}`;
    this.#target.index.adopt(this.#builder);
    return undefined;
  }

  #peek(): KeyItem | undefined {
    return this.#at < this.#order.length ? this.#entry(this.#at) : undefined;
  }

  #entry(at: number): KeyItem {
    return this.#journal.items[this.#order[at] as number] as KeyItem;
  }

  /** A key that only the journal has: its first change is an item already. */
  #addNew(first: KeyItem): void {
    this.#lease = this.#leaseAt(this.#at);
    this.#at += 1;
    this.#changeTo(first);
    this.#end(first);
  }

  #leaseAt(at: number): LeaseId {
    const { leases } = this.#journal;
    return leases.size === 0 ? 0n : (leases.get(this.#entry(at)) ?? 0n);
  }

  /** Makes all changes of the journal to the key of `item`. */
  #changeTo(item: KeyItem): void {
    const { key } = item;
    for (; this.#at < this.#order.length; this.#at += 1) {
      const change = this.#entry(this.#at);
      if (change.key !== key) return;
      // What it has already.
      if (!isVisible(item.main, item.sub, change.main, change.sub)) continue;
      if (change.dead) {
        if (item.dead) this.#wrong ??= `revision ${change.main} deletes a key that does not exist`;
        else itemDelete(item, change.main, change.sub, change.bytes);
        this.#lease = 0n;
        continue;
      }
      itemPut(item, change.main, change.sub, change.bytes, noLocation);
      this.#lease = this.#leaseAt(this.#at);
      if (item.created !== change.created || item.version !== change.version) {
        this.#wrong ??= `revision ${change.main} does not follow from the one before it`;
      }
    }
  }

  /** All changes are made: removes what compactions removed, and adds what is left. */
  #end(item: KeyItem): void {
    if (isCompactable(item) && this.#isGone(item)) return;
    this.#count(item);
    if (item.main > this.#newest) this.#newest = item.main;
    this.#builder.add(item.key, item);
    if (this.#lease !== 0n) this.#target.leases.set(item.key, this.#lease);
  }

  #isGone(item: KeyItem): boolean {
    if (compactItem(item, this.#mark.removedRevision, drop)) return true;
    const removal = this.#removal;
    if (removal === undefined || item.key >= removal.below) return false;
    return compactItem(item, removal.revision, drop);
  }

  #count(item: KeyItem): void {
    this.#records += 1;
    this.#bytes += item.bytes;
    const { history } = item;
    if (history === undefined) return;
    this.#countList(history.revisions);
    for (const generation of history.closed) this.#countList(generation.revisions);
  }

  #countList(list: RevisionList): void {
    assert(list.length % 3 === 0, 'revisions are triples');
    this.#records += list.length / 3;
    for (let i = 2; i < list.length; i += 3) this.#bytes += list[i] as number;
  }
}
