/** Records on their way into a ring: what finds no room waits, in order. */

import type { RingWriter } from './ring.js';

interface Waiting {
  readonly kind: number;
  readonly slot: number;
  readonly extra: number;
  readonly payload: Uint8Array;
}

const nothing: Uint8Array = new Uint8Array(0);

export class Outbox {
  readonly #ring: RingWriter;
  /** Longer payloads go in pieces: the reader shall not wait for the whole. */
  readonly #pieceBytesMax: number;
  #waiting: Waiting[] = [];
  #first = 0;
  /** Of payloads that wait. */
  waitingBytes = 0;

  constructor(ring: RingWriter) {
    this.#ring = ring;
    this.#pieceBytesMax = ring.capacityBytes >> 3;
  }

  get isEmpty(): boolean {
    return this.#first === this.#waiting.length;
  }

  /** Ownership of `payload` passes. One of bytes (`data`) may become several records. */
  put(kind: number, slot: number, extra: number, payload: Uint8Array = nothing): void {
    let at = 0;
    do {
      const piece = this.#pieceOf(payload, at);
      at += piece.length;
      if (this.isEmpty && this.#ring.write(kind, slot, extra, piece)) continue;
      this.#waiting.push({ kind, slot, extra, payload: piece });
      this.waitingBytes += piece.length;
    } while (at < payload.length);
  }

  /** The same for bytes in parts. */
  putParts(kind: number, slot: number, parts: readonly Uint8Array[]): void {
    let bytes = 0;
    for (const part of parts) bytes += part.length;
    const isShort = bytes <= this.#pieceBytesMax;
    if (isShort && this.isEmpty && this.#ring.writeParts(kind, slot, bytes, parts)) return;
    for (const part of parts) this.put(kind, slot, 0, part);
  }

  /** To be called when there may be room again. True: something went. */
  flush(): boolean {
    const before = this.#first;
    while (!this.isEmpty) {
      const { kind, slot, extra, payload } = this.#waiting[this.#first] as Waiting;
      if (!this.#ring.write(kind, slot, extra, payload)) break;
      this.#first += 1;
      this.waitingBytes -= payload.length;
    }
    const gone = this.#first - before;
    // Half of it gone: moving the other half costs no more than that.
    if (gone > 0 && this.#first * 2 >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    return gone > 0;
  }

  #pieceOf(payload: Uint8Array, at: number): Uint8Array {
    const end = at + this.#pieceBytesMax;
    return at === 0 && payload.length <= end ? payload : payload.subarray(at, end);
  }
}
