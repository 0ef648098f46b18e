/**
 * What a watcher that is behind gets as one response: etcd gathers all that a watcher has missed,
 * up to 1000 revisions (eventBatch in its watcher_group.go, facts only), and so do we, page by
 * page.
 */

import type { Revision } from '../../common/index.js';
import type { EventSlot, SendableEvents } from './event-slot.js';
import type { Watcher } from './watcher.js';

/** What an event costs in memory while it is held, beside its record and its encoding. */
const slotBytes = 256;
/**
 * Events above this number are joined to runs of so many bytes: a response of a million deletes is
 * sent in one step, and so must not be of a million pieces.
 */
const singleEventsMax = 1000;
const runBytes = 64 * 1024;
/** A larger event is a piece of its own. */
const joinedBytesMax = 4096;
/** What a joined event costs beside its bytes until its run is full. */
const joinedOverheadBytes = 64;

/** What all batches together hold. */
export class HeldEvents {
  /** Shared events once, however many hold them. */
  bytes = 0;
  /** Each event as often as it is held. */
  count = 0;

  add(slot: EventSlot, encodedBytes: number): void {
    slot.holders += 1;
    if (slot.holders > 1) return;
    slot.heldBytes = 2 * encodedBytes + slotBytes;
    this.bytes += slot.heldBytes;
  }

  remove(slot: EventSlot): void {
    slot.holders -= 1;
    if (slot.holders === 0) this.bytes -= slot.heldBytes;
  }
}

/** Small events of one revision, of one watcher. */
class EventRun implements SendableEvents {
  readonly revision: Revision;
  readonly sub: number;
  count = 0;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(slot: EventSlot) {
    this.revision = slot.revision;
    this.sub = slot.sub;
  }

  /** False if it is full, or of another revision. */
  add(slot: EventSlot, encoded: Uint8Array): boolean {
    if (slot.revision !== this.revision || this.#bytes + encoded.length > runBytes) return false;
    this.#parts.push(encoded);
    this.#bytes += encoded.length;
    this.count += 1;
    return true;
  }

  /** Makes one buffer of all. */
  encoded(): Uint8Array {
    if (this.#parts.length > 1) this.#parts = [Buffer.concat(this.#parts, this.#bytes)];
    return this.#parts[0] as Uint8Array;
  }
}

/** The events of one response, until it is sent. */
export class ResponseBatch {
  /** Without those that a filter hides. */
  readonly pieces: SendableEvents[] = [];
  /** Of the encoded events. */
  bytes = 0;
  /** Distinct revisions with an event for the watcher: as etcd counts, hidden ones too. */
  revisions = 0;
  /** The last event that was looked at. */
  lastRevision: Revision = 0;
  lastSub = 0;
  readonly #held: HeldEvents;
  readonly #slots: EventSlot[] = [];
  #joinedBytes = 0;
  #count = 0;

  constructor(held: HeldEvents) {
    this.#held = held;
  }

  /** Of the first event; undefined if there is none. */
  get firstRevision(): Revision | undefined {
    return this.pieces[0]?.revision;
  }

  /** False for what comes a second time, because a group went back. */
  isNext(slot: EventSlot): boolean {
    if (slot.revision !== this.lastRevision) return slot.revision > this.lastRevision;
    return slot.sub > this.lastSub;
  }

  /** True if the event belongs to the next response. */
  isFull(slot: EventSlot, revisionsMax: number): boolean {
    return this.revisions >= revisionsMax && slot.revision > this.lastRevision;
  }

  add(slot: EventSlot, watcher: Watcher): void {
    if (slot.revision > this.lastRevision) this.revisions += 1;
    this.lastRevision = slot.revision;
    this.lastSub = slot.sub;
    if (!watcher.wants(slot.event.type, slot.revision)) return;
    const encoded = slot.encoded(watcher.wantsPrev);
    this.bytes += encoded.length;
    this.#count += 1;
    this.#held.count += 1;
    if (this.pieces.length >= singleEventsMax && encoded.length <= joinedBytesMax) {
      this.#join(slot, encoded);
      return;
    }
    this.pieces.push(slot);
    this.#slots.push(slot);
    this.#held.add(slot, encoded.length);
  }

  #join(slot: EventSlot, encoded: Uint8Array): void {
    const bytes = encoded.length + joinedOverheadBytes;
    this.#joinedBytes += bytes;
    this.#held.bytes += bytes;
    const last = this.pieces[this.pieces.length - 1];
    if (last instanceof EventRun) {
      if (last.add(slot, encoded)) return;
      // Now, so that not all of it is copied at once when it is sent.
      last.encoded();
    }
    const run = new EventRun(slot);
    run.add(slot, encoded);
    this.pieces.push(run);
  }

  /** To be called once, when it is sent or dropped. */
  release(): void {
    for (const slot of this.#slots) this.#held.remove(slot);
    this.#held.bytes -= this.#joinedBytes;
    this.#held.count -= this.#count;
  }
}
