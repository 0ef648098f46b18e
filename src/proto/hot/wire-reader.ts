/**
 * Reads protobuf's wire format (protobuf.dev/programming-guides/encoding) out of one buffer.
 *
 * Never reads outside the current message, never allocates by a length it has not checked, and
 * throws nothing but ProtoError. Accepts and rejects what Go's protobuf runtime does, because that
 * is what etcd's clients are tested against: a field with a wire type that is not its own is an
 * unknown field; varints may be padded up to ten bytes; field number 0, wire types 6 and 7 and an
 * end-group without a start are errors; strings must be UTF-8.
 */

import { isUtf8 } from 'node:buffer';
import type { KeyString } from '../../common/index.js';
import { ProtoError } from './message-types.js';

/**
 * How deep messages may nest. A txn takes two levels (RequestOp and TxnRequest) and each level of
 * txns at least one operation of the budget, so --max-txn-ops=128 allows 129 txns inside each
 * other:
 * 258 levels. Go's protobuf stops at 10,000.
 */
export const nestingMax = 300;

const fieldNumberMax = 0x1fff_ffff;
const ids = new DataView(new ArrayBuffer(8));

/** The message has more messages in it than the reader may enter. */
export class TooManyMessagesError extends Error {}

/** A position in one message. Lives as long as one decode call. */
export class WireReader {
  readonly #bytes: Buffer;
  #pos = 0;
  #end: number;
  #depth = 0;
  readonly #enteredMax: number;
  /** Messages entered so far, each as often as it is nested. */
  #entered = 0;
  /** The two halves of the last varint, as signed 32-bit: keeps them small integers in V8. */
  #low = 0;
  #high = 0;

  /** The message begins at `start`; `enteredMax` bounds the messages in it. */
  constructor(bytes: Buffer, start = 0, enteredMax = Number.POSITIVE_INFINITY) {
    this.#bytes = bytes;
    this.#enteredMax = enteredMax;
    this.#pos = start;
    this.#end = bytes.length;
  }

  /** True while the current message has more fields. */
  more(): boolean {
    return this.#pos < this.#end;
  }

