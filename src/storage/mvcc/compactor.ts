/**
 * Removes compacted history in the background. What a compaction covers is hashed first
 * (compaction-hashes.ts), which reads all of it, at the pace of the removal. The index knows
 * exactly which revisions go: a slice of the index is compacted in memory, then the dropped
 * revisions are deleted in one atomic batch with the new counters. After a crash the index comes
 * back from what is left, or without it by the same rule up to the key that the batches say they
 * have come to, and the compaction goes on (L-4, L-5). Within a key the oldest goes first, so a
 * tombstone never goes before the puts that it hides.
 */

import {
  compactionHashesMax,
  type KeyString,
  laneTurn,
  type Revision,
  Slice,
  StorageError,
  sleep,
} from '../../common/index.js';
import { compactItem, isCompactable } from '../index/index.js';
import type { SizeMeter } from '../level/index.js';
import { type Removal, revisionKey } from '../schema/index.js';
import type { CompactionHashes, RevisionHash } from './compaction-hashes.js';
import type { Flusher } from './flusher.js';
import { hashCompaction } from './hash.js';
import { reclaimRecords } from './reclaim.js';
import type { MvccState } from './state.js';

/** Below this share of removed bytes LevelDB is left to tidy up by itself. */
const tidyShare = 0.25;
const tidyBytesMin = 16 * 1024 * 1024;

/** A compaction that is still to be hashed, and who waits for that. */
interface Unhashed {
  readonly revision: Revision;
  readonly previous: Revision;
  readonly waiters: Array<{
    readonly resolve: (hash: RevisionHash | undefined) => void;
    readonly reject: (e: Error) => void;
  }>;
}

/** One worker a store; `schedule` each new compaction. */
export class Compactor {
  /** Records removed since it was made. */
  removedKeys = 0;
  readonly #state: MvccState;
  readonly #flusher: Flusher;
  readonly #onFatal: (error: Error) => void;
  #running: Promise<void> | undefined;
  #waiters: Array<{ revision: Revision; resolve: () => void; reject: (e: Error) => void }> = [];
  /** Oldest first. Those of a process before are not: some of what they cover may be gone. */
  readonly #unhashed: Unhashed[] = [];
  readonly #hashes: CompactionHashes;
  readonly #meter: Pick<SizeMeter, 'measure'>;
  #removedBytes = 0;
  #failure: Error | undefined;

  constructor(
    state: MvccState,
    flusher: Flusher,
    hashes: CompactionHashes,
    meter: Pick<SizeMeter, 'measure'>,
    onFatal: (error: Error) => void,
  ) {
    this.#state = state;
    this.#flusher = flusher;
    this.#hashes = hashes;
    this.#meter = meter;
    this.#onFatal = onFatal;
  }

