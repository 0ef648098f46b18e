/**
 * The records that stay in memory when the log has gone on, and those that were read from the
 * KvStore: chunks that only the index leads to. What stays is decided chunk by chunk, as in a log
 * that is cleaned:
 *
 *  - As long as there is room, all records that are the newest of their key stay. A chunk of the
 *    log in which nearly all are is taken over as it is; from others they are copied.
 *  - Without room it is a clock (second chance): the chunk that has been here for longest goes, and
 *    what was asked for since it came is copied to the end, but of all chunks together no more than
 *    half, so that memory is gained whatever was asked for.
 *  - A chunk of which half is past is copied together.
 *
 * Records are moved a share a turn: each costs a look into the index, about a microsecond.
 */

import { assert, valueLogChunkBytes } from '../../common/index.js';
import type { KeyItem } from '../index/index.js';
import { RecordReader } from '../schema/index.js';
import { type Chunk, type RecordArena, recordState } from './record-arena.js';

/** A chunk of the log with so much of it in use is taken over as it is. */
const wholeShare = 0.75;
/** One of the kept ones with less of it in use is copied together. */
const sparseShare = 0.5;
/** What earlier chunks may leave of their half to later ones. */
const carriedBytesMax = 4 * valueLogChunkBytes;
/** Records that are passed over cost a hundredth of one that is moved. */
const passedPerMove = 64;

/** A chunk on its way out. */
interface Leaving {
  readonly chunk: Chunk;
  /** Offset of the first record that was not looked at yet. */
  at: number;
  /** What is moved: all that are the newest of their key, or of them those that were asked for. */
  readonly moves: 'live' | 'used';
  /** Bytes that may still be moved. */
  leftBytes: number;
}

/** The chunks beside the log. */
export class KeptRecords {
  readonly #arena: RecordArena;
  readonly #bytesMax: number;
  readonly #find: (key: string) => KeyItem | undefined;
  readonly #reader = new RecordReader();
  /** The one that has been here for longest first. */
  readonly #queue: Chunk[] = [];
  readonly #sparse = new Set<Chunk>();
  /** The chunk that is written to; it is in the queue. */
  #tail: Chunk | undefined;
  #leaving: Leaving | undefined;
  /** The last chunk that should have left stayed for a large record in it. */
  #spared = false;
  /** Bytes that were not copied of what might have been. */
  #carriedBytes = 0;
  #passed = 0;

  /** `find` is the index. Holds more than `bytesMax`, with the log, only between two turns. */
  constructor(arena: RecordArena, bytesMax: number, find: (key: string) => KeyItem | undefined) {
    this.#arena = arena;
    this.#bytesMax = bytesMax;
    this.#find = find;
  }

  /** Nothing has to go for a record to be kept. */
  get hasRoom(): boolean {
    return this.#arena.allocatedBytes < this.#bytesMax;
  }

  /** Makes room for a record and returns the chunk that has it. */
  room(recordBytes: number): Chunk {
    const before = this.#tail;
    const tail = this.#arena.roomIn(before, false, recordBytes);
    if (tail === before) return tail;
    tail.isKept = true;
    this.#tail = tail;
    this.#queue.push(tail);
    // It was not looked at while it was filled.
    if (before !== undefined) this.becamePast(before);
    return tail;
  }

