/** Calls whose token comes from an entry that is not applied here yet; bounded in number and time. */

import {
  type Clock,
  type ErrorReason,
  type LogIndex,
  type Timer,
  tokensWaitingMax,
} from '../../common/index.js';
import type { ServerCall } from '../../transport/index.js';

interface Wait {
  readonly index: LogIndex;
  readonly timer: Timer;
  readonly call: Pick<ServerCall, 'onCancel'>;
  readonly done: (refusal: ErrorReason | undefined) => void;
}

export class IndexWaits {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #waits = new Set<Wait>();
  /** Of those that wait. */
  #nearest = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** Resolves once the entry is applied, or with why it is not waited for (any longer). */
  wait(index: LogIndex, call: ServerCall): Promise<ErrorReason | undefined> {
    if (this.#waits.size >= tokensWaitingMax) return Promise.resolve('TOO_MANY_REQUESTS');
    return new Promise((resolve) => {
      const timer = this.#clock.after(this.#timeoutMs, () => this.#end(wait, 'TIMEOUT_APPLY'));
      const wait: Wait = { index, timer, call, done: resolve };
      call.onCancel = () => this.#end(wait, 'REQUEST_CANCELED');
      this.#waits.add(wait);
      this.#nearest = Math.min(this.#nearest, index);
    });
  }

  applied(index: LogIndex): void {
    if (index < this.#nearest) return;
    this.#nearest = Number.POSITIVE_INFINITY;
    for (const wait of this.#waits) {
      if (wait.index <= index) this.#end(wait, undefined);
      else this.#nearest = Math.min(this.#nearest, wait.index);
    }
  }

  #end(wait: Wait, refusal: ErrorReason | undefined): void {
    if (!this.#waits.delete(wait)) return;
    wait.timer.cancel();
    wait.call.onCancel = undefined;
    wait.done(refusal);
  }
}
