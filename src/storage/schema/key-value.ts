/**
 * The encoded mvccpb.KeyValue, byte for byte as Go's protobuf writes it: fields in number order,
 * zero fields left out. It is what the store keeps, so that Range and Watch replies splice these
 * bytes and HashKV can be compared with etcd. Fields: 1 key, 2 create_revision, 3 mod_revision, 4
 * version, 5 value, 6 lease. Written by hand because put() encodes straight into the value log: a
 * message object and a second copy of the value would cost more than the rest of the put.
 */

import { assert, type KeyString, type LeaseId, type Revision } from '../../common/index.js';

/** The fields of one KeyValue. `value` is a view of the record it was decoded from. */
export interface KeyValueFields {
  readonly key: KeyString;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
  readonly version: number;
  readonly value: Uint8Array;
  readonly lease: LeaseId;
}

const tagKey = 0x0a;
const tagCreate = 0x10;
const tagMod = 0x18;
const tagVersion = 0x20;
const tagValue = 0x2a;
const tagLease = 0x30;

/** Bytes that {@link writeRecord} will write. */
export function recordSize(
  keyLength: number,
  createRevision: Revision,
  modRevision: Revision,
  version: number,
  valueLength: number,
  lease: LeaseId,
): number {
  let size = 0;
  if (keyLength > 0) size += 1 + varintSize(keyLength) + keyLength;
  if (createRevision > 0) size += 1 + varintSize(createRevision);
  if (modRevision > 0) size += 1 + varintSize(modRevision);
  if (version > 0) size += 1 + varintSize(version);
  if (valueLength > 0) size += 1 + varintSize(valueLength) + valueLength;
  if (lease !== 0n) size += 1 + leaseSize(lease);
  return size;
}

/** Encodes one KeyValue at `at`; the room must be there. Returns the offset after it. */
export function writeRecord(
  target: Buffer,
  at: number,
  key: KeyString,
  createRevision: Revision,
  modRevision: Revision,
  version: number,
  value: Uint8Array,
  lease: LeaseId,
): number {
  let p = at;
  if (key.length > 0) {
    target[p] = tagKey;
    p = writeVarint(target, p + 1, key.length);
    p = writeKey(target, p, key);
  }
  if (createRevision > 0) {
    target[p] = tagCreate;
    p = writeVarint(target, p + 1, createRevision);
  }
  if (modRevision > 0) {
    target[p] = tagMod;
    p = writeVarint(target, p + 1, modRevision);
  }
  if (version > 0) {
    target[p] = tagVersion;
    p = writeVarint(target, p + 1, version);
  }
  if (value.length > 0) {
    target[p] = tagValue;
    p = writeVarint(target, p + 1, value.length);
    target.set(value, p);
    p += value.length;
  }
  if (lease !== 0n) {
    target[p] = tagLease;
    p = writeLease(target, p + 1, lease);
  }
  return p;
}

/** One KeyValue in a buffer of its own. */
export function encodeRecord(fields: KeyValueFields): Buffer {
  const { key, createRevision, modRevision, version, value, lease } = fields;
  const target = Buffer.allocUnsafe(
    recordSize(key.length, createRevision, modRevision, version, value.length, lease),
  );
  writeRecord(target, 0, key, createRevision, modRevision, version, value, lease);
  return target;
}

/** Decodes a record that this module wrote; an InvariantError if it is not one. */
export function decodeRecord(record: Uint8Array): KeyValueFields {
  const reader = new RecordReader();
  reader.read(asBuffer(record), 0, record.length);
  return {
    key: reader.key,
    createRevision: reader.createRevision,
    modRevision: reader.modRevision,
    version: reader.version,
    value: record.subarray(reader.valueStart, reader.valueEnd),
    lease: reader.lease,
  };
}

/** A view of the value inside an encoded KeyValue. */
export function recordValue(record: Uint8Array): Uint8Array {
  let at = 0;
  while (at < record.length) {
    const tag = record[at] as number;
    let n = 0;
    let scale = 1;
    let byte: number;
    do {
      at += 1;
      byte = record[at] ?? 0;
      n += (byte & 0x7f) * scale;
      scale *= 128;
    } while (byte >= 0x80);
    at += 1;
    if (tag === tagValue) return record.subarray(at, at + n);
    if (tag === tagKey) at += n;
  }
  assert(at === record.length, 'a stored KeyValue is cut short');
  return record.subarray(0, 0);
}

