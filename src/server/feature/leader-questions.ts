/**
 * Questions that only the leader can answer, and work that only it can do: here if this member
 * leads, else by asking the one that does; while there is none, or it turns out not to lead any
 * more, a moment later again.
 *
 * "Not leader" says that nothing has happened. After any other failure the question may have been
 * acted on: it is only asked again if that does no harm.
 */

import {
  assert,
  type Clock,
  type ErrorReason,
  EtcdError,
  type MemberId,
  sleep,
} from '../../common/index.js';
import type { PeerMethod, PeerTransport } from '../peers/index.js';

export interface LeaderQuestionsOptions {
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

/** One question to the leader. */
export interface LeaderQuestion<T> {
  readonly method: PeerMethod;
  /** Looked at anew for each attempt. */
  readonly body: Uint8Array;
  /** Answers it on this member; rejects with NOT_LEADER if that can't be. */
  readonly here: () => Promise<T>;
  readonly decode: (answer: Uint8Array) => T;
  /** Asking twice is the same as once. */
  readonly repeatable: boolean;
  /** The error if there was no leader until the end. */
  readonly withoutLeader: ErrorReason;
}

export interface LeaderAnswer<T> {
  readonly result: T;
  /** It was answered on this member. */
  readonly isOwn: boolean;
}

/** Pause before the next attempt, as etcd. */
export const leaderRetryMs = 50;

/** Asks whoever leads. */
export class LeaderQuestions {
  readonly #o: LeaderQuestionsOptions;

  constructor(options: LeaderQuestionsOptions) {
    assert(options.attemptMs > 0, 'an attempt has time to be answered');
    this.#o = options;
  }

  /** This member leads, as far as it knows. */
  get leadsHere(): boolean {
    return this.#o.leader() === this.#o.self;
  }

  /** There is another member that leads, and a way to ask it. */
  get leadsElsewhere(): boolean {
    const leader = this.#o.leader();
    return leader !== 0n && leader !== this.#o.self && this.#o.peers !== undefined;
  }

  /** The answer. Rejects with an EtcdError, or with what `here` fails with by a bug. */
  async ask<T>(question: LeaderQuestion<T>): Promise<LeaderAnswer<T>> {
    const { clock, timeoutMs, leader } = this.#o;
    const deadlineMs = clock.nowMs() + timeoutMs;
    for (;;) {
      const answer =
        (await this.#askHere(question)) ?? (await this.#askThere(question, deadlineMs));
      if (answer !== undefined) return answer;
      if (clock.nowMs() + leaderRetryMs >= deadlineMs) {
        throw new EtcdError(leader() === 0n ? question.withoutLeader : 'TIMEOUT');
      }
      await sleep(clock, leaderRetryMs);
    }
  }

  /** Asks the other member that leads, once; rejects with NOT_LEADER, or as `PeerTransport.call`. */
  attempt(method: PeerMethod, body: Uint8Array, withinMs = this.#o.attemptMs): Promise<Buffer> {
    const { leader, peers } = this.#o;
    if (!this.leadsElsewhere || peers === undefined)
      return Promise.reject(new EtcdError('NOT_LEADER'));
    return peers.call(leader(), method, body, withinMs);
  }

  /** Undefined: this member does not lead. */
  async #askHere<T>(question: LeaderQuestion<T>): Promise<LeaderAnswer<T> | undefined> {
    if (!this.leadsHere) return undefined;
    try {
      return { result: await question.here(), isOwn: true };
    } catch (error) {
      if (isNotLeader(error)) return undefined;
      throw error;
    }
  }

  /** Undefined: there is nobody to ask, or one that may be asked again. */
  async #askThere<T>(
    question: LeaderQuestion<T>,
    deadlineMs: number,
  ): Promise<LeaderAnswer<T> | undefined> {
    if (!this.leadsElsewhere) return undefined;
    const { clock, attemptMs } = this.#o;
    const { method, body, repeatable } = question;
    const leftMs = deadlineMs - clock.nowMs();
    if (leftMs <= 0) return undefined;
    try {
      const answer = await this.attempt(
        method,
        body,
        repeatable ? Math.min(leftMs, attemptMs) : leftMs,
      );
      return { result: question.decode(answer), isOwn: false };
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
