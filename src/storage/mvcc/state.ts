/**
 * The memory of one state of the store: where it is in the log and in history, and what there is.
 * Index, value log and leases keep their own rules; the numbers beside them change here only, each
 * by a step that must follow from the one before.
 */

import {
  assert,
  type Clock,
  checkpointJournalBytesMin,
  checkpointKeysMinDefault,
  type KeyString,
  type KvStore,
  Lock,
  type Logger,
  type LogIndex,
  type Revision,
  ShardedMap,
  type Term,
} from '../../common/index.js';
import { emptyConfiguration } from '../../raft/index.js';
import { KeyIndex, type KeyItem } from '../index/index.js';
import { type AppliedMark, metaBytesOf, type Removal, type StoreMark } from '../schema/index.js';
import { ColdReads } from './cold-reads.js';
import { KeyLeases } from './key-leases.js';
import { PinSet } from './pins.js';
import type { MvccSetup } from './setup.js';
import type { MvccStoreOptions } from './types.js';
import { ValueLog } from './value-log.js';

/** What is in memory of one state, and where it is. */
export class MvccState {
  readonly kv: KvStore;
  readonly clock: Clock;
  readonly options: MvccStoreOptions;
  readonly logger: Logger;
  /** The data directory, for messages. */
  readonly path: string;
  readonly checkpointKeysMin: number;
  readonly journalBytesMin: number;
  /** Held by what changes the index ahead of the store, and by what must not see that. */
  readonly indexLock = new Lock();
  readonly index = new KeyIndex();
  readonly log: ValueLog;
  readonly cold: ColdReads;
  readonly leases = new KeyLeases();
  readonly pins = new PinSet();
  readonly #meta = new ShardedMap<string, Uint8Array>();
  #metaBytes = 0;
  #revision: Revision = 1;
  #compactRevision: Revision = -1;
  #removal: Removal | undefined;
  #applied: AppliedMark = { index: 0, term: 0, configuration: emptyConfiguration };
  #sizeBytes = 0;
  #records = 0;
  #lastMain: Revision = 1;
  #lastSub = 0;
  #closed = false;
  /** Goes on in the next turn. */
  #evicts = false;

  constructor(setup: MvccSetup) {
    this.kv = setup.kv;
    this.clock = setup.clock;
    this.options = setup.options;
    this.logger = setup.logger;
    this.path = setup.path ?? 'the data directory';
    this.checkpointKeysMin = setup.checkpointKeysMin ?? checkpointKeysMinDefault;
    this.journalBytesMin = setup.journalBytesMin ?? checkpointJournalBytesMin;
    const find = (key: KeyString): KeyItem | undefined => this.index.get(key);
    this.log = new ValueLog(setup.options.cacheBytesMax, find);
    this.cold = new ColdReads(this.kv, this.clock);
  }

  /** The newest revision that is committed: what readers see. */
  get revision(): Revision {
    return this.#revision;
  }

  /** Reads below it are refused; -1 before the first compaction. */
  get compactRevision(): Revision {
    return this.#compactRevision;
  }

  get applied(): AppliedMark {
    return this.#applied;
  }

  /** The newest change in the index, committed or not. */
  get lastMain(): Revision {
    return this.#lastMain;
  }

  get lastSub(): number {
    return this.#lastSub;
  }

  /** Of all records: stored size, and number. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get records(): number {
    return this.#records;
  }

  /** Stored size of all meta records. */
  get metaBytes(): number {
    return this.#metaBytes;
  }

  /** A compaction that the process before left unfinished: it must be finished first. */
  get removal(): Removal | undefined {
    return this.#removal;
  }

  /** Nothing is applied any more, and workers end. */
  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
  }

  /** Has records leave memory as long as there are too many: a share now, others in later turns. */
  evict(): void {
    if (this.#evicts || !this.log.evict()) return;
    this.#evicts = true;
    this.clock.afterTurn(() => {
      this.#evicts = false;
      this.evict();
    });
  }

  // ---------------------------------------------------------------------- the entry being applied

  /** The entry has made its change (main, sub); `bytes` are those of its stored record. */
  addChange(main: Revision, sub: number, bytes: number): void {
    assert(main === this.#revision + 1, 'a change is part of the next revision');
    assert(sub === (main === this.#lastMain ? this.#lastSub + 1 : 0), 'changes are counted');
    this.#lastMain = main;
    this.#lastSub = sub;
    this.#sizeBytes += bytes;
    this.#records += 1;
  }

  /** The entry at `index` is applied: what it has changed, if anything, can be seen. */
  commit(index: LogIndex, term: Term): void {
    this.#revision = this.#lastMain;
    this.#apply(index, term);
  }

  /** The entry at `index` is applied, or goes on to be: it changed nothing here. */
  moveTo(mark: AppliedMark): void {
    const { index, term } = this.#applied;
    assert(mark.index >= index && mark.term >= term, 'the applied entry never goes back');
    this.#applied = mark;
  }

  /** The same for an entry that marks `revision` as compacted; undefined: it was refused. */
  compact(index: LogIndex, term: Term, revision: Revision | undefined): void {
    this.#apply(index, term);
    if (revision === undefined) return;
    assert(revision > this.#compactRevision, 'compactions go forward');
    assert(revision <= this.#revision, 'what is compacted is there');
    this.#compactRevision = revision;
  }

  #apply(index: LogIndex, term: Term): void {
    const { configuration } = this.#applied;
    assert(index > this.#applied.index, 'an entry is applied once, in order of its index');
    this.#applied = { index, term, configuration };
  }

  // ------------------------------------------------------------------------------ meta records

  meta(name: string): Uint8Array | undefined {
    return this.#meta.get(name);
  }

  /** Those whose name begins so, by name; see StoredMeta. */
  *metaEntries(prefix: string): Generator<readonly [string, Uint8Array], void> {
    for (const entry of this.#meta.from(prefix)) {
      if (!entry[0].startsWith(prefix)) return;
      yield entry;
    }
  }

  /** Keeps `value`, which is not to be changed any more; undefined: removes it. */
  setMeta(name: string, value: Uint8Array | undefined): void {
    this.#metaBytes += metaBytesOf(name, value) - metaBytesOf(name, this.#meta.get(name));
    if (value === undefined) this.#meta.delete(name);
    else this.#meta.set(name, value);
  }

  // ------------------------------------------------------------------- restoring and compacting

  /** Index, leases and meta records are back: the state is where `mark` says. */
  restored(mark: StoreMark, removal: Removal | undefined): void {
    assert(this.#applied.index === 0 && this.#lastSub === 0, 'a state is restored once');
    assert(mark.compactRevision <= mark.revision, 'what is compacted is there');
    const { index, term, configuration } = mark;
    this.#applied = { index, term, configuration };
    this.#revision = mark.revision;
    this.#compactRevision = mark.compactRevision;
    this.#removal = removal;
    this.#sizeBytes = mark.sizeBytes;
    this.#records = mark.records;
    this.#lastMain = mark.revision;
  }

  /** A compaction has removed records. */
  removed(records: number, bytes: number): void {
    this.#records -= records;
    this.#sizeBytes -= bytes;
    assert(this.#records >= 0 && this.#sizeBytes >= 0, 'only what is there is removed');
  }

  /** Everything up to the compact revision that was current is removed. */
  removalDone(): void {
    this.#removal = undefined;
  }
}
