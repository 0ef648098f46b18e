/**
 * Writes a checkpoint of the index when the journal has become long in comparison with the last
 * one, in the background: a block of items a turn of the event loop, so it takes time only where
 * there is some. The one before stays valid until the new one is complete (recovery/checkpoint.ts).
 *
 * Not at the same time as a compaction: that takes items out of memory before it removes their
 * records, and a checkpoint in between would be ahead of the store.
 */

import {
  assert,
  type Clock,
  checkpointJournalShare,
  type KeyString,
  type KvChange,
  type KvStore,
  type LeaseId,
  type Lock,
  type Revision,
  turn,
} from '../../common/index.js';
import type { KeyIndex } from '../index/index.js';
import type { StoreMark } from '../schema/index.js';
import {
  blockBytes,
  blockKey,
  type CheckpointHeader,
  emptyCheckpoint,
  encodeHeader,
  headerKey,
  ItemEncoder,
} from './checkpoint-format.js';
import { clearRange } from './clear-range.js';
import { journalKey } from './journal.js';

const blocksPerBatch = 16;
const removalsPerBatch = 1000;

/** What is saved: the memory of one state. */
export interface CheckpointSource {
  readonly kv: KvStore;
  readonly clock: Clock;
  readonly index: KeyIndex;
  readonly leases: { get(key: KeyString): LeaseId | undefined };
  readonly compactRevision: Revision;
  /** An index of fewer keys is not saved. */
  readonly checkpointKeysMin: number;
  /** A shorter journal is not replaced. */
  readonly journalBytesMin: number;
  /** Nothing more is to be written. */
  readonly closed: boolean;
  /** Held while the index is ahead of the KvStore, and while it is saved. */
  readonly indexLock: Lock;
}

/** What writes that memory to the KvStore. */
export interface CheckpointFlush {
  /** The mark there. */
  readonly stored: StoreMark;
  /** Resolves when all that was applied is there. */
  flush(sync: boolean): Promise<unknown>;
}

/** One a state; `kick` after each batch of the flush. */
export class Checkpointer {
  readonly #state: CheckpointSource;
  readonly #flusher: CheckpointFlush;
  readonly #onFatal: (error: Error) => void;
  #header: CheckpointHeader | undefined;
  #running: Promise<void> | undefined;
  #failed = false;

  constructor(
    state: CheckpointSource,
    flusher: CheckpointFlush,
    header: CheckpointHeader | undefined,
    onFatal: (error: Error) => void,
  ) {
    this.#state = state;
    this.#flusher = flusher;
    this.#header = header;
    this.#onFatal = onFatal;
  }

  /** Bytes of the saved index and of the journal behind it. */
  get savedBytes(): number {
    return this.#journalBytes() + (this.#header?.bytes ?? 0);
  }

  /** Begins a checkpoint if it is time for one. */
  kick(): void {
    if (this.#running !== undefined || this.#failed || this.#state.closed || !this.#isDue()) return;
    this.#running = this.#state.indexLock
      .run(() => this.#write(true))
      .catch((cause: unknown) => {
        this.#failed = true;
        this.#onFatal(cause instanceof Error ? cause : new Error(String(cause)));
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  /**
   * Stops. If `last`, when everything is flushed and nothing runs any more, with a checkpoint that
   * makes the next start as fast as it gets.
   */
  async close(last: boolean): Promise<void> {
    await this.#running;
    const state = this.#state;
    const flusher = this.#flusher;
    if (!last || this.#failed || state.index.size < state.checkpointKeysMin) return;
    if (flusher.stored.removedRevision !== state.compactRevision) return;
    const changed = this.#journalBytes();
    const saved = this.#header;
    if (saved === undefined || changed * 8 > saved.bytes) await this.#write(false);
  }

  /** Bytes of the journal that a start now would have to read. */
  #journalBytes(): number {
    return this.#flusher.stored.journalBytes - (this.#header?.journalBytes ?? 0);
  }

  #isDue(): boolean {
    const state = this.#state;
    const header = this.#header;
    const bytes = this.#journalBytes();
    if (header === undefined && this.#flusher.stored.records >= state.checkpointKeysMin)
      return true;
    return bytes >= Math.max(state.journalBytesMin, (header?.bytes ?? 0) * checkpointJournalShare);
  }

  async #write(mayStop: boolean): Promise<void> {
    const state = this.#state;
    const flusher = this.#flusher;
    const old = this.#header ?? emptyCheckpoint;
    const slot = 1 - old.slot;
    // All that was written up to here is in the index that is read from now on.
    const { journalEnd: journalStart, journalBytes } = flusher.stored;
    assert(journalStart >= old.journalStart, 'a checkpoint replaces an earlier one');
    await clearRange(state.kv, blockKey(slot, 0), blockKey(slot, 0xffff_ffff));
    const written = await this.#writeBlocks(slot, mayStop);
    if (written === undefined) return;
    // What the items have beyond that must be there, too, before they count.
    await flusher.flush(false);
    const header: CheckpointHeader = {
      slot,
      ...written,
      journalStart,
      journalBytes,
      journalOldest: old.journalOldest,
    };
    await state.kv.write([{ key: headerKey, value: encodeHeader(header) }], { sync: true });
    assert(header.journalStart <= flusher.stored.journalEnd, 'the journal goes on behind it');
    this.#header = header;
    await this.#remove(old.journalOldest, journalStart, journalKey);
    await this.#remove(0, old.blocks, (n) => blockKey(old.slot, n));
    // Only in memory: after a crash the next one removes them once more.
    this.#header = { ...header, journalOldest: journalStart };
  }

  /** Undefined if the store was closed meanwhile. */
  async #writeBlocks(
    slot: number,
    mayStop: boolean,
  ): Promise<{ blocks: number; keys: number; bytes: number } | undefined> {
    const state = this.#state;
    const encoder = new ItemEncoder();
    let changes: KvChange[] = [];
    let blocks = 0;
    let keys = 0;
    let bytes = 0;
    let next: KeyString | undefined = '';
    while (next !== undefined) {
      if (mayStop && state.closed) return undefined;
      next = state.index.walk(next, undefined, Number.POSITIVE_INFINITY, (key, item) => {
        encoder.add(key, item, state.leases.get(key) ?? 0n);
        keys += 1;
        return encoder.length < blockBytes;
      });
      if (encoder.length > 0) {
        const key = blockKey(slot, blocks);
        const value = encoder.take(key);
        changes.push({ key, value });
        bytes += value.length;
        blocks += 1;
      }
      if (changes.length >= blocksPerBatch || next === undefined) {
        await state.kv.write(changes, { sync: false });
        changes = [];
      }
      await turn(state.clock);
    }
    return { blocks, keys, bytes };
  }

  async #remove(from: number, to: number, keyOf: (n: number) => Buffer): Promise<void> {
    for (let n = from; n < to; ) {
      const changes: KvChange[] = [];
      for (const end = Math.min(to, n + removalsPerBatch); n < end; n += 1) {
        changes.push({ key: keyOf(n) });
      }
      await this.#state.kv.write(changes, { sync: false });
    }
  }
}
