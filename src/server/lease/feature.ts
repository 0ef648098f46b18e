/** Leases: granted, revoked and checkpointed by the log, renewed and expired by the leader. */

import { EtcdError, type LeaseId, type Slice, type Steps, type Term } from '../../common/index.js';
import {
  decodeLeaseCheckpoints,
  decodeLeaseGrantRequest,
  decodeLeaseRevokeRequest,
  encodeLeaseCheckpoints,
  encodeLeaseRevokeRequest,
  type LeaseCheckpoint,
  type LeaseGrantRequest,
  type LeaseRevokeRequest,
} from '../../proto/index.js';
import type { StoredMeta } from '../../storage/index.js';
import { memberCaller } from '../access/index.js';
import {
  anyUser,
  EntryKind,
  type EntryType,
  entryType,
  newEntry,
  onlyTheMember,
} from '../entry/index.js';
import type { Feature, Host } from '../feature/index.js';
import type { Metrics } from '../metrics/index.js';
import { headerAt } from '../rpc/index.js';
import { LeaseKeyRights } from './key-rights.js';
import { LeaderLessor } from './leader-lessor.js';
import { Lessor } from './lessor.js';
import { type LeaseGrantResult, leaseCostBytes, leaseService } from './proposals.js';
import { leaseMethods } from './rpc.js';

export interface LeaseFeature extends Feature {
  readonly lessor: Lessor;
  readonly keyRights: LeaseKeyRights;
}

export interface LeaseEntries {
  readonly grant: EntryType<LeaseGrantRequest, LeaseGrantResult>;
  readonly revoke: EntryType<LeaseRevokeRequest, true>;
  readonly checkpoint: EntryType<readonly LeaseCheckpoint[], true>;
}

export function leaseFeature(host: Host): LeaseFeature {
  const { clock, config, leadership: leader, metrics, raft, random } = host;
  const lessor: Lessor = new Lessor({
    clock,
    // Asked anew each time: an installed snapshot brings another present.
    keys: { keysOf: (id) => host.store.present.keysOf(id) },
    ttlSecondsMin: Math.ceil((1.5 * config.electionMs) / 1000),
    checkpoints: config.leaseCheckpoints,
    proposeRevoke(id: LeaseId, term: Term) {
      const data = newEntry(
        EntryKind.leaseRevoke,
        encodeLeaseRevokeRequest({ id }),
        memberCaller(host.access),
      );
      host.propose(entries.revoke, data, { id }, countExpired, metrics, term);
    },
    proposeCheckpoints(checkpoints, term) {
      const data = newEntry(EntryKind.leaseCheckpoint, encodeLeaseCheckpoints(checkpoints));
      host.propose(entries.checkpoint, data, checkpoints, ignoreOutcome, undefined, term);
    },
  });
  const keyRights = keyRightsOf(host);
  const entries = leaseEntries(lessor, keyRights, metrics);
  const { propose, read, readBarrier } = host;
  const leaderLessor = new LeaderLessor({
    ...{ clock, raft, lessor, read, readBarrier },
    questions: host.leaderQuestions,
    timeoutMs: host.requestTimeoutMs,
  });
  const service = leaseService({
    ...{ lessor, leaderLessor, leader, clock, random, propose, entries, keyRights },
    access: host.access,
    header: () => headerAt(host, host.store.revision),
  });
  return {
    name: 'lease',
    lessor,
    keyRights,
    entries: Object.values(entries),
    methods: leaseMethods(service),
    questions: [
      ['leaseRenew', (body) => leaderLessor.answerRenew(body)],
      ['leaseTimeToLive', (body) => leaderLessor.answerTimeToLive(body)],
    ],
    gauges() {
      const { granted, revoked, renewed } = lessor.counters;
      metrics.leasesGranted = granted;
      metrics.leasesRevoked = revoked;
      metrics.leasesRenewed = renewed;
      return {};
    },
    restore: (stored, slice) => restoreSteps(lessor, keyRights, stored, slice),
    lead: (term) => lessor.promote(term, config.electionMs),
    follow: () => lessor.demote(),
    close: () => lessor.demote(),
  };
}

function* restoreSteps(
  lessor: Lessor,
  keyRights: LeaseKeyRights,
  stored: StoredMeta,
  slice: Slice,
): Steps<() => void> {
  const take = yield* lessor.restore(stored, slice);
  return () => {
    take();
    keyRights.restore();
  };
}

function keyRightsOf(host: Host): LeaseKeyRights {
  return new LeaseKeyRights({
    permissions: host.access,
    clock: host.clock,
    // Of the present store, as above.
    keys: {
      keysOf: (id) => host.store.present.keysOf(id),
      lease: (key) => host.store.present.lease(key),
    },
  });
}

function leaseEntries(lessor: Lessor, keyRights: LeaseKeyRights, metrics: Metrics): LeaseEntries {
  return {
    grant: entryType<LeaseGrantRequest, LeaseGrantResult>({
      kind: EntryKind.leaseGrant,
      operation: 'LeaseGrant',
      decode: decodeLeaseGrantRequest,
      costBytes: () => leaseCostBytes,
      refusedWhenCorrupt: true,
      allows: anyUser,
      apply(txn, { id, ttlSeconds: asked }) {
        const ttlSeconds = lessor.applyGrant(txn, id, asked);
        metrics.leaseTtlSeconds.observe(ttlSeconds);
        return { id, ttlSeconds };
      },
    }),
    revoke: entryType<LeaseRevokeRequest, true>({
      kind: EntryKind.leaseRevoke,
      operation: 'LeaseRevoke',
      decode: decodeLeaseRevokeRequest,
      refusedWhenCorrupt: true,
      isUrgent: true,
      allows: anyUser,
      // A lease may have any number of keys.
      planAtOnce: () => undefined,
      *plan({ id }, slice, caller) {
        if (caller !== undefined && !caller.isMember) {
          const refusal = yield* keyRights.writeRefusal(caller, id, slice);
          if (refusal !== undefined) throw new EtcdError(refusal);
        }
        lessor.checkRevoke(id);
      },
      *applySteps(txn, { id }, _plan, _wantAnswer, slice) {
        yield* lessor.applyRevoke(txn, id, slice);
        keyRights.forget(id);
        return true as const;
      },
    }),
    checkpoint: entryType<readonly LeaseCheckpoint[], true>({
      kind: EntryKind.leaseCheckpoint,
      operation: 'LeaseCheckpoint',
      decode: decodeLeaseCheckpoints,
      refusedWhenCorrupt: false,
      allows: onlyTheMember,
      apply(txn, checkpoints) {
        lessor.applyCheckpoints(txn, checkpoints);
        return true as const;
      },
    }),
  };
}

/** The lessor tries again by itself if it failed. */
function countExpired(metrics: Metrics, _request: unknown, error: Error | undefined): void {
  if (error === undefined) metrics.leasesExpired++;
}

/** The lessor tries again by itself. */
function ignoreOutcome(): void {}
