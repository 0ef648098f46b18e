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
  grpcOverheadBytes,
  type KeyString,
  type Revision,
  requestBytesMaxDefault,
  type Slice,
  type Steps,
  sliceMsMax,
  watchBacklogBytesMax,
  watchBacklogBytesTotalMax,
  watchCatchUpBytesMax,
  watchCatchUpRevisionsMax,
  watchHeldBytesMax,
  watchHeldEventsMax,
  watchLiveChangesMax,
  watchMessageBytesMax,
  watchMessageBytesTarget,
  watchPendingEventsMax,
  watchProgressIntervalMs,
  watchResponseBytesMax,
} from '../../common/index.js';
import type { MvccCommit, MvccEvent } from '../../storage/index.js';
import { WatchSendLoop } from '../metrics/index.js';
import { WatchCatchUp } from './catch-up.js';
import { WatchStream } from './stream.js';
import {
  EventSlot,
  isSynced,
  type WatchCounters,
  type Watcher,
  type WatchHubOptions,
  type WatchLimits,
  type WatchSink,
  type WatchStore,
} from './types.js';
import { WatcherIndex } from './watcher-index.js';

/** etcd's defaults, and our bounds. */
export const defaultWatchLimits: WatchLimits = {
  backlogBytesMax: watchBacklogBytesMax,
  backlogBytesTotalMax: watchBacklogBytesTotalMax,
  fragmentBytes: requestBytesMaxDefault + grpcOverheadBytes,
  messageBytesTarget: watchMessageBytesTarget,
  messageBytesMax: watchMessageBytesMax,
  responseBytesMax: watchResponseBytesMax,
  heldBytesMax: watchHeldBytesMax,
  heldEventsMax: watchHeldEventsMax,
  catchUpRevisionsMax: watchCatchUpRevisionsMax,
  catchUpBytesMax: watchCatchUpBytesMax,
  pendingEventsMax: watchPendingEventsMax,
  progressIntervalMs: watchProgressIntervalMs,
};

/** A flush looks at the clock after this many watchers. */
const flushCheckMask = 127;
/** Flushed entries at the front of the list above which it is shortened. */
const flushedMax = 8192;

/** All watchers of a member. */
export class WatchHub {
  readonly counters: WatchCounters = {
    watchers: 0,
    streams: 0,
    slowWatchers: 0,
    eventsTotal: 0,
    pendingEvents: 0,
  };
  readonly limits: WatchLimits;
  readonly clock: WatchHubOptions['clock'];
  readonly random: WatchHubOptions['random'];
  readonly header: WatchHubOptions['header'];
  readonly sendLoop: WatchSendLoop;
  readonly #live: WatcherIndex;
  readonly #catchUp: WatchCatchUp;
  readonly #streams = new Set<WatchStream>();
  #store: WatchStore;
  /** Everything up to here has been published, or is being. */
  #revision: Revision;
  /** Everything up to here has been offered to every live watcher. */
  #offeredRevision: Revision;
  #touched: Watcher[] = [];
  #flushed = 0;
  #flushScheduled = false;
  #backlogBytes = 0;

  constructor(options: WatchHubOptions) {
    this.limits = options.limits;
    this.clock = options.clock;
    this.random = options.random;
    this.header = options.header;
    this.sendLoop = options.sendLoop ?? new WatchSendLoop();
    this.#store = options.store;
    this.#revision = options.store.revision;
    this.#offeredRevision = this.#revision;
    this.#live = new WatcherIndex(options.random);
    this.#catchUp = new WatchCatchUp(this, options.fatal);
  }

  get store(): WatchStore {
    return this.#store;
  }

  /** The last revision that was published. */
  get revision(): Revision {
    return this.#revision;
  }

  /** Unsent bytes of all streams together are too many. */
  get overBudget(): boolean {
    return this.#backlogBytes > this.limits.backlogBytesTotalMax;
  }

  /**
   * Whether so many bytes more leave room: for large responses only half of it is there, because
   * small ones must still find some.
   */
  hasRoom(bytes: number): boolean {
    return this.#backlogBytes + bytes <= this.limits.backlogBytesTotalMax / 2;
  }

  /** Events of the past that wait for the rest of their response. */
  get heldEvents(): { readonly bytes: number; readonly count: number } {
    return this.#catchUp.held;
  }

  /** A stream without watchers that writes to `sink`; its client may take messages of any size. */
  open(sink: WatchSink, takesAnySize = false): WatchStream {
    const stream = new WatchStream(this, sink, takesAnySize);
    this.#streams.add(stream);
    this.counters.streams += 1;
    return stream;
  }

