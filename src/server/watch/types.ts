/**
 * The data of the watch hub: watchers, and events with their shared encodings.
 */

import type { Clock, KeyString, Random, Revision } from '../../common/index.js';
import { type EncodedHeader, encodeEvent } from '../../proto/index.js';
import type { MvccEvent, MvccStore } from '../../storage/index.js';
import type { WatchSendLoop } from '../metrics/index.js';
import type { CatchUpGroup } from './catch-up.js';
import type { WatchStream } from './stream.js';

/** What the hub needs of the store. */
export type WatchStore = Pick<MvccStore, 'revision' | 'compactRevision' | 'history' | 'range'>;

/** Bounds of the hub; defaults in `defaultWatchLimits` of watch/hub.ts. */
export interface WatchLimits {
  /** A stream with more unsent bytes gets no more events until it has drained. */
  readonly backlogBytesMax: number;
  /** Unsent bytes of all streams together above which each slow stream is held back at once. */
  readonly backlogBytesTotalMax: number;
  /** With fragment=true a response of this size is cut between events. */
  readonly fragmentBytes: number;
  /** Responses are cut before a revision with which they would be larger. */
  readonly messageBytesTarget: number;
  /** The same for watchers that are behind: in one message, and for clients that take any size. */
  readonly messageBytesMax: number;
  readonly responseBytesMax: number;
  /** Bytes, and events times watchers, that wait for the rest of their response. */
  readonly heldBytesMax: number;
  readonly heldEventsMax: number;
  /** Distinct revisions of one response and of one page of history, and bytes of a page. */
  readonly catchUpRevisionsMax: number;
  readonly catchUpBytesMax: number;
  /** Event references waiting for a flush above which publish flushes by itself. */
  readonly pendingEventsMax: number;
  readonly progressIntervalMs: number;
}

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

/** Where the messages of a stream go, in order. The parts may be shared between streams. */
export interface WatchSink {
  /** False: above the high-water mark; the owner calls `WatchStream.drained` when it is not. */
  sendParts(parts: readonly Uint8Array[]): boolean;
  readonly backlogBytes: number;
}

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

/**
 * - synced: in the live index; has been offered everything up to the hub's revision
 * - waiting: behind, not yet in a group that reads history
 * - reading: behind, member of a group
 * - parked: behind, until its stream drains
 * - compacted: told that its history is gone; stays until the client cancels it
 * - closed: gone
 */
export type WatcherState = 'synced' | 'waiting' | 'reading' | 'parked' | 'compacted' | 'closed';

/** What a client asked for with one create request. */
export interface WatcherSpec {
  readonly id: number;
  readonly key: KeyString;
  /** Exclusive, '' for "and above"; undefined: just `key`. */
  readonly end: KeyString | undefined;
  readonly startRevision: Revision;
  readonly wantsPuts: boolean;
  readonly wantsDeletes: boolean;
  readonly wantsPrev: boolean;
  readonly fragments: boolean;
  readonly progressNotify: boolean;
}

/** One watcher. All fields are set here, so that 100k of them have one shape and one small size. */
export class Watcher {
  readonly stream: WatchStream;
  readonly id: number;
  readonly key: KeyString;
  readonly end: KeyString | undefined;
  readonly startRevision: Revision;
  readonly wantsPuts: boolean;
  readonly wantsDeletes: boolean;
  readonly wantsPrev: boolean;
  readonly fragments: boolean;
  readonly progressNotify: boolean;
  state: WatcherState = 'synced';
  /** Everything below has been delivered or was not asked for. */
  nextRevision: Revision;
  /** Matching events not yet sent, oldest first; never empty. Of length 1: shared, see `alone`. */
  pending: readonly EventSlot[] | undefined = undefined;
  /** In the hub's list of watchers to flush. */
  touched = false;
  /** No event was sent since the last progress tick. */
  quiet = true;
  /** Neighbours among the watchers of the same key or range in a WatcherIndex. */
  previous: Watcher | undefined = undefined;
  next: Watcher | undefined = undefined;
  group: CatchUpGroup | undefined = undefined;

  constructor(stream: WatchStream, spec: WatcherSpec, nextRevision: Revision) {
    this.stream = stream;
    this.id = spec.id;
    this.key = spec.key;
    this.end = spec.end;
    this.startRevision = spec.startRevision;
    this.wantsPuts = spec.wantsPuts;
    this.wantsDeletes = spec.wantsDeletes;
    this.wantsPrev = spec.wantsPrev;
    this.fragments = spec.fragments;
    this.progressNotify = spec.progressNotify;
    this.nextRevision = nextRevision;
  }

  /** Whether the watcher has asked for this event and not had it. */
  accepts(event: MvccEvent): boolean {
    return this.wants(event.type, event.modRevision);
  }

  /** Whether the watcher has asked for such an event of its keys and not had it. */
  wants(type: MvccEvent['type'], revision: Revision): boolean {
    return revision >= this.nextRevision && (type === 'put' ? this.wantsPuts : this.wantsDeletes);
  }
}

/** Encoded events of one revision that go out together. */
export interface SendableEvents {
  readonly revision: Revision;
  /** Of the first. */
  readonly sub: number;
  readonly count: number;
  /** The `events` fields of a WatchResponse, tags included; with previous values if wanted. */
  encoded(wantsPrev: boolean): Uint8Array;
}

/** An event on its way to watchers, encoded at most once with and once without prev_kv. */
export class EventSlot implements SendableEvents {
  readonly revision: Revision;
  readonly sub: number;
  readonly event: MvccEvent;
  /**
   * Just this event: what most watchers have pending when a batch ends. Shared: with an array each,
   * publishing to 100k watchers of one key took 10 ms of CPU instead of 5 (measured).
   */
  readonly alone: readonly EventSlot[];
  /** Batches of watchers that are behind which hold it, and what it counts for while they do. */
  holders = 0;
  heldBytes = 0;
  /** What had to be read because the event did not have it. */
  #readPrevious: Uint8Array | null | undefined = undefined;
  #plain: Uint8Array | undefined = undefined;
  #withPrevious: Uint8Array | undefined = undefined;

  constructor(event: MvccEvent) {
    this.revision = event.modRevision;
    this.sub = event.sub;
    this.event = event;
    this.alone = [this];
  }

  get count(): number {
    return 1;
  }

  /** As MvccEvent.prevKv, or what was read later. */
  get prevKv(): Uint8Array | null | undefined {
    // Asked only for watchers that want it: the event may have to make it.
    const known = this.event.prevKv;
    return known === undefined ? this.#readPrevious : known;
  }

  setPrevious(prevKv: Uint8Array | null): void {
    this.#readPrevious = prevKv;
  }

  /** The `events` field of a WatchResponse with this event in it, tag included. */
  encoded(wantsPrev: boolean): Uint8Array {
    const { event } = this;
    if (wantsPrev) {
      if (this.#withPrevious !== undefined) return this.#withPrevious;
      const prevKv = this.prevKv;
      if (prevKv !== null && prevKv !== undefined) {
        this.#withPrevious = encodeEvent(event.type, event.kv, prevKv);
        return this.#withPrevious;
      }
    }
    this.#plain ??= encodeEvent(event.type, event.kv, undefined);
    return this.#plain;
  }
}

/** A function, for the compiler believes of a check in place that calls leave it true. */
export function isSynced(watcher: Watcher): boolean {
  return watcher.state === 'synced';
}