  /** The next field's `number << 3 | wireType`. */
  tag(): number {
    const first = this.#bytes[this.#pos] as number;
    // One byte: all fields of the hot messages but one.
    if (first < 0x80 && first > 7 && (first & 7) < 6 && this.#pos < this.#end) {
      this.#pos += 1;
      return first;
    }
    this.#varint();
    const number = (this.#low >>> 3) | ((this.#high & 7) << 29);
    if (this.#high >>> 3 !== 0 || number <= 0 || number > fieldNumberMax) {
      throw new ProtoError('illegal field number');
    }
    if ((this.#low & 7) > 5) throw new ProtoError(`illegal wire type ${this.#low & 7}`);
    return this.#low >>> 0;
  }

  bool(): boolean {
    this.#varint();
    return (this.#low | this.#high) !== 0;
  }

  /** An enum or int32: the low 32 bits, signed. */
  int32(): number {
    this.#varint();
    return this.#low;
  }

  uint32(): number {
    this.#varint();
    return this.#low >>> 0;
  }

  /** An int64 saturated to +-(2^53 - 1). */
  int64(): number {
    this.#varint();
    const high = this.#high;
    if (high >= -0x20_0000 && high <= 0x1f_ffff) {
      const value = high * 0x1_0000_0000 + (this.#low >>> 0);
      return Math.max(value, -Number.MAX_SAFE_INTEGER);
    }
    return high < 0 ? -Number.MAX_SAFE_INTEGER : Number.MAX_SAFE_INTEGER;
  }

  /** A uint64 saturated to 2^53 - 1. */
  uint64(): number {
    this.#varint();
    const high = this.#high >>> 0;
    if (high > 0x1f_ffff) return Number.MAX_SAFE_INTEGER;
    return high * 0x1_0000_0000 + (this.#low >>> 0);
  }

  /** All bits of an int64, signed. */
  signedId(): bigint {
    this.#varint();
    if (this.#high === 0) return this.#low === 0 ? 0n : BigInt(this.#low >>> 0);
    // One bigint allocation instead of the four of shifting and or-ing.
    ids.setInt32(0, this.#high);
    ids.setInt32(4, this.#low);
    return ids.getBigInt64(0);
  }

  /** All bits of a uint64. */
  unsignedId(): bigint {
    return BigInt.asUintN(64, this.signedId());
  }

  /** A bytes field as latin1 string; copied. */
  key(): KeyString {
    const start = this.#lengthStart();
    return this.#bytes.toString('latin1', start, this.#pos);
  }

  /** A bytes field; borrowed from the input. */
  value(): Buffer {
    const start = this.#lengthStart();
    return this.#bytes.subarray(start, this.#pos);
  }

  /** A string field; must be UTF-8. */
  text(): string {
    const slice = this.value();
    if (!isUtf8(slice)) throw new ProtoError('string field contains invalid UTF-8');
    return slice.toString('utf8');
  }

  /** Enters a submessage; give the result to {@link leave} after its last field. */
  enter(): number {
    const start = this.#lengthStart();
    const outer = this.#end;
    this.#end = this.#pos;
    this.#pos = start;
    this.#depth += 1;
    if (this.#depth > nestingMax) throw new ProtoError(`messages nest deeper than ${nestingMax}`);
    this.#entered += this.#depth;
    if (this.#entered > this.#enteredMax) throw new TooManyMessagesError('too many messages in it');
    return outer;
  }

  leave(outer: number): void {
    this.#end = outer;
    this.#depth -= 1;
  }

  /** Appends a repeated enum that may be packed (`tag` of wire type 2) or single. */
  enums(tag: number, into: number[]): void {
    if ((tag & 7) === 0) {
      into.push(this.int32());
      return;
    }
    const outer = this.enter();
    while (this.more()) into.push(this.int32());
    this.leave(outer);
  }

  /** Skips the field whose tag was just read. */
  skip(tag: number): void {
    switch (tag & 7) {
      case 0:
        this.#varint();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.#lengthStart();
        return;
      case 3:
        this.#skipGroup(tag >>> 3);
        return;
      case 5:
        this.#advance(4);
        return;
      default:
        throw new ProtoError('end of a group that was not started');
    }
  }

  #skipGroup(number: number): void {
    this.#depth += 1;
    if (this.#depth > nestingMax) throw new ProtoError(`groups nest deeper than ${nestingMax}`);
    for (;;) {
      if (this.#pos >= this.#end) throw new ProtoError('truncated group');
      const tag = this.tag();
      if ((tag & 7) === 4) {
        if (tag >>> 3 !== number) throw new ProtoError('mismatched end of group');
        break;
      }
      this.skip(tag);
    }
    this.#depth -= 1;
  }

  #advance(count: number): void {
    if (count > this.#end - this.#pos) throw new ProtoError('truncated message');
    this.#pos += count;
  }

  /** Reads a length and moves behind what it covers; returns where that starts. */
  #lengthStart(): number {
    this.#varint();
    const start = this.#pos;
    // `low` negative: 2^31 or more, which no buffer has.
    if (this.#high !== 0 || this.#low < 0) throw new ProtoError('illegal length');
    this.#advance(this.#low);
    return start;
  }

  #varint(): void {
    const pos = this.#pos;
    const byte = this.#bytes[pos] as number;
    if (byte < 0x80 && pos < this.#end) {
      this.#pos = pos + 1;
      this.#low = byte;
      this.#high = 0;
      return;
    }
    this.#longVarint();
  }

  #longVarint(): void {
    const bytes = this.#bytes;
    const end = this.#end;
    let pos = this.#pos;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (pos >= end) throw new ProtoError('truncated varint');
      const byte = bytes[pos] as number;
      pos += 1;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        if (shift === 63 && byte > 1) throw new ProtoError('varint overflows 64 bits');
        this.#pos = pos;
        this.#low = low;
        this.#high = high;
        return;
      }
    }
    throw new ProtoError('varint overflows 64 bits');
  }
}