  /** By apply, for every commit, in order, right after it. */
  publish(commit: MvccCommit): void {
    const { revision } = commit;
    // Asked in this order, because events that are asked for are made.
    if (revision === this.#revision && commit.events.length === 0) return;
    assert(revision === this.#revision + 1, 'revisions are published one after the other');
    // L-37: nothing is shown that has not been applied.
    assert(revision <= this.#store.revision, 'only what is applied is published');
    this.#revision = revision;
    this.#offeredRevision = revision;
    this.#catchUp.remember(commit);
    // The events are made when they are asked for; without watchers they never are.
    if (this.#live.size === 0) return;
    for (const event of commit.events) {
      assert(event.modRevision === revision, 'an event belongs to the revision of its commit');
      this.#offerAll(event);
    }
    if (this.counters.pendingEvents > this.limits.pendingEventsMax) this.#flush(true);
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
    assert(revision === this.#revision + 1, 'revisions are published one after the other');
    assert(revision <= this.#store.revision, 'only what is applied is published');
    this.#revision = revision;
    this.#catchUp.forgetRecent();
    for (let sub = 0; sub < commit.changes && this.#live.size > 0; sub += 1) {
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
    return changes * this.#live.ofRanges <= this.limits.pendingEventsMax;
  }

  /** Every live watcher that wants such a change falls behind; false if there may be more. */
  #leaveToHistory(
    key: KeyString,
    type: MvccEvent['type'],
    revision: Revision,
    slice: Slice,
  ): boolean {
    for (const head of this.#live.heads(key)) {
      let watcher: Watcher | undefined = head;
      while (watcher !== undefined) {
        const next: Watcher | undefined = watcher.next;
        if (watcher.wants(type, revision)) this.#fallBehind(watcher, revision);
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

  #offerAll(event: MvccEvent): void {
    let slot: EventSlot | undefined;
    for (const head of this.#live.heads(event.key)) {
      let watcher: Watcher | undefined = head;
      while (watcher !== undefined) {
        // Taken first: a watcher that falls behind leaves the list.
        const next: Watcher | undefined = watcher.next;
        if (watcher.accepts(event)) {
          slot ??= new EventSlot(event);
          this.#offer(watcher, slot);
        }
        watcher = next;
      }
    }
  }

  #offer(watcher: Watcher, slot: EventSlot): void {
    if (watcher.wantsPrev && slot.prevKv === undefined) {
      this.#fallBehind(watcher, slot.revision);
      return;
    }
    const { pending } = watcher;
    if (pending === undefined) {
      watcher.pending = slot.alone;
      watcher.stream.pendingWatchers += 1;
    } else if (pending.length === 1) watcher.pending = [...pending, slot];
    else (pending as EventSlot[]).push(slot);
    this.counters.pendingEvents += 1;
    if (watcher.touched) return;
    watcher.touched = true;
    this.#touched.push(watcher);
  }

  /**
   * By the driver, once after a batch of applies: sends what `publish` found, one message per
   * watcher as a rule. What does not fit into a slice of time follows in the next turns.
   */
  flush(): void {
    this.#flush(false);
  }

  #flush(all: boolean): void {
    if (this.#touched.length === 0) return;
    const startMs = this.clock.nowMs();
    const deadlineMs = startMs + sliceMsMax;
    const touched = this.#touched;
    let at = this.#flushed;
    const from = at;
    const eventsBefore = this.counters.eventsTotal;
    while (at < touched.length) {
      const watcher = touched[at] as Watcher;
      at += 1;
      watcher.touched = false;
      if (watcher.pending !== undefined) this.deliver(watcher);
      if (!all && (at & flushCheckMask) === 0 && this.clock.nowMs() >= deadlineMs) break;
    }
    this.#countFlush(startMs, at - from, this.counters.eventsTotal - eventsBefore);
    this.#flushed = at;
    if (at === touched.length) {
      this.#touched = [];
      this.#flushed = 0;
      return;
    }
    if (at > flushedMax) {
      this.#touched = touched.slice(at);
      this.#flushed = 0;
    }
    this.#scheduleFlush();
  }

  /** Two looks at the clock for all watchers: one for each would be a part of what they cost. */
  #countFlush(startMs: number, watchers: number, events: number): void {
    const seconds = (this.clock.nowMs() - startMs) / 1000;
    this.sendLoop.watchStream.observeMany(seconds / watchers, watchers);
    if (events > 0) this.sendLoop.watchStreamPerEvent.observeMany(seconds / events, watchers);
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    this.clock.afterTurn(() => {
      this.#flushScheduled = false;
      this.#flush(false);
    });
  }

  /** Sends the pending events of a synced watcher, or makes it fall behind. */
  deliver(watcher: Watcher): void {
    assert(watcher.state === 'synced', 'only synced watchers have live events pending');
    const slots = this.#takePending(watcher);
    const first = slots[0];
    if (first === undefined || watcher.stream.closed) return;
    if (watcher.stream.blocked) this.#fallBehind(watcher, first.revision);
    else if (
      !watcher.stream.sendEvents(
        watcher,
        slots,
        this.#offeredRevision,
        this.#offeredRevision,
        this.limits.messageBytesTarget,
      )
    ) {
      // Unless the sink found out that its client is gone.
      if (isSynced(watcher)) this.#fallBehind(watcher, watcher.nextRevision);
    }
  }

  #takePending(watcher: Watcher): readonly EventSlot[] {
    const { pending } = watcher;
    if (pending === undefined) return [];
    watcher.pending = undefined;
    watcher.stream.pendingWatchers -= 1;
    this.counters.pendingEvents -= pending.length;
    return pending;
  }

  /** From `revision` on the watcher is served from history; so is what it has pending. */
  #fallBehind(watcher: Watcher, revision: Revision): void {
    const first = this.#takePending(watcher)[0];
    this.#live.remove(watcher);
    watcher.nextRevision = first === undefined ? revision : Math.min(first.revision, revision);
    this.counters.slowWatchers += 1;
    watcher.stream.unsyncedWatchers += 1;
    this.resume(watcher);
  }

  /** A watcher that is behind goes on, now or when its stream drains. */
  resume(watcher: Watcher): void {
    if (watcher.stream.blocked) {
      watcher.state = 'parked';
      watcher.stream.parked.add(watcher);
    } else {
      watcher.state = 'waiting';
      this.#catchUp.enqueue(watcher);
    }
  }

  /** A new watcher, after its created reply. */
  admit(watcher: Watcher): void {
    this.counters.watchers += 1;
    const { nextRevision } = watcher;
    if (nextRevision > this.#store.revision) {
      this.#live.add(watcher);
      return;
    }
    this.counters.slowWatchers += 1;
    watcher.stream.unsyncedWatchers += 1;
    if (nextRevision < this.#store.compactRevision) this.cancelCompacted(watcher);
    else this.resume(watcher);
  }

  /** The history that a watcher which is behind needs is gone. */
  cancelCompacted(watcher: Watcher): void {
    const { compactRevision } = this.#store;
    assert(watcher.nextRevision < compactRevision, 'only lost history cancels a watcher');
    watcher.state = 'compacted';
    this.counters.slowWatchers -= 1;
    watcher.stream.sendCompacted(watcher, compactRevision);
  }

  /** A watcher that has caught up, but for what `offerMissed` adds before anything is published. */
  join(watcher: Watcher): void {
    watcher.state = 'synced';
    this.counters.slowWatchers -= 1;
    watcher.stream.unsyncedWatchers -= 1;
    this.#live.add(watcher);
  }

  /** An event that was published while the watcher was being caught up. */
  offerMissed(watcher: Watcher, slot: EventSlot): void {
    assert(watcher.state === 'synced', 'missed events go to watchers that have joined');
    this.#offer(watcher, slot);
    this.#scheduleFlush();
  }

  /** A watcher goes: cancelled by the client, or with its stream. */
  release(watcher: Watcher): void {
    this.#takePending(watcher);
    if (watcher.state !== 'synced') watcher.stream.unsyncedWatchers -= 1;
    switch (watcher.state) {
      case 'synced':
        this.#live.remove(watcher);
        break;
      case 'waiting':
      case 'reading':
        this.#catchUp.remove(watcher);
        this.counters.slowWatchers -= 1;
        break;
      case 'parked':
        watcher.stream.parked.delete(watcher);
        this.counters.slowWatchers -= 1;
        break;
      default:
        break;
    }
    watcher.state = 'closed';
    this.counters.watchers -= 1;
  }

  forgetStream(stream: WatchStream): void {
    if (this.#streams.delete(stream)) this.counters.streams -= 1;
  }

  /** A stream's unsent bytes changed by so much. */
  addBacklog(bytes: number): void {
    this.#backlogBytes += bytes;
    assert(this.#backlogBytes >= 0, 'backlogs add up');
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
    this.#flush(true);
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
        if (watcher.nextRevision <= store.revision) this.#fallBehind(watcher, watcher.nextRevision);
      }
    }
  }
}
