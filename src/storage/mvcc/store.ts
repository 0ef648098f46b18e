/**
 * The MVCC store that the server is given: a present generation, which does the work, and how
 * another takes its place. What the work is made of:
 *
 *   apply       txn.ts            into the index and the value log: memory only
 *   flush       flusher.ts        atomic batches to the KvStore, in apply order
 *   reads       range.ts          index, then records (load-records.ts)
 *               point-reads.ts    for decisions: compares
 *   events      event-history.ts  for watchers that are behind
 *   compaction  compactor.ts      removal in the background
 *   hashes      hash.ts           as etcd's
 *   start       ../recovery       index and counters from the KvStore
 *   install     here              a state from another member takes over: ../transfer
 */

import {
  assert,
  EtcdError,
  type KeyString,
  type LeaseId,
  type LogIndex,
  type Revision,
  type Term,
} from '../../common/index.js';
import type { Configuration } from '../../raft/index.js';
import type { KvGenerations } from '../level/index.js';
import { type AppliedMark, damage } from '../schema/index.js';
import {
  ObsoleteSnapshotError,
  openGenerationSink,
  type SnapshotSink,
  type SnapshotSource,
  type SnapshotView,
  type StagedSnapshot,
  StagedState,
} from '../transfer/index.js';
import type { RevisionHash } from './compaction-hashes.js';
import { type Generation, openGeneration } from './generation.js';
import type { MvccSetup } from './setup.js';
import type {
  AnswerRoom,
  EventPage,
  MvccPresent,
  MvccStore,
  MvccWriteTxn,
  PointReader,
  PrepareSwitch,
  RangeQuery,
  RangeResult,
  ReadPoint,
} from './types.js';

/**
 * Opens the store in `setup.kv`, which it closes at the end. Resolves once the index is back;
 * StorageError if what is stored is damaged or incomplete.
 */
export async function openMvccStore(setup: MvccSetup): Promise<MvccStore> {
  const startMs = setup.clock.nowMs();
  let failed = false;
  const onFatal = (error: Error): void => {
    if (failed) return;
    failed = true;
    setup.logger.error('the store can not go on', { error: error.message });
    setup.onFatal?.(error);
  };
  const generation = await openGeneration(setup, onFatal);
  logOpened('store opened', setup, generation, startMs);
  generation.start();
  return new Store(setup, generation, onFatal);
}

function logOpened(
  what: string,
  { logger, clock }: MvccSetup,
  { revision, applied, keyCount, recordCount }: Generation,
  startMs: number,
): void {
  logger.info(what, {
    revision,
    appliedIndex: applied.index,
    keys: keyCount,
    records: recordCount,
    tookMs: Math.round(clock.nowMs() - startMs),
  });
}

class Store implements MvccStore {
  readonly #setup: MvccSetup;
  readonly #onFatal: (error: Error) => void;
  #generation: Generation;
  /** What generations before this one have removed. */
  #compactedBefore = 0;
  #isClosing = false;
  /** The last call of `install`; one at a time. */
  #installing: Promise<void> = Promise.resolve();
  /** Replaced generations on their way out. */
  readonly #ending = new Set<Promise<void>>();

  constructor(setup: MvccSetup, generation: Generation, onFatal: (error: Error) => void) {
    this.#setup = setup;
    this.#onFatal = onFatal;
    this.#generation = generation;
  }

  get present(): MvccPresent {
    return this.#generation.present;
  }

  get revision(): Revision {
    return this.#generation.revision;
  }

  get compactRevision(): Revision {
    return this.#generation.compactRevision;
  }

  get sizeBytes(): number {
    return this.#generation.sizeBytes;
  }

  get inUseBytes(): number {
    return this.#generation.inUseBytes;
  }

  get allocatedBytes(): number {
    return this.#generation.allocatedBytes;
  }

  get openReads(): number {
    return this.#generation.openReads;
  }

  get keyCount(): number {
    return this.#generation.keyCount;
  }

  get compactedKeys(): number {
    return this.#compactedBefore + this.#generation.compactedKeys;
  }

  get flushed(): { readonly index: LogIndex; readonly synced: boolean } {
    return this.#generation.flushed;
  }

  get unflushedBytes(): number {
    return this.#generation.unflushedBytes;
  }

  get cachedBytes(): number {
    return this.#generation.cachedBytes;
  }

  get applied(): AppliedMark {
    return this.#generation.applied;
  }

  begin(index: LogIndex, term: Term): MvccWriteTxn {
    return this.#generation.begin(index, term);
  }

  setApplied(mark: { index: LogIndex; term: Term; configuration?: Configuration }): void {
    this.#generation.setApplied(mark);
  }

  scheduleCompaction(index: LogIndex, term: Term, revision: Revision): void {
    this.#generation.scheduleCompaction(index, term, revision);
  }

  compactionDone(): Promise<void> {
    return this.#onCurrent((generation) => generation.compactionDone());
  }

  holdRecords(): void {
    this.#generation.holdRecords();
  }

  isWarm(keys: readonly KeyString[]): boolean {
    return this.#generation.isWarm(keys);
  }

