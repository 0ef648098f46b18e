/**
 * Leases (contract section 3). Two halves in one state:
 *  - the replicated half, the same on every member, changed only by applying entries: which leases
 *    there are, their TTL, their checkpoints, and their keys;
 *  - the half of the primary (the leader): when each lease expires, by its own monotonic clock.
 *    It is not replicated; a new primary gives every lease its full (or checkpointed) time again,
 *    so a lease may live longer than its TTL, never shorter.
 *
 * Nothing here deletes a lease because time has passed: the primary proposes to revoke it, in its
 * term and in no other, and only the applied entry removes it (rows 16 and 17).
 */

import {
  assert,
  type Clock,
  EtcdError,
  type KeyString,
  type LeaseId,
  leaseCheckpointBatchMax,
  leaseCheckpointIntervalMs,
  leaseExpiriesPerSecondMax,
  leaseRevokeRetryMs,
  leaseRevokesPerScanMax,
  leaseScanLooksMax,
  leaseScanMs,
  leaseTtlSecondsMax,
  mvccSliceKeysMax,
  present,
  type Slice,
  type Steps,
  type Term,
  type Timer,
} from '../common/index.js';
import type { LeaseCheckpoint } from '../proto/index.js';
import { type MvccStore, type MvccWriteTxn, sortInSlices } from '../storage/index.js';
import { LeaseHeap } from './lease-heap.js';
import {
  decodeLeaseRecord,
  encodeLeaseRecord,
  leaseMetaName,
  leaseMetaPrefix,
} from './lease-record.js';

/** What the lessor is given. */
export interface LessorOptions {
  readonly clock: Clock;
  /** Shorter TTLs are raised to it: ceil(1.5 election timeouts), the same on every member. */
  readonly ttlSecondsMin: number;
  /**
   * Proposes to revoke an expired lease. It must go into the log of this member as leader of
   * `term`, or nowhere: forwarded to another leader it would kill a lease that one keeps alive.
   */
  readonly proposeRevoke: (id: LeaseId, term: Term) => void;
  /** Proposes checkpoints, under the same condition. */
  readonly proposeCheckpoints: (checkpoints: readonly LeaseCheckpoint[], term: Term) => void;
  /** etcd's LeaseCheckpoint feature gate: off by default. */
  readonly checkpoints: boolean;
}

/** Where entries write what is stored of a lease. */
export type LeaseTxn = Pick<MvccWriteTxn, 'setMeta'>;

/** Where a revocation also deletes keys. */
export type RevokeTxn = Pick<MvccWriteTxn, 'setMeta' | 'deleteRange'>;

/** Who asked for a renewal. An object and not a function: a keepalive then makes no closure. */
export interface RenewWaiter {
  /** Called once. TTL 0: the lease does not exist any more; an error: it is not known. */
  renewed(error: Error | undefined, ttlSeconds: number): void;
}

/** Answer to LeaseTimeToLive. */
export interface LeaseInfo {
  /** What is left, whole seconds. */
  readonly ttlSeconds: number;
  readonly grantedTtlSeconds: number;
  /** In key order; empty unless asked for. */
  readonly keys: readonly KeyString[];
}

interface Lease {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  /** Checkpoint; 0: none. */
  remainingTtlSeconds: number;
  keys: Set<KeyString> | undefined;
  /** Primary: when it expires; else Infinity. */
  expiryMs: number;
  wakeMs: number;
  heapIndex: number;
  /** When it was last proposed to take the checkpoint back; 0: not, or that is done. */
  clearingMs: number;
  /** Renewals that wait: for the revoke, or until the checkpoint is taken back. */
  waiters: RenewWaiter[] | undefined;
}

/** A place in the queue of leases to checkpoint. */
interface CheckpointTurn {
  readonly lease: Lease;
  readonly dueMs: number;
}

/** All leases of a member. */
export class Lessor {
  /** Totals for the metrics. */
  readonly counters = { granted: 0, revoked: 0, renewed: 0 };
  readonly #options: LessorOptions;
  readonly #clock: Clock;
  readonly #leases = new Map<LeaseId, Lease>();
  readonly #leaseOfKey = new Map<KeyString, Lease>();
  readonly #expiries = new LeaseHeap<Lease>();
  /** In order of time, for all wait for the same interval. */
  #checkpointQueue: CheckpointTurn[] = [];
  #checkpointNext = 0;
  /** Leases whose checkpoint is being taken back. */
  readonly #clearing = new Set<Lease>();
  /** Undefined: not the primary. */
  #term: Term | undefined;
  #extendMs = 0;
  #scanTimer: Timer | undefined;

  constructor(options: LessorOptions) {
    this.#options = options;
    this.#clock = options.clock;
  }

  /** Number of leases. */
  get size(): number {
    return this.#leases.size;
  }

