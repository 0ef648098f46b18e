/**
 * The MVCC store: a thin face over the parts that do the work, which share one MvccState.
 *
 *   apply       mvcc/txn.ts       memory only
 *   flush       mvcc/flush.ts     atomic batches to the KvStore, in apply order
 *   reads       mvcc/range.ts     index, then records (mvcc/records.ts); plain ones: mvcc/scan.ts
 *               mvcc/point.ts     for decisions: compares
 *   history     mvcc/history.ts   events for watchers that are behind
 *   compaction  compact.ts        removal in the background
 *   hashes      hash.ts           as etcd's
 *   start       restore.ts        index and counters from the KvStore
 *   install     mvcc/parts.ts     a state from another member takes over: transfer/
 */

import {
  assert,
  EtcdError,
  type KeyString,
  type LeaseId,
  type LogIndex,
  type Revision,
  Slice,
  type Term,
} from '../../common/index.js';
import type { Configuration } from '../../raft/index.js';
import { noLocation } from '../index/item.js';
import type { KvGenerations } from '../level/generations.js';
import { openGenerationSink, StagedState } from '../transfer/sink.js';
import { openSnapshotSource } from '../transfer/source.js';
import {
  ObsoleteSnapshotError,
  type SnapshotSink,
  type SnapshotSource,
  type StagedSnapshot,
} from '../transfer/types.js';
import { openSnapshotView, type SnapshotView } from '../transfer/view.js';
import type {
  AppliedMark,
  EventPage,
  MvccStore,
  MvccWriteTxn,
  PointReader,
  RangeQuery,
  RangeResult,
  ReadPoint,
} from '../types.js';
import type { Compactor } from './compact.js';
import type { RevisionHash } from './compaction-hashes.js';
import type { Flusher } from './flush.js';
import { hashAll, hashKv } from './hash.js';
import { readHistory } from './history.js';
import { openParts, type StoreParts } from './parts.js';
import { PointReads } from './point.js';
import { Present } from './present.js';
import { rangeAt } from './range.js';
import { reclaimRecords } from './reclaim.js';
import { type Candidate, loadRecords } from './records.js';
import { damage, everythingEnd, recordsEnd } from './schema.js';
import type { MvccSetup, MvccState } from './state.js';
import { WriteTxn } from './txn.js';

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
  const parts = await openParts(setup, onFatal);
  logOpened('store opened', setup, parts, startMs);
  parts.start();
  return new Store(setup, parts, onFatal);
}

function logOpened(what: string, setup: MvccSetup, parts: StoreParts, startMs: number): void {
  const { state } = parts;
  setup.logger.info(what, {
    revision: state.revision,
    appliedIndex: state.applied.index,
    keys: state.index.live,
    records: state.records,
    tookMs: Math.round(setup.clock.nowMs() - startMs),
  });
}

