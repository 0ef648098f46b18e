/**
 * HPACK decoding (RFC 7541). A block that repeats byte for byte while the dynamic table has not
 * changed is answered from a small cache with the very object it decoded to before, together with
 * what its reader made of it: for a client that calls one method over and over that is nearly all
 * blocks, and it makes the head of a request cost a comparison of about seven bytes.
 */

import { ConnectionError, ErrorCode } from './frames.js';
import { HeaderField } from './header-field.js';
import { HeaderTable } from './header-table.js';
import { huffmanDecode } from './huffman.js';
import { headerTableBytes } from './limits.js';
import type { RequestHead, ResponseHead } from './message-head.js';

/** A decoded header block; shared when the same block comes again, so nobody changes it. */
export class HeaderBlock {
  readonly fields: readonly HeaderField[];
  /** The list is longer than permitted; `fields` has only its beginning. */
  readonly tooLong: boolean;
  /** What a server made of it; undefined until it needs it. */
  request: RequestHead | undefined;
  /** What a client made of it. */
  response: ResponseHead | undefined;

  constructor(fields: readonly HeaderField[], tooLong: boolean) {
    this.fields = fields;
    this.tooLong = tooLong;
    this.request = undefined;
    this.response = undefined;
  }
}

const cacheSlots = 8;
const cachedBytesMax = 64;
const integerMax = 0x0fff_ffff;

// Huffman strings are decoded here and leave as JavaScript strings at once.
let scratch = Buffer.allocUnsafeSlow(8_192);

interface CacheSlot {
  readonly bytes: Buffer;
  length: number;
  inserted: number;
  block: HeaderBlock | undefined;
}

/** The decoding half of a connection's HPACK state. */
export class HpackDecoder {
  readonly #table: HeaderTable;
  readonly #listBytesMax: number;
  readonly #cache: Array<CacheSlot | undefined> = new Array(cacheSlots).fill(undefined);
  #position = 0;

  constructor(listBytesMax: number) {
    this.#table = new HeaderTable(headerTableBytes);
    this.#listBytesMax = listBytesMax;
  }

  /** For tests: the dynamic table. */
  get table(): HeaderTable {
    return this.#table;
  }

  /** Decodes one whole block; throws COMPRESSION_ERROR, after which the state is lost. */
  decode(from: Buffer, start: number, end: number): HeaderBlock {
    const length = end - start;
    const slotIndex = slotOf(from, start, end);
    const slot = this.#cache[slotIndex];
    if (
      slot !== undefined &&
      slot.block !== undefined &&
      slot.inserted === this.#table.inserted &&
      slot.length === length &&
      sameBytes(slot.bytes, from, start, length)
    ) {
      return slot.block;
    }
    const inserted = this.#table.inserted;
    const sizeMax = this.#table.sizeMax;
    const block = this.#decodeFields(from, start, end);
    const unchanged = inserted === this.#table.inserted && sizeMax === this.#table.sizeMax;
    if (unchanged && length <= cachedBytesMax) this.#remember(slotIndex, from, start, end, block);
    return block;
  }

  #remember(slotIndex: number, from: Buffer, start: number, end: number, block: HeaderBlock): void {
    let slot = this.#cache[slotIndex];
    if (slot === undefined) {
      slot = { bytes: Buffer.alloc(cachedBytesMax), length: 0, inserted: 0, block: undefined };
      this.#cache[slotIndex] = slot;
    }
    from.copy(slot.bytes, 0, start, end);
    slot.length = end - start;
    slot.inserted = this.#table.inserted;
    slot.block = block;
  }

  #decodeFields(from: Buffer, start: number, end: number): HeaderBlock {
    const table = this.#table;
    const fields: HeaderField[] = [];
    let listBytes = 0;
    this.#position = start;
    while (this.#position < end) {
      const byte = from[this.#position] as number;
      let field: HeaderField;
      if (byte >= 0x80) {
        const index = this.#integer(from, end, 7);
        const known = index === 0 ? undefined : table.at(index);
        if (known === undefined) throw compressionError('index out of range');
        field = known;
      } else if (byte >= 0x40) {
        field = this.#literal(from, end, 6);
        table.insert(field);
      } else if (byte >= 0x20) {
        if (fields.length > 0 || listBytes > 0) {
          throw compressionError('table size update after a field');
        }
        this.#sizeUpdate(from, end);
        continue;
      } else {
        field = this.#literal(from, end, 4);
      }
      listBytes += field.size;
      if (listBytes <= this.#listBytesMax) fields.push(field);
    }
    return new HeaderBlock(fields, listBytes > this.#listBytesMax);
  }

  #sizeUpdate(from: Buffer, end: number): void {
    const size = this.#integer(from, end, 5);
    if (size > headerTableBytes) throw compressionError('table size above the limit');
    const before = this.#table.oldest;
    this.#table.resize(size);
    // Cached blocks may refer to what was evicted just now.
    if (this.#table.oldest !== before) this.#cache.fill(undefined);
  }

  #literal(from: Buffer, end: number, prefixBits: number): HeaderField {
    const index = this.#integer(from, end, prefixBits);
    let name: string;
    if (index === 0) {
      name = this.#string(from, end);
    } else {
      const known = this.#table.at(index);
      if (known === undefined) throw compressionError('index out of range');
      name = known.name;
    }
    return new HeaderField(name, this.#string(from, end));
  }

  #string(from: Buffer, end: number): string {
    if (this.#position >= end) throw compressionError('truncated block');
    const huffman = (from[this.#position] as number) >= 0x80;
    const length = this.#integer(from, end, 7);
    const start = this.#position;
    const stop = start + length;
    if (stop > end) throw compressionError('truncated string');
    this.#position = stop;
    if (!huffman) return from.toString('latin1', start, stop);
    // No code is shorter than 5 bits, and the block's length is limited before we get here.
    if (length * 2 > scratch.length) scratch = Buffer.allocUnsafeSlow(length * 2);
    const decoded = huffmanDecode(from, start, stop, scratch);
    if (decoded < 0) throw compressionError('invalid Huffman code');
    return scratch.toString('latin1', 0, decoded);
  }

  #integer(from: Buffer, end: number, prefixBits: number): number {
    if (this.#position >= end) throw compressionError('truncated block');
    const mask = (1 << prefixBits) - 1;
    let value = (from[this.#position++] as number) & mask;
    if (value < mask) return value;
    let shift = 0;
    for (;;) {
      if (this.#position >= end) throw compressionError('truncated integer');
      const byte = from[this.#position++] as number;
      // 28 bits are more than any limit; a longer run of continuation bytes is an attack.
      if (shift > 21) throw compressionError('integer too large');
      value += (byte & 0x7f) << shift;
      if (value > integerMax) throw compressionError('integer too large');
      if (byte < 0x80) return value;
      shift += 7;
    }
  }
}

function slotOf(from: Buffer, start: number, end: number): number {
  let sum = end - start;
  const stop = Math.min(end, start + 16);
  for (let i = start; i < stop; i++) sum = (sum * 31 + (from[i] as number)) | 0;
  return sum & (cacheSlots - 1);
}

function sameBytes(cached: Buffer, from: Buffer, start: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (cached[i] !== from[start + i]) return false;
  return true;
}

function compressionError(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.COMPRESSION_ERROR, `header block: ${what}`);
}
