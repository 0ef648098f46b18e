/**
 * The journal of the index: beside its records, each flush batch holds one more that has all of
 * them without their values. A start reads the journal instead of the records, a sixth of the bytes
 * and a thousandth of the LevelDB entries, and has what a compaction removed since, too.
 *
 *   '{' number6    a batch: entries + checksum. The mark has the number of the next one, and how
 *                  many bytes were ever written, so that a missing one shows.
 *
 * Batches are numbered from 0, but their keys count down. The tables that LevelDB writes then span
 * from their first record over the mark to their last batch, and all older records are in front of
 * that, all older batches behind it: nothing has to be written again because of the journal. With
 * keys that count up, 500,000 puts made LevelDB write half as much again.
 *
 * An entry: main, sub * 2 + tombstone, stored bytes and length as varints, then the KeyValue
 * without its value.
 */

import { assert, type KvView, type LeaseId, scanPageBytes } from '../../common/index.js';
import { KeyItem, noLocation } from '../index/index.js';
import { checksumBytes, RecordReader, recordOverheadBytes, seal, unseal } from '../schema/index.js';

/** All batches of the journal are in [journalStart, journalEnd). */
export const journalStart = Buffer.from('{');
export const journalEnd = Buffer.from('|');

/** So many entries can be sorted; a longer journal is not used. */
export const journalEntriesMax = 1 << 24;

const numberMax = 2 ** 48 - 1;
const tagKey = 0x0a;
const tagValue = 0x2a;
/** A buffer that grew beyond this for large keys is not kept. */
const keptBytesMax = 1024 * 1024;

/** The key of batch `n`. */
export function journalKey(n: number): Buffer {
  assert(n >= 0 && n <= numberMax, 'batches of the journal are numbered from 0');
  const key = Buffer.allocUnsafe(7);
  key[0] = 0x7b;
  key.writeUIntBE(numberMax - n, 1, 6);
  return key;
}

function numberOf(key: Buffer): number {
  return numberMax - key.readUIntBE(1, 6);
}

/** Encodes one batch after the other. */
export class JournalWriter {
  #bytes: Buffer = Buffer.allocUnsafe(128 * 1024);
  #length = 0;