class Store implements MvccStore {
  readonly present: Present;
  readonly #setup: MvccSetup;
  readonly #onFatal: (error: Error) => void;
  #parts: StoreParts;
  // What is used most, out of `parts`.
  #inner: MvccState;
  #flusher: Flusher;
  #compactor: Compactor;
  /** What compactors before this one have removed. */
  #compactedBefore = 0;
  #txnOpen = false;
  #isClosing = false;
  /** The last call of `install`; one at a time. */
  #installing: Promise<void> = Promise.resolve();
  /** Replaced states on their way out. */
  readonly #ending = new Set<Promise<void>>();
  readonly #onCommit = (): void => {
    this.#txnOpen = false;
    this.#inner.warmLocation = noLocation;
    this.#flusher.entryDone();
  };

  constructor(setup: MvccSetup, parts: StoreParts, onFatal: (error: Error) => void) {
    this.#setup = setup;
    this.#onFatal = onFatal;
    this.#parts = parts;
    this.#inner = parts.state;
    this.present = new Present(parts.state);
    this.#flusher = parts.flusher;
    this.#compactor = parts.compactor;
  }

  get revision(): Revision {
    return this.#inner.revision;
  }

  get compactRevision(): Revision {
    return this.#inner.compactRevision;
  }

  get sizeBytes(): number {
    return this.#inner.sizeBytes;
  }

  get inUseBytes(): number {
    return this.#parts.inUseBytes;
  }

  get allocatedBytes(): number {
    const { meter, inUseBytes } = this.#parts;
    return Math.max(meter.allocatedBytes, inUseBytes);
  }

  get openReads(): number {
    return this.#inner.pins.size;
  }

  get keyCount(): number {
    return this.#inner.index.live;
  }

  get compactedKeys(): number {
    return this.#compactedBefore + this.#compactor.removedKeys;
  }

  get flushed(): { readonly index: LogIndex; readonly synced: boolean } {
    const index = this.#flusher.stored.index;
    return { index, synced: this.#flusher.syncedIndex === index };
  }

  get unflushedBytes(): number {
    return this.#flusher.pendingBytes;
  }

  get applied(): AppliedMark {
    return this.#inner.applied;
  }

  begin(index: LogIndex, term: Term, onDetached?: (key: KeyString) => void): MvccWriteTxn {
    this.#checkIndex(index);
    this.#txnOpen = true;
    const inner = this.#inner;
    const flusher = this.#flusher;
    const onCommit = this.#onCommit;
    const { present } = this;
    return new WriteTxn(inner, present, flusher, index, term, onCommit, onDetached);
  }

  reader(holdFrom: Revision | undefined): PointReader {
    return new PointReads(this.#inner, this.#flusher, holdFrom);
  }

  setApplied(mark: { index: LogIndex; term: Term; configuration?: Configuration }): void {
    // A change of members comes as the entry's transaction and then its configuration.
    if (mark.index !== this.#inner.applied.index) this.#checkIndex(mark.index);
    const configuration = mark.configuration ?? this.#inner.applied.configuration;
    this.#inner.applied = { index: mark.index, term: mark.term, configuration };
    this.#flusher.entryDone();
  }

  holdRecords(): void {
    const inner = this.#inner;
    inner.warmLocation = inner.log.start;
  }

  isWarm(keys: readonly KeyString[]): boolean {
    const { index, log } = this.#inner;
    for (const key of keys) {
      const item = index.get(key);
      if (item !== undefined && !item.dead && !log.has(item.location)) return false;
    }
    return true;
  }

  async warm(keys: readonly KeyString[]): Promise<void> {
    // In the end for the state that is present then, should another take over meanwhile.
    while (!(await this.#onCurrent((parts) => warmOnce(parts, keys))));
  }

  checkRevision(revision: Revision): EtcdError | undefined {
    if (revision > this.#inner.revision) return new EtcdError('FUTURE_REVISION');
    if (revision < this.#inner.compactRevision) return new EtcdError('COMPACTED');
    return undefined;
  }

  range(query: RangeQuery, at: ReadPoint | undefined): RangeResult | Promise<RangeResult> {
    return rangeAt(this.#inner, this.#flusher, query, at);
  }

  peek(key: KeyString): Uint8Array | null | undefined {
    const item = this.#inner.index.get(key);
    if (item === undefined || item.dead) return null;
    return this.#inner.log.has(item.location) ? this.#inner.log.record(item.location) : undefined;
  }

  history(from: Revision, revisionsMax: number, bytesMax: number): Promise<EventPage> {
    return readHistory(this.#inner, from, revisionsMax, bytesMax);
  }

  scheduleCompaction(index: LogIndex, term: Term, revision: Revision): void {
    const inner = this.#inner;
    this.#checkIndex(index);
    // The entry counts as applied even if it is refused: it must not be tried again.
    const { configuration } = inner.applied;
    inner.applied = { index, term, configuration };
    let refused: EtcdError | undefined;
    const previous = inner.compactRevision;
    if (revision <= previous) refused = new EtcdError('COMPACTED');
    else if (revision > inner.revision) refused = new EtcdError('FUTURE_REVISION');
    else inner.compactRevision = revision;
    this.#flusher.entryDone();
    if (refused !== undefined) throw refused;
    this.#compactor.schedule(previous);
  }

  compactionDone(): Promise<void> {
    return this.#onCurrent((parts) => parts.compactor.done());
  }

  hashKv(revision: Revision, kept = true): Promise<RevisionHash> {
    return this.#onCurrent(async ({ state, flusher, compactor }) => {
      // In etcd a compaction at 0 freezes the answer to 0, which asks for the present.
      const found = kept && revision > 0 ? await compactor.hashOf(revision) : undefined;
      return found ?? (await hashKv(state, flusher, revision));
    });
  }

  compactionHashes(): readonly RevisionHash[] {
    return this.#parts.hashes.list();
  }

  hashAll(): Promise<number> {
    return this.#onCurrent((parts) => hashAll(parts.state, parts.flusher));
  }

  snapshotView(): Promise<SnapshotView> {
    return openSnapshotView(this.#inner, this.#flusher);
  }

  meta(name: string): Uint8Array | undefined {
    return this.#inner.meta.get(name);
  }

  metaEntries(prefix: string): ReadonlyArray<readonly [string, Uint8Array]> {
    const entries = [...this.#inner.meta].filter(([name]) => name.startsWith(prefix));
    return entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  }

  leasedKeys(): Iterable<readonly [KeyString, LeaseId]> {
    return this.#inner.leases;
  }

  flushSync(): Promise<AppliedMark> {
    return this.#onCurrent((parts) => parts.flusher.flush(true));
  }

  async defragment(): Promise<void> {
    const { flusher, state, meter } = this.#parts;
    await flusher.flush(false);
    await reclaimRecords(state, state.revision);
    // And what is kept beside the keys.
    await state.kv.compact(recordsEnd, everythingEnd);
    await meter.measure();
  }

  snapshotSource(): Promise<SnapshotSource> {
    return openSnapshotSource(this.#inner, this.#flusher);
  }

  openSink(): Promise<SnapshotSink> {
    const { clock } = this.#setup;
    return openGenerationSink(this.#generations(), clock, (staged) => this.#discard(staged));
  }

  install(staged: StagedSnapshot, onSwitch?: () => void): Promise<void> {
    assert(staged instanceof StagedState, 'what is installed was staged here');
    const run = this.#installing.then(() => this.#installNow(staged, onSwitch));
    this.#installing = run.catch(() => {});
    return run;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#inner.closed = true;
    await this.#installing;
    await Promise.all(this.#ending);
    await this.#parts.close();
  }

  /** A call that fails because its state was replaced is made again on the new one. */
  async #onCurrent<T>(call: (parts: StoreParts) => Promise<T>): Promise<T> {
    for (;;) {
      const parts = this.#parts;
      try {
        return await call(parts);
      } catch (error) {
        if (parts === this.#parts) throw error;
      }
    }
  }

  /** Builds the staged state beside the present one, then changes over within a turn. */
  async #installNow(staged: StagedState, onSwitch?: () => void): Promise<void> {
    const setup = this.#setup;
    const generations = this.#generations();
    assert(!staged.isUsed, 'a staged state is installed once');
    await this.#refuseObsolete(staged);
    const startMs = setup.clock.nowMs();
    const kv = await generations.place.openKvStore(staged.path);
    try {
      const staging = { ...setup, kv, path: staged.path };
      const parts = await openParts(staging, this.#onFatal, this.#parts.hashes);
      const { index, term } = parts.state.applied;
      if (index !== staged.mark.index || term !== staged.mark.term) {
        throw damage(
          `The staged state is at entry ${index}, not ${staged.mark.index}`,
          staged.path,
        );
      }
      // While it was being built, the log may have caught up.
      await this.#refuseObsolete(staged);
      if (parts.state.revision < this.#inner.revision) {
        throw damage('The staged state is of an older revision than the present one', staged.path);
      }
      staged.isUsed = true;
      this.#switchTo(parts);
      onSwitch?.();
      logOpened('state installed', setup, parts, startMs);
    } catch (error) {
      if (!staged.isUsed) await kv.close();
      throw error;
    }
  }

  /** Rejects if there is nothing in `staged` that is not here; it is discarded then. */
  async #refuseObsolete(staged: StagedState): Promise<void> {
    if (this.#isClosing) throw new EtcdError('STOPPED');
    const { index } = this.#inner.applied;
    if (staged.mark.index > index) return;
    await staged.discard();
    throw new ObsoleteSnapshotError(staged.mark.index, index);
  }

  #switchTo(parts: StoreParts): void {
    assert(!this.#txnOpen, 'a state is not replaced while an entry is applied');
    const old = this.#parts;
    old.retire();
    this.#parts = parts;
    this.#inner = parts.state;
    this.#flusher = parts.flusher;
    this.#compactedBefore += this.#compactor.removedKeys;
    this.#compactor = parts.compactor;
    this.present.switchTo(parts.state);
    parts.start();
    const ending = this.#endOld(old).finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  async #endOld(old: StoreParts): Promise<void> {
    const { path } = old.state;
    try {
      await old.end();
      await this.#generations().remove(path);
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
    if (this.#inner.applied.index >= staged.mark.index) await this.#flusher.flush(true);
    await this.#generations().remove(staged.path);
  }

  #generations(): KvGenerations {
    const { generations } = this.#setup;
    assert(generations !== undefined, 'a store that takes in states knows its directories');
    return generations;
  }

  #checkIndex(index: LogIndex): void {
    assert(!this.#txnOpen, 'one entry is applied at a time');
    assert(!this.#inner.closed, 'nothing is applied to a closed store');
    assert(index > this.#inner.applied.index, 'an entry is applied once, in order of its index');
    this.#flusher.entryStarts();
  }
}

function newestOf(key: KeyString, main: Revision, sub: number): Candidate {
  return { key, main, sub, createRevision: 0, version: 0, location: noLocation };
}

/** True if all current records of the keys are in memory, else brings those that were missing. */
async function warmOnce(
  { state, flusher }: StoreParts,
  keys: readonly KeyString[],
): Promise<boolean> {
  const { index, log } = state;
  const cold: Candidate[] = [];
  // Nothing leaves until the next commit: what is warm may be anywhere.
  state.warmLocation = log.start;
  const slice = new Slice(state.clock, 'apply');
  for (const key of keys) {
    if (!slice.next()) await slice.rest();
    const item = index.get(key);
    if (item === undefined || item.dead || log.has(item.location)) continue;
    cold.push(newestOf(key, item.main, item.sub));
  }
  if (cold.length === 0) return true;
  const pin = state.pins.pin(state.revision);
  try {
    // Keeps them warm, unlike what a range reads.
    await loadRecords(state, flusher, cold, true);
  } finally {
    state.pins.release(pin);
  }
  return false;
}
