/**
 * The calls that wait for their entry to be applied. One record each, no closure: the responder is
 * a static function of the rpc, and `context` is what it needs to answer.
 *
 * An entry that is in a log may be applied even after its call timed out here: to the client that
 * is an unknown outcome, which is what the timeout errors say. One that is in no log yet when its
 * call ends never gets into one (docs/guarantees.md).
 */

import {
  assert,
  type Clock,
  type ErrorReason,
  EtcdError,
  type LogIndex,
  present,
  proposalsWaitingBytesMax,
  proposalsWaitingMax,
  type Term,
  urgentShare,
} from '../../common/index.js';
import type { CallSteps } from '../../transport/index.js';
import { stampEntry } from '../entry/index.js';
import type { Responder } from '../feature/index.js';

/** What a context of a responder may hold: then its proposal ends with the call. */
interface Caller {
  readonly call: { readonly cancelled: boolean; steps?: CallSteps | undefined };
}

/** A proposal on its way. `request` is the decoded body, so that apply need not decode it again. */
export class Pending implements CallSteps {
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

  /** In which it was given to Raft; 0: it was not, or is in no log and never will be. */
  sentTerm: Term = 0;
  proposedMs = 0;
  index = 0;
  appliedMs = 0;

  get confirmedMs(): number {
    return 0;
  }

  get roomMs(): number {
    return 0;
  }

  /** Nobody waits for it any more: the caller has gone. */
  get isAbandoned(): boolean {
    return callOf(this.context)?.cancelled === true;
  }

  applied(index: LogIndex, atMs: number): void {
    this.index = index;
    this.appliedMs = atMs;
  }

  finish(error: Error | undefined, result: unknown): void {
    this.respond(this.context, this.request, error, result);
  }
}

function callOf(context: unknown): Caller['call'] | undefined {
  if (typeof context !== 'object' || context === null || !('call' in context)) return undefined;
  return (context as Caller).call;
}

/** Places for waiting calls at the start; doubled whenever they do not suffice. */
const initialPlaces = 1024;

/**
 * Matches applied entries with the calls that wait for them. Sequences are handed out one by one
 * and come back nearly in order, so the calls stand in a ring, each at its sequence's place: a Map
 * with as many insertions as deletions would be laid out anew every thousand puts.
 */
export class Proposals {
  readonly origin: number;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  /** Length is a power of two; the calls in [#oldest, #nextSequence) have their places here. */
  #ring: Array<Pending | undefined> = new Array(initialPlaces).fill(undefined);
  #oldest = 1;
  #nextSequence = 1;
  #size = 0;
  #bytes = 0;
  /** Of the entry that was applied last; 0: none since the start. */
  #appliedTerm: Term = 0;
  /** Proposals that ended without having been applied here. */
  failedTotal = 0;

  constructor(options: { clock: Clock; origin: number; timeoutMs: number }) {
    this.#clock = options.clock;
    this.origin = options.origin;
    this.#timeoutMs = options.timeoutMs;
  }

  /** Number of calls that wait. */
  get size(): number {
    return this.#size;
  }

  /** Of their entries. */
  get bytes(): number {
    return this.#bytes;
  }

  /** More wait than a member can hold: the newest must go, unless it is urgent and fits all the same. */
  isOverfull(isUrgent: boolean): boolean {
    const share = isUrgent ? 1 + urgentShare : 1;
    return (
      this.#size > share * proposalsWaitingMax || this.#bytes > share * proposalsWaitingBytesMax
    );
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
    const call = callOf(context);
    if (call !== undefined) call.steps = pending;
    if (this.#nextSequence - this.#oldest > this.#ring.length) this.#grow();
    this.#ring[this.#place(sequence)] = pending;
    this.#size++;
    this.#bytes += data.length;
    return pending;
  }

  /** The waiting call of an applied entry, if it is ours; it stops waiting. */
  take(origin: number, sequence: number): Pending | undefined {
    return origin === this.origin ? this.#remove(sequence) : undefined;
  }

  /** Ends a proposal that never entered the log. */
  refuse(pending: Pending, reason: ErrorReason): void {
    if (this.#remove(pending.sequence) === undefined) return;
    this.failedTotal++;
    pending.finish(new EtcdError(reason), undefined);
  }

  /** Ends every call that has waited longer than the request timeout; told since when. */
  expire(reasonFor: (startMs: number) => ErrorReason): void {
    const now = this.#clock.nowMs();
    while (this.#size > 0) {
      const oldest = present(this.#ring[this.#place(this.#oldest)], 'the oldest waiting call');
      if (oldest.deadlineMs > now) return;
      this.refuse(oldest, reasonFor(oldest.deadlineMs - this.#timeoutMs));
    }
  }

  /**
   * An entry of `term` is about to be applied, and all before it were: what was given to Raft in an
   * earlier term and still waits is in no log that counts, and never will be. For a leader takes
   * proposals of its own term only, terms never go down along a log, and what comes before an entry
   * that is committed stays as it is. So it may be proposed again; it is handed out once.
   * Undefined: there is nothing of the kind.
   */
  takeUnlogged(term: Term): Pending[] | undefined {
    if (term === this.#appliedTerm) return undefined;
    this.#appliedTerm = term;
    const unlogged: Pending[] = [];
    for (const pending of this.#waiting()) {
      if (pending.sentTerm === 0 || pending.sentTerm >= term) continue;
      pending.sentTerm = 0;
      unlogged.push(pending);
    }
    return unlogged.length === 0 ? undefined : unlogged;
  }

  /** Entries were skipped, for a snapshot holds them: nobody knows what is among them. */
  skipped(): void {
    for (const pending of this.#waiting()) {
      if (pending.sentTerm !== 0) pending.sentTerm = Number.POSITIVE_INFINITY;
    }
  }

  *#waiting(): Generator<Pending, void> {
    for (let sequence = this.#oldest; sequence < this.#nextSequence; sequence++) {
      const pending = this.#ring[this.#place(sequence)];
      if (pending !== undefined) yield pending;
    }
  }

  /** Ends every waiting call: the node stops. */
  failAll(reason: ErrorReason): void {
    while (this.#size > 0) {
      this.refuse(
        present(this.#ring[this.#place(this.#oldest)], 'the oldest waiting call'),
        reason,
      );
    }
  }

  #place(sequence: number): number {
    // `&` takes the low 32 bits of the sequence, of which the ring's length leaves fewer.
    return sequence & (this.#ring.length - 1);
  }

  #remove(sequence: number): Pending | undefined {
    const place = this.#place(sequence);
    const pending = this.#ring[place];
    if (pending === undefined || pending.sequence !== sequence) return undefined;
    this.#ring[place] = undefined;
    this.#size--;
    this.#bytes -= pending.data.length;
    assert(this.#size >= 0 && this.#bytes >= 0, 'each waiting call is counted once');
    // `#oldest` always is a waiting call's sequence, or the next one to be handed out.
    while (
      this.#oldest < this.#nextSequence &&
      this.#ring[this.#place(this.#oldest)] === undefined
    ) {
      this.#oldest++;
    }
    return pending;
  }

  #grow(): void {
    const old = this.#ring;
    this.#ring = new Array(old.length * 2).fill(undefined);
    for (const pending of old) {
      if (pending !== undefined) this.#ring[this.#place(pending.sequence)] = pending;
    }
  }
}
