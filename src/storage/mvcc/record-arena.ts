/**
 * The memory of the records: chunks that records are written into one behind the other. put()
 * encodes a record straight into one, the flush writes views of it to the KvStore, readers and
 * watchers get views of it: there is one copy of a value. Which chunk a record goes to and when a
 * chunk leaves is decided in value-log.ts and kept-records.ts.
 *
 * A record lies at a location: its byte offset in all chunks since the start of the process in
 * units of 16, so that it stays a small integer for the first 32 GiB. A location is never given
 * twice. At that place:
 *     u32 length of the KeyValue, high bit: tombstone | state | revision key | KeyValue | CRC-32
 * Key and KeyValue are together, so that one checksum call covers both. The state is one byte, not
 * a bit of the length, so that it is written without having been read.
 *
 * A chunk that left is never reused: someone may still hold a view of it.
 */

import { crc32 } from 'node:zlib';
import { assert, present, type Revision, valueLogChunkBytes } from '../../common/index.js';
import { checksumBytes, revisionKeyBytes, writeRevisionKey } from '../schema/index.js';

const granuleBytes = 16;
/** Locations a page; a chunk larger than a page takes several. */
const pageLocations = valueLogChunkBytes / granuleBytes;
const stateAt = 4;
const headerBytes = 5;
const tombstoneBit = 0x8000_0000;

/** What has become of a record: the byte behind its length. */
export const recordState = {
  /** The newest of its key, as far as is known. */
  live: 0,
  /** The same, and it was asked for since it was written. */
  used: 1,
  /** A tombstone, or no longer the newest of its key: of use to readers of history only. */
  past: 2,
} as const;

/** A piece of memory with records one behind the other. */
export interface Chunk {
  readonly bytes: Buffer;
  /** Location of its first byte, and after its last: whole numbers of pages. */
  readonly start: number;
  readonly end: number;
  readonly pages: number;
  usedBytes: number;
  /** Of records that are not `past`. */
  liveBytes: number;
  /** It holds kept records, not the log: see kept-records.ts. */
  isKept: boolean;
}

/** Where a record is, in terms that outlive its eviction. */
export interface RecordPlace {
  readonly chunk: Buffer;
  readonly start: number;
  readonly end: number;
}

/** What a record takes in a chunk. */
function roomOf(tombstone: boolean, recordBytes: number): number {
  const keyBytes = revisionKeyBytes + (tombstone ? 1 : 0);
  const needed = headerBytes + keyBytes + recordBytes + checksumBytes;
  return Math.ceil(needed / granuleBytes) * granuleBytes;
}

/** All chunks, and the records in them by location. */
export class RecordArena {
  /** One entry a page from `firstPage` on; a large chunk is entered once for each of its pages. */
  #pages: Array<Chunk | undefined> = [];
  #firstPage = 0;
  /** Pages at the front whose chunk has left. */
  #goneAtFront = 0;
  #allocated = 0;
  #chunks = 0;
  /** Set by `reserve` for the caller: where to write. */
  buffer: Buffer = Buffer.alloc(0);
  offset = 0;

  /** Bytes of all chunks. */
  get allocatedBytes(): number {
    return this.#allocated;
  }

  /** True if chunks that have stayed for long make the table of pages much longer than it must. */
  get isStretched(): boolean {
    return this.#pages.length > 4096 && this.#pages.length > 8 * this.#chunks;
  }

  /** The chunk with the lowest locations. */
  get first(): Chunk | undefined {
    return this.#pages[this.#goneAtFront];
  }

