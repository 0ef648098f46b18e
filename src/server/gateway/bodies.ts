/**
 * Messages out of the body of a request: JSON values one after the other, found as the body comes.
 * No more of it is kept than one value, whose length has a bound, and so have all of them together.
 */

import {
  type Clock,
  emptyBytes,
  GrpcCode,
  gatewayBodiesBytesMax,
  httpBodyMsMax,
  runSteps,
  Slice,
  type Timer,
} from '../../common/index.js';
import { JsonError, type JsonMessage, JsonScanner, readJson } from '../../proto/index.js';
import { type Failure, tooLong } from './errors.js';

/** Bytes that are looked at before the clock is. */
const lookBytes = 4 * 1024;
/** Room for the text of a value to begin with; it doubles. */
const firstTextBytes = 1024;

/** What all bodies that are being read share. */
export class BodyBudget {
  #bytes = 0;

  /** False: there is no room for so much more. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > gatewayBodiesBytesMax) return false;
    this.#bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}

export interface BodyLimits {
  /** Bytes of one value's text. */
  readonly textBytesMax: number;
  /** Bytes of the message that it becomes. */
  readonly messageBytesMax: number;
}

/** Thrown with what the client is answered. */
export class BodyFault extends Error {
  readonly failure: Failure;
  /** HTTP status, if it is not that of the failure. */
  readonly status: number | undefined;

  constructor(failure: Failure, status?: number) {
    super(failure.message);
    this.failure = failure;
    this.status = status;
  }
}

/** Reads the messages of one body. */
export class JsonBody {
  readonly #pieces: AsyncIterator<Buffer>;
  readonly #limits: BodyLimits;
  readonly #budget: BodyBudget;
  readonly #clock: Clock;
  readonly #scanner = new JsonScanner();
  /** What came of the value at hand: a copy, for pieces may be of one byte. */
  #text: Buffer = emptyBytes;
  #textBytes = 0;
  /** What came after it. */
  #rest: Buffer | undefined;
  #isOver = false;

  constructor(body: AsyncIterable<Buffer>, limits: BodyLimits, budget: BodyBudget, clock: Clock) {
    this.#pieces = body[Symbol.asyncIterator]();
    this.#limits = limits;
    this.#budget = budget;
    this.#clock = clock;
  }

  /**
   * The next message, encoded; undefined: there are no more. Throws a BodyFault for what is none,
   * is too long, or is too much; rejects if the client goes away.
   */
  async next(message: JsonMessage): Promise<Buffer | undefined> {
    try {
      const text = await this.#value();
      if (text === undefined) return undefined;
      const encoded = await runSteps(readJson(text, message, new Slice(this.#clock)));
      const { messageBytesMax } = this.#limits;
      if (encoded.length > messageBytesMax) {
        throw new BodyFault(tooLong(encoded.length, messageBytesMax));
      }
      return encoded;
    } catch (error) {
      this.#isOver = true;
      if (!(error instanceof JsonError)) throw error;
      throw new BodyFault({ code: GrpcCode.INVALID_ARGUMENT, message: error.message });
    } finally {
      this.#forget();
    }
  }

  /** As `next`, of the first, which has to come in time. */
  async first(message: JsonMessage): Promise<Buffer | undefined> {
    let timer: Timer | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = this.#clock.after(httpBodyMsMax, () => reject(new BodyFault(lateBody, 408)));
    });
    try {
      return await Promise.race([this.next(message), late]);
    } finally {
      timer?.cancel();
    }
  }

  /** No more is wanted. */
  drop(): void {
    this.#isOver = true;
    // It fails if the client is gone, which is as well.
    void this.#pieces.return?.().catch(() => {});
  }

  /** The text of the next value. */
  async #value(): Promise<Buffer | undefined> {
    this.#scanner.reset();
    const slice = new Slice(this.#clock);
    while (!this.#isOver) {
      const piece = await this.#piece();
      if (piece === undefined) break;
      for (let from = 0; from < piece.length; from += lookBytes) {
        const end = this.#scanner.scan(piece, from, Math.min(piece.length, from + lookBytes));
        if (end >= 0) {
          this.#keep(piece.subarray(0, end));
          this.#rest = piece.subarray(end);
          return this.#whole();
        }
        if (!slice.next()) await slice.rest();
      }
      this.#keep(piece);
    }
    this.#isOver = true;
    if (this.#scanner.isWholeAtEnd) return this.#whole();
    if (this.#scanner.hasBegun) throw new JsonError('unexpected EOF');
    return undefined;
  }

  async #piece(): Promise<Buffer | undefined> {
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest !== undefined) return rest;
    const next = await this.#pieces.next();
    return next.done === true ? undefined : next.value;
  }

  #keep(piece: Buffer): void {
    // Spaces in front of a value are no part of it.
    if (!this.#scanner.hasBegun) return;
    const { textBytesMax, messageBytesMax } = this.#limits;
    const bytes = this.#textBytes + piece.length;
    // How much more would have come nobody knows.
    if (bytes > textBytesMax) throw new BodyFault(tooLong(textBytesMax, messageBytesMax));
    if (bytes > this.#text.length) this.#grow(Math.max(bytes, firstTextBytes, 2 * this.#textBytes));
    this.#textBytes += piece.copy(this.#text, this.#textBytes);
  }

  #grow(bytes: number): void {
    if (!this.#budget.take(bytes - this.#text.length)) throw new BodyFault(tooManyBodies);
    const larger = Buffer.allocUnsafe(bytes);
    this.#text.copy(larger, 0, 0, this.#textBytes);
    this.#text = larger;
  }

  /** What was kept, from the first byte of the value. */
  #whole(): Buffer {
    let start = 0;
    while ((this.#text[start] as number) <= 0x20) start += 1;
    return this.#text.subarray(start, this.#textBytes);
  }

  #forget(): void {
    this.#budget.give(this.#text.length);
    this.#text = emptyBytes;
    this.#textBytes = 0;
  }
}

const lateBody: Failure = {
  code: GrpcCode.DEADLINE_EXCEEDED,
  message: 'kvorum: the body of the request did not come in time',
};

const tooManyBodies: Failure = {
  code: GrpcCode.RESOURCE_EXHAUSTED,
  message: 'etcdserver: too many requests',
};
