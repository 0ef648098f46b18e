/** Grants and revokes of clients, as proposals: with them the Lease service is complete. */

import { type LeaseId, leaseOverheadBytes } from '../../common/index.js';
import {
  encodeLeaseGrantRequest,
  encodeLeaseRevokeRequest,
  type LeaseGrantRequest,
  type LeaseRevokeRequest,
} from '../../proto/index.js';
import { EntryKind, type EntryType, newEntry } from '../entry/index.js';
import type { Host } from '../feature/index.js';
import type { LeaseService } from './rpc.js';

/** Bytes that a lease costs; see EntrySpec. */
export const leaseCostBytes = leaseOverheadBytes;

/** What granting yields. */
export interface LeaseGrantResult {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
}

export interface LeaseServiceOptions extends Omit<LeaseService, 'grant' | 'revoke'> {
  readonly propose: Host['propose'];
  readonly entries: {
    readonly grant: EntryType<LeaseGrantRequest, LeaseGrantResult>;
    readonly revoke: EntryType<LeaseRevokeRequest, true>;
  };
}

/** What the Lease service stands on, in a member. */
export function leaseService(options: LeaseServiceOptions): LeaseService {
  const { propose, entries } = options;
  return {
    ...options,
    grant(request, call, done) {
      const entry = newEntry(EntryKind.leaseGrant, encodeLeaseGrantRequest(request), call.caller);
      propose(entries.grant, entry, request, finishGrant, done);
    },
    revoke(request, call, done) {
      const entry = newEntry(EntryKind.leaseRevoke, encodeLeaseRevokeRequest(request), call.caller);
      propose(entries.revoke, entry, request, finishRevoke, done);
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
