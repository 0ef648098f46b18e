/**
 * Who is served how: the one state machine of watchers and their streams. Everybody else asks it.
 *
 * A watcher has one state, and is kept in one place by that:
 *
 *         starts now or later
 *   new ──────────────────────► synced ◄───────────────────────────────┐
 *    │                             │ falls behind                      │ has all that
 *    │ starts in the past          ▼                                   │ was published
 *    ├─────────────────────► stream full? ── no ──► waiting ───────► reading
 *    │                        │ yes   ▲ ▲              ▲  in a group  │ │ │
 *    │                        ▼       │ │              │              │ │ │
 *    │                      parked ───┘ │              └──────────────┘ │ │
 *    │                         drained  │            another store      │ │
 *    │                                  └───────────────────────────────┘ │
 *    │ starts in what is compacted          can't be sent to              │ lost history
 *    └─────────────────────────► compacted ◄──────────────────────────────┘
 *
 *   all but new ──► closed: cancelled by its client, or gone with its stream
 *
 *   state      what it gets                                     where it is kept
 *   new        nothing yet: its created reply goes first
 *   synced     what is published, when the batch ends           `live`; `due` with events pending
 *   waiting    nothing until a group takes it                   `waiting`
 *   reading    pages of history                                 its group
 *   parked     nothing until its stream has drained             `parked` of its stream
 *   compacted  nothing: it has been told; its client cancels it
 *   closed     nothing
 *
 * A synced watcher falls behind if its stream is full when its turn comes, if a previous value that
 * it wants is not in memory, or if what it wants is only to be had from history. Metrics call
 * waiting, reading and parked slow.
 *
 * A stream:
 *
 *              sink above its                      full when its client
 *              high-water mark                     asks for something
 *   flowing ─────────────────────► slow ─────────────────────────────► stopped
 *      ▲                            │ drained                             │ drained
 *      └────────────────────────────┴─────────────────────────────────────┘
 *
 *   all ──► closed
 *
 *   flowing    takes everything
 *   slow       takes events unless it is full, and no progress notifications
 *   stopped    as slow; its requests are not read, for the replies to them would pile up
 *   closed     takes nothing, so it counts as full
 *
 * Full is no state: it changes without a word to the stream, with the bytes that its sink has not
 * sent, and with those of all streams together. It is asked when something is about to be sent.
 */

import { assert, type Clock, inShares, type Random, type Revision } from '../../common/index.js';
import { DueWatchers } from './due-watchers.js';
import type { EventSlot } from './event-slot.js';
import type { WatchLimits } from './limits.js';
import type { Watcher, WatcherGroup, WatcherState, WatcherStream } from './watcher.js';
import { WatcherIndex } from './watcher-index.js';

const watcherMoves: Readonly<Record<WatcherState, readonly WatcherState[]>> = {
  new: ['synced', 'waiting', 'parked', 'compacted'],
  synced: ['waiting', 'parked', 'closed'],
  waiting: ['reading', 'closed'],
  reading: ['synced', 'waiting', 'parked', 'compacted', 'closed'],
  parked: ['waiting', 'closed'],
  compacted: ['closed'],
  closed: [],
};

type StreamState = 'flowing' | 'slow' | 'stopped' | 'closed';

const streamMoves: Readonly<Record<StreamState, readonly StreamState[]>> = {
  flowing: ['slow', 'closed'],
  slow: ['flowing', 'stopped', 'closed'],
  stopped: ['flowing', 'closed'],
  closed: [],
};

/** 1: behind, but can catch up. */
const isSlow = { new: 0, synced: 0, waiting: 1, reading: 1, parked: 1, compacted: 0, closed: 0 };
/** 1: admitted, but not told what is published. */
const isUnsynced = { ...isSlow, compacted: 1 };

const nothing: readonly EventSlot[] = [];

/** Totals and levels for the metrics. */
export interface WatchCounters {
  watchers: number;
  streams: number;
  /** Watchers that are behind. */
  slowWatchers: number;
  /** Events sent to watchers. */
  eventsTotal: number;
  /** Event references that wait for a flush. */
  pendingEvents: number;
}

/** Where the messages of a stream go, in order. The parts may be shared between streams. */
export interface WatchSink {
  /** False: above the high-water mark; the owner calls `WatchStream.drained` when it is not. */
  sendParts(parts: readonly Uint8Array[]): boolean;
  readonly backlogBytes: number;
}

