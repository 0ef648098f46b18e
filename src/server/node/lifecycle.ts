/**
 * What a node does beside its loop when it starts and when it stops: it brings its state up to what
 * it knows to be committed, gets a new cluster going, tells the others who it is, and hands over.
 */

import {
  type Clock,
  EtcdError,
  idToHex,
  type LogIndex,
  type MemberId,
} from '../../common/index.js';
import type { Raft } from '../../raft/index.js';
import { EntryKind } from '../feature/entry.js';
import { encodeAttributes } from '../membership/membership.js';
import type { ServerConfig } from '../options/config.js';
import type { Node } from './node.js';

/** How often a start looks whether it has applied what it must. */
const appliedLookMs = 1;
/** How often a founder looks whether it is connected to enough of the others. */
const connectedLookMs = 5;
/** Before it is tried again: what is refused at once must not be tried again at once for ever. */
const publishPauseMs = 50;
/** How often a leader that stops looks whether another one leads. */
const handOverLookMs = 5;

/**
 * Without ticks, so without elections, and before anybody is spoken to. Rejects when the loop is
 * stopped meanwhile, or with the reason of the signal.
 */
export async function applyUpTo(
  { loop, ports, admission }: Pick<Node, 'loop' | 'ports' | 'admission'>,
  commit: LogIndex,
  signal?: AbortSignal,
): Promise<void> {
  loop.schedule();
  while (loop.appliedIndex < commit) {
    signal?.throwIfAborted();
    // What failed was reported; nothing will be applied any more.
    if (loop.isStopped) throw new EtcdError('STOPPED');
    await new Promise<void>((resolve) => ports.clock.after(appliedLookMs, resolve));
  }
  admission.forgetLeaving();
}

/** A founder campaigns again after so many heartbeats without a leader. */
const foundingHeartbeats = 5;

/**
 * One of the founders begins, so that a new cluster need not wait for an election timeout, and
 * begins again until somebody leads: links that were just made may lose a vote.
 */
export function campaignWhenConnected(
  node: Pick<Node, 'loop' | 'ports' | 'raft'> & {
    readonly config: Pick<ServerConfig, 'heartbeatMs'>;
  },
  voters: readonly MemberId[],
): void {
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

/** Resolves with `work`, or when `delayMs` are over. Rejects as `work` does. */
export function untilOrAfter(work: Promise<void>, clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(delayMs, resolve);
    work.finally(() => timer.cancel()).then(resolve, reject);
  });
}

/** Tells the cluster this member's name and client URLs; resolves when that is in the log. */
export async function publishSelf(
  node: Pick<
    Node,
    | 'config'
    | 'incarnation'
    | 'loop'
    | 'memberId'
    | 'membership'
    | 'metrics'
    | 'ports'
    | 'proposeOwn'
    | 'reads'
  >,
): Promise<void> {
  const { config, incarnation, loop, memberId, membership, metrics, ports, reads } = node;
  const { name, advertiseClientUrls: clientUrls } = config;
  const isKnown = (): boolean => {
    const member = membership.get(memberId);
    return (
      member?.name === name &&
      member.clientUrls.join() === clientUrls.join() &&
      member.incarnation === incarnation
    );
  };
  const known = isKnown();
  const attributes = { id: memberId, name, clientUrls, incarnation };
  let told = (): void => {};
  // One that joins may find its entry in the snapshot that it gets, and never apply it.
  membership.onChange(() => {
    if (isKnown()) told();
  });
  for (;;) {
    const error = await new Promise<Error | undefined>((resolve) => {
      // Known is not enough: what came after it in the log has to be applied as well.
      const confirm = (): void => {
        reads.add((_context, wrong) => resolve(wrong), undefined);
        loop.schedule();
      };
      told = confirm;
      if (known) confirm();
      else {
        const body = encodeAttributes(attributes);
        const startMs = ports.clock.nowMs();
        node.proposeOwn(EntryKind.memberAttributes, body, attributes, (wrong) => {
          metrics.requestDuration
            .of('ClusterMemberAttrSet', String(wrong === undefined))
            .observe((ports.clock.nowMs() - startMs) / 1000);
          resolve(wrong);
        });
      }
      loop.schedule();
    });
    // What changes from now on is no answer to this any more.
    told = () => {};
    if (error === undefined) return;
    if (error instanceof EtcdError && error.reason === 'STOPPED') throw error;
    ports.logger.warn('could not publish this member yet, trying again', {
      error: error.message,
    });
    await new Promise<void>((resolve) => ports.clock.after(publishPauseMs, resolve));
  }
}

/**
 * A leader that stops in an orderly way lets another one lead first: nobody then has to wait for
 * an election timeout to notice. It is only a courtesy, and may fail.
 */
export async function handOver({
  config,
  loop,
  memberId,
  ports,
  raft,
}: Pick<Node, 'config' | 'loop' | 'memberId' | 'ports' | 'raft'>): Promise<void> {
  const { clock, logger } = ports;
  const target = mostUpToDate(raft);
  if (raft.leader !== memberId || target === undefined) return;
  logger.info('handing leadership over before stopping', { to: idToHex(target) });
  raft.transferLeadership(target);
  loop.schedule();
  const untilMs = clock.nowMs() + config.electionMs;
  while (raft.leader === memberId && clock.nowMs() < untilMs) {
    await new Promise<void>((resolve) => clock.after(handOverLookMs, resolve));
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
