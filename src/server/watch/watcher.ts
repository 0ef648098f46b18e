/**
 * A watcher: what its client asked for, and how far it has been served. What state it is in, and
 * where it is kept by that, is up to watch/backpressure.ts.
 */

import type { KeyString, Revision } from '../../common/index.js';
import type { MvccEvent } from '../../storage/index.js';
import type { EventSlot } from './event-slot.js';

/** The states of watch/backpressure.ts. */
export type WatcherState =
  | 'new'
  | 'synced'
  | 'waiting'
  | 'reading'
  | 'parked'
  | 'compacted'
  | 'closed';

/** The stream of a watcher, to those who serve it. */
export interface WatcherStream {
  /** Nothing is sent any more; watchers may still be going. */
  readonly isClosed: boolean;
  /** It takes no events now. */
  readonly isFull: boolean;
  /** Its client may take messages of any size. */
  readonly takesAnySize: boolean;
  /** Watchers in that state; watch/backpressure.ts keeps them and the two counts. */
  readonly parked: Set<Watcher>;
  /** Watchers that have events pending. */
  pendingWatchers: number;
  /** Watchers that are admitted and not synced. */
  unsyncedWatchers: number;
  /** Sends one message, whose parts may be shared between streams. */
  put(parts: readonly Uint8Array[]): void;
}

/** Watchers that share a scan of history. */
export interface WatcherGroup {
  add(watcher: Watcher): void;
  /** Leaves `nextRevision` where the watcher has to be served from. */
  remove(watcher: Watcher): void;
}

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
  readonly stream: WatcherStream;
  readonly id: number;
  readonly key: KeyString;
  readonly end: KeyString | undefined;
  readonly startRevision: Revision;
  readonly wantsPuts: boolean;
  readonly wantsDeletes: boolean;
  readonly wantsPrev: boolean;
  readonly fragments: boolean;
  readonly progressNotify: boolean;
  /** Changed in watch/backpressure.ts alone. */
  state: WatcherState = 'new';
  /** Everything below has been delivered or was not asked for. */
  nextRevision: Revision;
  /** Matching events not yet sent, oldest first; never empty. Of length 1: shared, see `alone`. */
  pending: readonly EventSlot[] | undefined = undefined;
  /** Among the DueWatchers. */
  isDue = false;
  /** No event was sent since the last progress tick. */
  quiet = true;
  /** Neighbours among the watchers of the same key or range in a WatcherIndex. */
  previous: Watcher | undefined = undefined;
  next: Watcher | undefined = undefined;
  /** While the state is `reading`. */
  group: WatcherGroup | undefined = undefined;

  constructor(stream: WatcherStream, spec: WatcherSpec, nextRevision: Revision) {
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

  /** A function, for the compiler believes of a check in place that calls leave it true. */
  is(state: WatcherState): boolean {
    return this.state === state;
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
