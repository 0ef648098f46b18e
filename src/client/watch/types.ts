/**
 * Watching: changes as an async iterable. A watcher survives disconnections: it goes on at the
 * revision after the last one it got, so nothing is missed and nothing comes twice. What it buffers
 * is bounded; a reader that is slow makes the watcher stop and catch up later from the store.
 */

import type { Revision } from '../../common/index.js';
import type { CallOptions, Header } from '../call/index.js';
import type { EtcdClientError } from '../errors.js';
import type { KeyValue } from '../keyspace/index.js';

export interface WatchOptions extends Omit<CallOptions, 'timeoutMs'> {
  /** First revision of interest; the present of the member that serves it if left out. */
  readonly fromRevision?: Revision;
  /** Each event also has what was there before. */
  readonly prev?: boolean;
  /** Only this kind of event, in the type, too. */
  readonly only?: 'put' | 'delete';
  /** Also deliver `progress` events: no change up to that revision is still to come. */
  readonly progress?: boolean;
  /** Events kept for a reader that is behind; then the watch pauses. Default 10,000. */
  readonly bufferEventsMax?: number;
  /**
   * A value that the codec refuses: `throw` (the default) ends the watch with DECODE_FAILED,
   * `report` delivers an `invalid` event.
   */
  readonly onInvalid?: 'throw' | 'report';
}

export interface PutEvent<V> {
  readonly type: 'put';
  readonly key: string;
  readonly kv: KeyValue<V>;
  readonly value: V;
  readonly revision: Revision;
  /** The key was not there before. */
  readonly created: boolean;
}
export interface DeleteEvent {
  readonly type: 'delete';
  readonly key: string;
  readonly keyBytes: Buffer;
  readonly revision: Revision;
}
/** Everything up to `revision` has been delivered. */
export interface ProgressEvent {
  readonly type: 'progress';
  readonly revision: Revision;
}
/** A put whose value is not of the codec's kind. */
export interface InvalidEvent {
  readonly type: 'invalid';
  readonly key: string;
  readonly kv: KeyValue<Buffer>;
  readonly revision: Revision;
  readonly error: EtcdClientError;
}

/** `prev` if it was asked for; undefined if there was none, or it is compacted. */
export type WithPrev<E, V, O> = O extends { readonly prev: true }
  ? E & { readonly prev: KeyValue<V> | undefined }
  : E;

/** The events that these options let through. */
export type WatchEvent<V, O = unknown> =
  | (O extends { readonly only: 'delete' } ? never : WithPrev<PutEvent<V>, V, O>)
  | (O extends { readonly only: 'put' } ? never : WithPrev<DeleteEvent, V, O>)
  | (O extends { readonly progress: true } ? ProgressEvent : never)
  | (O extends { readonly onInvalid: 'report' } ? InvalidEvent : never);

/** All events of one revision (one transaction), never split. Progress is a batch of its own. */
export interface WatchBatch<V, O = unknown> {
  readonly revision: Revision;
  readonly events: readonly WatchEvent<V, O>[];
}

/**
 * A running watch. Iterating ends when it is closed or its signal aborts; it throws
 * EtcdClientError with COMPACTED if the revision it must go on at is gone (see
 * `compactRevision`), PERMISSION_DENIED and the like if the server refuses it. One reader.
 */
export interface Watcher<V, O = unknown>
  extends AsyncIterableIterator<WatchEvent<V, O>, undefined>,
    AsyncDisposable {
  /** Instead of single events: all of a revision together. */
  batches(): AsyncIterableIterator<WatchBatch<V, O>, undefined>;
  /** Resolves once the server has accepted it the first time: later changes are seen. */
  readonly ready: Promise<Header>;
  /**
   * Asks the server how far it is; comes as a progress mark, if `progress` was asked for and all
   * watches of the client are up to date. Does nothing at etcd before 3.4.25 and 3.5.8, whose
   * marks are not reliable.
   */
  requestProgress(): void;
  /** Everything up to here was handed to the reader. */
  readonly revision: Revision;
  /** Ends it here and at the server; resolves when the server knows. */
  close(): Promise<void>;
}

export interface WatchFromOptions extends Omit<WatchOptions, 'fromRevision' | 'only'> {
  /** The past; the newest state if left out. */
  readonly revision?: Revision;
  /**
   * When history needed to go on was compacted while away: `resync` (the default) delivers a new
   * `snapshot` with reason `compacted`; `throw` ends with COMPACTED.
   */
  readonly onCompacted?: 'resync' | 'throw';
}

/** The whole state at a revision: the first event, and again after a compaction gap. */
export interface SnapshotEvent<V> {
  readonly type: 'snapshot';
  readonly revision: Revision;
  readonly entries: readonly KeyValue<V>[];
  /** Entries whose values the codec refused; only with `onInvalid: 'report'`. */
  readonly invalid: readonly KeyValue<Buffer>[];
  readonly reason: 'start' | 'compacted';
}

export type StateEvent<V, O = unknown> = SnapshotEvent<V> | WatchEvent<V, O>;

/** Snapshot, then changes. */
export interface StateWatcher<V, O = unknown>
  extends AsyncIterableIterator<StateEvent<V, O>, undefined>,
    AsyncDisposable {
  /** Everything up to here was handed to the reader. */
  readonly revision: Revision;
  requestProgress(): void;
  close(): Promise<void>;
}
