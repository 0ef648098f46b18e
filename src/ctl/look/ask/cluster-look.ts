/** What was seen of a cluster at one moment: the facts that status, top and diagnose are made of. */

import type { ShownCertificate } from '../../../client/raw/index.js';
import type { MessageOf, statusResponse } from '../../../proto/index.js';
import type { Metrics } from './metrics-text.js';

/** Maintenance.Status of a member. */
export type MemberStatus = MessageOf<typeof statusResponse>;

/** Its wall clock against ours. */
export interface ClockOffset {
  /** Positive: it is ahead. */
  readonly offsetMs: number;
  /** The truth is at most so far from that: HTTP tells whole seconds. */
  readonly uncertaintyMs: number;
}

/** One member, and what it answered. */
export interface MemberLook {
  /** Undefined: nobody told who is at that endpoint. */
  readonly id: bigint | undefined;
  /** '' before it has started for the first time, or if nobody told. */
  readonly name: string;
  readonly isLearner: boolean;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  /** Where it was asked; '' if it told nobody where it serves. */
  readonly endpoint: string;
  /** Undefined: it did not answer, and `error` says why. */
  readonly status: MemberStatus | undefined;
  readonly error: string | undefined;
  /** Undefined: they could not be had, and `metricsError` says why. */
  readonly metrics: Metrics | undefined;
  readonly metricsText: string;
  readonly metricsError: string | undefined;
  readonly certificate: ShownCertificate | undefined;
  readonly clock: ClockOffset | undefined;
}

/** A raised alarm. */
export interface AlarmLook {
  readonly memberId: bigint;
  /** `NOSPACE` */
  readonly type: string;
}

/** All of it. */
export interface ClusterLook {
  /** On our wall clock. */
  readonly takenMs: number;
  readonly clusterId: bigint | undefined;
  readonly members: readonly MemberLook[];
  /** Undefined: nobody told. */
  readonly alarms: readonly AlarmLook[] | undefined;
  /** Undefined: nobody told. */
  readonly authEnabled: boolean | undefined;
  /** Why the list of members could not be had; then `members` are the endpoints given. */
  readonly listError: string | undefined;
}

/** The id of the leader that the members with the highest term name; undefined: they know none. */
export function leaderOf({ members }: ClusterLook): bigint | undefined {
  let best: MemberStatus | undefined;
  for (const { status } of members) {
    if (status === undefined || status.leader === 0n) continue;
    if (best === undefined || status.raftTerm > best.raftTerm) best = status;
  }
  return best?.leader;
}

/** Who votes, and how many of them answer. */
export function quorumOf({ members }: ClusterLook): {
  readonly voters: number;
  readonly answering: number;
  /** So many have to be there. */
  readonly needed: number;
} {
  const voters = members.filter(({ isLearner }) => !isLearner);
  const answering = voters.filter(({ status }) => status !== undefined).length;
  return { voters: voters.length, answering, needed: Math.floor(voters.length / 2) + 1 };
}

/** How many entries of the log a member has less than the leader; undefined: not known. */
export function lagOf(look: ClusterLook, member: MemberLook): number | undefined {
  const leader = look.members.find(({ id }) => id !== undefined && id === leaderOf(look));
  if (leader?.status === undefined || member.status === undefined) return undefined;
  return Math.max(0, leader.status.raftIndex - member.status.raftIndex);
}

/** Everything answers, somebody leads, and nothing raised an alarm. */
export function isHealthy(look: ClusterLook): boolean {
  return (
    look.listError === undefined &&
    leaderOf(look) !== undefined &&
    (look.alarms ?? []).length === 0 &&
    look.members.every(({ status }) => status !== undefined && status.errors.length === 0)
  );
}
