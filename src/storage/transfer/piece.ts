/**
 * The pieces in which a whole state travels (docs/on-disk-format.md):
 *
 *     magic u32 | kind u32 | number u32 | chain u32 | body | crc u32
 *
 * `crc` is the CRC-32C of all before it, `chain` the crc of the piece before, and that of the first
 * piece the CRC-32C of the sealed mark: so the last crc is a hash of everything, and a piece that
 * is missing, out of order or of another state shows at once. All numbers little endian.
 *
 *   data   (key length u32 | value length u32 | key | value)*, stored records as they are
 *   end    entries f64 | bytes f64 | the sealed mark
 */

import { assert, crc32c, StorageError } from '../../common/index.js';

const magic = 0x3153_564b;
export const pieceHeaderBytes = 16;
const crcBytes = 4;
const lengthBytes = 8;
const endBytes = 16;

export const pieceKindData = 0;
export const pieceKindEnd = 1;

/** What has gone through so far, on either side. */
export interface PieceTotals {
  /** Pieces. */
  readonly number: number;
  /** Crc of the last piece. */
  readonly chain: number;
  readonly entries: number;
  /** Of keys and stored values. */
  readonly bytes: number;
}

/** Fills one piece; `add` takes what one turn can bear. */
export class PieceWriter {
  length = pieceHeaderBytes;
  entries = 0;
  /** Of keys and values. */
  payloadBytes = 0;
  readonly #chunks: Buffer[];
  #crc: number;

  constructor(kind: number, number: number, chain: number) {
    const header = Buffer.allocUnsafe(pieceHeaderBytes);
    header.writeUInt32LE(magic, 0);
    header.writeUInt32LE(kind, 4);
    header.writeUInt32LE(number, 8);
    header.writeUInt32LE(chain, 12);
    this.#chunks = [header];
    this.#crc = crc32c(header);
  }

  /** Adds a page of stored entries. */
  add(page: ReadonlyArray<readonly [Buffer, Buffer]>): void {
    assert(page.length > 0, 'a page has entries');
    let size = 0;
    for (const [key, value] of page) size += lengthBytes + key.length + value.length;
    const chunk = Buffer.allocUnsafe(size);
    let at = 0;
    for (const [key, value] of page) {
      chunk.writeUInt32LE(key.length, at);
      chunk.writeUInt32LE(value.length, at + 4);
      chunk.set(key, at + lengthBytes);
      chunk.set(value, at + lengthBytes + key.length);
      at += lengthBytes + key.length + value.length;
    }
    this.entries += page.length;
    this.payloadBytes += size - page.length * lengthBytes;
    this.#push(chunk);
  }

  /** The body of the last piece. */
  addEnd(totals: PieceTotals, sealedMark: Buffer): void {
    assert(this.entries === 0, 'the last piece holds totals only');
    const chunk = Buffer.allocUnsafe(endBytes);
    chunk.writeDoubleLE(totals.entries, 0);
    chunk.writeDoubleLE(totals.bytes, 8);
    this.#push(Buffer.concat([chunk, sealedMark]));
  }

  finish(): { readonly data: Buffer; readonly crc: number } {
    const crc = this.#crc;
    const tail = Buffer.allocUnsafe(crcBytes);
    tail.writeUInt32LE(crc, 0);
    return { data: Buffer.concat([...this.#chunks, tail]), crc };
  }

  #push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.length += chunk.length;
    this.#crc = crc32c(chunk, this.#crc);
  }
}

/** A piece whose checksum was right. */
export interface Piece {
  readonly isEnd: boolean;
  readonly number: number;
  readonly chain: number;
  readonly crc: number;
  /** A view. */
  readonly body: Buffer;
}

/** Checks a piece; StorageError if it is damaged. */
export function readPiece(data: Uint8Array, path: string): Piece {
  const piece = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const end = piece.length - crcBytes;
  if (end < pieceHeaderBytes || piece.readUInt32LE(0) !== magic) {
    throw refusedPiece('it is cut short or none at all', path);
  }
  const crc = piece.readUInt32LE(end);
  if (crc32c(piece, 0, 0, end) !== crc) throw refusedPiece('it is damaged', path);
  const kind = piece.readUInt32LE(4);
  if (kind !== pieceKindData && kind !== pieceKindEnd) {
    throw refusedPiece('a newer version sent it', path);
  }
  return {
    isEnd: kind === pieceKindEnd,
    number: piece.readUInt32LE(8),
    chain: piece.readUInt32LE(12),
    crc,
    body: piece.subarray(pieceHeaderBytes, end),
  };
}

/** Walks through the entries of a data piece. */
export class PieceReader {
  key: Buffer;
  value: Buffer;
  readonly #body: Buffer;
  readonly #path: string;
  #at = 0;

  constructor(piece: Piece, path: string) {
    this.#body = piece.body;
    this.#path = path;
    this.key = piece.body;
    this.value = piece.body;
  }

  /** Sets `key` and `value`, views of the piece; false at the end. */
  next(): boolean {
    const body = this.#body;
    const at = this.#at;
    if (at === body.length) return false;
    const keyAt = at + lengthBytes;
    if (keyAt > body.length) throw refusedPiece('an entry in it is cut short', this.#path);
    const valueAt = keyAt + body.readUInt32LE(at);
    const end = valueAt + body.readUInt32LE(at + 4);
    if (end > body.length) throw refusedPiece('an entry in it is cut short', this.#path);
    this.key = body.subarray(keyAt, valueAt);
    this.value = body.subarray(valueAt, end);
    this.#at = end;
    return true;
  }
}

/** The body of the last piece. */
export function readEnd(
  piece: Piece,
  path: string,
): { readonly entries: number; readonly bytes: number; readonly sealedMark: Buffer } {
  if (piece.body.length < endBytes) throw refusedPiece('it is cut short', path);
  return {
    entries: piece.body.readDoubleLE(0),
    bytes: piece.body.readDoubleLE(8),
    sealedMark: piece.body.subarray(endBytes),
  };
}

/** Why a piece, or all of them, can't be taken. */
export function refusedPiece(why: string, path: string): StorageError {
  return new StorageError(`a piece of a snapshot was refused: ${why}`, {
    path,
    remedy: 'It is fetched again by itself; check network and disk if that goes on.',
  });
}
