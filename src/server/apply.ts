/**
 * Step 9 of the data path: turns committed entries into state, in log order, once each. Synchronous
 * but for one thing: an entry whose outcome hangs on a value that is only on disk (a compare of
 * values, ignore_value) first waits for that value; nothing else is applied meanwhile.
 */

import {
  assert,
  type Clock,
  EtcdError,
  InvariantError,
  type KeyString,
  type Logger,
  type MemberId,
} from '../common/index.js';
import {
  AlarmAction,
  alarmRequest,
  type CompactionRequest,
  type DeleteRangeRequest,
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodeLeaseCheckpoints,
  decodeLeaseGrantRequest,
  decodeLeaseRevokeRequest,
  decodePutRequest,
  decodeTxnRequest,
  type LeaseCheckpoint,
  type LeaseGrantRequest,
  type LeaseRevokeRequest,
  type MessageOf,
  type PutRequest,
  type TxnRequest,
} from '../proto/index.js';
import type { Entry, Raft } from '../raft/index.js';
import type { MvccStore, MvccWriteTxn } from '../storage/index.js';
import type { Alarm, Alarms } from './alarms.js';
import { applyDeleteRange, applyPut, applyTxn, checkPutState, type KvTarget } from './apply-kv.js';
import { applyConfigChange } from './apply-members.js';
import { ApplyMeter } from './apply-meter.js';
import { EntryKind, entryBody, entryKind, entryOrigin, entrySequence } from './entry.js';
import type { Lessor } from './lessor.js';
import { decodeAttributes, decodeMemberUpdate } from './member-codec.js';
import type { MemberAttributes, Membership, MemberUpdate } from './membership.js';
import type { Metrics } from './metrics.js';
import type { EntryApplier } from './node-loop.js';
import type { Pending, Proposals } from './proposals.js';
import { leaseCostBytes, putCostBytes, txnCostBytes } from './quota.js';
import { valuesNeeded } from './txn-path.js';
import type { WatchHub } from './watch-hub.js';

export interface ApplierOptions {
  readonly self: MemberId;
  readonly store: MvccStore;
  readonly raft: Pick<Raft, 'applyConfigChange'>;
  readonly lessor: Lessor;
  readonly watchHub: WatchHub;
  readonly alarms: Alarms;
  readonly membership: Membership;
  readonly proposals: Proposals;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Entries that take longer are logged (--warning-apply-duration). */
  readonly slowApplyMs: number;
  readonly quotaBytes: number;
  /** An applied write went over the quota: this member should raise the alarm. */
  readonly onQuotaExceeded: () => void;
  /** This member was removed: it should go on for a few election timeouts, then stop. */
  readonly onRemovedSelf: () => void;
}

/** Result of entries that yield a list of alarms. */
export interface AlarmResult {
  readonly alarms: readonly Alarm[];
}
export interface LeaseGrantResult {
  readonly id: bigint;
  readonly ttlSeconds: number;
}
export interface CompactionResult {
  /** Resolves when old revisions have been removed. */
  readonly done: () => Promise<void>;
}

export class Applier implements EntryApplier {
  readonly #o: ApplierOptions;
  readonly #target: KvTarget;
  readonly #meter: ApplyMeter;

  constructor(options: ApplierOptions) {
    this.#o = options;
    this.#target = { store: options.store, leases: options.lessor, counts: options.metrics };
    this.#meter = new ApplyMeter(options);
  }

  apply(entry: Entry): Promise<void> | undefined {
    if (entry.type !== 'normal') {
      this.#applyRaftEntry(entry);
      return undefined;
    }
    const startMs = this.#o.clock.nowMs();
    const kind = entryKind(entry.data, entry.index);
    const { proposals, store } = this.#o;
    const pending = proposals.take(entryOrigin(entry.data), entrySequence(entry.data));
    const request = pending === undefined ? decodeBody(kind, entry.data) : pending.request;
    const cold = this.#coldKeys(kind, request);
    if (cold !== undefined) {
      return store.warm(cold).then(() => {
        this.#applyNormal(entry, kind, request, pending);
        this.#meter.applied(kind, entry.index, startMs);
      });
    }
    this.#applyNormal(entry, kind, request, pending);
    this.#meter.applied(kind, entry.index, startMs);
    return undefined;
  }

