/**
 * The calls that wait for their entry to be applied. One record each, no closure: the responder is
 * a static function of the rpc, and `context` is what it needs to answer.
 *
 * An entry that was proposed may be applied later even after its call timed out here: to the client
 * that is an unknown outcome, which is what the timeout errors say.
 */

import { type Clock, type ErrorReason, EtcdError, type Term } from '../common/index.js';
import { stampEntry } from './entry.js';

/** Gets the outcome of a proposal; exactly one of `error` and `result` is set. */
export type Responder<Request, Result, Context> = (
  context: Context,
  request: Request,
  error: Error | undefined,
  result: Result | undefined,
) => void;

/** A proposal on its way. `request` is the decoded body, so that apply need not decode it again. */
export class Pending {
  constructor(
    readonly sequence: number,
    readonly request: unknown,
    readonly respond: Responder<unknown, unknown, unknown>,
    readonly context: unknown,
    readonly deadlineMs: number,
    readonly data: Buffer,
    /** Not 0: only if this member leads in this term; else it must not enter any log. */
    readonly onlyInTerm: Term,
  ) {}

  finish(error: Error | undefined, result: unknown): void {
    this.respond(this.context, this.request, error, result);
  }
}

/** Matches applied entries with the calls that wait for them. */
export class Proposals {
  readonly origin: number;
  /** Proposals that ended without having been applied here. */
  failedTotal = 0;
  #nextSequence = 1;
  /** In order of sequence, and so of deadline. */
  readonly #waiting = new Map<number, Pending>();
  readonly #clock: Clock;
  readonly #timeoutMs: number;

  constructor(options: { clock: Clock; origin: number; timeoutMs: number }) {
    this.#clock = options.clock;
    this.origin = options.origin;
    this.#timeoutMs = options.timeoutMs;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Stamps the entry and remembers who waits for it. */
  add<Request, Result, Context>(
    data: Buffer,
    request: Request,
    respond: Responder<Request, Result, Context>,
    context: Context,
    onlyInTerm: Term,
  ): Pending {
    const sequence = this.#nextSequence++;
    stampEntry(data, this.origin, sequence);
    const pending = new Pending(
      sequence,
      request,
      respond as Responder<unknown, unknown, unknown>,
      context,
      this.#clock.nowMs() + this.#timeoutMs,
      data,
      onlyInTerm,
    );
    this.#waiting.set(sequence, pending);
    return pending;
  }

  /** The waiting call of an applied entry, if it is ours; it stops waiting. */
  take(origin: number, sequence: number): Pending | undefined {
    if (origin !== this.origin) return undefined;
    const pending = this.#waiting.get(sequence);
    if (pending !== undefined) this.#waiting.delete(sequence);
    return pending;
  }

  /** Ends a proposal that never entered the log. */
  refuse(pending: Pending, reason: ErrorReason): void {
    if (!this.#waiting.delete(pending.sequence)) return;
    this.failedTotal++;
    pending.finish(new EtcdError(reason), undefined);
  }

  /** Ends every call that has waited longer than the request timeout. */
  expire(reason: ErrorReason): void {
    const now = this.#clock.nowMs();
    for (const pending of this.#waiting.values()) {
      if (pending.deadlineMs > now) return;
      this.#waiting.delete(pending.sequence);
      this.failedTotal++;
      pending.finish(new EtcdError(reason), undefined);
    }
  }

  /** Ends every waiting call: the node stops. */
  failAll(reason: ErrorReason): void {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const pending of all) pending.finish(new EtcdError(reason), undefined);
  }
}
