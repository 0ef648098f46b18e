/**
 * Writes a whole state, piece by piece, into a KvStore of its own beside the one in use. Each piece
 * is checked before anything of it is written; a refused one changes nothing, so the right one may
 * follow. The mark goes last, with what proves that all is there, and only then does the directory
 * get the name under which it counts (level/generations.ts).
 */

import {
  assert,
  type Clock,
  crc32c,
  flushBatchBytesMax,
  flushBatchRecordsMax,
  type KvChange,
  type KvStore,
  Slice,
  turn,
} from '../../common/index.js';
import type { SnapshotMeta } from '../../raft/index.js';
import type { KvGenerations } from '../level/index.js';
import {
  decodeMark,
  formatKey,
  formatVersion,
  markKey,
  metaEnd,
  metaStart,
  recordsEnd,
  recordsStart,
  type StoreMark,
} from '../schema/index.js';
import { type Piece, PieceReader, readEnd, readPiece, refusedPiece } from './piece.js';
import type { SnapshotSink, StagedSnapshot } from './types.js';

/** A complete staged state, as {@link MvccStore.install} wants it. */
export class StagedState implements StagedSnapshot {
  readonly mark: SnapshotMeta;
  readonly path: string;
  /** Installed or discarded. */
  isUsed = false;
  readonly #onDiscard: (staged: StagedState) => Promise<void>;

  constructor(mark: SnapshotMeta, path: string, onDiscard: (staged: StagedState) => Promise<void>) {
    this.mark = mark;
    this.path = path;
    this.#onDiscard = onDiscard;
  }

  discard(): Promise<void> {
    return this.#onDiscard(this);
  }
}

/** Opens a sink into a new directory. `onDiscard` removes what it made. */
export async function openGenerationSink(
  generations: KvGenerations,
  clock: Clock,
  onDiscard: (staged: StagedState) => Promise<void>,
): Promise<SnapshotSink> {
  const { path, kv } = await generations.stage();
  return new GenerationSink(generations, clock, path, kv, onDiscard);
}

class GenerationSink implements SnapshotSink {
  readonly #generations: KvGenerations;
  readonly #clock: Clock;
  readonly #path: string;
  readonly #kv: KvStore;
  readonly #onDiscard: (staged: StagedState) => Promise<void>;
  #number = 0;
  /** Crc of the piece before; undefined before the first. */
  #chain: number | undefined;
  #firstChain = 0;
  #entries = 0;
  #bytes = 0;
  #lastKey: Buffer = Buffer.alloc(0);
  #sealedMark: Buffer | undefined;
  #mark: StoreMark | undefined;
  #isBusy = false;
  #isClosed = false;
  #failure: unknown;

  constructor(
    generations: KvGenerations,
    clock: Clock,
    path: string,
    kv: KvStore,
    onDiscard: (staged: StagedState) => Promise<void>,
  ) {
    this.#generations = generations;
    this.#clock = clock;
    this.#path = path;
    this.#kv = kv;
    this.#onDiscard = onDiscard;
  }

