/**
 * The MVCC store: a thin face over the parts that do the work, which share one MvccState.
 *
 *   apply       mvcc-txn.ts       synchronous, memory only
 *   flush       mvcc-flush.ts     atomic batches to the KvStore, in apply order
 *   reads       mvcc-range.ts     index, then records (mvcc-records.ts); plain ones: mvcc-scan.ts
 *   history     mvcc-history.ts   events for watchers that are behind
 *   compaction  compact.ts        removal in the background
 *   hashes      hash.ts           as etcd's
 *   start       restore.ts        index and counters from the KvStore
 *   for it      checkpointer.ts   the index, saved in the background
 */

import {
  assert,
  EtcdError,
  type KeyString,
  type LeaseId,
  type LogIndex,
  type Revision,
  type Term,
} from '../common/index.js';
import type { Configuration } from '../raft/index.js';
import { Checkpointer } from './checkpointer.js';
import { Compactor } from './compact.js';
import { hashAll, hashKv } from './hash.js';
import { noLocation } from './key-index-item.js';
import { Flusher } from './mvcc-flush.js';
import { readHistory } from './mvcc-history.js';
import { Present } from './mvcc-present.js';
import { rangeAt } from './mvcc-range.js';
import { type Candidate, loadRecords } from './mvcc-records.js';
import { type MvccSetup, MvccState } from './mvcc-state.js';
import { WriteTxn } from './mvcc-txn.js';
import { restore } from './restore.js';
import { recordsEnd, recordsStart } from './schema.js';
import { openSnapshotView, type SnapshotView } from './snapshot-view.js';
import type {
  AppliedMark,
  EventPage,
  MvccStore,
  MvccWriteTxn,
  RangeQuery,
  RangeResult,
  ReadPoint,
} from './types.js';

/**
 * Opens the store in `setup.kv`, which it closes at the end. Resolves once the index is back;
 * StorageError if what is stored is damaged or incomplete.
 */
export async function openMvccStore(setup: MvccSetup): Promise<MvccStore> {
  const state = new MvccState(setup);
  const startMs = setup.clock.nowMs();
  const { mark, checkpoint } = await restore(state);
  let failed = false;
  const onFatal = (error: Error): void => {
    if (failed) return;
    failed = true;
    setup.logger.error('the store can not go on', { error: error.message });
    setup.onFatal?.(error);
  };
  const flusher = new Flusher(state, mark, onFatal);
  const compactor = new Compactor(state, flusher, onFatal);
  const checkpointer = new Checkpointer(state, flusher, checkpoint, onFatal);
  flusher.onWritten = () => checkpointer.kick();
  setup.logger.info('store opened', {
    revision: state.revision,
    appliedIndex: mark.index,
    keys: state.index.live,
    records: mark.records,
    tookMs: Math.round(setup.clock.nowMs() - startMs),
  });
  compactor.kick();
  checkpointer.kick();
  return new Store(state, flusher, compactor, checkpointer);
}

class Store implements MvccStore {
  readonly present: Present;
  private readonly inner: MvccState;
  private readonly flusher: Flusher;
  private readonly compactor: Compactor;
  private readonly checkpointer: Checkpointer;
  private txnOpen = false;
  private readonly onCommit = (): void => {
    this.txnOpen = false;
    this.inner.warmLocation = noLocation;
    this.flusher.entryDone();
  };

  constructor(
    inner: MvccState,
    flusher: Flusher,
    compactor: Compactor,
    checkpointer: Checkpointer,
  ) {
    this.inner = inner;
    this.present = new Present(inner);
    this.flusher = flusher;
    this.compactor = compactor;
    this.checkpointer = checkpointer;
  }

  get revision(): Revision {
    return this.inner.revision;
  }

  get compactRevision(): Revision {
    return this.inner.compactRevision;
  }

  get sizeBytes(): number {
    return this.inner.sizeBytes;
  }

  get keyCount(): number {
    return this.inner.index.live;
  }

  get flushed(): { readonly index: LogIndex; readonly synced: boolean } {
    const index = this.flusher.stored.index;
    return { index, synced: this.flusher.syncedIndex === index };
  }

  get unflushedBytes(): number {
    return this.flusher.pendingBytes;
  }

  get applied(): AppliedMark {
    return this.inner.applied;
  }

  begin(index: LogIndex, term: Term): MvccWriteTxn {
    this.checkIndex(index);
    this.txnOpen = true;
    return new WriteTxn(this.inner, this.present, this.flusher, index, term, this.onCommit);
  }

  setApplied(mark: { index: LogIndex; term: Term; configuration?: Configuration }): void {
    // A change of members comes as the entry's transaction and then its configuration.
    if (mark.index !== this.inner.applied.index) this.checkIndex(mark.index);
    const configuration = mark.configuration ?? this.inner.applied.configuration;
    this.inner.applied = { index: mark.index, term: mark.term, configuration };
    this.flusher.entryDone();
  }