  /** The location after all that were ever given. */
  get end(): number {
    return (this.#firstPage + this.#pages.length) * pageLocations;
  }

  /** False also for negative locations: there is nothing. */
  has(location: number): boolean {
    const page = Math.floor(location / pageLocations) - this.#firstPage;
    return page >= 0 && this.#pages[page] !== undefined;
  }

  // ------------------------------------------------------------------------ chunks

  /** `chunk` if a record of this size has room in it, else a new one. */
  roomIn(chunk: Chunk | undefined, tombstone: boolean, recordBytes: number): Chunk {
    const needed = roomOf(tombstone, recordBytes);
    if (chunk !== undefined && chunk.usedBytes + needed <= chunk.bytes.length) return chunk;
    const size = Math.max(valueLogChunkBytes, needed);
    const pages = Math.ceil(size / valueLogChunkBytes);
    const added: Chunk = {
      bytes: Buffer.allocUnsafeSlow(size),
      start: this.end,
      end: this.end + pages * pageLocations,
      pages,
      usedBytes: 0,
      liveBytes: 0,
      isKept: false,
    };
    for (let i = 0; i < pages; i += 1) this.#pages.push(added);
    this.#allocated += size;
    this.#chunks += 1;
    return added;
  }

  /** From here on there is nothing at the locations of the chunk. */
  drop(chunk: Chunk): void {
    const page = chunk.start / pageLocations - this.#firstPage;
    assert(this.#pages[page] === chunk, 'a chunk leaves once');
    for (let i = 0; i < chunk.pages; i += 1) this.#pages[page + i] = undefined;
    this.#allocated -= chunk.bytes.length;
    this.#chunks -= 1;
    let gone = this.#goneAtFront;
    while (gone < this.#pages.length && this.#pages[gone] === undefined) gone += 1;
    this.#goneAtFront = gone;
    if (gone < 64 && gone < this.#pages.length) return;
    this.#pages = this.#pages.slice(gone);
    this.#firstPage += gone;
    this.#goneAtFront = 0;
  }

  // ------------------------------------------------------------------------ writing records

  /**
   * Writes the key of a record into a chunk that has room for it; returns its location. The caller
   * encodes exactly `recordBytes` at `offset` of `buffer`.
   */
  reserve(
    chunk: Chunk,
    main: Revision,
    sub: number,
    tombstone: boolean,
    recordBytes: number,
  ): number {
    const { bytes, usedBytes: at } = chunk;
    const needed = roomOf(tombstone, recordBytes);
    assert(at + needed <= bytes.length, 'a record is written where it has room');
    bytes.writeUInt32LE(tombstone ? recordBytes + tombstoneBit : recordBytes, at);
    bytes[at + stateAt] = tombstone ? recordState.past : recordState.live;
    this.buffer = bytes;
    this.offset = writeRevisionKey(bytes, at + headerBytes, main, sub, tombstone);
    chunk.usedBytes = at + needed;
    if (!tombstone) chunk.liveBytes += needed;
    return chunk.start + at / granuleBytes;
  }

  /** Copies the record at `at` of `from` behind what is in `to`; returns its new location. */
  copy(from: Chunk, at: number, to: Chunk): number {
    const needed = this.roomAt(from, at);
    const target = to.usedBytes;
    assert(target + needed <= to.bytes.length, 'a record is copied to where it has room');
    from.bytes.copy(to.bytes, target, at, at + needed);
    to.bytes[target + stateAt] = recordState.live;
    to.usedBytes = target + needed;
    to.liveBytes += needed;
    return to.start + target / granuleBytes;
  }

  // ------------------------------------------------------------------------ records by location

  /** A view of the encoded KeyValue at a location that `has` said yes to. */
  record(location: number): Buffer {
    const chunk = this.#chunkOf(location);
    const at = (location - chunk.start) * granuleBytes;
    const length = chunk.bytes.readUInt32LE(at);
    const start = at + headerBytes + revisionKeyBytes + (length >= tombstoneBit ? 1 : 0);
    return chunk.bytes.subarray(start, start + (length % tombstoneBit));
  }

  place(location: number): RecordPlace {
    const chunk = this.#chunkOf(location);
    const at = (location - chunk.start) * granuleBytes;
    const length = chunk.bytes.readUInt32LE(at);
    const start = at + headerBytes + revisionKeyBytes + (length >= tombstoneBit ? 1 : 0);
    return { chunk: chunk.bytes, start, end: start + (length % tombstoneBit) };
  }

  /** Key and value for the KvStore: views, with the checksum written now. */
  sealed(location: number): { key: Buffer; value: Buffer } {
    const chunk = this.#chunkOf(location);
    const bytes = chunk.bytes;
    const at = (location - chunk.start) * granuleBytes;
    const length = bytes.readUInt32LE(at);
    const keyAt = at + headerBytes;
    const recordAt = keyAt + revisionKeyBytes + (length >= tombstoneBit ? 1 : 0);
    const end = recordAt + (length % tombstoneBit);
    bytes.writeUInt32LE(crc32(bytes.subarray(keyAt, end)), end);
    return {
      key: bytes.subarray(keyAt, recordAt),
      value: bytes.subarray(recordAt, end + checksumBytes),
    };
  }

  /** The record was asked for. */
  used(location: number): void {
    const chunk = this.#chunkOf(location);
    const at = (location - chunk.start) * granuleBytes + stateAt;
    // What is not changed is not written: it would have to go back to memory.
    if (chunk.bytes[at] === recordState.live) chunk.bytes[at] = recordState.used;
  }

  /**
   * The record of `recordBytes` is no longer the newest of its key; returns its chunk. Its length
   * is given so that nothing has to be read here: it was written long ago, as a rule.
   */
  past(location: number, recordBytes: number): Chunk {
    const chunk = this.#chunkOf(location);
    chunk.bytes[(location - chunk.start) * granuleBytes + stateAt] = recordState.past;
    chunk.liveBytes -= roomOf(false, recordBytes);
    assert(chunk.liveBytes >= 0, 'a record is past once');
    return chunk;
  }

  // ------------------------------------------------------------------------ records of a chunk

  /** What the record at offset `at` takes: the next one is behind it. */
  roomAt(chunk: Chunk, at: number): number {
    const length = chunk.bytes.readUInt32LE(at);
    return roomOf(length >= tombstoneBit, length % tombstoneBit);
  }

  stateAt(chunk: Chunk, at: number): number {
    return chunk.bytes[at + stateAt] as number;
  }

  /** The record at offset `at`, which was asked for, is to be asked for again. */
  unuse(chunk: Chunk, at: number): void {
    assert(chunk.bytes[at + stateAt] === recordState.used, 'only what was used is to be again');
    chunk.bytes[at + stateAt] = recordState.live;
  }

  locationAt(chunk: Chunk, at: number): number {
    return chunk.start + at / granuleBytes;
  }

  /** Where the KeyValue of the record at offset `at`, which is no tombstone, begins. */
  recordAt(at: number): number {
    return at + headerBytes + revisionKeyBytes;
  }

  recordBytesAt(chunk: Chunk, at: number): number {
    return chunk.bytes.readUInt32LE(at) % tombstoneBit;
  }

  #chunkOf(location: number): Chunk {
    const page = Math.floor(location / pageLocations) - this.#firstPage;
    assert(page >= 0, 'a record that is read from memory is there');
    return present(this.#pages[page], 'the chunk of a record');
  }
}