  afterRun(): void {
    this.#o.watchHub.flush();
  }

  /** Keys whose values decide the outcome and are not all in memory. */
  #coldKeys(kind: EntryKind, request: unknown): KeyString[] | undefined {
    const { store } = this.#o;
    let keys: KeyString[] | undefined;
    if (kind === EntryKind.put) {
      const put = request as PutRequest;
      if (!put.ignoreValue) return undefined;
      keys = [put.key];
    } else if (kind === EntryKind.txn) {
      keys = [];
      valuesNeeded(store.present, request as TxnRequest, keys);
    }
    if (keys === undefined || keys.length === 0 || store.isWarm(keys)) return undefined;
    return keys;
  }

  #applyRaftEntry(entry: Entry): void {
    if (entry.type === 'configChange') applyConfigChange(this.#o, entry);
    else this.#o.store.setApplied({ index: entry.index, term: entry.term });
  }

  #applyNormal(
    entry: Entry,
    kind: EntryKind,
    request: unknown,
    pending: Pending | undefined,
  ): void {
    if (kind === EntryKind.compaction) {
      this.#compact(entry, request as CompactionRequest, pending);
      return;
    }
    const txn = this.#o.store.begin(entry.index, entry.term);
    let result: unknown;
    let error: EtcdError | undefined;
    let cost = 0;
    try {
      this.#refuseIfAlarmed(kind, request);
      cost = costBytes(kind, request);
      result = this.#change(kind, txn, request, pending !== undefined);
    } catch (thrown) {
      if (!(thrown instanceof EtcdError)) throw thrown;
      // Everything that can fail is checked before anything is written.
      assert(!txn.changed, 'a failed entry must not have changed anything');
      error = thrown;
      this.#meter.failed = true;
    }
    const overQuota = cost > 0 && this.#o.store.sizeBytes + cost >= this.#o.quotaBytes;
    this.#commit(txn);
    if (overQuota && error === undefined) {
      // As in etcd: the write is applied, and answered with the error all the same.
      error = new EtcdError('NO_SPACE');
      this.#o.onQuotaExceeded();
    }
    pending?.finish(error, error === undefined ? result : undefined);
  }

  #commit(txn: MvccWriteTxn): void {
    const { lessor, store, watchHub } = this.#o;
    const commit = txn.commit();
    if (!txn.changed) return;
    if (txn.deleted && lessor.isUsed) {
      for (const event of commit.events) {
        if (event.type === 'delete' && store.present.state(event.key) === undefined) {
          lessor.attach(event.key, 0n);
        }
      }
    }
    watchHub.publish(commit);
  }

  #refuseIfAlarmed(kind: EntryKind, request: unknown): void {
    const { alarms } = this.#o;
    if (alarms.corrupt && refusedWhenCorrupt.has(kind)) throw new EtcdError('CORRUPT');
    if (alarms.noSpace && costBytes(kind, request) > 0) throw new EtcdError('NO_SPACE');
  }

  #change(kind: EntryKind, txn: MvccWriteTxn, request: unknown, wantAnswer: boolean): unknown {
    const { alarms, lessor, membership, metrics } = this.#o;
    const target = this.#target;
    switch (kind) {
      case EntryKind.put: {
        const put = request as PutRequest;
        checkPutState(target, txn, put);
        return applyPut(target, txn, put, wantAnswer);
      }
      case EntryKind.deleteRange:
        return applyDeleteRange(target, txn, request as DeleteRangeRequest, wantAnswer);
      case EntryKind.txn:
        metrics.txnTotal++;
        return applyTxn(target, txn, request as TxnRequest, wantAnswer);
      case EntryKind.leaseGrant: {
        const grant = request as LeaseGrantRequest;
        const ttlSeconds = lessor.applyGrant(txn, grant.id, grant.ttlSeconds);
        metrics.leaseTtlSeconds.observe(ttlSeconds);
        return { id: grant.id, ttlSeconds } satisfies LeaseGrantResult;
      }
      case EntryKind.leaseRevoke: {
        const keys = lessor.applyRevoke(txn, (request as LeaseRevokeRequest).id);
        for (const key of keys) txn.deleteRange(key, '');
        return true;
      }
      case EntryKind.leaseCheckpoint:
        lessor.applyCheckpoints(txn, request as readonly LeaseCheckpoint[]);
        return true;
      case EntryKind.alarm: {
        const { action, memberId, alarm } = request as MessageOf<typeof alarmRequest>;
        const changed =
          action === AlarmAction.ACTIVATE
            ? alarms.activate(txn, { memberId, alarm })
            : alarms.deactivate(txn, { memberId, alarm });
        return { alarms: changed } satisfies AlarmResult;
      }
      case EntryKind.memberAttributes:
        membership.applyAttributes(txn, request as MemberAttributes);
        return true;
      case EntryKind.memberUpdate:
        membership.applyUpdate(txn, request as MemberUpdate);
        return true;
      default:
        throw new Error(`entry kind ${kind} has no change`);
    }
  }

  #compact(entry: Entry, request: CompactionRequest, pending: Pending | undefined): void {
    const { alarms, store } = this.#o;
    let error: EtcdError | undefined;
    try {
      if (alarms.corrupt) throw new EtcdError('CORRUPT');
      store.scheduleCompaction(entry.index, entry.term, request.revision);
      this.#watchCompaction(request.revision);
    } catch (thrown) {
      if (!(thrown instanceof EtcdError)) throw thrown;
      error = thrown;
      store.setApplied({ index: entry.index, term: entry.term });
    }
    const result: CompactionResult = { done: () => store.compactionDone() };
    pending?.finish(error, error === undefined ? result : undefined);
  }

  /** Old revisions leave in the background, after the entry. */
  #watchCompaction(revision: number): void {
    const { clock, logger, metrics, store } = this.#o;
    const startMs = clock.nowMs();
    store.compactionDone().then(
      () => {
        const tookMs = Math.round(clock.nowMs() - startMs);
        metrics.compactionTotalMs.observe(tookMs);
        metrics.lastCompactionUnixSeconds = Math.floor(clock.wallMs() / 1000);
        logger.info('finished scheduled compaction', { compactRevision: revision, tookMs });
      },
      () => {}, // whoever stopped it says so
    );
  }
}