  isWarm(keys: readonly KeyString[]): boolean {
    const { index, log } = this.inner;
    for (const key of keys) {
      const item = index.get(key);
      if (item !== undefined && !item.dead && !log.has(item.location)) return false;
    }
    return true;
  }

  async warm(keys: readonly KeyString[]): Promise<void> {
    const { index, log } = this.inner;
    for (;;) {
      const cold: Candidate[] = [];
      let oldest = log.end;
      for (const key of keys) {
        const item = index.get(key);
        if (item === undefined || item.dead) continue;
        if (log.has(item.location)) oldest = Math.min(oldest, item.location);
        else cold.push(candidateOf(key, item.main, item.sub));
      }
      this.inner.warmLocation =
        this.inner.warmLocation < 0 ? oldest : Math.min(this.inner.warmLocation, oldest);
      if (cold.length === 0) return;
      await this.warmCold(cold);
    }
  }

  checkRevision(revision: Revision): EtcdError | undefined {
    if (revision > this.inner.revision) return new EtcdError('FUTURE_REVISION');
    if (revision < this.inner.compactRevision) return new EtcdError('COMPACTED');
    return undefined;
  }

  range(query: RangeQuery, at: ReadPoint | undefined): RangeResult | Promise<RangeResult> {
    return rangeAt(this.inner, this.flusher, query, at);
  }

  peek(key: KeyString): Uint8Array | null | undefined {
    const item = this.inner.index.get(key);
    if (item === undefined || item.dead) return null;
    return this.inner.log.has(item.location) ? this.inner.log.record(item.location) : undefined;
  }

  history(from: Revision, revisionsMax: number, bytesMax: number): Promise<EventPage> {
    return readHistory(this.inner, from, revisionsMax, bytesMax);
  }

  scheduleCompaction(index: LogIndex, term: Term, revision: Revision): void {
    const { inner } = this;
    this.checkIndex(index);
    // The entry counts as applied even if it is refused: it must not be tried again.
    const { configuration } = inner.applied;
    inner.applied = { index, term, configuration };
    let refused: EtcdError | undefined;
    if (revision <= inner.compactRevision) refused = new EtcdError('COMPACTED');
    else if (revision > inner.revision) refused = new EtcdError('FUTURE_REVISION');
    else inner.compactRevision = revision;
    this.flusher.entryDone();
    if (refused !== undefined) throw refused;
    this.compactor.kick();
  }

  compactionDone(): Promise<void> {
    return this.compactor.done();
  }

  hashKv(revision: Revision): Promise<{ hash: number; compactRevision: Revision }> {
    return hashKv(this.inner, this.flusher, revision);
  }

  hashAll(): Promise<number> {
    return hashAll(this.inner, this.flusher);
  }

  snapshotView(): Promise<SnapshotView> {
    return openSnapshotView(this.inner, this.flusher);
  }

  meta(name: string): Uint8Array | undefined {
    return this.inner.meta.get(name);
  }

  metaEntries(prefix: string): ReadonlyArray<readonly [string, Uint8Array]> {
    const entries = [...this.inner.meta].filter(([name]) => name.startsWith(prefix));
    return entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  }

  leasedKeys(): Iterable<readonly [KeyString, LeaseId]> {
    return this.inner.leases;
  }

  flushSync(): Promise<AppliedMark> {
    return this.flusher.flush(true);
  }

  async defragment(): Promise<void> {
    await this.flusher.flush(false);
    await this.inner.kv.compact(recordsStart, recordsEnd);
  }

  async close(): Promise<void> {
    this.inner.closed = true;
    try {
      await this.compactor.close();
      const sound = await this.flusher.close();
      await this.checkpointer.close(sound);
    } finally {
      await this.inner.kv.close();
    }
  }

  /** Reads cold records; `loadRecords` keeps them warm unless there are very many. */
  private async warmCold(cold: readonly Candidate[]): Promise<void> {
    const { inner } = this;
    const pin = inner.pins.pin(inner.revision);
    try {
      await loadRecords(inner, this.flusher, cold, true);
    } finally {
      inner.pins.release(pin);
    }
  }

  private checkIndex(index: LogIndex): void {
    assert(!this.txnOpen, 'one entry is applied at a time');
    assert(!this.inner.closed, 'nothing is applied to a closed store');
    assert(index > this.inner.applied.index, 'an entry is applied once, in order of its index');
    this.flusher.entryStarts();
  }
}

function candidateOf(key: KeyString, main: Revision, sub: number): Candidate {
  return { key, main, sub, createRevision: 0, version: 0, location: noLocation };
}
