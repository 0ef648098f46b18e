/**
 * What a watcher that is behind gets as one response: etcd gathers all that a watcher has missed,
 * up to 1000 revisions (eventBatch in its watcher_group.go, facts only), and so do we, page by
 * page.
 */

import type { Revision } from '../common/index.js';
import type { EventSlot, Watcher } from './watch-types.js';

/** What an event costs in memory while it is held, beside its record and its encoding. */
const slotBytes = 256;

/** What all batches together hold. */
export class HeldEvents {
  /** Each event once, however many hold it. */
  bytes = 0;
  /** Each event as often as it is held. */
  count = 0;

  add(slot: EventSlot, encodedBytes: number): void {
    this.count += 1;
    slot.holders += 1;
    if (slot.holders > 1) return;
    slot.heldBytes = 2 * encodedBytes + slotBytes;
    this.bytes += slot.heldBytes;
  }

  remove(batch: WatchBatch): void {
    this.count -= batch.slots.length;
    for (const slot of batch.slots) {
      slot.holders -= 1;
      if (slot.holders === 0) this.bytes -= slot.heldBytes;
    }
  }
}

/** The events of one response, until it is sent. */
export class WatchBatch {
  /** Without those that a filter hides. */
  readonly slots: EventSlot[] = [];
  /** Of the encoded events. */
  bytes = 0;
  /** Distinct revisions with an event for the watcher: as etcd counts, hidden ones too. */
  revisions = 0;
  /** The last event that was looked at. */
  lastRevision: Revision = 0;
  lastSub = 0;

  /** False for what comes a second time, because a group went back. */
  isNext(slot: EventSlot): boolean {
    if (slot.revision !== this.lastRevision) return slot.revision > this.lastRevision;
    return slot.sub > this.lastSub;
  }

  /** True if the event belongs to the next response. */
  isFull(slot: EventSlot, revisionsMax: number): boolean {
    return this.revisions >= revisionsMax && slot.revision > this.lastRevision;
  }

  add(slot: EventSlot, watcher: Watcher, held: HeldEvents): void {
    if (slot.revision > this.lastRevision) this.revisions += 1;
    this.lastRevision = slot.revision;
    this.lastSub = slot.sub;
    if (!watcher.wants(slot.event.type, slot.revision)) return;
    const { length } = slot.encoded(watcher.wantsPrev);
    this.slots.push(slot);
    this.bytes += length;
    held.add(slot, length);
  }
}