  /** Adds a change; `sealed` is its record with the checksum behind it. */
  add(main: number, sub: number, tombstone: boolean, sealed: Buffer): void {
    const recordBytes = sealed.length - checksumBytes;
    // A tombstone is a key alone, so this is its end, too.
    const head = startOfValue(sealed, recordBytes);
    const tail = head < recordBytes ? endOfValue(sealed, head) : recordBytes;
    const length = head + recordBytes - tail;
    if (this.#length + length + 40 > this.#bytes.length) this.#grow(length + 40);
    const bytes = this.#bytes;
    let p = writeNumber(bytes, this.#length, main);
    p = writeNumber(bytes, p, sub * 2 + (tombstone ? 1 : 0));
    p = writeNumber(bytes, p, recordBytes + recordOverheadBytes);
    p = writeNumber(bytes, p, length);
    // Loops: for so few bytes cheaper than a call into native code.
    if (head > 128) p += sealed.copy(bytes, p, 0, head);
    else for (let i = 0; i < head; i += 1) bytes[p++] = sealed[i] as number;
    for (let i = tail; i < recordBytes; i += 1) bytes[p++] = sealed[i] as number;
    this.#length = p;
  }

  /** The batch for `key`, in a buffer of its own. */
  take(key: Buffer): Buffer {
    assert(this.#length > 0, 'a batch of the journal has an entry');
    const value = seal(key, this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    if (this.#bytes.length > keptBytesMax) this.#bytes = Buffer.allocUnsafe(128 * 1024);
    return value;
  }

  #grow(more: number): void {
    const larger = Buffer.allocUnsafe((this.#length + more) * 2);
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** Writes a varint; returns the offset after it. */
function writeNumber(bytes: Buffer, at: number, n: number): number {
  let p = at;
  let rest = n;
  while (rest >= 0x8000_0000) {
    bytes[p++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 0x80) {
    bytes[p++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[p++] = rest;
  return p;
}

/** Changes in the order in which they were made. */
export interface Journal {
  /** What each left behind, as if nothing had been there before; `dead`: a delete. */
  readonly items: KeyItem[];
  /** Of puts with a lease. */
  readonly leases: ReadonlyMap<KeyItem, LeaseId>;
}

/** Reads the batches [from, to); a text about what is wrong if they are not all there. */
export async function readJournal(
  view: KvView,
  from: number,
  to: number,
): Promise<Journal | string> {
  const decoder = new JournalDecoder();
  if (from === to) return { items: [], leases: decoder.leases };
  const batches: KeyItem[][] = [];
  // The newest comes first.
  const lt = from === 0 ? journalEnd : journalKey(from - 1);
  const page = (gte: Buffer): ReturnType<KvView['scan']> =>
    view.scan({ gte, lt, countMax: 1000, bytesMax: scanPageBytes });
  let left = to;
  let pages = page(journalKey(to - 1));
  while (left > from) {
    const entries = await pages;
    const last = entries[entries.length - 1];
    if (last === undefined) return `batch ${left - 1} of the journal is missing`;
    // The next page is read on another thread meanwhile.
    pages = page(Buffer.concat([last[0], Buffer.from([0])]));
    pages.catch(() => {});
    for (const [key, sealed] of entries) {
      left -= 1;
      if (numberOf(key) !== left) return `batch ${left} of the journal is missing`;
      const batch = unseal(key, sealed);
      if (batch === undefined) return `batch ${left} of the journal is damaged`;
      batches.push(decoder.decode(batch));
    }
    if (decoder.count >= journalEntriesMax) return 'the journal is too long';
  }
  // Nothing may use the view any more when this returns.
  await pages.catch(() => {});
  return { items: batches.reverse().flat(), leases: decoder.leases };
}

class JournalDecoder {
  count = 0;
  readonly leases = new Map<KeyItem, LeaseId>();
  readonly #reader = new RecordReader();
  #at = 0;

  decode(bytes: Buffer): KeyItem[] {
    const reader = this.#reader;
    const items: KeyItem[] = [];
    this.#at = 0;
    while (this.#at < bytes.length) {
      const main = this.#number(bytes);
      const mixed = this.#number(bytes);
      const storedBytes = this.#number(bytes);
      const length = this.#number(bytes);
      const end = this.#at + length;
      assert(end <= bytes.length, 'a batch of the journal ends with a whole entry');
      reader.read(bytes, this.#at, end);
      this.#at = end;
      const item = new KeyItem(main, Math.floor(mixed / 2), storedBytes, noLocation);
      item.key = reader.key;
      if (mixed % 2 === 1) item.dead = true;
      else {
        item.created = reader.createRevision;
        item.version = reader.version;
        if (reader.lease !== 0n) this.leases.set(item, reader.lease);
      }
      items.push(item);
    }
    this.count += items.length;
    return items;
  }

  #number(bytes: Buffer): number {
    let result = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[this.#at] as number;
      this.#at += 1;
      if (byte < 0x80) return result + byte * scale;
      result += (byte & 0x7f) * scale;
      scale *= 128;
    }
  }
}

/** Offset of the value's tag in a KeyValue, of the lease if there is no value, or its end. */
function startOfValue(record: Buffer, end: number): number {
  let at = 0;
  while (at < end) {
    const tag = record[at] as number;
    if (tag >= tagValue) return at;
    at += 1;
    if (tag !== tagKey) {
      while ((record[at] as number) >= 0x80) at += 1;
      at += 1;
      continue;
    }
    at = skipBytes(record, at);
  }
  assert(at === end, 'a record ends with a field');
  return end;
}

/** Offset after the value, if one begins at `at`. */
function endOfValue(record: Buffer, at: number): number {
  return record[at] === tagValue ? skipBytes(record, at + 1) : at;
}

/** Offset after the length at `at` and so many bytes. */
function skipBytes(record: Buffer, at: number): number {
  let length = 0;
  let scale = 1;
  let p = at;
  for (;;) {
    const byte = record[p] as number;
    p += 1;
    length += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte < 0x80) return p + length;
  }
}