  /** Takes a chunk that leaves the log: as a whole, or what is worth it, or nothing of it. */
  takeOver(chunk: Chunk): void {
    assert(this.#leaving === undefined, 'one chunk leaves at a time');
    const hasRoom = this.#arena.allocatedBytes <= this.#bytesMax;
    if (hasRoom && chunk.liveBytes >= chunk.bytes.length * wholeShare) {
      chunk.isKept = true;
      this.#queue.push(chunk);
      return;
    }
    this.#leave(chunk, hasRoom ? 'live' : 'used');
  }

  /** Something in the chunk, which is one of these, has become past. */
  becamePast(chunk: Chunk): void {
    if (chunk === this.#tail || chunk === this.#leaving?.chunk) return;
    if (chunk.liveBytes >= chunk.bytes.length * sparseShare) return;
    this.#sparse.add(chunk);
  }

  /**
   * Goes on with what has to leave; `budget` is how many records may still be moved in this turn.
   * Returns what is left of it: nothing if there is more to do.
   */
  clean(budget: number): number {
    let left = budget;
    for (;;) {
      if (this.#leaving !== undefined) left = this.#moveOn(this.#leaving, left);
      if (this.#leaving !== undefined || left <= 0) return 0;
      if (!this.#nextLeaves()) return left;
      left -= 1;
    }
  }

  /** A chunk that is to go is there, or went at once; false: none is. */
  #nextLeaves(): boolean {
    const arena = this.#arena;
    for (const sparse of this.#sparse) {
      this.#takeOut(sparse);
      this.#leave(sparse, 'live');
      return true;
    }
    if (arena.allocatedBytes > this.#bytesMax) {
      const oldest = this.#queue[0];
      if (oldest === undefined) return false;
      // If it is the one that is written to, the log alone takes all the room there is.
      const isLast = oldest === this.#tail;
      this.#takeOut(oldest);
      if (isLast) arena.drop(oldest);
      else if (!this.#isSpared(oldest)) this.#leave(oldest, 'used');
      return true;
    }
    const { first } = arena;
    if (!arena.isStretched || first?.isKept !== true) return false;
    this.#takeOut(first);
    this.#leave(first, 'live');
    return true;
  }

  /**
   * A record that fills a chunk alone is not copied: the chunk goes to the end of the queue, if
   * it was asked for; but never two one after the other, for nothing is gained by it.
   */
  #isSpared(chunk: Chunk): boolean {
    const arena = this.#arena;
    const isAlone = arena.roomAt(chunk, 0) > chunk.bytes.length / 2;
    const isSpared = isAlone && !this.#spared && arena.stateAt(chunk, 0) === recordState.used;
    this.#spared = isSpared;
    if (!isSpared) return false;
    arena.unuse(chunk, 0);
    this.#queue.push(chunk);
    return true;
  }

  #leave(chunk: Chunk, moves: 'live' | 'used'): void {
    const isClock = moves === 'used';
    const leftBytes = isClock ? chunk.bytes.length / 2 + this.#carriedBytes : chunk.bytes.length;
    this.#leaving = { chunk, at: 0, moves, leftBytes };
  }

  /** Moves what is to be moved, `budget` records at the most; returns what is left of it. */
  #moveOn(leaving: Leaving, budget: number): number {
    const arena = this.#arena;
    const { chunk, moves } = leaving;
    let left = budget;
    while (leaving.at < chunk.usedBytes && left > 0) {
      const { at } = leaving;
      const needed = arena.roomAt(chunk, at);
      leaving.at = at + needed;
      const state = arena.stateAt(chunk, at);
      const isMoved =
        state === recordState.used || (moves === 'live' && state === recordState.live);
      if (isMoved && needed <= leaving.leftBytes) {
        leaving.leftBytes -= needed;
        this.#move(chunk, at);
        left -= 1;
      } else {
        this.#passed += 1;
        if (this.#passed % passedPerMove === 0) left -= 1;
      }
    }
    if (leaving.at >= chunk.usedBytes) {
      this.#leaving = undefined;
      if (moves === 'used') this.#carriedBytes = Math.min(leaving.leftBytes, carriedBytesMax);
      arena.drop(chunk);
    }
    return left;
  }

  #move(chunk: Chunk, at: number): void {
    const arena = this.#arena;
    const start = arena.recordAt(at);
    const recordBytes = arena.recordBytesAt(chunk, at);
    this.#reader.read(chunk.bytes, start, start + recordBytes);
    const item = this.#find(this.#reader.key);
    const isThere = item !== undefined && item.location === arena.locationAt(chunk, at);
    assert(isThere, 'the index leads to each record that is not past');
    item.location = arena.copy(chunk, at, this.room(recordBytes));
  }

  #takeOut(chunk: Chunk): void {
    const at = this.#queue.indexOf(chunk);
    assert(at >= 0, 'a kept chunk is in the queue');
    this.#queue.splice(at, 1);
    this.#sparse.delete(chunk);
    if (chunk === this.#tail) this.#tail = undefined;
  }
}