/** What the machine needs. */
export interface BackpressureOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: WatchLimits;
  /** A watcher has begun to wait for a group. */
  readonly wake: () => void;
}

/** All watchers of a member, where they are by their state. */
export class Backpressure {
  readonly counters: WatchCounters = {
    watchers: 0,
    streams: 0,
    slowWatchers: 0,
    eventsTotal: 0,
    pendingEvents: 0,
  };
  readonly clock: Clock;
  readonly limits: WatchLimits;
  readonly live: WatcherIndex;
  readonly due = new DueWatchers();
  readonly waiting = new Set<Watcher>();
  readonly #wake: () => void;
  #backlogBytes = 0;

  constructor(options: BackpressureOptions) {
    this.clock = options.clock;
    this.limits = options.limits;
    this.live = new WatcherIndex(options.random);
    this.#wake = options.wake;
  }

  /** Unsent bytes of all streams together are too many. */
  get isOverBudget(): boolean {
    return this.#backlogBytes > this.limits.backlogBytesTotalMax;
  }

  /**
   * Whether so many bytes more leave room: for large responses only half of it is there, because
   * small ones must still find some.
   */
  hasRoom(bytes: number): boolean {
    return this.#backlogBytes + bytes <= this.limits.backlogBytesTotalMax / 2;
  }

  /** A stream's unsent bytes changed by so much. */
  addBacklog(bytes: number): void {
    this.#backlogBytes += bytes;
    assert(this.#backlogBytes >= 0, 'backlogs add up');
  }

  /** An event that a synced watcher accepts waits for the end of the batch. */
  offer(watcher: Watcher, slot: EventSlot): void {
    if (watcher.wantsPrev && slot.prevKv === undefined) {
      this.fallBehind(watcher, slot.revision);
      return;
    }
    const { pending } = watcher;
    if (pending === undefined) {
      watcher.pending = slot.alone;
      watcher.stream.pendingWatchers += 1;
    } else if (pending.length === 1) watcher.pending = [...pending, slot];
    else (pending as EventSlot[]).push(slot);
    this.counters.pendingEvents += 1;
    this.due.add(watcher);
  }

  /** Events that have been offered, oldest first; the caller sends them. */
  takePending(watcher: Watcher): readonly EventSlot[] {
    const { pending } = watcher;
    if (pending === undefined) return nothing;
    assert(watcher.state === 'synced', 'only synced watchers have live events pending');
    watcher.pending = undefined;
    watcher.stream.pendingWatchers -= 1;
    this.counters.pendingEvents -= pending.length;
    return pending;
  }

  /** It gets all that is published from now on. */
  sync(watcher: Watcher): void {
    this.#enter(watcher, 'synced');
    this.live.add(watcher);
  }

  /** From `revision` on a synced watcher is served from history; so is what it has pending. */
  fallBehind(watcher: Watcher, revision: Revision): void {
    assert(watcher.state === 'synced', 'only who is up to date can fall behind');
    const first = this.takePending(watcher)[0];
    watcher.nextRevision = first === undefined ? revision : Math.min(first.revision, revision);
    this.goOn(watcher);
  }

  /** One that is behind: gets history as soon as its stream takes it. */
  goOn(watcher: Watcher): void {
    if (!watcher.stream.isFull) {
      this.queue(watcher);
      return;
    }
    if (watcher.state === 'parked') return;
    this.#enter(watcher, 'parked');
    watcher.stream.parked.add(watcher);
  }

  /** One that is behind waits for a group, whatever its stream takes. */
  queue(watcher: Watcher): void {
    this.#enter(watcher, 'waiting');
    this.waiting.add(watcher);
    this.#wake();
  }

  /** A group takes one that waits. */
  read(watcher: Watcher, group: WatcherGroup): void {
    this.#enter(watcher, 'reading');
    watcher.group = group;
    group.add(watcher);
  }

  /** The history that it needs is gone. */
  lose(watcher: Watcher): void {
    this.#enter(watcher, 'compacted');
  }

  /** It goes: cancelled by the client, or with its stream. */
  close(watcher: Watcher): void {
    this.#enter(watcher, 'closed');
  }

  /** The only place where the state of a watcher changes; the caller puts it where it belongs. */
  #enter(watcher: Watcher, to: WatcherState): void {
    const from = watcher.state;
    assert(watcherMoves[from].includes(to), 'a watcher changes its state as the diagram says');
    this.#leave(watcher);
    watcher.state = to;
    const { counters } = this;
    counters.slowWatchers += isSlow[to] - isSlow[from];
    watcher.stream.unsyncedWatchers += isUnsynced[to] - isUnsynced[from];
    if (from === 'new') counters.watchers += 1;
    if (to === 'closed') counters.watchers -= 1;
  }

