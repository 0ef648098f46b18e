/** A read on its way to its answer: the context of what waits for it. */

import type { CallSteps, ServerCall } from '../../transport/index.js';
import type { Host } from '../feature/index.js';

export class Reading<Request> implements CallSteps {
  readonly host: Host;
  readonly call: ServerCall;
  readonly request: Request;
  /** Of the request. */
  readonly bytes: number;
  confirmedMs = 0;
  roomMs = 0;

  constructor(host: Host, call: ServerCall, request: Request, bytes: number) {
    this.host = host;
    this.call = call;
    this.request = request;
    this.bytes = bytes;
    call.steps = this;
  }

  get proposedMs(): number {
    return 0;
  }

  get index(): number {
    return 0;
  }

  get appliedMs(): number {
    return 0;
  }

  /** It is linearizable, and may go ahead from now on. */
  confirmed(): void {
    this.confirmedMs = this.host.metrics.steps.confirmedMs;
  }

  /** It had to wait for memory, and has it now. */
  hasRoom(): void {
    this.roomMs = this.host.clock.nowMs();
  }
}
