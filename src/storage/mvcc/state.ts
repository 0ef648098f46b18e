/**
 * The memory of the MVCC store, shared by the parts that work on it: transactions, ranges, flush,
 * compaction, hashing. Plain data; each rule lives with the part that keeps it.
 */

import {
  type Clock,
  checkpointJournalBytesMin,
  checkpointKeysMinDefault,
  EtcdError,
  type KeyString,
  type KvStore,
  type LeaseId,
  type Logger,
  type Revision,
} from '../../common/index.js';
import type { Configuration } from '../../raft/index.js';
import { noLocation } from '../index/item.js';
import { KeyIndex } from '../index/key-index.js';
import type { KvGenerations } from '../level/generations.js';
import type { AppliedMark, MvccStoreOptions, ReadPoint } from '../types.js';
import type { Removal } from './schema.js';
import { ValueLog } from './value-log.js';
import { RevisionRing } from './value-log-ring.js';

/** What the store is opened with. */
export interface MvccSetup {
  readonly kv: KvStore;
  readonly clock: Clock;
  readonly options: MvccStoreOptions;
  readonly logger: Logger;
  /** The data directory, for messages. */
  readonly path?: string;
  /** A background write failed or damage was found: the store is dead, the process must end. */
  readonly onFatal?: (error: Error) => void;
  /** The saved index is used if there are at least so many records, and saved from so many keys. */
  readonly checkpointKeysMin?: number;
  /** A journal of the index that is shorter is not replaced by a checkpoint. */
  readonly journalBytesMin?: number;
  /** Where states from other members are staged; without it none can be installed. */
  readonly generations?: KvGenerations;
}

/** A configuration without members, before the first applied one. */
export const noConfiguration: Configuration = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** All state of one open store. */
export class MvccState {
  readonly kv: KvStore;
  readonly clock: Clock;
  readonly options: MvccStoreOptions;
  readonly logger: Logger;
  readonly path: string;
  readonly checkpointKeysMin: number;
  readonly journalBytesMin: number;
  /** Held by what changes the index ahead of the store, and by what must not see that. */
  readonly indexLock = new Lock();
  readonly index = new KeyIndex();
  readonly log = new ValueLog();
  readonly ring = new RevisionRing();
  readonly leases = new Map<KeyString, LeaseId>();
  readonly meta = new Map<string, Uint8Array>();
  readonly pins = new PinSet();

  revision: Revision = 1;
  compactRevision: Revision = -1;
  /** A compaction that the process before left unfinished: it must be finished first. */
  removal: Removal | undefined;
  applied: AppliedMark = { index: 0, term: 0, configuration: noConfiguration };
  sizeBytes = 0;
  /** Stored size of all meta records. */
  metaBytes = 0;
  records = 0;
  /** The newest change in the index, committed or not. */
  lastMain: Revision = 1;
  lastSub = 0;
  /** Records from here on must stay in memory until the next commit (see `warm`). */
  warmLocation = noLocation;
  closed = false;

  constructor(setup: MvccSetup) {
    this.kv = setup.kv;
    this.clock = setup.clock;
    this.options = setup.options;
    this.logger = setup.logger;
    this.path = setup.path ?? 'the data directory';
    this.checkpointKeysMin = setup.checkpointKeysMin ?? checkpointKeysMinDefault;
    this.journalBytesMin = setup.journalBytesMin ?? checkpointJournalBytesMin;
  }
}

/** Lets one job at a time run, in the order in which they came. */
export class Lock {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#last.then(job);
    this.#last = result.catch(() => {});
    return result;
  }
}

/** COMPACTED if the point lies in removed history. */
export function checkPoint(state: MvccState, at: ReadPoint): EtcdError | undefined {
  return pinOf(at) < state.compactRevision ? new EtcdError('COMPACTED') : undefined;
}

/** The revision that a compaction may not pass while the point is being read. */
export function pinOf(at: ReadPoint): Revision {
  return at.sub === Number.POSITIVE_INFINITY ? at.main : at.main - 1;
}

/** The end of a range as the index wants it: undefined for "and above". */
export function walkEnd(key: KeyString, rangeEnd: KeyString): KeyString | undefined {
  if (rangeEnd === '') return `${key}\0`;
  return rangeEnd === '\0' ? undefined : rangeEnd;
}

/** Revisions that running reads still need; a compaction waits until it would take none of them. */
export class PinSet {
  readonly #pinned = new Set<{ readonly revision: Revision }>();
  #waiters: Array<{ below: Revision; resolve: () => void }> = [];

  /** Reads that hold something. */
  get size(): number {
    return this.#pinned.size;
  }

  /** Holds history from `revision` on until the result is given to `release`. */
  pin(revision: Revision): { readonly revision: Revision } {
    const pin = { revision };
    this.#pinned.add(pin);
    return pin;
  }

  release(pin: { readonly revision: Revision }): void {
    this.#pinned.delete(pin);
    if (this.#waiters.length === 0) return;
    const waiting = this.#waiters;
    this.#waiters = waiting.filter((w) => this.#blocks(w.below));
    for (const w of waiting) if (!this.#waiters.includes(w)) w.resolve();
  }

  /** Resolves once no read needs anything below `revision`. */
  waitBelow(revision: Revision): Promise<void> {
    if (!this.#blocks(revision)) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ below: revision, resolve }));
  }

  #blocks(below: Revision): boolean {
    for (const pin of this.#pinned) if (pin.revision < below) return true;
    return false;
  }
}
