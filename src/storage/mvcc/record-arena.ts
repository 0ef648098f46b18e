/**
 * The records in memory: an append-only arena of chunks in the order of their arrival, dropped from
 * the front. put() encodes a record straight into it, the flush writes views of it to the KvStore,
 * readers and watchers get views of it: there is one copy of a value.
 *
 * A record lies at a location: its byte offset since the start of the process in units of 16, so
 * that it stays a small integer for the first 32 GiB. At that place:
 *     u32 length of the KeyValue, high bit: tombstone | revision key | KeyValue | CRC-32
 * Key and KeyValue are together, so that one checksum call covers both.
 *
 * A chunk that left is never reused: someone may still hold a view of it.
 */

import { crc32 } from 'node:zlib';
import { assert, present, type Revision, valueLogChunkBytes } from '../../common/index.js';
import { checksumBytes, revisionKeyBytes, writeRevisionKey } from '../schema/index.js';

const granuleBytes = 16;
/** Locations a page; a chunk larger than a page takes several. */
const pageLocations = valueLogChunkBytes / granuleBytes;
const headerBytes = 4;
const tombstoneBit = 0x8000_0000;

interface Chunk {
  readonly bytes: Buffer;
  /** Location of its first byte: a whole number of pages. */
  readonly start: number;
  /** Locations it occupies, rounded up to pages. */
  readonly span: number;
  usedBytes: number;
}

/** Where a record is, in terms that outlive its eviction. */
export interface RecordPlace {
  readonly chunk: Buffer;
  readonly start: number;
  readonly end: number;
}

/** The memory of the value log (value-log.ts), which says what may leave it. */
export class RecordArena {
  /** One entry a page from `firstPage` on; a large chunk is entered once for each of its pages. */
  #pages: Chunk[] = [];
  #firstPage = 0;
  #tail: Chunk | undefined;
  #allocated = 0;
  /** Set by `reserve` for the caller: where to write. */
  buffer: Buffer = Buffer.alloc(0);
  offset = 0;

  /** Bytes of all chunks. */
  get allocatedBytes(): number {
    return this.#allocated;
  }

  /** The oldest location that can still be read. */
  get start(): number {
    return this.#firstPage * pageLocations;
  }

  /** The location after the newest record. */
  get end(): number {
    const tail = this.#tail;
    return tail === undefined ? this.start : tail.start + Math.ceil(tail.usedBytes / granuleBytes);
  }

  has(location: number): boolean {
    return location >= this.#firstPage * pageLocations;
  }

  /**
   * Makes room for a record and writes its key; returns its location. The caller encodes exactly
   * `recordBytes` at `offset` of `buffer`.
   */
  reserve(main: Revision, sub: number, tombstone: boolean, recordBytes: number): number {
    const keyBytes = revisionKeyBytes + (tombstone ? 1 : 0);
    const needed = headerBytes + keyBytes + recordBytes + checksumBytes;
    let tail = this.#tail;
    if (tail === undefined || tail.usedBytes + needed > tail.bytes.length) {
      tail = this.#grow(needed);
    }
    const at = tail.usedBytes;
    tail.bytes.writeUInt32LE(tombstone ? recordBytes + tombstoneBit : recordBytes, at);
    this.buffer = tail.bytes;
    this.offset = writeRevisionKey(tail.bytes, at + headerBytes, main, sub, tombstone);
    tail.usedBytes = Math.ceil((at + needed) / granuleBytes) * granuleBytes;
    return tail.start + at / granuleBytes;
  }

  /** Appends a record that was read from the KvStore, to keep it warm. */
  append(main: Revision, sub: number, record: Uint8Array): number {
    const location = this.reserve(main, sub, false, record.length);
    this.buffer.set(record, this.offset);
    return location;
  }

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

  /**
   * Drops chunks from the front until at most `bytesMax` are allocated, none at or after
   * `keepFrom`. True if something went.
   */
  evict(bytesMax: number, keepFrom: number): boolean {
    let dropped = 0;
    let first = this.#pages[0];
    while (first !== undefined && this.#allocated > bytesMax) {
      const next = first === this.#tail ? this.end : first.start + first.span;
      if (next > keepFrom) break;
      dropped += first.span / pageLocations;
      this.#allocated -= first.bytes.length;
      if (first === this.#tail) this.#tail = undefined;
      first = this.#pages[dropped];
    }
    if (dropped === 0) return false;
    this.#pages = this.#pages.slice(dropped);
    this.#firstPage += dropped;
    return true;
  }

  #grow(needed: number): Chunk {
    const size = Math.max(valueLogChunkBytes, Math.ceil(needed / granuleBytes) * granuleBytes);
    const pages = Math.ceil(size / valueLogChunkBytes);
    const chunk: Chunk = {
      bytes: Buffer.allocUnsafeSlow(size),
      start: (this.#firstPage + this.#pages.length) * pageLocations,
      span: pages * pageLocations,
      usedBytes: 0,
    };
    for (let i = 0; i < pages; i += 1) this.#pages.push(chunk);
    this.#allocated += size;
    this.#tail = chunk;
    return chunk;
  }

  #chunkOf(location: number): Chunk {
    const page = Math.floor(location / pageLocations) - this.#firstPage;
    assert(page >= 0, 'a record that is read from memory is there');
    return present(this.#pages[page], 'the chunk of a record');
  }
}
