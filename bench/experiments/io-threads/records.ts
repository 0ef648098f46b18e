/**
 * What the two threads tell each other, and how what does not fit in the ring waits.
 *
 * The thread with the sockets gives each call a slot, and frees it at the one record that ends the
 * call (`reply`, `failed`, `ended`, `dropped`): rings keep the order, so a `cancel` that crosses it
 * finds nobody, and never another call in the same slot.
 */

import type { RingWriter } from '../../../src/server/platform/io-threads/ring.js';

/** From the thread with the sockets. `extra` of `call`: the id of its head. */
export const fromSockets = {
  /** JSON of {@link CallHead}; `slot` is its id. */
  head: 1,
  /** With one request; the method's number is in the upper half of the kind. */
  call: 2,
  stream: 3,
  message: 4,
  endOfMessages: 5,
  cancel: 6,
  drained: 7,
  full: 8,
} as const;

/** From the core. */
export const fromCore = {
  reply: 1,
  /** `extra`: the code; the text. */
  failed: 2,
  send: 3,
  ended: 4,
  /** Acknowledges `cancel`. */
  dropped: 5,
  pause: 6,
  resume: 7,
} as const;

/** Flag of a kind: the payload goes on in the next record of the slot. */
export const moreFlag = 0x80;
export const kindMask = 0x7f;
export const methodShift = 8;

/** Who calls, and what the guards ask of the metadata. Calls of a connection share it. */
export interface CallHead {
  readonly address: string;
  readonly commonName: string;
  readonly certificateVerified: boolean;
  readonly metadata: ReadonlyArray<readonly [string, string]>;
}

export const guardKeys = ['hasleader', 'token', 'authorization', 'client-api-version'] as const;
export const userAgentKey = 'user-agent';

export const noParts: readonly Uint8Array[] = [];

interface Waiting {
  readonly kind: number;
  readonly slot: number;
  readonly extra: number;
  readonly payload: Buffer;
}

/** Writes into a ring; what finds no room waits, in order. */
export class Outbox {
  readonly #ring: RingWriter;
  readonly #pieceBytesMax: number;
  #waiting: Waiting[] = [];
  waitingBytes = 0;

  constructor(ring: RingWriter) {
    this.#ring = ring;
    this.#pieceBytesMax = ring.capacityBytes >> 3;
  }

  /** The bytes are copied before it returns. */
  put(
    kind: number,
    slot: number,
    extra: number,
    first: Uint8Array,
    rest: readonly Uint8Array[] = noParts,
  ): void {
    let bytes = first.length;
    for (const part of rest) bytes += part.length;
    if (bytes > this.#pieceBytesMax) {
      this.#putLong(kind, slot, extra, Buffer.concat([first, ...rest], bytes));
      return;
    }
    if (this.#waiting.length === 0) {
      if (rest.length === 0 && this.#ring.write(kind, slot, extra, first)) return;
      if (rest.length > 0 && this.#ring.writeParts(kind, slot, bytes, [first, ...rest])) return;
    }
    this.#keep(kind, slot, extra, Buffer.concat([first, ...rest], bytes));
  }

  /** Once there may be room again. True: something went. */
  flush(): boolean {
    let gone = 0;
    for (const { kind, slot, extra, payload } of this.#waiting) {
      if (!this.#ring.write(kind, slot, extra, payload)) break;
      this.waitingBytes -= payload.length;
      gone += 1;
    }
    if (gone > 0) this.#waiting.splice(0, gone);
    return gone > 0;
  }

  #putLong(kind: number, slot: number, extra: number, whole: Buffer): void {
    let at = 0;
    while (whole.length - at > this.#pieceBytesMax) {
      const piece = whole.subarray(at, at + this.#pieceBytesMax);
      this.put(kind | moreFlag, slot, extra, piece);
      at += this.#pieceBytesMax;
    }
    this.put(kind, slot, extra, whole.subarray(at));
  }

  #keep(kind: number, slot: number, extra: number, payload: Buffer): void {
    this.#waiting.push({ kind, slot, extra, payload });
    this.waitingBytes += payload.length;
  }
}

/** Puts payloads that came in several records together again. */
export class Assembler {
  readonly #pieces = new Map<number, Buffer[]>();

  /** The whole payload; undefined: there is more to come. A payload in one record stays borrowed. */
  take(kind: number, slot: number, from: Buffer, start: number, end: number): Buffer | undefined {
    const piece = from.subarray(start, end);
    if ((kind & moreFlag) !== 0) {
      const pieces = this.#pieces.get(slot) ?? [];
      pieces.push(Buffer.from(piece));
      this.#pieces.set(slot, pieces);
      return undefined;
    }
    if (this.#pieces.size === 0) return piece;
    const pieces = this.#pieces.get(slot);
    if (pieces === undefined) return piece;
    this.#pieces.delete(slot);
    return Buffer.concat([...pieces, piece]);
  }
}
