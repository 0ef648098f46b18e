/**
 * A server stream as an async iterable with back-pressure: while its reader is behind, the stream
 * is paused and HTTP/2 flow control holds the server back. Not retried: whoever reads decides.
 */

import { assert, backoffMs, GrpcCode, onAbort } from '../../common/index.js';
import { closedError, type LinkStream, type RpcStatus } from '../connection/index.js';
import { reasonOf } from '../errors.js';
import { streamBufferMessagesMax, streamDelayMaxMs, streamDelayMinMs } from '../limits.js';
import type { Caller } from './caller.js';
import { abortedError, type CallContext, type CallKind, callError } from './failed-call.js';
import type { EndpointOptions } from './types.js';

/** Messages of one call; ends with the stream, throws EtcdClientError if it ends badly. */
export async function* serverStream(
  caller: Caller,
  method: string,
  kind: CallKind,
  request: Uint8Array,
  options: EndpointOptions,
): AsyncGenerator<Buffer, undefined, void> {
  for (let attempt = 1; ; attempt += 1) {
    const opened = await caller.open(method, kind, options);
    const context: CallContext = {
      kind,
      method,
      endpoint: opened.slot.endpoint.address,
      attempts: attempt,
    };
    const inbox = new Inbox(opened.stream);
    const signals = [options.signal, caller.options.signal];
    const takeBacks = signals.map((signal) => onAbort(signal, () => opened.stream.cancel()));
    let seen = false;
    try {
      opened.stream.send(request);
      opened.stream.end();
      for (;;) {
        const message = await inbox.next();
        if (message === undefined) break;
        seen = true;
        yield message;
      }
      const status = inbox.status;
      if (status === undefined || status.code === GrpcCode.OK) return;
      if (caller.options.signal.aborted) throw closedError();
      if (options.signal?.aborted === true) throw abortedError(options.signal, true, context);
      const again = !seen && caller.refused(opened, reasonOf(status.message), attempt - 1);
      if (!again) throw callError(status, context);
    } finally {
      for (const takeBack of takeBacks) takeBack();
      inbox.close();
      caller.streamEnded(opened, method, inbox.status);
    }
    if (attempt > 1) await pause(caller, attempt - 2, options.signal);
  }
}

/** Between refusals of the token; ends with the client, or with whoever waits. */
function pause(caller: Caller, failures: number, signal: AbortSignal | undefined): Promise<void> {
  const { clock, random, signal: closing } = caller.options;
  const delayMs = backoffMs(failures, streamDelayMinMs, streamDelayMaxMs, random);
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      for (const takeBack of takeBacks) takeBack();
      resolve();
    };
    const timer = clock.after(delayMs, end);
    const takeBacks = [signal, closing].map((each) => onAbort(each, () => end()));
  });
}

/** Messages that have come and were not read. */
class Inbox {
  status: RpcStatus | undefined;
  readonly #stream: LinkStream;
  readonly #messages: Buffer[] = [];
  #wake: (() => void) | undefined;
  #paused = false;

  constructor(stream: LinkStream) {
    this.#stream = stream;
    stream.onMessage = (message) => {
      this.#messages.push(message);
      if (this.#messages.length >= streamBufferMessagesMax && !this.#paused) {
        this.#paused = true;
        stream.pause();
      }
      this.#wake?.();
    };
    stream.onStatus = (status) => {
      this.status = status;
      this.#wake?.();
    };
  }

  async next(): Promise<Buffer | undefined> {
    while (this.#messages.length === 0) {
      if (this.status !== undefined) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    const message = this.#messages.shift();
    assert(message !== undefined, 'who was woken has a message to read');
    if (this.#paused && this.#messages.length < streamBufferMessagesMax / 2) {
      this.#paused = false;
      this.#stream.resume();
    }
    return message;
  }

  close(): void {
    if (this.status === undefined) this.#stream.cancel();
    this.#messages.length = 0;
  }
}
