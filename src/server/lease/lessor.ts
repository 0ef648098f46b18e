/**
 * Leases (C-3). Two halves in one state:
 *  - the replicated half, the same on every member, changed only by applying entries: which leases
 *    there are, their TTL and their checkpoints. Which keys have a lease the store knows, with the
 *    keys: nothing of that is kept here;
 *  - the half of the primary (the leader): when each lease expires, by its own monotonic clock.
 *    It is not replicated; a new primary gives every lease its full (or checkpointed) time again,
 *    so a lease may live longer than its TTL, never shorter.
 *
 * Nothing here deletes a lease because time has passed: the primary proposes to revoke it, in its
 * term and in no other, and only the applied entry removes it (L-16, L-17).
 */

import {
  assert,
  type Clock,
  EtcdError,
  type KeyString,
  type Lane,
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
  runSteps,
  ShardedMap,
  Slice,
  type Steps,
  type Term,
  type Timer,
} from '../../common/index.js';
import type { LeaseCheckpoint } from '../../proto/index.js';
import {
  type AnswerRoom,
  type MvccPresent,
  type MvccWriteTxn,
  type StoredMeta,
  sortInSlices,
} from '../../storage/index.js';
import { LeaseHeap } from './expiry-heap.js';
import {
  decodeLeaseRecord,
  encodeLeaseRecord,
  leaseMetaName,
  leaseMetaPrefix,
} from './stored-lease.js';

/** What the lessor is given. */
export interface LessorOptions {
  readonly clock: Clock;
  /** Knows the keys of each lease. */
  readonly keys: Pick<MvccPresent, 'keysOf'>;
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

/** Where a revocation also deletes the keys of the lease. */
export type RevokeTxn = Pick<MvccWriteTxn, 'setMeta' | 'deleteRange' | 'keysOf'>;

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
  /** The primary of which term has given it what follows; else that counts for nothing. */
  term: Term;
  /** When it expires. */
  expiryMs: number;
  wakeMs: number;
  heapIndex: number;
}

/** A place in the queue of leases to checkpoint. */
interface CheckpointTurn {
  readonly lease: Lease;
  readonly dueMs: number;
}

/** Of an item in a list that is sorted: its places in the list, and in what the sort makes. */
const listedItemBytes = 32;

/** All leases of a member. */
export class Lessor {
  /** Totals for the metrics. */
  readonly counters = { granted: 0, revoked: 0, renewed: 0 };
  readonly #options: LessorOptions;
  readonly #clock: Clock;
  #leases = new ShardedMap<LeaseId, Lease>();
  #expiries = new LeaseHeap<Lease>();
  /** In order of time, for all wait for the same interval. */
  #checkpointQueue: CheckpointTurn[] = [];
  #checkpointNext = 0;
  /** Leases whose checkpoint is being taken back, and when that was last proposed. */
  #clearing = new ShardedMap<LeaseId, number>();
  /** Renewals that wait: for the revoke of a lease, or until its checkpoint is taken back. */
  #awaited = new ShardedMap<LeaseId, RenewWaiter[]>();
  /** Undefined: not the primary. */
  #term: Term | undefined;
  /** When this member became the primary, and how much longer a lease lives then. */
  #promotedMs = 0;
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

  /** In no order; live, see ShardedMap. */
  ids(): Iterable<LeaseId> {
    return this.#leases.keys();
  }

  // ------------------------------------------------------------------------ replicated half

