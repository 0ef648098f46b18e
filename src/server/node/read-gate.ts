/**
 * Linearizable reads (Raft thesis 6.4): a read waits until the leader has confirmed an index after
 * the read arrived, and until that index is applied here. All reads of one turn share one
 * confirmation, and each confirmation has a context of its own that is never used again: an answer
 * to an earlier question must not confirm a later read.
 */

import {
  assert,
  type Clock,
  type ErrorReason,
  EtcdError,
  type LogIndex,
  type MemberId,
  readsWaitingBytesMax,
  readsWaitingMax,
  type Term,
  urgentShare,
} from '../../common/index.js';
import type { Raft, ReadState } from '../../raft/index.js';
import type { ReadWaiter } from '../feature/index.js';

interface Waiting {
  readonly run: ReadWaiter<unknown>;
  readonly context: unknown;
}

interface Batch {
  readonly reads: readonly Waiting[];
  /** Of their requests. */
  readonly bytes: number;
  readonly deadlineMs: number;
  /** Set when confirmed. */
  index: LogIndex | undefined;
  askedMs: number;
}

/** No confirmation after this time: ask again, with a new context (etcd's readIndexRetryTime). */
const retryMs = 500;
/** Between the first contexts of two runs; with 32-bit origins all stay safe integers. */
const contextsPerRun = 2 ** 20;

/** Rounds, not reads; etcd's slow_read_indexes_total and read_indexes_failed_total. */
export interface ReadCounts {
  /** Not confirmed in time, or confirmed when nobody waited for it any more. */
  slowReadIndexes: number;
  /** There was nobody to ask until the time was up. */
  readIndexesFailed: number;
  /** Is told when those reads were confirmed that run next. */
  readonly steps: { confirmedMs: number };
}

export class ReadGate {
  readonly #raft: Pick<Raft, 'readIndex'>;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #counts: ReadCounts;
  #gathering: Waiting[] = [];
  #gatheringBytes = 0;
  /** In all batches, and those that gather. */
  #waiting = 0;
  #waitingBytes = 0;
  #nextContext: number;
  /** Asked for, by context. */
  #asked = new Map<number, Batch>();
  /** Confirmed at an index that is not applied yet, in order of arrival. */
  #confirmed: Batch[] = [];
  /** No leader to ask yet. */
  #unasked: Batch[] = [];
  #appliedIndex: LogIndex;
  /** Who was last known to lead, and in which term. */
  #leader: MemberId = 0n;
  #term: Term = 0;

  constructor(options: {
    raft: Pick<Raft, 'readIndex'>;
    clock: Clock;
    timeoutMs: number;
    applied: LogIndex;
    /** Drawn at each start: an answer meant for the run before must not meet a context of ours. */
    contextOrigin: number;
    counts: ReadCounts;
  }) {
    this.#counts = options.counts;
    this.#nextContext = options.contextOrigin * contextsPerRun + 1;
    this.#raft = options.raft;
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
    this.#appliedIndex = options.applied;
  }

  /**
   * Waits; called by `NodeLoop.read`, which has the loop run. `bytes`: what the context holds of
   * the request. Where too many wait already, `run` gets TOO_MANY_REQUESTS at once.
   */
  add<Context>(run: ReadWaiter<Context>, context: Context, bytes = 0, isUrgent = false): void {
    const share = isUrgent ? 1 + urgentShare : 1;
    if (
      this.#waiting >= share * readsWaitingMax ||
      this.#waitingBytes + bytes > share * readsWaitingBytesMax
    ) {
      run(context, new EtcdError('TOO_MANY_REQUESTS'));
      return;
    }
    this.#waiting += 1;
    this.#waitingBytes += bytes;
    this.#gatheringBytes += bytes;
    this.#gathering.push({ run: run as ReadWaiter<unknown>, context });
  }

