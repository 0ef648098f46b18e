/**
 * A watch in the name of a client, as a sequence of responses. What the reader has not taken holds
 * the watch back, so no more than a response or two are in memory.
 */

import { GrpcCode, type KeyString } from '../../common/index.js';
import {
  decodeWatchResponse,
  encodeWatchCreateRequest,
  type WatchCreateRequest,
  type WatchResponse,
} from '../../proto/index.js';
import { type LocalCall, type LocalStatus, startLocalCall } from '../rpc/index.js';
import type { RecipeCalls } from './recipe-calls.js';
import { innerError, watchError } from './recipe-error.js';

/** A watch from `startRevision` on; `close` must be called. */
export class InnerWatch {
  readonly #signal: AbortSignal;
  readonly #call: LocalCall;
  readonly #responses: Buffer[] = [];
  #status: LocalStatus | undefined;
  #wake: () => void = () => {};
  readonly #onAbort = (): void => this.#wake();

  constructor(calls: RecipeCalls, request: Partial<WatchCreateRequest>) {
    this.#signal = calls.signal;
    this.#signal.addEventListener('abort', this.#onAbort);
    let call: LocalCall | undefined;
    this.#call = startLocalCall(
      calls.methods,
      calls.options('Watch/Watch'),
      {
        message: (bytes) => {
          this.#responses.push(bytes);
          call?.hold();
          this.#wake();
        },
        ended: (status) => {
          this.#status = status;
          this.#wake();
        },
      },
      encodeWatchCreateRequest(request),
    );
    call = this.#call;
    if (this.#responses.length > 0) call.hold();
  }

  /**
   * The next response with events; undefined: what comes next was compacted away. Rejects with a
   * RecipeError if the watch was refused or has ended, and with the reason of the signal.
   */
  async next(): Promise<WatchResponse | undefined> {
    for (;;) {
      this.#signal.throwIfAborted();
      const bytes = this.#responses.shift();
      if (bytes === undefined) {
        await this.#more();
        continue;
      }
      if (this.#responses.length === 0) this.#call.release();
      const response = decodeWatchResponse(bytes);
      if (response.compactRevision > 0) return undefined;
      if (response.canceled) throw watchError(response.cancelReason);
      if (response.events.length > 0) return response;
    }
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#call.cancel();
  }

  /** Resolves when there is something to look at. */
  #more(): Promise<void> {
    const status = this.#status;
    if (status !== undefined) {
      const { code, message } = status;
      throw code === GrpcCode.OK
        ? innerError(GrpcCode.UNAVAILABLE, 'the watch has ended')
        : innerError(code, message);
    }
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** Whether the key was deleted since `fromRevision`; false: that can't be said any more. */
export async function untilDeleted(
  calls: RecipeCalls,
  key: KeyString,
  fromRevision: number,
): Promise<boolean> {
  const filters = [0]; // no puts
  const watch = new InnerWatch(calls, { key, startRevision: fromRevision, filters });
  try {
    return (await watch.next()) !== undefined;
  } finally {
    watch.close();
  }
}