  #leave(watcher: Watcher): void {
    switch (watcher.state) {
      case 'synced':
        this.takePending(watcher);
        this.live.remove(watcher);
        break;
      case 'waiting':
        this.waiting.delete(watcher);
        break;
      case 'reading':
        assert(watcher.group !== undefined, 'who reads history does so in a group');
        watcher.group.remove(watcher);
        watcher.group = undefined;
        break;
      case 'parked':
        watcher.stream.parked.delete(watcher);
        break;
      default:
        break;
    }
  }
}

/** The way out of one stream. */
export class StreamFlow implements WatcherStream {
  readonly parked = new Set<Watcher>();
  pendingWatchers = 0;
  unsyncedWatchers = 0;
  readonly takesAnySize: boolean;
  readonly #sink: WatchSink;
  readonly #all: Backpressure;
  #state: StreamState = 'flowing';
  /** What this stream adds to the sum of all backlogs. */
  #countedBacklogBytes = 0;

  constructor(all: Backpressure, sink: WatchSink, takesAnySize: boolean) {
    this.#all = all;
    this.#sink = sink;
    this.takesAnySize = takesAnySize;
    all.counters.streams += 1;
  }

  get isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Nothing has to wait. */
  get isFlowing(): boolean {
    return this.#state === 'flowing';
  }

  get isFull(): boolean {
    if (this.#state === 'flowing') return false;
    if (this.#state === 'closed') return true;
    const { limits, isOverBudget } = this.#all;
    return this.#sink.backlogBytes > limits.backlogBytesMax || isOverBudget;
  }

  put(parts: readonly Uint8Array[]): void {
    // The sink may find out here that its client is gone.
    if (this.#sink.sendParts(parts) || this.isClosed) return;
    if (this.#state === 'flowing') this.#become('slow');
    this.#countBacklog(this.#sink.backlogBytes);
  }

  /** True if its requests are not to be read from now on, until `drained` returns true. */
  stop(): boolean {
    if (this.#state !== 'slow' || !this.isFull) return false;
    this.#become('stopped');
    return true;
  }

  /**
   * The sink is below its high-water mark again: watchers that wait for that go on, very many a
   * share at a time. True if its requests are to be read again.
   */
  drained(): boolean {
    if (this.#state === 'closed') return false;
    const wasStopped = this.#state === 'stopped';
    if (this.#state !== 'flowing') this.#become('flowing');
    this.#countBacklog(0);
    const all = this.#all;
    const goOn = (watcher: Watcher): void => {
      // Not if it was cancelled in between.
      if (watcher.is('parked')) all.goOn(watcher);
    };
    inShares(all.clock, [...this.parked], goOn, () => {});
    return wasStopped;
  }

  /** Nothing is sent any more. Its watchers have to be closed, one by one; then `ended`. */
  close(): void {
    this.#become('closed');
    this.#countBacklog(0);
  }

  /** After `close`, when all its watchers are closed, too. */
  ended(): void {
    assert(this.#state === 'closed', 'a stream is closed before it has ended');
    assert(this.parked.size === 0, 'nobody waits for a stream that has ended');
    assert(this.pendingWatchers === 0, 'nothing is pending for a stream that has ended');
    assert(this.unsyncedWatchers === 0, 'nobody of a stream that has ended is served');
    this.#all.counters.streams -= 1;
  }

  #become(to: StreamState): void {
    assert(streamMoves[this.#state].includes(to), 'a stream changes its state as drawn');
    this.#state = to;
  }

  #countBacklog(bytes: number): void {
    this.#all.addBacklog(bytes - this.#countedBacklogBytes);
    this.#countedBacklogBytes = bytes;
  }
}
