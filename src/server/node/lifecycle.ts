/**
 * What a node does beside its loop when it starts and when it stops: it brings its state up to what
 * it knows to be committed, gets a new cluster going, and hands over.
 */

import {
  assert,
  type Clock,
  EtcdError,
  idToHex,
  type Logger,
  type LogIndex,
  type MemberId,
  sleep,
} from '../../common/index.js';
import type { Raft } from '../../raft/index.js';
import type { PeerAdmission } from '../membership/index.js';
import type { ServerConfig } from '../options/index.js';
import type { PeerTransport } from '../peers/index.js';
import type { NodeLoop } from './loop.js';

/** How often a start looks whether it has applied what it must. */
const appliedLookMs = 1;
/** How often a founder looks whether it is connected to enough of the others. */
const connectedLookMs = 5;
/** How often a leader that stops looks whether another one leads. */
const handOverLookMs = 5;

export interface CatchingUp {
  readonly loop: Pick<NodeLoop, 'appliedIndex' | 'isStopped' | 'schedule'>;
  readonly clock: Clock;
  readonly admission: Pick<PeerAdmission, 'forgetLeaving'>;
}

/**
 * Without ticks, so without elections, and before anybody is spoken to. Rejects when the loop is
 * stopped meanwhile, or with the reason of the signal.
 */
export async function applyUpTo(
  { loop, clock, admission }: CatchingUp,
  commit: LogIndex,
  signal?: AbortSignal,
): Promise<void> {
  loop.schedule();
  while (loop.appliedIndex < commit) {
    signal?.throwIfAborted();
    // What failed was reported; nothing will be applied any more.
    if (loop.isStopped) throw new EtcdError('STOPPED');
    await sleep(clock, appliedLookMs);
  }
  admission.forgetLeaving();
}

/** A founder campaigns again after so many heartbeats without a leader. */
const foundingHeartbeats = 5;

export interface Founding {
  readonly loop: Pick<NodeLoop, 'isStopped' | 'schedule'>;
  readonly ports: {
    readonly clock: Clock;
    readonly peers?: Pick<PeerTransport, 'connectedSinceMs'> | undefined;
  };
  readonly raft: Pick<Raft, 'campaign' | 'leader' | 'term'>;
  readonly config: Pick<ServerConfig, 'heartbeatMs'>;
}

/**
 * One of the founders begins, so that a new cluster need not wait for an election timeout, and
 * begins again until somebody leads: links that were just made may lose a vote.
 */
export function campaignWhenConnected(node: Founding, voters: readonly MemberId[]): void {
  const { config, loop, ports, raft } = node;
  const isConnected = (id: MemberId) => ports.peers?.connectedSinceMs(id) !== undefined;
  const connected = voters.filter(isConnected).length;
  if (loop.isStopped || raft.leader !== 0n || raft.term > 1) return;
  if (connected + 1 <= voters.length / 2) {
    ports.clock.after(connectedLookMs, () => campaignWhenConnected(node, voters));
    return;
  }
  raft.campaign();
  loop.schedule();
  const againMs = foundingHeartbeats * config.heartbeatMs;
  ports.clock.after(againMs, () => campaignWhenConnected(node, voters));
}

/** So long a member that starts again waits for links before it gives up to be early. As etcd. */
const firstElectionWaitMs = 5000;
/** So many ticks of the first election timeout are left for a leader to be heard of. As etcd. */
const firstElectionTicksLeft = 2;

export interface FirstElection extends Omit<Founding, 'config' | 'raft'> {
  readonly raft: Pick<Raft, 'leader' | 'tick'>;
  readonly config: Pick<ServerConfig, 'electionMs' | 'heartbeatMs'>;
}

/**
 * --initial-election-tick-advance: a member that starts again has heard of no leader for as long as
 * it was away, so once a majority is connected and no leader among it, most of the first election
 * timeout counts as over.
 */
export function advanceFirstElection(node: FirstElection, voters: readonly MemberId[]): void {
  const { config, loop, ports, raft } = node;
  const { clock, peers } = ports;
  const untilMs = clock.nowMs() + firstElectionWaitMs;
  const look = (): void => {
    if (loop.isStopped || raft.leader !== 0n || clock.nowMs() > untilMs) return;
    const connected = voters.filter((id) => peers?.connectedSinceMs(id) !== undefined).length;
    if (connected + 1 <= voters.length / 2) {
      clock.after(connectedLookMs, look);
      return;
    }
    const ticks = Math.round(config.electionMs / config.heartbeatMs) - firstElectionTicksLeft;
    assert(ticks > 0, 'an election timeout is longer than what is left of it for a leader');
    for (let i = 0; i < ticks; i += 1) raft.tick();
    loop.schedule();
  };
  clock.after(connectedLookMs, look);
}

export interface HandingOver {
  readonly memberId: MemberId;
  readonly raft: Raft;
  readonly loop: Pick<NodeLoop, 'schedule'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly config: Pick<ServerConfig, 'electionMs'>;
}

/**
 * A leader that stops in an orderly way lets another one lead first: nobody then has to wait for
 * an election timeout to notice. It is only a courtesy, and may fail.
 */
export async function handOver({
  clock,
  config,
  logger,
  loop,
  memberId,
  raft,
}: HandingOver): Promise<void> {
  const target = mostUpToDate(raft);
  if (raft.leader !== memberId || target === undefined) return;
  logger.info('handing leadership over before stopping', { to: idToHex(target) });
  raft.transferLeadership(target);
  loop.schedule();
  const untilMs = clock.nowMs() + config.electionMs;
  while (raft.leader === memberId && clock.nowMs() < untilMs) {
    await sleep(clock, handOverLookMs);
  }
}

/** The voter that a leader can hand over to most quickly; undefined if there is none. */
function mostUpToDate(raft: Raft): MemberId | undefined {
  let best: { readonly member: MemberId; readonly matchIndex: LogIndex } | undefined;
  for (const follower of raft.progress()) {
    if (follower.learner || !follower.active || follower.mode === 'snapshot') continue;
    if (best === undefined || follower.matchIndex > best.matchIndex) best = follower;
  }
  return best?.member;
}
