/**
 * Writes what was applied to the KvStore, in the background and in apply order. Everything goes out
 * in units of whole entries; each unit is one atomic batch with the mark of the entry it ends with
 * (L-1). Removals of a compaction go through the same queue, behind the units they
 * depend on, each atomic with its counters (L-4, L-5). One batch at a time.
 *
 * A failed write is final: the state on disk is unknown, so nothing is retried.
 */

import {
  assert,
  flushBatchBytesMax,
  flushSyncMs,
  flushUnitRecordsMax,
  type KvChange,
  type LogIndex,
  type Revision,
  ShardedMap,
  type Timer,
  turn,
} from '../../common/index.js';
import { JournalWriter, journalKey } from '../recovery/index.js';
import {
  type AppliedMark,
  encodeMark,
  encodeRemoval,
  isTombstone,
  markKey,
  metaKey,
  metaSumOf,
  type Removal,
  removalKey,
  type StoreMark,
  seal,
} from '../schema/index.js';
import type { MvccState } from './state.js';

/** Records made ready in one turn: a microsecond each on a busy member, three on one that idles. */
const recordsPerTurn = 200;

interface FlushUnit {
  readonly sequence: number;
  /** Position in the value log after its last record. */
  readonly end: number;
  readonly meta: ShardedMap<string, Uint8Array | undefined> | undefined;
  readonly applied: AppliedMark;
  readonly revision: Revision;
  readonly compactRevision: Revision;
  readonly sizeBytes: number;
  readonly records: number;
  readonly metaSum: number;
  readonly pendingBytes: number;
}

interface RemovalJob {
  readonly keys: readonly Buffer[];
  readonly bytes: number;
  /** How far the compaction is then; its revision if it is done. */
  readonly progress: Removal | Revision;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

interface Waiter {
  readonly sequence: number;
  readonly sync: boolean;
  readonly resolve: (mark: AppliedMark) => void;
  readonly reject: (error: Error) => void;
}

/** The queue in front of the KvStore. */
export class Flusher {
  readonly #state: MvccState;
  readonly #onWritten: () => void;
  readonly #onFatal: (error: Error) => void;
  #stored: StoreMark;
  #syncedIndex: LogIndex;
  #markBytes: number;
  readonly #journal = new JournalWriter();
  readonly #units: FlushUnit[] = [];
  readonly #removals: RemovalJob[] = [];
  #waiters: Waiter[] = [];
  #sequence = 0;
  #flushedSequence = 0;
  #syncedSequence = 0;
  /** Of the unit that is being filled. */
  #openStart = 0;
  #openBytes = 0;
  #openMeta: ShardedMap<string, Uint8Array | undefined> | undefined;
  #openDirty = false;
  #openSizeBytes = 0;
  #openRecords = 0;
  #openMetaSum = 0;
  #pending = 0;
  /** Since the last flush began. */
  #recordsAdded = 0;
  /** An entry is being applied; who wants a flush meanwhile waits for its end. */
  #entryOpen = false;
  #afterEntry: Array<() => void> = [];
  #lastSyncMs: number;
  #timer: Timer | undefined;
  #due = false;
  #running: Promise<void> | undefined;
  #failure: Error | undefined;

  /** `stored` is the mark in the KvStore; `onWritten` is called after each batch of records. */
  constructor(
    state: MvccState,
    stored: StoreMark,
    onWritten: () => void,
    onFatal: (error: Error) => void,
  ) {
    this.#state = state;
    this.#stored = stored;
    this.#syncedIndex = stored.index;
    this.#markBytes = encodeMark(stored).length;
    this.#onWritten = onWritten;
    this.#onFatal = onFatal;
    this.#lastSyncMs = state.clock.nowMs();
  }

  /** The mark in the KvStore. */
  get stored(): StoreMark {
    return this.#stored;
  }

  /** The index of the last batch written with an fsync. */
  get syncedIndex(): LogIndex {
    return this.#syncedIndex;
  }

  /** What the mark in the KvStore takes. */
  get markBytes(): number {
    return this.#markBytes;
  }

  /** An entry is being applied: its changes may be half of what it will make. */
  get isEntryOpen(): boolean {
    return this.#entryOpen;
  }

  /** Bytes of records that are only in memory and in the WAL. */
  get pendingBytes(): number {
    return this.#pending;
  }

  /** A record was added to the value log. */
  addRecord(bytes: number): void {
    this.#openBytes += bytes;
    this.#openSizeBytes += bytes;
    this.#openRecords += 1;
    this.#pending += bytes;
    this.#recordsAdded += 1;
  }

