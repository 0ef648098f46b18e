/**
 * Removes compacted history in the background. The index knows exactly which revisions go, so
 * nothing is scanned: a slice of the index is compacted in memory, then the dropped revisions are
 * deleted in one atomic batch with the new counters. After a crash the index comes back from what
 * is left, or without it by the same rule up to the key that the batches say they have come to, and
 * the compaction goes on (rows 4 and 5). Within a key the oldest goes first, so a tombstone never
 * goes before the puts that it hides.
 */

import { type KeyString, type Revision, Slice } from '../common/index.js';
import { compactItem, isCompactable } from './key-index-item.js';
import type { Flusher } from './mvcc-flush.js';
import type { MvccState } from './mvcc-state.js';
import { type Removal, recordsStart, revisionKey } from './schema.js';

/** Below this share of removed bytes LevelDB is left to tidy up by itself. */
const tidyShare = 0.25;
const tidyBytesMin = 16 * 1024 * 1024;

/** One worker a store; `kick` after each new compaction. */
export class Compactor {
  /** Records removed since it was made. */
  removedKeys = 0;
  private readonly state: MvccState;
  private readonly flusher: Flusher;
  private readonly onFatal: (error: Error) => void;
  private running: Promise<void> | undefined;
  private waiters: Array<{ revision: Revision; resolve: () => void; reject: (e: Error) => void }> =
    [];
  private removedBytes = 0;
  private failure: Error | undefined;

  constructor(state: MvccState, flusher: Flusher, onFatal: (error: Error) => void) {
    this.state = state;
    this.flusher = flusher;
    this.onFatal = onFatal;
  }

  /** Starts or goes on removing up to the store's compact revision. */
  kick(): void {
    if (this.running !== undefined || this.isDone() || this.failure !== undefined) return;
    this.running = this.run()
      .catch((cause: unknown) => this.fail(cause))
      .finally(() => {
        this.running = undefined;
        this.wake();
        if (!this.state.closed) this.kick();
      });
  }

  /** Resolves when the present compact revision is reached. */
  done(): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (this.isDone()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.waiters.push({ revision: this.state.compactRevision, resolve, reject });
      this.kick();
    });
  }

  /** Stops after the batch in progress; the rest is done after the next start. */
  async close(error: Error = new Error('the store was closed during a compaction')): Promise<void> {
    await this.running;
    for (const w of this.waiters) w.reject(error);
    this.waiters = [];
  }

  private isDone(): boolean {
    return this.flusher.stored.removedRevision >= this.state.compactRevision;
  }

  private async run(): Promise<void> {
    const { state } = this;
    // What a process before began is finished first: the progress is that of one compaction.
    const revision = state.removal?.revision ?? state.compactRevision;
    // Reads that began before the compaction may still want what it removes; later ones can't.
    await state.pins.waitBelow(revision);
    await state.indexLock.run(() => this.removeUpTo(revision, state.removal?.below ?? ''));
    if (!state.closed) await this.tidy(revision);
  }

  private async removeUpTo(revision: Revision, from: KeyString): Promise<void> {
    const { state, flusher } = this;
    // What is removed must not be written afterwards, and the mark must not outrun its entry.
    await flusher.flush(false);
    const batch = new DropBatch();
    const dead: KeyString[] = [];
    const slice = new Slice(state.clock);
    let next: KeyString | undefined = from;
    while (next !== undefined && !state.closed) {
      slice.begin();
      next = state.index.walk(next, undefined, Number.POSITIVE_INFINITY, (key, item) => {
        if (isCompactable(item) && compactItem(item, revision, batch.drop)) dead.push(key);
        return slice.next() && batch.keys.length < state.options.compactionBatch;
      });
      for (const key of dead) state.index.remove(key);
      dead.length = 0;
      const isFull = batch.keys.length >= state.options.compactionBatch;
      if (isFull && next !== undefined) await this.write(batch, { revision, below: next });
      else await slice.rest();
    }
    if (state.closed) return;
    await this.write(batch, revision);
    state.removal = undefined;
  }

  private async write(batch: DropBatch, progress: Removal | Revision): Promise<void> {
    const { clock, options } = this.state;
    const { keys, bytes } = batch.take();
    this.removedBytes += bytes;
    await this.flusher.remove(keys, bytes, progress);
    this.removedKeys += keys.length;
    if (typeof progress === 'number' || options.compactionSleepMs <= 0) return;
    await new Promise<void>((resolve) => clock.after(options.compactionSleepMs, resolve));
  }

  /** LevelDB keeps deleted records until it merges the files; ask for it once it is worth it. */
  private async tidy(revision: Revision): Promise<void> {
    const { sizeBytes, kv } = this.state;
    if (this.removedBytes < Math.max(tidyBytesMin, sizeBytes * tidyShare)) return;
    this.removedBytes = 0;
    await kv.compact(recordsStart, revisionKey(revision + 1, 0, false));
  }

  private wake(): void {
    const removed = this.flusher.stored.removedRevision;
    const waiting = this.waiters;
    this.waiters = waiting.filter((w) => w.revision > removed);
    for (const w of waiting) if (w.revision <= removed) w.resolve();
  }

  private fail(cause: unknown): void {
    const error = cause instanceof Error ? cause : new Error(String(cause));
    this.failure = error;
    for (const w of this.waiters) w.reject(error);
    this.waiters = [];
    this.onFatal(error);
  }
}

/** Revisions on their way out. */
class DropBatch {
  keys: Buffer[] = [];
  private bytes = 0;

  readonly drop = (main: Revision, sub: number, bytes: number, tombstone: boolean): void => {
    this.keys.push(revisionKey(main, sub, tombstone));
    this.bytes += bytes;
  };

  take(): { keys: readonly Buffer[]; bytes: number } {
    const taken = { keys: this.keys, bytes: this.bytes };
    this.keys = [];
    this.bytes = 0;
    return taken;
  }
}
