/**
 * The hashes of the last compactions: what HashKV said at their revisions before they removed
 * anything. Members that compare what they have, and clients that compare before and after, are
 * answered from them, as by etcd, which keeps as many (server/storage/mvcc/hash.go). In memory.
 */

import { compactionHashesMax, type Revision } from '../../common/index.js';

/** CRC-32C of the history up to a revision, and what it stands on. */
export interface RevisionHash {
  readonly hash: number;
  /** The compaction that had been made when this was hashed; -1: none. */
  readonly compactRevision: Revision;
  /** Everything up to here is in it. */
  readonly hashRevision: Revision;
}

/** One list for a store, also when an installed state takes over. */
export class CompactionHashes {
  /** Oldest first. */
  #kept: RevisionHash[] = [];

  /** Compactions end in the order of their revisions. */
  add(hash: RevisionHash): void {
    this.#kept = [...this.#kept, hash].slice(-compactionHashesMax);
  }

  /** Undefined: it is not among the last ones. */
  find(revision: Revision): RevisionHash | undefined {
    return this.#kept.find(({ hashRevision }) => hashRevision === revision);
  }

  /** Newest first. */
  list(): readonly RevisionHash[] {
    return [...this.#kept].reverse();
  }
}