  get isPrimary(): boolean {
    return this.#term !== undefined;
  }

  has(id: LeaseId): boolean {
    return this.#leases.has(id);
  }

  // ------------------------------------------------------------------------ replicated half

  /**
   * Takes over what is stored, after a restart or an installed snapshot. Returns the number of keys
   * whose lease does not exist; a sound store has none.
   */
  restore(store: Pick<MvccStore, 'metaEntries' | 'leasedKeys'>): number {
    this.demote();
    this.#leases.clear();
    this.#leaseOfKey.clear();
    for (const [name, bytes] of store.metaEntries(leaseMetaPrefix)) {
      const { id, ttlSeconds, remainingTtlSeconds } = decodeLeaseRecord(name, bytes);
      this.#leases.set(id, newLease(id, ttlSeconds, remainingTtlSeconds));
    }
    let orphans = 0;
    for (const [key, id] of store.leasedKeys()) {
      if (this.#leases.has(id)) this.attach(key, id);
      else orphans += 1;
    }
    return orphans;
  }

  /** Returns the granted TTL. Throws LEASE_TTL_TOO_LARGE or LEASE_EXISTS, changing nothing. */
  applyGrant(txn: LeaseTxn, id: LeaseId, askedTtlSeconds: number): number {
    assert(id !== 0n, 'a lease has an id');
    if (askedTtlSeconds > leaseTtlSecondsMax) throw new EtcdError('LEASE_TTL_TOO_LARGE');
    if (this.#leases.has(id)) throw new EtcdError('LEASE_EXISTS');
    const ttlSeconds = Math.max(askedTtlSeconds, this.#options.ttlSecondsMin);
    const lease = newLease(id, ttlSeconds, 0);
    this.#leases.set(id, lease);
    txn.setMeta(leaseMetaName(id), encodeLeaseRecord(lease));
    this.counters.granted += 1;
    if (this.isPrimary) {
      const nowMs = this.#clock.nowMs();
      lease.expiryMs = nowMs + ttlSeconds * 1000;
      this.#expiries.schedule(lease, lease.expiryMs);
      this.#queueCheckpoint(lease, nowMs);
    }
    return ttlSeconds;
  }

  /** Throws LEASE_NOT_FOUND. */
  checkRevoke(id: LeaseId): void {
    if (!this.#leases.has(id)) throw new EtcdError('LEASE_NOT_FOUND');
  }

  /**
   * Removes a lease that is there and deletes its keys, in order. In steps: it may have any number
   * of them, and of keepalives that wait for its end.
   */
  *applyRevoke(txn: RevokeTxn, id: LeaseId, slice: Slice): Steps<void> {
    const lease = present(this.#leases.get(id), 'the lease to revoke');
    this.#leases.delete(id);
    this.#expiries.remove(lease);
    this.#clearing.delete(lease);
    txn.setMeta(leaseMetaName(id), undefined);
    this.counters.revoked += 1;
    for (const key of yield* this.#takeKeys(lease, slice)) {
      if (!slice.next()) yield slice.rest();
      this.#leaseOfKey.delete(key);
      txn.deleteRange(key, '');
    }
    for (const waiter of takeWaiters(lease)) {
      if (!slice.next()) yield slice.rest();
      waiter.renewed(undefined, 0);
    }
  }

  /** The keys of a lease that ends, in order. */
  *#takeKeys(lease: Lease, slice: Slice): Steps<readonly KeyString[]> {
    const keys: KeyString[] = [];
    for (const key of lease.keys ?? []) {
      if (!slice.next()) yield slice.rest();
      keys.push(key);
    }
    lease.keys = undefined;
    if (keys.length <= mvccSliceKeysMax) return keys.sort();
    let sorted: readonly KeyString[] = keys;
    yield sortInSlices(keys, byKey, this.#clock, 'apply').then((done) => {
      sorted = done;
    });
    return sorted;
  }

  /** Leases that are gone are skipped. */
  applyCheckpoints(txn: LeaseTxn, checkpoints: readonly LeaseCheckpoint[]): void {
    for (const checkpoint of checkpoints) {
      const lease = this.#leases.get(checkpoint.id);
      if (lease === undefined) continue;
      const remaining = Math.max(0, checkpoint.remainingTtlSeconds);
      lease.remainingTtlSeconds = Math.min(remaining, lease.ttlSeconds);
      txn.setMeta(leaseMetaName(lease.id), encodeLeaseRecord(lease));
      if (lease.remainingTtlSeconds > 0 || !this.#clearing.delete(lease)) continue;
      lease.clearingMs = 0;
      for (const waiter of takeWaiters(lease)) this.renew(lease.id, waiter);
    }
  }

  /** Moves the key to a lease that exists, from the one it has; 0n: to none. */
  attach(key: KeyString, id: LeaseId): void {
    const old = this.#leaseOfKey.get(key);
    if (old !== undefined) {
      if (old.id === id) return;
      // None: it is being revoked.
      old.keys?.delete(key);
    }
    if (id === 0n) {
      if (old !== undefined) this.#leaseOfKey.delete(key);
      return;
    }
    const lease = present(this.#leases.get(id), 'the lease to attach to');
    lease.keys ??= new Set();
    lease.keys.add(key);
    this.#leaseOfKey.set(key, lease);
  }

  /** Keys of a lease in order; none if it does not exist. */
  keysOf(id: LeaseId): KeyString[] {
    const lease = this.#leases.get(id);
    return lease === undefined ? [] : sortedKeys(lease);
  }

  /** Ids by what is left of their time, then by id; on a follower by id. */
  leases(): LeaseId[] {
    const sorted = [...this.#leases.values()].sort(byExpiry);
    return sorted.map((lease) => lease.id);
  }

  // ------------------------------------------------------------------------ half of the primary

  /**
   * This member leads from now on, in `term`, with everything applied that was committed before.
   * Every lease starts anew, `extendMs` (an election timeout) longer than it has to.
   */
  promote(term: Term, extendMs: number): void {
    this.demote();
    this.#term = term;
    this.#extendMs = extendMs;
    const nowMs = this.#clock.nowMs();
    const leases = [...this.#leases.values()];
    for (const lease of leases) {
      lease.expiryMs = nowMs + remainingMs(lease) + extendMs;
    }
    spreadExpiries(leases);
    for (const lease of leases) {
      this.#expiries.schedule(lease, lease.expiryMs);
      this.#queueCheckpoint(lease, nowMs);
    }
    this.#armScan(leaseScanMs);
  }

  /** This member does not lead any more: it knows no expiry, and revokes nothing (row 16). */
  demote(): void {
    if (this.#term === undefined) return;
    this.#term = undefined;
    this.#scanTimer?.cancel();
    this.#scanTimer = undefined;
    this.#expiries.clear();
    this.#checkpointQueue = [];
    this.#checkpointNext = 0;
    this.#clearing.clear();
    const waiting: RenewWaiter[] = [];
    for (const lease of this.#leases.values()) {
      lease.expiryMs = Number.POSITIVE_INFINITY;
      lease.clearingMs = 0;
      for (const waiter of takeWaiters(lease)) waiting.push(waiter);
    }
    for (const waiter of waiting) waiter.renewed(new EtcdError('NOT_LEADER'), 0);
  }

  /**
   * KeepAlive: the full TTL again. The caller has made sure that this member still leads and has
   * applied what was committed when the request came (rows 17 and 18). After the expiry it is too
   * late: the answer then waits for the revoke. A checkpoint is taken back first, by an entry, or
   * the next primary would give less than what is promised here (row 20).
   */
  renew(id: LeaseId, waiter: RenewWaiter): void {
    const term = this.#term;
    if (term === undefined) {
      waiter.renewed(new EtcdError('NOT_LEADER'), 0);
      return;
    }
    const lease = this.#leases.get(id);
    if (lease === undefined) {
      waiter.renewed(undefined, 0);
      return;
    }
    const nowMs = this.#clock.nowMs();
    if (lease.expiryMs <= nowMs || lease.remainingTtlSeconds > 0) {
      lease.waiters ??= [];
      lease.waiters.push(waiter);
      if (lease.expiryMs > nowMs) this.#clearCheckpoint(lease, term, nowMs);
      return;
    }
    lease.expiryMs = nowMs + lease.ttlSeconds * 1000;
    // Later than before, as a rule: then the heap finds out when the old time comes.
    if (lease.expiryMs < lease.wakeMs) this.#expiries.schedule(lease, lease.expiryMs);
    this.counters.renewed += 1;
    waiter.renewed(undefined, lease.ttlSeconds);
  }

  #clearCheckpoint(lease: Lease, term: Term, nowMs: number): void {
    if (this.#clearing.has(lease) && nowMs - lease.clearingMs < leaseRevokeRetryMs) return;
    this.#clearing.add(lease);
    lease.clearingMs = nowMs;
    this.#options.proposeCheckpoints([{ id: lease.id, remainingTtlSeconds: 0 }], term);
  }

  /** Undefined: no such lease, or expired. Throws NOT_LEADER if this is not the primary. */
  timeToLive(id: LeaseId, withKeys: boolean): LeaseInfo | undefined {
    if (!this.isPrimary) throw new EtcdError('NOT_LEADER');
    const lease = this.#leases.get(id);
    if (lease === undefined) return undefined;
    const leftMs = lease.expiryMs - this.#clock.nowMs();
    if (leftMs <= 0) return undefined;
    return {
      ttlSeconds: Math.floor(leftMs / 1000),
      grantedTtlSeconds: lease.ttlSeconds,
      keys: withKeys ? sortedKeys(lease) : [],
    };
  }

  #armScan(delayMs: number): void {
    this.#scanTimer = this.#clock.after(delayMs, () => {
      const term = this.#term;
      if (term === undefined) return;
      const nowMs = this.#clock.nowMs();
      const done = this.#scan(term, nowMs);
      for (const lease of this.#clearing) this.#clearCheckpoint(lease, term, nowMs);
      if (this.#options.checkpoints) this.#checkpointDue(term, nowMs);
      if (this.#term !== term) return;
      this.#armScan(done ? leaseScanMs : 1);
    });
  }

  /** Proposes to revoke what has expired, within bounds. False: there are more to look at now. */
  #scan(term: Term, nowMs: number): boolean {
    let revokes = 0;
    for (let looks = 0; looks < leaseScanLooksMax; looks += 1) {
      const lease = this.#expiries.top();
      if (lease === undefined || lease.wakeMs > nowMs) return true;
      if (lease.expiryMs > nowMs) {
        this.#expiries.schedule(lease, lease.expiryMs);
        continue;
      }
      if (revokes === leaseRevokesPerScanMax) return true;
      revokes += 1;
      this.#expiries.schedule(lease, nowMs + leaseRevokeRetryMs);
      this.#options.proposeRevoke(lease.id, term);
      // The proposal may have told us that we do not lead any more.
      if (this.#term !== term) return true;
    }
    return false;
  }

  #queueCheckpoint(lease: Lease, nowMs: number): void {
    if (!this.#options.checkpoints || remainingMs(lease) <= leaseCheckpointIntervalMs) return;
    this.#checkpointQueue.push({ lease, dueMs: nowMs + leaseCheckpointIntervalMs });
  }

  /** Leases that were not renewed for an interval get their remaining time replicated. */
  #checkpointDue(term: Term, nowMs: number): void {
    const due: LeaseCheckpoint[] = [];
    const queue = this.#checkpointQueue;
    while (due.length < leaseCheckpointBatchMax) {
      const turn = queue[this.#checkpointNext];
      if (turn === undefined || turn.dueMs > nowMs) break;
      this.#checkpointNext += 1;
      const { lease } = turn;
      const leftMs = lease.expiryMs - nowMs;
      if (this.#leases.get(lease.id) !== lease || leftMs <= 0) continue;
      const elapsedMs = remainingMs(lease) + this.#extendMs - leftMs;
      if (elapsedMs >= leaseCheckpointIntervalMs) {
        due.push({ id: lease.id, remainingTtlSeconds: Math.ceil(leftMs / 1000) });
      }
      if (leftMs > leaseCheckpointIntervalMs) {
        queue.push({ lease, dueMs: nowMs + leaseCheckpointIntervalMs });
      }
    }
    if (this.#checkpointNext > queue.length / 2) {
      this.#checkpointQueue = queue.slice(this.#checkpointNext);
      this.#checkpointNext = 0;
    }
    if (due.length > 0) this.#options.proposeCheckpoints(due, term);
  }
}

/** All fields, so that every lease has the same shape. */
function newLease(id: LeaseId, ttlSeconds: number, remainingTtlSeconds: number): Lease {
  return {
    id,
    ttlSeconds,
    remainingTtlSeconds,
    keys: undefined,
    expiryMs: Number.POSITIVE_INFINITY,
    wakeMs: 0,
    heapIndex: -1,
    clearingMs: 0,
    waiters: undefined,
  };
}

/** What a new primary has to give it. */
function remainingMs(lease: Lease): number {
  return (lease.remainingTtlSeconds > 0 ? lease.remainingTtlSeconds : lease.ttlSeconds) * 1000;
}

function takeWaiters(lease: Lease): readonly RenewWaiter[] {
  const { waiters } = lease;
  lease.waiters = undefined;
  return waiters ?? [];
}

function sortedKeys(lease: Lease): KeyString[] {
  return lease.keys === undefined ? [] : [...lease.keys].sort();
}

function byKey(a: KeyString, b: KeyString): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function byExpiry(a: Lease, b: Lease): number {
  if (a.expiryMs !== b.expiryMs) return a.expiryMs < b.expiryMs ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

/**
 * After an election leases expire in heaps, for all start at the same time: each is put off until
 * no more than so many expire in any second before it. Sorts the array.
 */
function spreadExpiries(leases: Lease[]): void {
  leases.sort(byExpiry);
  for (let i = leaseExpiriesPerSecondMax; i < leases.length; i += 1) {
    const lease = leases[i] as Lease;
    const before = leases[i - leaseExpiriesPerSecondMax] as Lease;
    lease.expiryMs = Math.max(lease.expiryMs, before.expiryMs + 1000);
  }
}
