/**
 * The Lease service's connection to the node. Renewals and remaining times are asked of the lessor
 * only after a confirmed read: so this member still leads, and has applied every grant and revoke
 * that was answered before (reliability.md rows 16 to 18).
 */

import { EtcdError } from '../common/index.js';
import {
  encodeLeaseGrantRequest,
  encodeLeaseRevokeRequest,
  type LeaseGrantRequest,
  type LeaseRevokeRequest,
} from '../proto/index.js';
import type { LeaseGrantResult } from './apply.js';
import { EntryKind, newEntry } from './entry.js';
import type { Node } from './node.js';
import { leaseCostBytes } from './quota.js';
import { headerAt, linearizableRead, type RpcContext } from './rpc-context.js';
import type { LeaseService } from './rpc-lease.js';

export function leaseService(rpc: RpcContext, node: Node): LeaseService {
  const { lessor, leaderWatch, loop, ports } = node;
  return {
    lessor,
    leader: leaderWatch,
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
      linearizableRead(
        rpc,
        (_context, error) => {
          if (error !== undefined) waiter.renewed(error, 0);
          else lessor.renew(id, waiter);
        },
        undefined,
      );
    },
    timeToLive(request, _call, done) {
      linearizableRead(
        rpc,
        (_context, error) => {
          // Having been deposed since the read began is the caller's business, not the loop's.
          if (error !== undefined) done(error, undefined);
          else if (!lessor.isPrimary) done(new EtcdError('NOT_LEADER'), undefined);
          else done(undefined, lessor.timeToLive(request.id, request.keys));
        },
        undefined,
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
