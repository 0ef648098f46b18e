/**
 * Builds protobuf whose messages become known from outside to inside: each has its length in front,
 * which is known only at its end. Contents are written one after the other, the places of lengths
 * are remembered, and put in at the end in one pass, so that depth costs nothing.
 */

import type { Slice, Steps } from '../../common/index.js';

const firstBytes = 256;
const varintBytesMax = 10;

/** Bytes of `value` as a varint. */
function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

function doubled(numbers: Uint32Array): Uint32Array {
  const larger = new Uint32Array(2 * numbers.length);
  larger.set(numbers);
  return larger;
}

export class WireBuilder {
  #out: Buffer = Buffer.allocUnsafe(firstBytes);
  #length = 0;
  /** Where lengths belong, in order, and what they are once the message has ended. */
  #places: Uint32Array = new Uint32Array(16);
  #lengths: Uint32Array = new Uint32Array(16);
  #messages = 0;
  /** Messages that have not ended: their number in `#places`; bytes of lengths inside of them. */
  readonly #open: number[] = [];
  readonly #inside: number[] = [];
  #lastTag = 0;

  /** What has been written, without the lengths of messages. */
  get bytes(): number {
    return this.#length;
  }

  /** Writes a varint below 2^53. */
  varint(value: number): void {
    this.#room(varintBytesMax);
    let rest = value;
    while (rest >= 0x80) {
      this.#out[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#out[this.#length++] = rest;
  }

  /** Writes an integer of 64 bits; negative ones as their complement. */
  integer(value: bigint): void {
    if (value >= 0n && value < 9_007_199_254_740_992n) {
      this.varint(Number(value));
      return;
    }
    this.#room(varintBytesMax);
    let rest = BigInt.asUintN(64, value);
    while (rest >= 0x80n) {
      this.#out[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#out[this.#length++] = Number(rest);
  }

  append(bytes: Buffer): void {
    this.#room(bytes.length);
    this.#length += bytes.copy(this.#out, this.#length);
  }

  /** Begins what has its length in front. */
  open(tag: number): void {
    this.#lastTag = tag;
    this.varint(tag);
    if (this.#messages === this.#places.length) {
      this.#places = doubled(this.#places);
      this.#lengths = doubled(this.#lengths);
    }
    this.#open.push(this.#messages);
    this.#inside.push(0);
    this.#places[this.#messages] = this.#length;
    this.#messages += 1;
  }

  /** Ends it. */
  close(): void {
    const place = this.#open.pop() as number;
    const inside = this.#inside.pop() as number;
    const length = this.#length - (this.#places[place] as number) + inside;
    this.#lengths[place] = length;
    const outer = this.#inside.length - 1;
    if (outer >= 0)
      this.#inside[outer] = (this.#inside[outer] as number) + inside + varintBytes(length);
  }

  /** Takes back what was opened last, which has nothing in it. */
  abandon(): void {
    this.#open.pop();
    this.#inside.pop();
    this.#messages -= 1;
    this.#length = (this.#places[this.#messages] as number) - varintBytes(this.#lastTag);
  }

  /** The whole; everything has been ended. */
  *finish(slice: Slice): Steps<Buffer> {
    if (this.#messages === 0) return this.#out.subarray(0, this.#length);
    // `varint` wants room for its longest.
    let total = this.#length + varintBytesMax;
    for (let i = 0; i < this.#messages; i++) {
      total += varintBytes(this.#lengths[i] as number);
      if (!slice.next()) yield slice.rest();
    }
    const whole = new WireBuilder();
    whole.#room(total);
    let from = 0;
    for (let i = 0; i < this.#messages; i++) {
      const place = this.#places[i] as number;
      whole.#copy(this.#out, from, place);
      whole.varint(this.#lengths[i] as number);
      from = place;
      if (!slice.next()) yield slice.rest();
    }
    whole.#copy(this.#out, from, this.#length);
    return whole.#out.subarray(0, whole.#length);
  }

  #copy(from: Buffer, start: number, end: number): void {
    this.#room(end - start);
    this.#length += from.copy(this.#out, this.#length, start, end);
  }

  #room(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#out.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#out.length));
    this.#out.copy(larger, 0, 0, this.#length);
    this.#out = larger;
  }
}
