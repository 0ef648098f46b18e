/**
 * A whole state on its way from one member to another (paper section 7). The sender reads it from
 * a view of its KvStore, in pieces that hold stored records as they are; the receiver writes them
 * into a second KvStore beside the one it still serves reads from, and changes over at the end.
 */

import type { LogIndex } from '../../common/index.js';
import type { SnapshotMeta } from '../../raft/index.js';

/** Reads one state; stays the same whatever happens to the store meanwhile. Must be closed. */
export interface SnapshotSource {
  /** The state's place in the log. */
  readonly mark: SnapshotMeta;
  /**
   * The piece after `position` (empty: the first), of about a megabyte, with a checksum;
   * undefined after the last, which says how much there was in all and its hash. Any position
   * that was handed out before may be asked for again.
   */
  next(
    position: Uint8Array,
  ): Promise<{ readonly data: Buffer; readonly position: Buffer } | undefined>;
  close(): Promise<void>;
}

/** Takes the pieces of a SnapshotSource, in order. */
export interface SnapshotSink {
  /** Rejects with StorageError if the piece is damaged or not the next one. */
  write(piece: Uint8Array): Promise<void>;
  /**
   * Resolves once everything is durable and was found complete; rejects with StorageError if it
   * is not. The staged state counts for nothing until `MvccStore.install` is called.
   */
  finish(): Promise<StagedSnapshot>;
  /** Removes what was written. Also to be called if `write` or `finish` rejected. */
  abort(): Promise<void>;
}

/** A complete state, waiting to be installed with `MvccStore.install`, or discarded. */
export interface StagedSnapshot {
  readonly mark: SnapshotMeta;
  /**
   * Removes it. Not once the log is marked with it, unless the present state has come as far.
   */
  discard(): Promise<void>;
}

/** The present state holds all that a staged one does, and perhaps more: nothing was changed. */
export class ObsoleteSnapshotError extends Error {
  override readonly name = 'ObsoleteSnapshotError';

  constructor(index: LogIndex, applied: LogIndex) {
    super(`a snapshot at entry ${index} is not newer than the present state at entry ${applied}`);
  }
}