  /**
   * Reads what is stored, after a restart or for a snapshot that is to be installed. What it
   * returns puts that in the place of what was known, at once. Throws StorageError.
   */
  *restore(stored: StoredMeta, slice: Slice): Steps<() => void> {
    const leases = new ShardedMap<LeaseId, Lease>();
    for (const [name, bytes] of stored.metaEntries(leaseMetaPrefix)) {
      if (!slice.next()) yield slice.rest();
      const { id, ttlSeconds, remainingTtlSeconds } = decodeLeaseRecord(name, bytes);
      leases.set(id, newLease(id, ttlSeconds, remainingTtlSeconds));
    }
    return () => {
      this.demote();
      this.#leases = leases;
    };
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
    if (this.#term !== undefined) {
      const nowMs = this.#clock.nowMs();
      this.#expireAt(lease, nowMs + ttlSeconds * 1000);
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
    if (lease.term === this.#term) this.#expiries.remove(lease);
    this.#clearing.delete(id);
    txn.setMeta(leaseMetaName(id), undefined);
    this.counters.revoked += 1;
    const keys = yield* this.#sorted(txn.keysOf(id), byKey, slice, 'apply');
    for (const key of keys) {
      if (!slice.next()) yield slice.rest();
      const deleted = txn.deleteRange(key, '');
      assert(deleted === 1, 'a key that has a lease lives');
    }
    for (const waiter of this.#takeWaiters(id)) {
      if (!slice.next()) yield slice.rest();
      waiter.renewed(undefined, 0);
    }
  }

  /** Leases that are gone are skipped. */
  applyCheckpoints(txn: LeaseTxn, checkpoints: readonly LeaseCheckpoint[]): void {
    for (const checkpoint of checkpoints) {
      const lease = this.#leases.get(checkpoint.id);
      if (lease === undefined) continue;
      const remaining = Math.max(0, checkpoint.remainingTtlSeconds);
      lease.remainingTtlSeconds = Math.min(remaining, lease.ttlSeconds);
      txn.setMeta(leaseMetaName(lease.id), encodeLeaseRecord(lease));
      if (lease.remainingTtlSeconds > 0 || !this.#clearing.delete(lease.id)) continue;
      for (const waiter of this.#takeWaiters(lease.id)) this.renew(lease.id, waiter);
    }
  }

  /**
   * Keys of a lease in order, on any member; undefined if it does not exist. `room` is asked for
   * what a long list takes, beside the keys themselves.
   */
  *keysOf(id: LeaseId, room?: AnswerRoom): Steps<readonly KeyString[] | undefined> {
    return this.#leases.has(id) ? yield* this.#sortedKeys(id, room) : undefined;
  }

  /** Ids by what is left of their time, then by id; on a follower by id. */
  *leases(): Steps<LeaseId[]> {
    const slice = new Slice(this.#clock);
    const byExpiry = (a: Lease, b: Lease): number =>
      this.#expiryOf(a) - this.#expiryOf(b) || byId(a, b);
    const isPrimary = this.#term !== undefined;
    const order = isPrimary ? byExpiry : byId;
    const ids: LeaseId[] = [];
    for (const lease of yield* this.#sorted(this.#leases.values(), order, slice, 'read')) {
      if (!slice.next()) yield slice.rest();
      ids.push(lease.id);
    }
    return ids;
  }

  *#sortedKeys(id: LeaseId, room?: AnswerRoom): Steps<readonly KeyString[]> {
    const keys = this.#options.keys.keysOf(id);
    return yield* this.#sorted(keys, byKey, new Slice(this.#clock), 'read', room);
  }

  /** A sorted list of what may be very many. */
  *#sorted<T>(
    items: Iterable<T>,
    compare: (a: T, b: T) => number,
    slice: Slice,
    lane: Lane,
    room?: AnswerRoom,
  ): Steps<readonly T[]> {
    const list: T[] = [];
    let counted = 0;
    for (const item of items) {
      if (!slice.next()) {
        const taken = room?.takeRoom((list.length - counted) * listedItemBytes);
        counted = list.length;
        if (taken !== undefined) yield taken;
        yield slice.rest();
      }
      list.push(item);
    }
    if (list.length <= mvccSliceKeysMax) return list.sort(compare);
    let sorted: readonly T[] = list;
    yield sortInSlices(list, compare, this.#clock, lane).then((done) => {
      sorted = done;
    });
    return sorted;
  }

  // ------------------------------------------------------------------------ half of the primary

  /**
   * This member leads from now on, in `term`, with everything applied that was committed before.
   * Every lease starts anew, `extendMs` (an election timeout) longer than it has to. However many
   * there are, a new leader has to send heartbeats first: they get their turn one after the other.
   */
  promote(term: Term, extendMs: number): void {
    this.demote();
    assert(term > 0 && extendMs >= 0, 'a primary has a term, and gives no lease less time');
    const waiting = this.#awaited.size + this.#clearing.size + this.#expiries.size;
    assert(waiting === 0, 'a new primary begins with nothing that waits');
    this.#term = term;
    this.#promotedMs = this.#clock.nowMs();
    this.#extendMs = extendMs;
    void runSteps(this.#expireAll(term));
    this.#armScan(leaseScanMs);
  }

  /**
   * After an election leases expire in heaps, for all start at the same time: each is put off until
   * no more than so many expire in any second before it.
   */
  *#expireAll(term: Term): Steps<void> {
    const slice = new Slice(this.#clock);
    const sorted = yield* this.#sorted(this.#leases.values(), byRemaining, slice, 'read');
    const expiries: number[] = [];
    for (const [i, lease] of sorted.entries()) {
      if (!slice.next()) yield slice.rest();
      if (this.#term !== term) return;
      const before = expiries[i - leaseExpiriesPerSecondMax] ?? Number.NEGATIVE_INFINITY;
      const expiryMs = Math.max(this.#fullExpiryOf(lease), before + 1000);
      expiries.push(expiryMs);
      // Gone, or renewed meanwhile.
      if (this.#leases.get(lease.id) !== lease || lease.term === term) continue;
      this.#expireAt(lease, expiryMs);
      this.#queueCheckpoint(lease, this.#promotedMs);
    }
  }

  /** This member does not lead any more: it knows no expiry, and revokes nothing (L-16). */
  demote(): void {
    if (this.#term === undefined) return;
    this.#term = undefined;
    this.#scanTimer?.cancel();
    this.#scanTimer = undefined;
    // The leases keep what they had in it; their term says that it is of no use.
    this.#expiries = new LeaseHeap();
    this.#checkpointQueue = [];
    this.#checkpointNext = 0;
    this.#clearing.clear();
    const awaited = this.#awaited;
    // Who comes later waits for a later primary.
    this.#awaited = new ShardedMap();
    void runSteps(this.#refuseWaiters(awaited.values()));
  }

  *#refuseWaiters(awaited: Iterable<readonly RenewWaiter[]>): Steps<void> {
    const slice = new Slice(this.#clock);
    for (const waiters of awaited) {
      for (const waiter of waiters) {
        if (!slice.next()) yield slice.rest();
        waiter.renewed(new EtcdError('NOT_LEADER'), 0);
      }
    }
  }

  #takeWaiters(id: LeaseId): readonly RenewWaiter[] {
    const waiters = this.#awaited.get(id);
    if (waiters === undefined) return [];
    this.#awaited.delete(id);
    return waiters;
  }

  /** Of the primary. */
  #expiryOf(lease: Lease): number {
    return lease.term === this.#term ? lease.expiryMs : this.#fullExpiryOf(lease);
  }

  /** Of a lease that this primary has not come to yet. */
  #fullExpiryOf(lease: Lease): number {
    return this.#promotedMs + remainingMs(lease) + this.#extendMs;
  }

  /** The heap wakes it at that time, or earlier. */
  #expireAt(lease: Lease, expiryMs: number): void {
    const term = present(this.#term, 'the term of the primary');
    assert(Number.isFinite(expiryMs), 'a lease that the primary has come to expires');
    lease.expiryMs = expiryMs;
    if (lease.term === term) {
      // Later than before, as a rule: then the heap finds out when the old time comes.
      if (expiryMs < lease.wakeMs) this.#expiries.schedule(lease, expiryMs);
      return;
    }
    lease.term = term;
    lease.heapIndex = -1;
    this.#expiries.schedule(lease, expiryMs);
  }

  /**
   * KeepAlive: the full TTL again. The caller has made sure that this member still leads and has
   * applied what was committed when the request came (L-17, L-18). After the expiry it is too
   * late: the answer then waits for the revoke. A checkpoint is taken back first, by an entry, or
   * the next primary would give less than what is promised here (L-20).
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
    const expiryMs = this.#expiryOf(lease);
    if (expiryMs <= nowMs || lease.remainingTtlSeconds > 0) {
      const waiters = this.#awaited.get(id);
      if (waiters === undefined) this.#awaited.set(id, [waiter]);
      else waiters.push(waiter);
      if (expiryMs > nowMs) this.#clearCheckpoint(id, term, nowMs);
      return;
    }
    this.#expireAt(lease, nowMs + lease.ttlSeconds * 1000);
    this.counters.renewed += 1;
    waiter.renewed(undefined, lease.ttlSeconds);
  }

  #clearCheckpoint(id: LeaseId, term: Term, nowMs: number): void {
    const askedMs = this.#clearing.get(id);
    if (askedMs !== undefined && nowMs - askedMs < leaseRevokeRetryMs) return;
    this.#clearing.set(id, nowMs);
    this.#options.proposeCheckpoints([{ id, remainingTtlSeconds: 0 }], term);
  }

  /** What was asked for and has not come. */
  *#clearAgain(term: Term, nowMs: number): Steps<void> {
    const slice = new Slice(this.#clock);
    for (const id of this.#clearing.keys()) {
      if (!slice.next()) yield slice.rest();
      if (this.#term !== term) return;
      this.#clearCheckpoint(id, term, nowMs);
    }
  }

  /** Undefined: no such lease, or expired. Throws NOT_LEADER if this is not the primary. */
  *timeToLive(id: LeaseId, withKeys: boolean): Steps<LeaseInfo | undefined> {
    if (!this.isPrimary) throw new EtcdError('NOT_LEADER');
    const lease = this.#leases.get(id);
    if (lease === undefined) return undefined;
    const leftMs = this.#expiryOf(lease) - this.#clock.nowMs();
    if (leftMs <= 0) return undefined;
    const ttlSeconds = Math.floor(leftMs / 1000);
    const grantedTtlSeconds = lease.ttlSeconds;
    const keys = withKeys ? yield* this.#sortedKeys(id) : [];
    return { ttlSeconds, grantedTtlSeconds, keys };
  }

  #armScan(delayMs: number): void {
    this.#scanTimer = this.#clock.after(delayMs, () => {
      const term = this.#term;
      if (term === undefined) return;
      const nowMs = this.#clock.nowMs();
      const done = this.#scan(term, nowMs);
      if (this.#clearing.size > 0) void runSteps(this.#clearAgain(term, nowMs));
      const checkpointed = !this.#options.checkpoints || this.#checkpointDue(term, nowMs);
      if (this.#term !== term) return;
      this.#armScan(done && checkpointed ? leaseScanMs : 1);
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

  /**
   * Leases that were not renewed for an interval get their remaining time replicated. False: there
   * are more to look at now.
   */
  #checkpointDue(term: Term, nowMs: number): boolean {
    const due: LeaseCheckpoint[] = [];
    const queue = this.#checkpointQueue;
    let looks = 0;
    for (; looks < leaseScanLooksMax && due.length < leaseCheckpointBatchMax; looks += 1) {
      const turn = queue[this.#checkpointNext];
      if (turn === undefined || turn.dueMs > nowMs) break;
      this.#checkpointNext += 1;
      const { lease } = turn;
      const leftMs = this.#expiryOf(lease) - nowMs;
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
    return looks < leaseScanLooksMax;
  }
}

/** All fields, so that every lease has the same shape. */
function newLease(id: LeaseId, ttlSeconds: number, remainingTtlSeconds: number): Lease {
  return {
    id,
    ttlSeconds,
    remainingTtlSeconds,
    term: 0,
    expiryMs: Number.POSITIVE_INFINITY,
    wakeMs: 0,
    heapIndex: -1,
  };
}

/** What a new primary has to give it. */
function remainingMs(lease: Lease): number {
  return (lease.remainingTtlSeconds > 0 ? lease.remainingTtlSeconds : lease.ttlSeconds) * 1000;
}

function byKey(a: KeyString, b: KeyString): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function byId(a: Lease, b: Lease): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/** By what a new primary has to give them. */
function byRemaining(a: Lease, b: Lease): number {
  return remainingMs(a) - remainingMs(b) || byId(a, b);
}