/**
 * Reads records without garbage: one instance, fields overwritten by each `read`. Used where a
 * million records go by (restore), and for single look-ups.
 */
export class RecordReader {
  key: KeyString = '';
  createRevision: Revision = 0;
  modRevision: Revision = 0;
  version = 0;
  lease: LeaseId = 0n;
  /** Offsets of the value in the buffer given to `read`. */
  valueStart = 0;
  valueEnd = 0;
  #position = 0;

  /** Decodes the record in `bytes[start, end)`. */
  read(bytes: Buffer, start: number, end: number): void {
    this.key = '';
    this.createRevision = 0;
    this.modRevision = 0;
    this.version = 0;
    this.lease = 0n;
    this.valueStart = start;
    this.valueEnd = start;
    this.#position = start;
    while (this.#position < end) {
      const tag = bytes[this.#position];
      this.#position += 1;
      if (tag === tagLease) {
        this.lease = this.#readLease(bytes);
        continue;
      }
      const n = this.#varint(bytes);
      if (tag === tagKey) {
        this.key = bytes.toString('latin1', this.#position, this.#position + n);
        this.#position += n;
      } else if (tag === tagCreate) this.createRevision = n;
      else if (tag === tagMod) this.modRevision = n;
      else if (tag === tagVersion) this.version = n;
      else {
        assert(tag === tagValue, 'a stored KeyValue has an unknown field');
        this.valueStart = this.#position;
        this.#position += n;
        this.valueEnd = this.#position;
      }
    }
    assert(this.#position === end, 'a stored KeyValue is cut short');
  }

  #varint(bytes: Buffer): number {
    let result = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[this.#position] ?? 0;
      this.#position += 1;
      if (byte < 0x80) return result + byte * scale;
      result += (byte & 0x7f) * scale;
      scale *= 128;
    }
  }

  #readLease(bytes: Buffer): LeaseId {
    let result = 0n;
    let shift = 0n;
    for (;;) {
      const byte = bytes[this.#position] ?? 0;
      this.#position += 1;
      result |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, result);
      shift += 7n;
    }
  }
}

/** The same bytes as a Buffer; no copy, and no new object if it is one already. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Bytes of `n` (an integer of up to 53 bits, not negative) as a varint. */
function varintSize(n: number): number {
  if (n < 0x80) return 1;
  if (n < 0x4000) return 2;
  if (n < 0x20_0000) return 3;
  if (n < 0x1000_0000) return 4;
  let size = 5;
  for (let rest = Math.floor(n / 0x8_0000_0000); rest > 0; rest = Math.floor(rest / 128)) size += 1;
  return size;
}

/** Writes `n` at `at`; the room must be there. Returns the offset after it. */
export function writeVarint(target: Buffer, at: number, n: number): number {
  let p = at;
  let rest = n;
  while (rest >= 0x8000_0000) {
    target[p] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
    p += 1;
  }
  while (rest >= 0x80) {
    target[p] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
    p += 1;
  }
  target[p] = rest;
  return p + 1;
}

/** Keys are short, where a loop beats the call into native code. */
function writeKey(target: Buffer, at: number, key: KeyString): number {
  const n = key.length;
  if (n > 64) {
    target.write(key, at, 'latin1');
    return at + n;
  }
  for (let i = 0; i < n; i += 1) target[at + i] = key.charCodeAt(i);
  return at + n;
}

function leaseSize(lease: LeaseId): number {
  let size = 1;
  for (let rest = BigInt.asUintN(64, lease) >> 7n; rest > 0n; rest >>= 7n) size += 1;
  return size;
}

function writeLease(target: Buffer, at: number, lease: LeaseId): number {
  let p = at;
  let rest = BigInt.asUintN(64, lease);
  while (rest >= 0x80n) {
    target[p] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
    p += 1;
  }
  target[p] = Number(rest);
  return p + 1;
}
