/**
 * The Lease service's connection to the node: grants and revokes are proposals; renewals and
 * remaining times are asked of the leader, see lease/leader.ts and lease/renewals.ts.
 */

import { type Clock, EtcdError, type MemberId, type Random, runSteps } from '../../common/index.js';
import {
  encodeLeaseGrantRequest,
  encodeLeaseRevokeRequest,
  type LeaseGrantRequest,
  type LeaseRevokeRequest,
} from '../../proto/index.js';
import { EntryKind, newEntry } from '../feature/entry.js';
import type { LeaderCalls } from '../feature/leader-questions.js';
import { leaseCostBytes } from '../kv/cost.js';
import type { LeaseGrantResult } from '../node/apply.js';
import type { LeaderWatch } from '../node/leadership.js';
import type { NodeLoop } from '../node/loop.js';
import type { PeerTransport } from '../peers/types.js';
import { headerAt, linearizableRead, type RpcContext } from '../rpc/context.js';
import type { LeaseLeader } from './leader.js';
import type { LeaseInfo, Lessor } from './lessor.js';
import { decodeTimeToLiveAnswer, encodeTimeToLiveRequest } from './question.js';
import { LeaseRenewals } from './renewals.js';
import type { LeaseService } from './rpc.js';

/** The part of a member that the Lease service stands on. */
export interface LeaseNode {
  readonly memberId: MemberId;
  readonly ports: { readonly clock: Clock; readonly random: Random };
  readonly peers: Pick<PeerTransport, 'call'> | undefined;
  readonly lessor: Lessor;
  readonly leaderWatch: LeaderWatch;
  readonly loop: Pick<NodeLoop, 'propose'>;
  readonly leaseLeader: LeaseLeader;
  readonly leaderCalls: LeaderCalls;
  /** Request timeout, and that of one question to the leader. */
  readonly requestTimeoutMs: number;
  readonly attemptMs: number;
}

export function leaseService(rpc: RpcContext, node: LeaseNode): LeaseService {
  const { lessor, leaderWatch, loop, ports, leaseLeader, leaderCalls } = node;
  const renewals = new LeaseRenewals({
    self: node.memberId,
    clock: ports.clock,
    leader: () => leaderWatch.leader,
    peers: node.peers,
    leaseLeader,
    timeoutMs: node.requestTimeoutMs,
    attemptMs: node.attemptMs,
  });
  return {
    lessor,
    leader: leaderWatch,
    clock: ports.clock,
    random: ports.random,
    header: () => headerAt(rpc, rpc.store.revision),
    grant(request, _call, done) {
      const noSpace = rpc.spaceFor(leaseCostBytes);
      if (noSpace !== undefined) return done(new EtcdError(noSpace), 0);
      const entry = newEntry(EntryKind.leaseGrant, encodeLeaseGrantRequest(request));
      loop.propose(entry, request, finishGrant, done);
    },
    revoke(request, _call, done) {
      const entry = newEntry(EntryKind.leaseRevoke, encodeLeaseRevokeRequest(request));
      loop.propose(entry, request, finishRevoke, done);
    },
    renew(id, waiter) {
      renewals.renew(id, waiter);
    },
    timeToLive(request, _call, done) {
      const { id, keys } = request;
      const answer = leaderCalls.run({
        method: 'leaseTimeToLive',
        // The keys are known here as well; there may be more of them than a message holds.
        body: encodeTimeToLiveRequest({ id, keys: false }),
        here: () => leaseLeader.timeToLive(id, false),
        decode: decodeTimeToLiveAnswer,
        repeatable: true,
        withoutLeader: 'NO_LEADER',
      });
      const answerWithKeys = async (): Promise<LeaseInfo | undefined> => {
        const { result, isOwn } = await answer;
        if (!keys || result === undefined) return result;
        // The leader has read when all was applied there that was committed; now it must be here.
        if (!isOwn) await readBarrier(rpc);
        const found = await runSteps(lessor.keysOf(id));
        return found === undefined ? undefined : { ...result, keys: found };
      };
      answerWithKeys().then(
        (info) => done(undefined, info),
        (error: Error) => done(error, undefined),
      );
    },
  };
}

/** Resolves once a linearizable read may happen here. */
function readBarrier(rpc: RpcContext): Promise<void> {
  return new Promise((resolve, reject) => {
    const ready = (_context: undefined, error: EtcdError | undefined): void => {
      if (error === undefined) resolve();
      else reject(error);
    };
    linearizableRead(rpc, ready, undefined, 0);
  });
}

function finishGrant(
  done: (error: Error | undefined, ttlSeconds: number) => void,
  _request: LeaseGrantRequest,
  error: Error | undefined,
  result: LeaseGrantResult | undefined,
): void {
  done(error, result?.ttlSeconds ?? 0);
}

function finishRevoke(
  done: (error: Error | undefined) => void,
  _request: LeaseRevokeRequest,
  error: Error | undefined,
): void {
  done(error);
}
