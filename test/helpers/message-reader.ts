/** Reads the messages of a gRPC stream one at a time, in order, without losing any in between. */

import type { ClientReadableStream } from '@grpc/grpc-js';

interface Waiting<T> {
  readonly resolve: (message: T | undefined) => void;
  readonly reject: (error: Error) => void;
}

/** The receiving half of a stream; messages wait here until they are asked for. */
export class MessageReader<T> {
  readonly #call: Pick<ClientReadableStream<unknown>, 'on' | 'cancel'>;
  readonly #messages: T[] = [];
  readonly #waiting: Waiting<T>[] = [];
  #ended = false;
  #error: Error | undefined;

  constructor(call: Pick<ClientReadableStream<unknown>, 'on' | 'cancel'>) {
    this.#call = call;
    call.on('data', (message: T) => {
      const first = this.#waiting.shift();
      if (first === undefined) this.#messages.push(message);
      else first.resolve(message);
    });
    call.on('error', (error: Error) => {
      this.#error = error;
      for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
    });
    call.on('end', () => {
      this.#ended = true;
      // An error may follow the end; it must win over it.
      setImmediate(() => {
        for (const waiting of this.#waiting.splice(0)) waiting.resolve(undefined);
      });
    });
  }

  /** Messages that have arrived and were not read. */
  get buffered(): number {
    return this.#messages.length;
  }

  /** The next message, or undefined at the end; rejects with the stream's error. */
  nextOrEnd(): Promise<T | undefined> {
    const message = this.#messages.shift();
    if (message !== undefined) return Promise.resolve(message);
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** The next message; the end of the stream is an error. */
  async next(): Promise<T> {
    const message = await this.nextOrEnd();
    if (message === undefined) throw new Error('the stream ended');
    return message;
  }

  /** All messages up to the end. */
  async rest(): Promise<T[]> {
    const all: T[] = [];
    for (;;) {
      const message = await this.nextOrEnd();
      if (message === undefined) return all;
      all.push(message);
    }
  }

  /** Ends the call from this side; what still arrives is dropped silently. */
  cancel(): void {
    this.#call.on('error', () => undefined);
    this.#call.cancel();
  }
}