  async write(data: Uint8Array): Promise<void> {
    assert(!this.#isBusy && !this.#isClosed, 'pieces are written one after the other');
    if (this.#failure !== undefined) throw this.#failure;
    this.#isBusy = true;
    try {
      const piece = readPiece(data, this.#path);
      if (piece.number !== this.#number || (this.#chain ?? piece.chain) !== piece.chain) {
        throw refusedPiece(`it is not number ${this.#number} of this snapshot`, this.#path);
      }
      if (this.#sealedMark !== undefined) throw refusedPiece('it follows the last', this.#path);
      if (piece.isEnd) this.#takeEnd(piece);
      else await this.#takeData(piece);
      if (this.#number === 0) this.#firstChain = piece.chain;
      this.#number += 1;
      this.#chain = piece.crc;
    } finally {
      this.#isBusy = false;
    }
  }

  async finish(): Promise<StagedSnapshot> {
    assert(!this.#isBusy && !this.#isClosed, 'a sink is finished once');
    if (this.#failure !== undefined) throw this.#failure;
    const mark = this.#mark;
    const sealedMark = this.#sealedMark;
    if (mark === undefined || sealedMark === undefined) {
      throw refusedPiece('the last one is missing', this.#path);
    }
    this.#isBusy = true;
    try {
      const format = { key: formatKey, value: Buffer.from(String(formatVersion)) };
      await this.#kv.write([format, { key: markKey, value: sealedMark }], { sync: true });
      this.#isClosed = true;
      await this.#kv.close();
      const path = await this.#generations.complete(this.#path);
      const { index, term, configuration } = mark;
      return new StagedState({ index, term, configuration }, path, this.#onDiscard);
    } catch (error) {
      this.#failure = error;
      throw error;
    } finally {
      this.#isBusy = false;
    }
  }

  async abort(): Promise<void> {
    const isFinished = this.#isClosed && this.#failure === undefined;
    if (isFinished) return;
    this.#failure ??= new Error('the snapshot was given up');
    if (!this.#isClosed) {
      this.#isClosed = true;
      await this.#kv.close();
    }
    await this.#generations.drop(this.#path);
  }

  /** Checks the piece in one walk and writes it in a second, a bounded batch a turn. */
  async #takeData(piece: Piece): Promise<void> {
    // The checksum was one turn's work.
    await turn(this.#clock);
    const { entries, bytes, lastKey } = await this.#check(piece);
    await turn(this.#clock);
    try {
      await this.#store(piece);
    } catch (error) {
      this.#failure = error;
      throw error;
    }
    this.#entries += entries;
    this.#bytes += bytes;
    this.#lastKey = lastKey;
  }

  async #check(piece: Piece): Promise<{ entries: number; bytes: number; lastKey: Buffer }> {
    const reader = new PieceReader(piece, this.#path);
    const slice = new Slice(this.#clock);
    let entries = 0;
    let bytes = 0;
    let lastKey = this.#lastKey;
    while (reader.next()) {
      if (!slice.next()) await slice.rest();
      const { key, value } = reader;
      const isAllowed = isIn(key, recordsStart, recordsEnd) || isIn(key, metaStart, metaEnd);
      if (!isAllowed || Buffer.compare(key, lastKey) <= 0) {
        throw refusedPiece('an entry in it is out of place', this.#path);
      }
      lastKey = key;
      entries += 1;
      bytes += key.length + value.length;
    }
    // A copy: the piece must not stay in memory for its last key.
    return { entries, bytes, lastKey: Buffer.from(lastKey) };
  }

  async #store(piece: Piece): Promise<void> {
    const reader = new PieceReader(piece, this.#path);
    let changes: KvChange[] = [];
    let bytes = 0;
    while (reader.next()) {
      const { key, value } = reader;
      changes.push({ key, value });
      bytes += key.length + value.length;
      if (changes.length < flushBatchRecordsMax && bytes < flushBatchBytesMax) continue;
      await this.#kv.write(changes, { sync: false });
      changes = [];
      bytes = 0;
    }
    if (changes.length > 0) await this.#kv.write(changes, { sync: false });
  }

  #takeEnd(piece: Piece): void {
    const { entries, bytes, sealedMark } = readEnd(piece, this.#path);
    assert(this.#mark === undefined, 'a snapshot ends once');
    const firstChain = this.#number === 0 ? piece.chain : this.#firstChain;
    if (entries !== this.#entries || bytes !== this.#bytes || crc32c(sealedMark) !== firstChain) {
      throw refusedPiece('it does not end what came before', this.#path);
    }
    const copy = Buffer.from(sealedMark);
    this.#mark = decodeMark(copy, this.#path);
    this.#sealedMark = copy;
  }
}

function isIn(key: Buffer, gte: Buffer, lt: Buffer): boolean {
  return Buffer.compare(key, gte) >= 0 && Buffer.compare(key, lt) < 0;
}
