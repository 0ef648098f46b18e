/**
 * Step 11 of the data path: hands committed changes to the watchers. Synchronous, and without I/O
 * of its own: whoever is up to date is served from apply, whoever is behind by watch/catch-up.ts.
 *
 * Invariants: `publish` sees every revision once, in order; a watcher is sent whole revisions, each
 * once, in order; no header names a revision whose events for that watcher are not sent yet, but
 * that of a full response to a watcher that is behind (watch/catch-up.ts); what waits in memory is
 * bounded (references by `pendingEventsMax`, bytes by the streams' backlogs).
 */

import {
  assert,
  type Clock,
  type KeyString,
  type Random,
  type Revision,
  type Slice,
  type Steps,
  sliceMsMax,
  watchLiveChangesMax,
} from '../../common/index.js';
import type { EncodedHeader } from '../../proto/index.js';
import type { MvccCommit, MvccEvent } from '../../storage/index.js';
import { WatchSendLoop } from '../metrics/index.js';
import { Backpressure, StreamFlow, type WatchCounters, type WatchSink } from './backpressure.js';
import { type CatchUpHub, WatchCatchUp, type WatchStore } from './catch-up.js';
import { EventSlot } from './event-slot.js';
import type { WatchLimits } from './limits.js';
import { ResponseWriter } from './response-writer.js';
import { type StreamHub, WatchStream } from './stream.js';
import type { Watcher } from './watcher.js';

/** A flush looks at the clock after this many watchers. */
const flushCheckMask = 127;

/** What the hub is given. */
export interface WatchHubOptions {
  readonly store: WatchStore;
  readonly clock: Clock;
  readonly random: Random;
  /** The encoded response header for a store revision. */
  readonly header: (revision: Revision) => EncodedHeader;
  /** The store failed or an invariant broke outside of any call: the process has to end. */
  readonly fatal: (error: unknown) => void;
  readonly limits: WatchLimits;
  /** Where it is counted how long sending takes; left out: nowhere. */
  readonly sendLoop?: WatchSendLoop;
}

/** The watches of a member. */
export class WatchHub implements CatchUpHub, StreamHub {
  readonly counters: WatchCounters;
  readonly limits: WatchLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly sendLoop: WatchSendLoop;
  readonly #backpressure: Backpressure;
  readonly #writer: ResponseWriter;
  readonly #catchUp: WatchCatchUp;
  readonly #streams = new Set<WatchStream>();
  #store: WatchStore;
  /** Everything up to here has been published, or is being. */
  #revision: Revision;
  /** Everything up to here has been offered to every live watcher. */
  #offeredRevision: Revision;
  #isFlushScheduled = false;

  constructor(options: WatchHubOptions) {
    const { clock, fatal, header, limits, random, store } = options;
    this.limits = limits;
    this.clock = clock;
    this.random = random;
    this.sendLoop = options.sendLoop ?? new WatchSendLoop();
    this.#store = store;
    this.#revision = store.revision;
    this.#offeredRevision = this.#revision;
    const wake = (): void => this.#catchUp.wake();
    const backpressure = new Backpressure({ clock, random, limits, wake });
    const { sendLoop } = this;
    const writer = new ResponseWriter({ clock, limits, backpressure, header, sendLoop });
    this.counters = backpressure.counters;
    this.#backpressure = backpressure;
    this.#writer = writer;
    this.#catchUp = new WatchCatchUp({ hub: this, backpressure, writer, fatal });
  }

  get store(): WatchStore {
    return this.#store;
  }

  /** The last revision that was published. */
  get revision(): Revision {
    return this.#revision;
  }

  /** Events of the past that wait for the rest of their response. */
  get heldEvents(): { readonly bytes: number; readonly count: number } {
    return this.#catchUp.held;
  }

