/**
 * One of LevelDB's table files, read without LevelDB: where a key would be in it, and whether it is
 * there. The format is LevelDB's (its doc/table_format.md): blocks of entries in the order of their
 * keys, an index block with a key at or behind the last one of each, and a footer that says where
 * that is. Keys end with eight bytes of LevelDB's own, a sequence number and the kind of entry.
 *
 * Only what this server writes can be read: blocks without compression.
 */

/** Where a block is in the file, without the five bytes behind it. */
export interface BlockPlace {
  readonly offset: number;
  readonly size: number;
}

/** Bytes at the end of each table. */
export const footerBytes = 48;
/** The kind of compression, and a checksum, behind each block. */
export const blockTrailerBytes = 5;
const magicLow = 0x8b80fb57;
const magicHigh = 0xdb477524;
const tagBytes = 8;
const kindValue = 1;

/** Where the index block is, by the last {@link footerBytes} of a table; undefined: it is none. */
export function indexPlaceOf(footer: Buffer): BlockPlace | undefined {
  if (footer.length !== footerBytes) return undefined;
  if (footer.readUInt32LE(40) !== magicLow || footer.readUInt32LE(44) !== magicHigh) {
    return undefined;
  }
  const cursor = new Cursor(footer, 0);
  cursor.varint();
  cursor.varint();
  return { offset: cursor.varint(), size: cursor.varint() };
}

/** The block without its trailer; undefined if it is compressed or cut short. */
export function plainBlock(bytes: Buffer, size: number): Buffer | undefined {
  if (bytes.length !== size + blockTrailerBytes || bytes[size] !== 0) return undefined;
  return bytes.subarray(0, size);
}

/** The first key of a block as the file begins with it; undefined if `bytes` do not hold it. */
export function firstKeyOf(bytes: Buffer): Buffer | undefined {
  const cursor = new Cursor(bytes, 0);
  const shared = cursor.varint();
  const length = cursor.varint();
  cursor.varint();
  if (shared !== 0 || length < tagBytes || cursor.at + length > bytes.length) return undefined;
  return bytes.subarray(cursor.at, cursor.at + length - tagBytes);
}

/**
 * The index of a table. It keeps the block as it is: an entry in it is a key that no other shares
 * bytes with, so the places where entries begin are a sorted list.
 */
export class TableIndex {
  readonly #block: Buffer;
  readonly #entries: number;

  /** `block` is kept. Throws RangeError if it is not an index block. */
  constructor(block: Buffer) {
    this.#block = block;
    this.#entries = block.readUInt32LE(block.length - 4);
    if (this.#entries < 1 || (this.#entries + 1) * 4 > block.length) {
      throw new RangeError('this is not the index of a table');
    }
  }

  get bytes(): number {
    return this.#block.length;
  }

  /** No key in the table is behind it. */
  get last(): Buffer {
    return this.#entry(this.#entries - 1).key;
  }

  /** The block that has `key` if the table has it. */
  find(key: Buffer): BlockPlace | undefined {
    let low = 0;
    let high = this.#entries;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (Buffer.compare(this.#entry(middle).key, key) < 0) low = middle + 1;
      else high = middle;
    }
    if (low === this.#entries) return undefined;
    const cursor = new Cursor(this.#block, this.#entry(low).valueAt);
    return { offset: cursor.varint(), size: cursor.varint() };
  }

  #entry(n: number): { readonly key: Buffer; readonly valueAt: number } {
    const block = this.#block;
    const starts = block.length - 4 - this.#entries * 4;
    const cursor = new Cursor(block, block.readUInt32LE(starts + n * 4));
    const shared = cursor.varint();
    const length = cursor.varint();
    cursor.varint();
    if (shared !== 0 || length < tagBytes) throw new RangeError('this is not the index of a table');
    const valueAt = cursor.at + length;
    return { key: block.subarray(cursor.at, valueAt - tagBytes), valueAt };
  }
}

/**
 * The value of `key` in a block, as a view of it; undefined if the block does not have the key, or
 * says that it was deleted. Throws RangeError if this is not such a block.
 */
export function valueIn(block: Buffer, key: Buffer): Buffer | undefined {
  const end = block.length - 4 - block.readUInt32LE(block.length - 4) * 4;
  if (end < 0) throw new RangeError('this is not a block of a table');
  const cursor = new Cursor(block, 0);
  let before = Buffer.alloc(0);
  while (cursor.at < end) {
    const shared = cursor.varint();
    const length = cursor.varint();
    const valueBytes = cursor.varint();
    const keyEnd = cursor.at + length;
    if (shared > before.length || keyEnd + valueBytes > end) {
      throw new RangeError('this is not a block of a table');
    }
    const whole = Buffer.concat([before.subarray(0, shared), block.subarray(cursor.at, keyEnd)]);
    const order = Buffer.compare(whole.subarray(0, whole.length - tagBytes), key);
    if (order > 0) return undefined;
    cursor.at = keyEnd + valueBytes;
    // Of several entries with one key the newest comes first.
    if (order === 0) {
      const isValue = whole[whole.length - tagBytes] === kindValue;
      return isValue ? block.subarray(keyEnd, cursor.at) : undefined;
    }
    before = whole;
  }
  return undefined;
}

/** Reads varints one after the other; what lies behind the end reads as zero. */
class Cursor {
  at: number;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  varint(): number {
    let result = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#bytes[this.at] ?? 0;
      this.at += 1;
      if (byte < 0x80) return result + byte * scale;
      result += (byte & 0x7f) * scale;
      scale *= 128;
    }
  }
}