  /** Call when the store's compact revision has moved on from `previous`. */
  schedule(previous: Revision): void {
    this.#unhashed.push({ revision: this.#state.compactRevision, previous, waiters: [] });
    // Its hash would be forgotten by the time the others have theirs.
    if (this.#unhashed.length > compactionHashesMax) settle(this.#unhashed.shift(), undefined);
    this.kick();
  }

  /** The hash of a compaction, waiting for it if need be; undefined: none is kept or expected. */
  async hashOf(revision: Revision): Promise<RevisionHash | undefined> {
    const found = this.#hashes.find(revision);
    const awaited = this.#unhashed.find((one) => one.revision === revision);
    if (found !== undefined || awaited === undefined) return found;
    if (this.#failure !== undefined) throw this.#failure;
    return await new Promise((resolve, reject) => awaited.waiters.push({ resolve, reject }));
  }

  /** Starts or goes on removing up to the store's compact revision. */
  kick(): void {
    if (this.#running !== undefined || this.#isDone() || this.#failure !== undefined) return;
    this.#running = this.#run()
      .catch((cause: unknown) => this.#fail(cause))
      .finally(() => {
        this.#running = undefined;
        this.#wake();
        if (!this.#state.closed) this.kick();
      });
  }

  /** Resolves when the present compact revision is reached. */
  done(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#isDone()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ revision: this.#state.compactRevision, resolve, reject });
      this.kick();
    });
  }

  /** Stops after the batch in progress; the rest is done after the next start. */
  async close(error: Error = new Error('the store was closed during a compaction')): Promise<void> {
    await this.#running;
    this.#rejectAll(error);
  }

  #isDone(): boolean {
    return this.#flusher.stored.removedRevision >= this.#state.compactRevision;
  }

  async #run(): Promise<void> {
    const state = this.#state;
    // What a process before began is finished first: the progress is that of one compaction.
    const revision = state.removal?.revision ?? state.compactRevision;
    await this.#hashUpTo(revision);
    if (state.closed) return;
    // Reads that began before the compaction may still want what it removes; later ones can't.
    await state.pins.waitBelow(revision);
    await state.indexLock.run(() => this.#removeUpTo(revision, state.removal?.below ?? ''));
    if (state.closed) return;
    await this.#tidy(revision);
    await this.#meter.measure();
  }

  async #hashUpTo(revision: Revision): Promise<void> {
    const state = this.#state;
    const flusher = this.#flusher;
    const hashes = this.#hashes;
    const unhashed = this.#unhashed;
    for (let next = unhashed[0]; next && next.revision <= revision; next = unhashed[0]) {
      let hash: RevisionHash | undefined;
      try {
        const { revision: at, previous } = next;
        hash = await hashCompaction(state, flusher, at, previous, () => this.#pause());
      } catch (error) {
        if (state.closed) return;
        // As for whoever reads it: the damage is told, and ends nothing.
        if (!(error instanceof StorageError)) throw error;
        const { revision: at } = next;
        state.logger.error('a compaction has no hash', { revision: at, error: error.message });
      }
      if (hash !== undefined) hashes.add(hash);
      // While it was being hashed, more may have come, and this one been dropped for them.
      if (unhashed[0] === next) unhashed.shift();
      settle(next, hash);
    }
  }

  async #pause(): Promise<void> {
    const state = this.#state;
    const { compactionSleepMs } = state.options;
    if (compactionSleepMs <= 0) await laneTurn(state.clock);
    else await sleep(state.clock, compactionSleepMs);
    if (state.closed) throw new Error('the store was closed while a compaction was hashed');
  }

  async #removeUpTo(revision: Revision, from: KeyString): Promise<void> {
    const state = this.#state;
    const flusher = this.#flusher;
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
      if (isFull && next !== undefined) await this.#write(batch, { revision, below: next });
      else await slice.rest();
    }
    if (state.closed) return;
    await this.#write(batch, revision);
    state.removalDone();
  }

  async #write(batch: DropBatch, progress: Removal | Revision): Promise<void> {
    const { clock, options } = this.#state;
    const { keys, bytes } = batch.take();
    this.#removedBytes += bytes;
    await this.#flusher.remove(keys, bytes, progress);
    this.removedKeys += keys.length;
    if (typeof progress === 'number' || options.compactionSleepMs <= 0) return;
    await sleep(clock, options.compactionSleepMs);
  }

  /** LevelDB keeps deleted records until it merges the files; ask for it once it is worth it. */
  async #tidy(revision: Revision): Promise<void> {
    const { sizeBytes } = this.#state;
    if (this.#removedBytes < Math.max(tidyBytesMin, sizeBytes * tidyShare)) return;
    this.#removedBytes = 0;
    await reclaimRecords(this.#state, revision);
  }

  #wake(): void {
    const removed = this.#flusher.stored.removedRevision;
    const waiting = this.#waiters;
    this.#waiters = waiting.filter((w) => w.revision > removed);
    for (const w of waiting) if (w.revision <= removed) w.resolve();
  }

  #fail(cause: unknown): void {
    const error = cause instanceof Error ? cause : new Error(String(cause));
    this.#failure = error;
    this.#rejectAll(error);
    this.#onFatal(error);
  }

  #rejectAll(error: Error): void {
    for (const w of this.#waiters) w.reject(error);
    this.#waiters = [];
    for (const one of this.#unhashed) for (const w of one.waiters.splice(0)) w.reject(error);
  }
}

function settle(one: Unhashed | undefined, hash: RevisionHash | undefined): void {
  for (const w of one?.waiters.splice(0) ?? []) w.resolve(hash);
}

/** Revisions on their way out. */
class DropBatch {
  keys: Buffer[] = [];
  #bytes = 0;

  readonly drop = (main: Revision, sub: number, bytes: number, tombstone: boolean): void => {
    this.keys.push(revisionKey(main, sub, tombstone));
    this.#bytes += bytes;
  };

  take(): { keys: readonly Buffer[]; bytes: number } {
    const taken = { keys: this.keys, bytes: this.#bytes };
    this.keys = [];
    this.#bytes = 0;
    return taken;
  }
}