  /** Asks for a confirmation of all reads that have gathered. Called by the loop, once a turn. */
  submit(): void {
    if (this.#gathering.length > 0) {
      const [reads, bytes] = [this.#gathering, this.#gatheringBytes];
      this.#gathering = [];
      this.#gatheringBytes = 0;
      const now = this.#clock.nowMs();
      const deadlineMs = now + this.#timeoutMs;
      this.#ask({ reads, bytes, deadlineMs, index: undefined, askedMs: now });
    }
  }

  /** Number of reads that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  #ask(batch: Batch): void {
    const context = this.#nextContext++;
    batch.askedMs = this.#clock.nowMs();
    if (this.#raft.readIndex(context) === undefined) this.#asked.set(context, batch);
    else this.#unasked.push(batch);
  }

  /** Tells who leads, at any time. What another one was asked before is asked again at once. */
  follow(leader: MemberId, term: Term): void {
    if (leader === this.#leader && term === this.#term) return;
    this.#leader = leader;
    this.#term = term;
    if (leader === 0n) return;
    const asked = [...this.#asked.values(), ...this.#unasked];
    this.#asked.clear();
    this.#unasked = [];
    for (const batch of asked) this.#ask(batch);
  }

  /** Raft confirmed `state.context`. */
  confirmed(state: ReadState): void {
    const batch = this.#asked.get(state.context);
    if (batch === undefined) {
      this.#counts.slowReadIndexes += 1; // it was asked again, or gave up
      return;
    }
    this.#asked.delete(state.context);
    if (state.index <= this.#appliedIndex) {
      this.#runAll(batch, undefined);
      return;
    }
    batch.index = state.index;
    this.#confirmed.push(batch);
  }

  /** Entries up to `index` have been applied. */
  applied(index: LogIndex): void {
    assert(index >= this.#appliedIndex, 'what was applied stays applied');
    this.#appliedIndex = index;
    if (this.#confirmed.length === 0) return;
    const ready = this.#confirmed.filter((batch) => (batch.index ?? 0) <= index);
    if (ready.length === 0) return;
    this.#confirmed = this.#confirmed.filter((batch) => (batch.index ?? 0) > index);
    for (const batch of ready) this.#runAll(batch, undefined);
  }

  /** Once a tick: ends reads that waited too long, and asks again for those without an answer. */
  expire(reason: ErrorReason): void {
    const now = this.#clock.nowMs();
    const unasked = this.#unasked;
    this.#unasked = [];
    for (const batch of unasked) {
      if (batch.deadlineMs <= now) {
        this.#counts.readIndexesFailed += 1;
        this.#runAll(batch, new EtcdError(reason));
      } else this.#ask(batch);
    }
    for (const [context, batch] of this.#asked) {
      if (batch.deadlineMs <= now) {
        this.#asked.delete(context);
        this.#counts.slowReadIndexes += 1;
        this.#runAll(batch, new EtcdError(reason));
      } else if (now - batch.askedMs >= retryMs) {
        this.#asked.delete(context);
        this.#ask(batch);
      }
    }
    if (this.#confirmed.some((batch) => batch.deadlineMs <= now)) {
      const late = this.#confirmed.filter((batch) => batch.deadlineMs <= now);
      this.#confirmed = this.#confirmed.filter((batch) => batch.deadlineMs > now);
      for (const batch of late) this.#runAll(batch, new EtcdError('TIMEOUT_APPLY'));
    }
  }

  /** The node stops. */
  failAll(reason: ErrorReason): void {
    const batches = [...this.#asked.values(), ...this.#confirmed, ...this.#unasked];
    const gathering = this.#gathering;
    this.#asked = new Map();
    this.#confirmed = [];
    this.#unasked = [];
    this.#gathering = [];
    this.#waiting -= gathering.length;
    this.#waitingBytes -= this.#gatheringBytes;
    this.#gatheringBytes = 0;
    for (const batch of batches) this.#runAll(batch, new EtcdError(reason));
    for (const read of gathering) read.run(read.context, new EtcdError(reason));
  }

  #runAll(batch: Batch, error: EtcdError | undefined): void {
    this.#waiting -= batch.reads.length;
    this.#waitingBytes -= batch.bytes;
    this.#counts.steps.confirmedMs = this.#clock.nowMs();
    for (const read of batch.reads) read.run(read.context, error);
  }
}