  async warm(keys: readonly KeyString[]): Promise<void> {
    // In the end for the state that is present then, should another take over meanwhile.
    while (!(await this.#onCurrent((generation) => generation.warmOnce(keys))));
  }

  checkRevision(revision: Revision): EtcdError | undefined {
    if (revision > this.#generation.revision) return new EtcdError('FUTURE_REVISION');
    if (revision < this.#generation.compactRevision) return new EtcdError('COMPACTED');
    return undefined;
  }

  reader(holdFrom: Revision | undefined): PointReader {
    return this.#generation.reader(holdFrom);
  }

  range(
    query: RangeQuery,
    at: ReadPoint | undefined,
    room?: AnswerRoom,
  ): RangeResult | Promise<RangeResult> {
    return this.#generation.range(query, at, room);
  }

  peek(key: KeyString): Uint8Array | null | undefined {
    return this.#generation.peek(key);
  }

  history(from: Revision, revisionsMax: number, bytesMax: number): Promise<EventPage> {
    return this.#generation.history(from, revisionsMax, bytesMax);
  }

  hashKv(revision: Revision, kept = true): Promise<RevisionHash> {
    return this.#onCurrent((generation) => generation.hashKv(revision, kept));
  }

  compactionHashes(): readonly RevisionHash[] {
    return this.#generation.hashes.list();
  }

  hashAll(): Promise<number> {
    return this.#onCurrent((generation) => generation.hashAll());
  }

  snapshotView(): Promise<SnapshotView> {
    return this.#generation.snapshotView();
  }

  snapshotSource(): Promise<SnapshotSource> {
    return this.#generation.snapshotSource();
  }

  meta(name: string): Uint8Array | undefined {
    return this.#generation.meta(name);
  }

  metaEntries(prefix: string): Iterable<readonly [string, Uint8Array]> {
    return this.#generation.metaEntries(prefix);
  }

  leasedKeys(): Iterable<readonly [KeyString, LeaseId]> {
    return this.#generation.leasedKeys();
  }

  flushSync(): Promise<AppliedMark> {
    return this.#onCurrent((generation) => generation.flush(true));
  }

  defragment(): Promise<void> {
    return this.#generation.defragment();
  }

  openSink(): Promise<SnapshotSink> {
    const { clock } = this.#setup;
    return openGenerationSink(this.#directories(), clock, (staged) => this.#discard(staged));
  }

  install(staged: StagedSnapshot, prepare?: PrepareSwitch): Promise<void> {
    assert(staged instanceof StagedState, 'what is installed was staged here');
    const run = this.#installing.then(() => this.#installNow(staged, prepare));
    this.#installing = run.catch(() => {});
    return run;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#generation.refuseEntries();
    await this.#installing;
    await Promise.all(this.#ending);
    await this.#generation.close();
  }

  /** A call that fails because its state was replaced is made again on the new one. */
  async #onCurrent<T>(call: (generation: Generation) => Promise<T>): Promise<T> {
    for (;;) {
      const generation = this.#generation;
      try {
        return await call(generation);
      } catch (error) {
        if (generation === this.#generation) throw error;
      }
    }
  }

  /** Builds the staged state beside the present one, then changes over within a turn. */
  async #installNow(staged: StagedState, prepare?: PrepareSwitch): Promise<void> {
    const setup = this.#setup;
    const { place } = this.#directories();
    assert(!staged.isUsed, 'a staged state is installed once');
    await this.#refuseObsolete(staged);
    const startMs = setup.clock.nowMs();
    const kv = await place.openKvStore(staged.path);
    try {
      const staging = { ...setup, kv, path: staged.path };
      const next = await openGeneration(staging, this.#onFatal, this.#generation.hashes);
      const { index, term } = next.applied;
      if (index !== staged.mark.index || term !== staged.mark.term) {
        throw damage(
          `The staged state is at entry ${index}, not ${staged.mark.index}`,
          staged.path,
        );
      }
      const onSwitch = await prepare?.(next);
      // While it was being built, the log may have caught up.
      await this.#refuseObsolete(staged);
      if (next.revision < this.#generation.revision) {
        throw damage('The staged state is of an older revision than the present one', staged.path);
      }
      staged.isUsed = true;
      this.#switchTo(next);
      onSwitch?.();
      logOpened('state installed', setup, next, startMs);
    } catch (error) {
      if (!staged.isUsed) await kv.close();
      throw error;
    }
  }

  /** Rejects if there is nothing in `staged` that is not here; it is discarded then. */
  async #refuseObsolete(staged: StagedState): Promise<void> {
    if (this.#isClosing) throw new EtcdError('STOPPED');
    const { index } = this.#generation.applied;
    if (staged.mark.index > index) return;
    await staged.discard();
    throw new ObsoleteSnapshotError(staged.mark.index, index);
  }

  #switchTo(next: Generation): void {
    const old = this.#generation;
    assert(!old.isEntryOpen, 'a state is not replaced while an entry is applied');
    assert(next.applied.index > old.applied.index, 'a state is replaced by a newer one');
    old.retire();
    this.#compactedBefore += old.compactedKeys;
    this.#generation = next;
    next.start();
    const ending = this.#endOld(old).finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  async #endOld(old: Generation): Promise<void> {
    const { path } = old;
    try {
      await old.end();
      await this.#directories().remove(path);
    } catch (cause) {
      // What remains is removed at the next start.
      const error = cause instanceof Error ? cause.message : String(cause);
      this.#setup.logger.warn('the replaced state was not removed', { path, error });
    }
  }

  async #discard(staged: StagedState): Promise<void> {
    if (staged.isUsed) return;
    staged.isUsed = true;
    // The log may be marked already: then this state is needed until the present one is durable.
    if (this.#generation.applied.index >= staged.mark.index) await this.#generation.flush(true);
    await this.#directories().remove(staged.path);
  }

  #directories(): KvGenerations {
    const { generations } = this.#setup;
    assert(generations !== undefined, 'a store that takes in states knows its directories');
    return generations;
  }
}
