/** The body of a plain HTTP request, as flow control lets it come: what is not read holds it up. */

import type { Connection } from './connection.js';
import { HeldData } from './held-data.js';
import type { Stream } from './stream.js';

/** The pieces of one body, read once. */
export class HttpBody implements AsyncIterable<Buffer>, AsyncIterator<Buffer, undefined> {
  readonly #connection: Connection;
  readonly #stream: Stream;
  readonly #held: HeldData;
  #isEnded = false;
  #isUnwanted = false;
  #isGone = false;
  #wake: (() => void) | undefined;

  constructor(connection: Connection, stream: Stream) {
    this.#connection = connection;
    this.#stream = stream;
    this.#held = new HeldData(connection);
    connection.pauseStream(stream);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next piece; rejects if the client went away before the end. */
  async next(): Promise<IteratorResult<Buffer, undefined>> {
    for (;;) {
      if (this.#isUnwanted) return { done: true, value: undefined };
      if (this.#isGone) throw new Error('the client went away');
      const piece = this.#held.take();
      if (piece !== undefined) return { done: false, value: piece };
      if (this.#isEnded) return { done: true, value: undefined };
      // All that came has been taken: the window may be given back.
      this.#connection.resumeStream(this.#stream);
      this.#connection.pauseStream(this.#stream);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** No more of it is wanted: what comes is dropped. */
  async return(): Promise<IteratorResult<Buffer, undefined>> {
    this.drop();
    return { done: true, value: undefined };
  }

  // ------------------------------------------------------------------------------ for the stream

  add(from: Buffer, start: number, end: number): void {
    if (this.#isUnwanted || this.#isGone) return;
    this.#held.add(from, start, end);
    this.#wakeUp();
  }

  end(): void {
    this.#isEnded = true;
    this.#wakeUp();
  }

  drop(): void {
    if (this.#isUnwanted || this.#isGone) return;
    this.#isUnwanted = true;
    this.#held.drop();
    this.#connection.resumeStream(this.#stream);
    this.#wakeUp();
  }

  /** The stream is no more. */
  lose(): void {
    this.#isGone = true;
    this.#held.drop();
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