  /** A stream without watchers that writes to `sink`; its client may take messages of any size. */
  open(sink: WatchSink, takesAnySize = false): WatchStream {
    const backpressure = this.#backpressure;
    const flow = new StreamFlow(backpressure, sink, takesAnySize);
    const stream = new WatchStream({ hub: this, backpressure, flow, writer: this.#writer });
    this.#streams.add(stream);
    return stream;
  }

  /** By apply, for every commit, in order, right after it. */
  publish(commit: MvccCommit): void {
    const { revision } = commit;
    // Asked in this order, because events that are asked for are made.
    if (revision === this.#revision && commit.events.length === 0) return;
    this.#advance(revision);
    this.#offeredRevision = revision;
    this.#catchUp.remember(commit);
    const { live } = this.#backpressure;
    // The events are made when they are asked for; without watchers they never are.
    if (live.size === 0) return;
    for (const event of commit.events) {
      assert(event.modRevision === revision, 'an event belongs to the revision of its commit');
      let slot: EventSlot | undefined;
      for (const head of live.heads(event.key)) {
        let next: Watcher | undefined;
        for (let at: Watcher | undefined = head; at !== undefined; at = next) {
          // Taken first: a watcher that falls behind leaves the list.
          next = at.next;
          if (!at.accepts(event)) continue;
          slot ??= new EventSlot(event);
          this.#backpressure.offer(at, slot);
        }
      }
    }
    if (this.counters.pendingEvents > this.limits.pendingEventsMax) this.flush(true);
  }

  #advance(revision: Revision): void {
    assert(revision === this.#revision + 1, 'revisions are published one after the other');
    // L-37: nothing is shown that has not been applied.
    assert(revision <= this.#store.revision, 'only what is applied is published');
    this.#revision = revision;
  }

  /**
   * As `publish`, for a commit of any size: one with very many changes, or many that very many
   * watchers may want, is not handed out, but whoever wants some of it gets it from history.
   * Nothing else may be published until it is done.
   */
  *publishSteps(commit: MvccCommit, slice: Slice): Steps<void> {
    if (this.isHandedOut(commit.changes)) {
      this.publish(commit);
      return;
    }
    const { revision } = commit;
    this.#advance(revision);
    this.#catchUp.forgetRecent();
    const { live } = this.#backpressure;
    for (let sub = 0; sub < commit.changes && live.size > 0; sub += 1) {
      if (!slice.next()) yield slice.rest();
      const key = commit.keyAt(sub);
      const type = commit.isDeleteAt(sub) ? 'delete' : 'put';
      while (!this.#leaveToHistory(key, type, revision, slice)) yield slice.rest();
    }
    this.#offeredRevision = revision;
  }

  /** Whether a commit of so many changes is handed out in one piece. */
  isHandedOut(changes: number): boolean {
    if (changes <= 1) return true;
    if (changes > watchLiveChangesMax) return false;
    return changes * this.#backpressure.live.ofRanges <= this.limits.pendingEventsMax;
  }

  /** Every live watcher that wants such a change falls behind; false if there may be more. */
  #leaveToHistory(
    key: KeyString,
    type: MvccEvent['type'],
    revision: Revision,
    slice: Slice,
  ): boolean {
    for (const head of this.#backpressure.live.heads(key)) {
      let watcher: Watcher | undefined = head;
      while (watcher !== undefined) {
        const next: Watcher | undefined = watcher.next;
        if (watcher.wants(type, revision)) this.#backpressure.fallBehind(watcher, revision);
        watcher = next;
        if (!slice.next()) return false;
      }
    }
    return true;
  }

  /** Not all of what was published last has been offered to everybody. */
  get isPublishing(): boolean {
    return this.#offeredRevision !== this.#revision;
  }

  /**
   * By the driver, once after a batch of applies: sends what `publish` found, one message per
   * watcher as a rule. What does not fit into a slice of time follows in the next turns, unless it
   * has to be all.
   */
  flush(all = false): void {
    const { due } = this.#backpressure;
    if (due.isEmpty) return;
    const startMs = this.clock.nowMs();
    const deadlineMs = startMs + sliceMsMax;
    const eventsBefore = this.counters.eventsTotal;
    let taken = 0;
    for (let watcher = due.take(); watcher !== undefined; watcher = due.take()) {
      taken += 1;
      if (watcher.pending !== undefined) this.deliver(watcher);
      if (!all && (taken & flushCheckMask) === 0 && this.clock.nowMs() >= deadlineMs) break;
    }
    due.shorten();
    this.#countFlush(startMs, taken, this.counters.eventsTotal - eventsBefore);
    if (!due.isEmpty) this.flushSoon();
  }

  /** Two looks at the clock for all watchers: one for each would be a part of what they cost. */
  #countFlush(startMs: number, watchers: number, events: number): void {
    const seconds = (this.clock.nowMs() - startMs) / 1000;
    this.sendLoop.watchStream.observeMany(seconds / watchers, watchers);
    if (events > 0) this.sendLoop.watchStreamPerEvent.observeMany(seconds / events, watchers);
  }

  /** In the next turn: events have become pending outside of a batch, or a flush took long. */
  flushSoon(): void {
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    this.clock.afterTurn(() => {
      this.#isFlushScheduled = false;
      this.flush();
    });
  }

  /** Sends the pending events of a synced watcher, or makes it fall behind. */
  deliver(watcher: Watcher): void {
    const { stream } = watcher;
    const slots = this.#backpressure.takePending(watcher);
    const first = slots[0];
    if (first === undefined) return;
    if (stream.isFull) {
      // Not for who is about to be closed with its stream.
      if (!stream.isClosed) this.#backpressure.fallBehind(watcher, first.revision);
      return;
    }
    const through = this.#offeredRevision;
    const bytesMax = this.limits.messageBytesTarget;
    if (this.#writer.sendEvents(watcher, slots, through, through, bytesMax)) return;
    // Unless the sink found out that its client is gone.
    if (watcher.is('synced')) this.#backpressure.fallBehind(watcher, watcher.nextRevision);
  }

  /** A new watcher, after its created reply. */
  admit(watcher: Watcher): void {
    const { revision, compactRevision } = this.#store;
    if (watcher.nextRevision > revision) this.#backpressure.sync(watcher);
    else if (watcher.nextRevision < compactRevision) this.cancelCompacted(watcher);
    else this.#backpressure.goOn(watcher);
  }

  /** The history that a watcher which is behind needs is gone; it stays until its client cancels. */
  cancelCompacted(watcher: Watcher): void {
    const { compactRevision } = this.#store;
    this.#backpressure.lose(watcher);
    assert(watcher.nextRevision < compactRevision, 'only lost history cancels a watcher');
    const fields = { watchId: watcher.id, canceled: true, compactRevision };
    this.#writer.sendControl(watcher.stream, 0, fields);
  }

  forgetStream(stream: WatchStream): void {
    this.#streams.delete(stream);
  }

  /** Ends all streams without a word to their clients, and reads no more history. */
  close(): void {
    this.#catchUp.close();
    for (const stream of this.#streams) stream.close();
  }

  /**
   * The store got a newer state that nobody published (an installed snapshot), or was replaced by
   * another one that has it: every watcher goes on from where it was, from that history, or learns
   * that it is compacted (L-8).
   */
  syncAfterRestore(store: WatchStore = this.#store): void {
    this.flush(true);
    const before = this.#revision;
    assert(store.revision >= before, 'a restored store is not older');
    this.#store = store;
    this.#revision = store.revision;
    this.#offeredRevision = this.#revision;
    this.#catchUp.restart();
    for (const stream of this.#streams) {
      for (const watcher of stream.watchers.values()) {
        if (watcher.state !== 'synced') continue;
        watcher.nextRevision = Math.max(watcher.nextRevision, before + 1);
        if (watcher.nextRevision > store.revision) continue;
        this.#backpressure.fallBehind(watcher, watcher.nextRevision);
      }
    }
  }
}
