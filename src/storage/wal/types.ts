/**
 * The write-ahead log as the server sees it.
 */

import type { LogIndex } from '../../common/index.js';
import type { Entry, HardState, SnapshotMeta } from '../../raft/index.js';

/** What a write-ahead log held when it was opened. */
export interface WalContents {
  /** Opaque bytes given to `create` (cluster and member ids). */
  readonly metadata: Buffer;
  readonly hardState: HardState;
  /** The last snapshot mark whose index is covered by the log. */
  readonly snapshot: SnapshotMeta;
  /** Entries after `snapshot.index`, contiguous. */
  readonly entries: readonly Entry[];
  /** Bytes of a torn last record that were cut off; 0 after an orderly stop. */
  readonly tornBytes: number;
}

/**
 * The log of what Raft must not forget. Calls of `append` are made durable in order; while one
 * fdatasync runs, later appends gather and go out with the next.
 */
export interface Wal {
  /**
   * Resolves once all of it (and everything appended before) is durable. With `sync` false it is
   * written with the next batch that syncs, or at close. A failed write or fsync rejects with
   * StorageError, as does every later call: the caller ends the process.
   */
  append(hardState: HardState | undefined, entries: readonly Entry[], sync: boolean): Promise<void>;
  /** Records that the state machine holds everything up to `snapshot.index`, durably. */
  markSnapshot(snapshot: SnapshotMeta): Promise<void>;
  /** Deletes segments that hold nothing after `index`; only call behind a synced KvStore batch. */
  release(index: LogIndex): Promise<void>;
  /** Bytes of all segments on disk. */
  readonly sizeBytes: number;
  close(): Promise<void>;
}