  /** A meta record changes from `old`; undefined: there is none. */
  addMeta(name: string, value: Uint8Array | undefined, old: Uint8Array | undefined): void {
    this.#openMetaSum += metaSumOf(name, value) - metaSumOf(name, old);
    this.#openMeta ??= new ShardedMap();
    this.#openMeta.set(name, value);
    const bytes = name.length + (value?.length ?? 0);
    this.#openBytes += bytes;
    this.#pending += bytes;
  }

  /** The next entry begins: the unit ends here if it is large enough. */
  entryStarts(): void {
    assert(!this.#entryOpen, 'one entry is applied at a time');
    this.#entryOpen = true;
    const records = this.#state.log.end - this.#openStart + (this.#openMeta?.size ?? 0);
    if (records >= flushUnitRecordsMax || this.#openBytes >= flushBatchBytesMax) this.#closeUnit();
  }

  /** An entry was applied completely; its configuration may still follow in the same turn. */
  entryDone(): void {
    this.#entryOpen = false;
    this.#openDirty = true;
    if (this.#afterEntry.length > 0) {
      const waiting = this.#afterEntry;
      this.#afterEntry = [];
      for (const flush of waiting) flush();
    }
    const { flushBytes, flushRecords } = this.#state.options;
    if (this.#pending >= flushBytes || this.#recordsAdded >= flushRecords) this.#start();
    else this.#arm();
  }

  /** Resolves when everything applied so far is in the KvStore, with an fsync if `sync`. */
  flush(sync: boolean): Promise<AppliedMark> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#entryOpen) {
      // It takes several turns: what it has changed so far must not be written without the rest.
      return new Promise((resolve, reject) => {
        this.#afterEntry.push(() => this.flush(sync).then(resolve, reject));
      });
    }
    const covered = sync ? this.#syncedSequence : this.#flushedSequence;
    if (!this.#openDirty && covered === this.#sequence) return Promise.resolve(this.#stored);
    // A unit of the mark alone if all records are out but not synced.
    if (this.#openDirty || this.#units.length === 0) this.#closeUnit();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ sequence: this.#sequence, sync, resolve, reject });
      this.#start();
    });
  }

  /** Deletes records and notes the progress of the compaction, atomically. */
  remove(keys: readonly Buffer[], bytes: number, progress: Removal | Revision): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#removals.push({ keys, bytes, progress, resolve, reject });
      this.#start();
    });
  }

  /** Flushes and stops; nothing may be applied afterwards. False if a write failed before. */
  async close(): Promise<boolean> {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#failure === undefined) await this.flush(true);
    await this.#running;
    return this.#failure === undefined;
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#running !== undefined) return;
    this.#timer = this.#state.clock.after(this.#state.options.flushIntervalMs, () => {
      this.#timer = undefined;
      this.#start();
    });
  }

  #start(): void {
    this.#due = true;
    if (this.#running !== undefined || this.#failure !== undefined) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      if (this.#failure !== undefined || this.#state.closed) return;
      if (this.#due && (this.#units.length > 0 || this.#removals.length > 0)) this.#start();
      else if (this.#openDirty || this.#units.length > 0) this.#arm();
    });
  }

  async #run(): Promise<void> {
    try {
      while (this.#due) {
        // Whole entries only: let the present turn finish what it is applying, as a rule.
        await turn(this.#state.clock);
        this.#due = false;
        this.#recordsAdded = 0;
        if (this.#openDirty && !this.#entryOpen) this.#closeUnit();
        for (let unit = this.#units.shift(); unit; unit = this.#units.shift()) {
          await this.#writeUnit(unit);
        }
        for (let job = this.#removals.shift(); job; job = this.#removals.shift()) {
          await this.#writeRemoval(job);
        }
      }
    } catch (cause) {
      this.#fail(cause instanceof Error ? cause : new Error(String(cause)));
    }
  }

  #closeUnit(): void {
    const state = this.#state;
    assert(state.lastMain <= state.revision, 'a batch holds whole entries');
    this.#sequence += 1;
    this.#units.push({
      sequence: this.#sequence,
      end: state.log.end,
      meta: this.#openMeta,
      applied: state.applied,
      revision: state.revision,
      compactRevision: state.compactRevision,
      sizeBytes: this.#openSizeBytes,
      records: this.#openRecords,
      metaSum: this.#openMetaSum,
      pendingBytes: this.#openBytes,
    });
    this.#openStart = state.log.end;
    this.#openBytes = 0;
    this.#openMeta = undefined;
    this.#openDirty = false;
    this.#openSizeBytes = 0;
    this.#openRecords = 0;
    this.#openMetaSum = 0;
  }

  async #writeUnit(unit: FlushUnit): Promise<void> {
    const { log, kv, clock } = this.#state;
    const changes: KvChange[] = [];
    const journal = this.#journal;
    const stored = this.#stored;
    let { journalEnd, journalBytes } = stored;
    for (let p = log.storedEnd; p < unit.end; p += 1) {
      const record = log.sealedAt(p);
      changes.push(record);
      // A put that comes meanwhile does not wait for all of them.
      if (changes.length % recordsPerTurn === 0) await turn(clock);
      journal.add(log.mainAt(p), log.subAt(p), isTombstone(record.key), record.value);
    }
    if (unit.end > log.storedEnd) {
      const key = journalKey(journalEnd);
      const value = journal.take(key);
      changes.push({ key, value });
      journalEnd += 1;
      journalBytes += value.length;
    }
    if (unit.meta !== undefined) {
      for (const [name, value] of unit.meta) {
        const key = metaKey(name);
        changes.push(value === undefined ? { key } : { key, value: seal(key, value) });
        // Only after a role with very many permissions has gone.
        if (changes.length % recordsPerTurn === 0) await turn(clock);
      }
    }
    const mark: StoreMark = {
      index: unit.applied.index,
      term: unit.applied.term,
      configuration: unit.applied.configuration,
      revision: unit.revision,
      compactRevision: unit.compactRevision,
      removedRevision: stored.removedRevision,
      sizeBytes: stored.sizeBytes + unit.sizeBytes,
      records: stored.records + unit.records,
      metaSum: (stored.metaSum + unit.metaSum) >>> 0,
      journalEnd,
      journalBytes,
    };
    assert(unit.sequence === this.#flushedSequence + 1, 'batches are written in their order');
    assert(
      mark.index >= stored.index && mark.revision >= stored.revision,
      'a mark never goes back',
    );
    const markValue = encodeMark(mark);
    changes.push({ key: markKey, value: markValue });
    const sync =
      clock.nowMs() - this.#lastSyncMs >= flushSyncMs || this.#waiters.some((w) => w.sync);
    await kv.write(changes, { sync });
    this.#stored = mark;
    this.#markBytes = markValue.length;
    log.stored(unit.end);
    this.#flushedSequence = unit.sequence;
    this.#pending -= unit.pendingBytes;
    assert(this.#pending >= 0, 'no more is written than was to be');
    if (sync) {
      this.#lastSyncMs = clock.nowMs();
      this.#syncedSequence = unit.sequence;
      this.#syncedIndex = mark.index;
    }
    this.#state.evict();
    this.#wake();
    this.#onWritten();
  }

  #wake(): void {
    const waiting = this.#waiters;
    if (waiting.length === 0) return;
    const isDone = (w: Waiter): boolean =>
      w.sequence <= (w.sync ? this.#syncedSequence : this.#flushedSequence);
    this.#waiters = waiting.filter((w) => !isDone(w));
    for (const w of waiting) if (isDone(w)) w.resolve(this.#stored);
  }

  async #writeRemoval(job: RemovalJob): Promise<void> {
    const { progress } = job;
    const mark: StoreMark = {
      ...this.#stored,
      sizeBytes: this.#stored.sizeBytes - job.bytes,
      records: this.#stored.records - job.keys.length,
      removedRevision: typeof progress === 'number' ? progress : this.#stored.removedRevision,
    };
    const changes: KvChange[] = job.keys.map((key) => ({ key }));
    if (typeof progress === 'number') changes.push({ key: removalKey });
    else changes.push({ key: removalKey, value: encodeRemoval(progress) });
    changes.push({ key: markKey, value: encodeMark(mark) });
    try {
      await this.#state.kv.write(changes, { sync: false });
    } catch (cause) {
      job.reject(cause instanceof Error ? cause : new Error(String(cause)));
      throw cause;
    }
    this.#stored = mark;
    this.#state.removed(job.keys.length, job.bytes);
    job.resolve();
  }

  #fail(error: Error): void {
    this.#failure = error;
    this.#timer?.cancel();
    for (const w of this.#waiters) w.reject(error);
    for (const job of this.#removals) job.reject(error);
    this.#waiters = [];
    this.#removals.length = 0;
    this.#onFatal(error);
  }
}
