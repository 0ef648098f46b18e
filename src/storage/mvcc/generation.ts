/**
 * One generation of the store: one state, in one directory, and the workers on it. There is one at
 * a time, but for the moments in which an installed state takes over: whoever reads then goes on
 * with the generation it began with, so nothing it finds is of both; the workers of the old one
 * come to a closed door.
 *
 * An entry changes memory through `begin`, `setApplied` or `scheduleCompaction`; reads see memory
 * first; the flusher writes behind both, and nothing else writes what an entry has changed.
 */

import {
  assert,
  type Clock,
  EtcdError,
  installGraceMs,
  type KeyString,
  type LeaseId,
  type LogIndex,
  type Revision,
  type Term,
  turn,
} from '../../common/index.js';
import type { Configuration } from '../../raft/index.js';
import { KvGate, replaced, SizeMeter } from '../level/index.js';
import { Checkpointer, type Restored, restore } from '../recovery/index.js';
import { type AppliedMark, everythingEnd, recordsEnd } from '../schema/index.js';
import {
  openSnapshotSource,
  openSnapshotView,
  type SnapshotSource,
  type SnapshotView,
} from '../transfer/index.js';
import { CompactionHashes, type RevisionHash } from './compaction-hashes.js';
import { Compactor } from './compactor.js';
import { readHistory } from './event-history.js';
import { Flusher } from './flusher.js';
import { hashAll, hashKv } from './hash.js';
import { areWarm, bringIn } from './load-records.js';
import { PointReads } from './point-reads.js';
import { PresentReads } from './present-reads.js';
import { rangeAt } from './range.js';
import { reclaimRecords } from './reclaim.js';
import type { MvccSetup } from './setup.js';
import { MvccState } from './state.js';
import { WriteTxn } from './txn.js';
import type {
  AnswerRoom,
  EventPage,
  MvccWriteTxn,
  PointReader,
  RangeQuery,
  RangeResult,
  ReadPoint,
} from './types.js';

/** What the store hands its calls to; the methods mean what those of `MvccStore` do. */
export class Generation {
  readonly present: PresentReads;
  readonly hashes: CompactionHashes;
  readonly #state: MvccState;
  readonly #flusher: Flusher;
  readonly #compactor: Compactor;
  readonly #checkpointer: Checkpointer;
  readonly #meter: SizeMeter;
  readonly #gate: KvGate;
  #isRetired = false;

