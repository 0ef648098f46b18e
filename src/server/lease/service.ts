/**
 * The Lease service's connection to the node: grants and revokes are proposals; renewals and
 * remaining times are asked of the leader, see lease/leader.ts and lease/renewals.ts.
 */

import { type LeaseId, leaseOverheadBytes, runSteps } from '../../common/index.js';
import {
  encodeLeaseGrantRequest,
  encodeLeaseRevokeRequest,
  type LeaseGrantRequest,
  type LeaseRevokeRequest,
} from '../../proto/index.js';
import { EntryKind, type EntryType, newEntry } from '../entry/index.js';
import type { Host } from '../feature/index.js';
import { headerAt } from '../rpc/index.js';
import type { LeaseLeader } from './leader.js';
import type { LeaseInfo, Lessor } from './lessor.js';
import { decodeTimeToLiveAnswer, encodeTimeToLiveRequest } from './question.js';
import { LeaseRenewals } from './renewals.js';
import type { LeaseService } from './rpc.js';

/** Bytes that a lease costs; see EntrySpec. */
export const leaseCostBytes = leaseOverheadBytes;

/** What granting yields. */
export interface LeaseGrantResult {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
}

/** The part of the feature that the Lease service stands on. */
export interface LeaseParts {
  readonly lessor: Lessor;
  readonly leaseLeader: LeaseLeader;
  readonly entries: {
    readonly grant: EntryType<LeaseGrantRequest, LeaseGrantResult>;
    readonly revoke: EntryType<LeaseRevokeRequest, true>;
  };
}

export function leaseService(host: Host, parts: LeaseParts): LeaseService {
  const { lessor, leaseLeader, entries } = parts;
  const { clock, leaderCalls, leadership, random } = host;
  const renewals = new LeaseRenewals({
    self: host.memberId,
    clock,
    leader: () => leadership.leader,
    peers: host.peers,
    leaseLeader,
    timeoutMs: host.requestTimeoutMs,
    attemptMs: host.attemptMs,
  });
  return {
    lessor,
    leader: leadership,
    clock,
    random,
    header: () => headerAt(host, host.store.revision),
    grant(request, _call, done) {
      const entry = newEntry(EntryKind.leaseGrant, encodeLeaseGrantRequest(request));
      host.propose(entries.grant, entry, request, finishGrant, done);
    },
    revoke(request, _call, done) {
      const entry = newEntry(EntryKind.leaseRevoke, encodeLeaseRevokeRequest(request));
      host.propose(entries.revoke, entry, request, finishRevoke, done);
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
        if (!isOwn) await host.readBarrier();
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