const refusedWhenCorrupt: ReadonlySet<EntryKind> = new Set<EntryKind>([
  EntryKind.put,
  EntryKind.deleteRange,
  EntryKind.txn,
  EntryKind.leaseGrant,
  EntryKind.leaseRevoke,
]);

/** What the quota counts; 0 for what may go on when there is no space left. */
function costBytes(kind: EntryKind, request: unknown): number {
  switch (kind) {
    case EntryKind.put:
      return putCostBytes(request as PutRequest);
    case EntryKind.txn:
      return txnCostBytes(request as TxnRequest);
    case EntryKind.leaseGrant:
      return leaseCostBytes;
    default:
      return 0;
  }
}

function decodeBody(kind: EntryKind, data: Uint8Array): unknown {
  const body = entryBody(data);
  switch (kind) {
    case EntryKind.put:
      return decodePutRequest(body);
    case EntryKind.deleteRange:
      return decodeDeleteRangeRequest(body);
    case EntryKind.txn:
      return decodeTxnRequest(body);
    case EntryKind.compaction:
      return decodeCompactionRequest(body);
    case EntryKind.leaseGrant:
      return decodeLeaseGrantRequest(body);
    case EntryKind.leaseRevoke:
      return decodeLeaseRevokeRequest(body);
    case EntryKind.alarm:
      return alarmRequest.decode(body);
    case EntryKind.memberAttributes:
      return decodeAttributes(body);
    case EntryKind.memberUpdate:
      return decodeMemberUpdate(body);
    case EntryKind.leaseCheckpoint:
      return decodeLeaseCheckpoints(body);
    case EntryKind.memberChange:
      throw new InvariantError('a change of the members is a configuration change');
  }
}