  constructor(
    state: MvccState,
    gate: KvGate,
    restored: Restored,
    hashes: CompactionHashes,
    onFatal: (error: Error) => void,
  ) {
    const unlessRetired = (error: Error): void => {
      if (!this.#isRetired) onFatal(error);
    };
    const onWritten = (): void => {
      this.#checkpointer.kick();
      this.#meter.kick();
    };
    const { mark, checkpoint } = restored;
    const flusher = new Flusher(state, mark, onWritten, unlessRetired);
    this.present = new PresentReads(state);
    this.hashes = hashes;
    this.#state = state;
    this.#flusher = flusher;
    this.#meter = new SizeMeter(gate, state.clock);
    this.#compactor = new Compactor(state, flusher, hashes, this.#meter, unlessRetired);
    this.#checkpointer = new Checkpointer(state, flusher, checkpoint, unlessRetired);
    this.#gate = gate;
  }

  // ------------------------------------------------------------------------------ where it is

  /** The directory. */
  get path(): string {
    return this.#state.path;
  }

  get revision(): Revision {
    return this.#state.revision;
  }

  get compactRevision(): Revision {
    return this.#state.compactRevision;
  }

  get applied(): AppliedMark {
    return this.#state.applied;
  }

  /** An entry is being applied. */
  get isEntryOpen(): boolean {
    return this.#flusher.isEntryOpen;
  }

  get keyCount(): number {
    return this.#state.index.live;
  }

  get recordCount(): number {
    return this.#state.records;
  }

  get openReads(): number {
    return this.#state.pins.size;
  }

  /** Records that compactions have removed from this state since it was opened. */
  get compactedKeys(): number {
    return this.#compactor.removedKeys;
  }

  get sizeBytes(): number {
    return this.#state.sizeBytes;
  }

  get inUseBytes(): number {
    const { sizeBytes, metaBytes } = this.#state;
    return sizeBytes + metaBytes + this.#checkpointer.savedBytes + this.#flusher.markBytes;
  }

  get allocatedBytes(): number {
    return Math.max(this.#meter.allocatedBytes, this.inUseBytes);
  }

  get unflushedBytes(): number {
    return this.#flusher.pendingBytes;
  }

  get cachedBytes(): number {
    return this.#state.log.allocatedBytes;
  }

  get flushed(): { readonly index: LogIndex; readonly synced: boolean } {
    const { index } = this.#flusher.stored;
    return { index, synced: this.#flusher.syncedIndex === index };
  }

  // ------------------------------------------------------------------------------ applying

  begin(index: LogIndex, term: Term): MvccWriteTxn {
    this.#entryStarts(index);
    return new WriteTxn(this.#state, this.present, this.#flusher, index, term);
  }

  setApplied(mark: { index: LogIndex; term: Term; configuration?: Configuration }): void {
    const { index, configuration } = this.#state.applied;
    // A change of members comes as the entry's transaction and then its configuration.
    if (mark.index !== index) this.#entryStarts(mark.index);
    this.#state.moveTo({
      index: mark.index,
      term: mark.term,
      configuration: mark.configuration ?? configuration,
    });
    this.#flusher.entryDone();
  }

  scheduleCompaction(index: LogIndex, term: Term, revision: Revision): void {
    const state = this.#state;
    this.#entryStarts(index);
    const previous = state.compactRevision;
    const refused = this.#whyNotCompact(revision);
    // The entry counts as applied even if it is refused: it must not be tried again.
    state.compact(index, term, refused === undefined ? revision : undefined);
    this.#flusher.entryDone();
    if (refused !== undefined) throw refused;
    this.#compactor.schedule(previous);
  }

  #entryStarts(index: LogIndex): void {
    assert(!this.#state.closed, 'nothing is applied to a closed store');
    assert(index > this.#state.applied.index, 'an entry is applied once, in order of its index');
    this.#flusher.entryStarts();
  }

  #whyNotCompact(revision: Revision): EtcdError | undefined {
    if (revision <= this.#state.compactRevision) return new EtcdError('COMPACTED');
    if (revision > this.#state.revision) return new EtcdError('FUTURE_REVISION');
    return undefined;
  }

  compactionDone(): Promise<void> {
    return this.#compactor.done();
  }

  holdRecords(): void {
    this.#state.log.hold();
  }

  isWarm(keys: readonly KeyString[]): boolean {
    return areWarm(this.#state, keys);
  }

  /** False if it had to read: then others may have left memory meanwhile; ask again. */
  warmOnce(keys: readonly KeyString[]): Promise<boolean> {
    // Nothing leaves until the next commit: what is warm may be anywhere.
    this.#state.log.hold();
    return bringIn(this.#state, keys);
  }

  // ------------------------------------------------------------------------------ reading

  reader(holdFrom: Revision | undefined): PointReader {
    return new PointReads(this.#state, holdFrom);
  }

  range(
    query: RangeQuery,
    at: ReadPoint | undefined,
    room?: AnswerRoom,
  ): RangeResult | Promise<RangeResult> {
    return rangeAt(this.#state, query, at, false, room);
  }

  peek(key: KeyString): Uint8Array | null | undefined {
    const { index, log } = this.#state;
    const item = index.get(key);
    if (item === undefined || item.dead) return null;
    return log.has(item.location) ? log.use(item.location) : undefined;
  }

  history(from: Revision, revisionsMax: number, bytesMax: number): Promise<EventPage> {
    return readHistory(this.#state, from, revisionsMax, bytesMax);
  }

  meta(name: string): Uint8Array | undefined {
    return this.#state.meta(name);
  }

  metaEntries(prefix: string): Iterable<readonly [string, Uint8Array]> {
    return this.#state.metaEntries(prefix);
  }

  leasedKeys(): Iterable<readonly [KeyString, LeaseId]> {
    return this.#state.leases;
  }

  async hashKv(revision: Revision, kept: boolean): Promise<RevisionHash> {
    // In etcd a compaction at 0 freezes the answer to 0, which asks for the present.
    const found = kept && revision > 0 ? await this.#compactor.hashOf(revision) : undefined;
    return found ?? (await hashKv(this.#state, this.#flusher, revision));
  }

  hashAll(): Promise<number> {
    return hashAll(this.#state, this.#flusher);
  }

  async snapshotView(): Promise<SnapshotView> {
    await this.#flusher.flush(false);
    return await openSnapshotView(this.#state.kv, this.#state.path);
  }

  async snapshotSource(): Promise<SnapshotSource> {
    await this.#flusher.flush(false);
    return await openSnapshotSource(this.#state.kv, this.#state.path);
  }

  // ------------------------------------------------------------------------------ the disk

  flush(sync: boolean): Promise<AppliedMark> {
    return this.#flusher.flush(sync);
  }

  async defragment(): Promise<void> {
    const state = this.#state;
    await this.#flusher.flush(false);
    await reclaimRecords(state, state.revision);
    // And what is kept beside the keys.
    await state.kv.compact(recordsEnd, everythingEnd);
    await this.#meter.measure();
  }

  // ------------------------------------------------------------------------------ its life

  /** Goes on with what was left to do in the background. */
  start(): void {
    void this.#meter.measure();
    this.#compactor.kick();
    this.#checkpointer.kick();
  }

  /** Synchronous: nothing is applied from here on. */
  refuseEntries(): void {
    this.#state.close();
  }

  /** Writes everything and closes the KvStore. */
  async close(): Promise<void> {
    this.#state.close();
    try {
      await this.#meter.close();
      await this.#compactor.close();
      const sound = await this.#flusher.close();
      await this.#checkpointer.close(sound);
    } finally {
      await this.#gate.close();
    }
  }

  /** Synchronous: from here on nothing changes here, but for the write that is under way. */
  retire(): void {
    this.#isRetired = true;
    this.#state.close();
    this.#gate.refuseWrites();
  }

  /** Ends what still runs on a retired state, then closes the KvStore. */
  async end(): Promise<void> {
    const { pins, clock } = this.#state;
    const gate = this.#gate;
    await this.#meter.close();
    await untilOrAfter(pins.waitBelow(Number.POSITIVE_INFINITY), clock, installGraceMs);
    await gate.refuseAll();
    // Whoever still waits for a flush learns that there will be none, so nobody holds a pin now.
    await turn(clock);
    await this.#flusher.close().catch(() => {});
    await this.#compactor.close(replaced());
    await this.#checkpointer.close(false);
    await gate.close();
  }
}

/**
 * Brings back what `setup.kv` holds; gives way to the event loop as restore does. `hashes` are those
 * of the state before, if there is one.
 */
export async function openGeneration(
  setup: MvccSetup,
  onFatal: (error: Error) => void,
  hashes = new CompactionHashes(),
): Promise<Generation> {
  const gate = new KvGate(setup.kv);
  const state = new MvccState({ ...setup, kv: gate });
  return new Generation(state, gate, await restore(state), hashes, onFatal);
}

/** Resolves with `work`, or when `delayMs` are over. */
function untilOrAfter(work: Promise<void>, clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(delayMs, resolve);
    void work.then(() => {
      timer.cancel();
      resolve();
    });
  });
}
