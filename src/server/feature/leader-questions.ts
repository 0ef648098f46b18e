/**
 * Work that only the leader can do: here if this member leads, else by asking the one that does;
 * while there is none, or it turns out not to lead any more, a moment later again.
 *
 * "Not leader" says that nothing has happened. After any other failure the question may have been
 * acted on: it is only asked again if that does no harm.
 */

import { type Clock, type ErrorReason, EtcdError, type MemberId } from '../../common/index.js';
import type { PeerMethod, PeerTransport } from '../peers/index.js';

export interface LeaderCallsOptions {
  readonly self: MemberId;
  readonly clock: Clock;
  /** Who leads now; 0n: nobody. */
  readonly leader: () => MemberId;
  /** Undefined: this member is alone. */
  readonly peers: Pick<PeerTransport, 'call'> | undefined;
  /** For the whole. */
  readonly timeoutMs: number;
  /** For one attempt of what may be repeated: the one that was asked may be frozen. */
  readonly attemptMs: number;
}

/** One piece of work for the leader. */
export interface LeaderWork<T> {
  readonly method: PeerMethod;
  /** Looked at anew for each attempt. */
  readonly body: Uint8Array;
  /** Does it, on this member; rejects with NOT_LEADER if that can't be. */
  readonly here: () => Promise<T>;
  readonly decode: (answer: Uint8Array) => T;
  /** Doing it twice is the same as once. */
  readonly repeatable: boolean;
  /** The error if there was no leader until the end. */
  readonly withoutLeader: ErrorReason;
}

export interface LeaderAnswer<T> {
  readonly result: T;
  /** It was done on this member. */
  readonly isOwn: boolean;
}

/** Pause before the next attempt, as etcd. */
export const leaderRetryMs = 50;

export class LeaderCalls {
  readonly #o: LeaderCallsOptions;

  constructor(options: LeaderCallsOptions) {
    this.#o = options;
  }

  /** Rejects with an EtcdError, or with what `here` fails with by a bug. */
  async run<T>(work: LeaderWork<T>): Promise<LeaderAnswer<T>> {
    const { clock, timeoutMs, leader } = this.#o;
    const deadlineMs = clock.nowMs() + timeoutMs;
    for (;;) {
      const answer = (await this.#here(work)) ?? (await this.#ask(work, deadlineMs));
      if (answer !== undefined) return answer;
      if (clock.nowMs() + leaderRetryMs >= deadlineMs) {
        throw new EtcdError(leader() === 0n ? work.withoutLeader : 'TIMEOUT');
      }
      await new Promise<void>((resolve) => clock.after(leaderRetryMs, resolve));
    }
  }

  /** Undefined: this member does not lead. */
  async #here<T>(work: LeaderWork<T>): Promise<LeaderAnswer<T> | undefined> {
    const { self, leader } = this.#o;
    if (leader() !== self) return undefined;
    try {
      return { result: await work.here(), isOwn: true };
    } catch (error) {
      if (isNotLeader(error)) return undefined;
      throw error;
    }
  }

  /** Undefined: there is nobody to ask, or one that may be asked again. */
  async #ask<T>(work: LeaderWork<T>, deadlineMs: number): Promise<LeaderAnswer<T> | undefined> {
    const { self, clock, leader: leaderNow, peers, attemptMs } = this.#o;
    const leader = leaderNow();
    if (leader === self || leader === 0n || peers === undefined) return undefined;
    const { method, body, repeatable } = work;
    const leftMs = deadlineMs - clock.nowMs();
    if (leftMs <= 0) return undefined;
    try {
      const timeoutMs = repeatable ? Math.min(leftMs, attemptMs) : leftMs;
      const answer = await peers.call(leader, method, body, timeoutMs);
      return { result: work.decode(answer), isOwn: false };
    } catch (error) {
      if (isNotLeader(error) || (repeatable && isAboutTheLink(error))) return undefined;
      // Of what failed on the way a client can only be told that nobody knows what became of it.
      throw error instanceof EtcdError ? error : new EtcdError('TIMEOUT', { cause: error });
    }
  }
}

/** Nothing has happened: there is another leader, or none. */
export function isNotLeader(error: unknown): boolean {
  return error instanceof EtcdError && error.reason === 'NOT_LEADER';
}

/** The question to another member, or its answer, got lost; or that member stops. */
export function isAboutTheLink(error: unknown): boolean {
  // What is none of etcd's errors came from the link: nobody there, or nobody who answers.
  if (!(error instanceof EtcdError)) return true;
  return error.reason === 'TIMEOUT' || error.reason === 'STOPPED';
}
