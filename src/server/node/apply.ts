/**
 * Step 9 of the data path: turns committed entries into state, in log order, once each. Nearly all
 * are applied within one call. One that touches many keys, or whose outcome hangs on a value that
 * is only on disk, takes as many turns as it needs: nothing else is applied meanwhile, and whoever
 * reads sees the revision before it.
 *
 * Nothing that a request can ask for may throw here, but as an EtcdError that every member finds
 * alike: the entry is in the log, so what throws once throws at every start.
 */

import {
  assert,
  type Clock,
  EtcdError,
  InvariantError,
  type KeyString,
  type Logger,
  type MemberId,
  runSteps,
  Slice,
  type Steps,
} from '../../common/index.js';
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
} from '../../proto/index.js';
import type { Entry, Raft } from '../../raft/index.js';
import type { MvccStore, MvccWriteTxn } from '../../storage/index.js';
import { EntryKind, entryBody, entryKind, entryOrigin, entrySequence } from '../feature/entry.js';
import type { Alarm, Alarms } from '../guard/alarms.js';
import {
  applyDeleteKey,
  applyDeleteRange,
  applyPut,
  applyShortTxn,
  checkPutState,
  type KvTarget,
  planTxn,
  preparePut,
  runPath,
} from '../kv/apply.js';
import { leaseCostBytes, putCostBytes, txnCostBytes } from '../kv/cost.js';
import { isShort, shortVerdict, type TxnPath } from '../kv/txn-path.js';
import type { Lessor } from '../lease/lessor.js';
import { decodeAttributes, decodeMemberUpdate } from '../membership/codec.js';
import type { MemberAttributes, Membership, MemberUpdate } from '../membership/membership.js';
import type { Metrics } from '../metrics/metrics.js';
import type { WatchHub } from '../watch/hub.js';
import { ApplyMeter } from './apply-meter.js';
import { applyConfigChange } from './config-change.js';
import type { EntryApplier } from './loop.js';
import type { Pending, Proposals } from './proposals.js';

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
  /** One entry is applied at a time. */
  readonly #slice: Slice;
  readonly #onDetached: (key: KeyString) => void;

  constructor(options: ApplierOptions) {
    this.#o = options;
    this.#slice = new Slice(options.clock, 'apply');
    const { lessor } = options;
    this.#onDetached = (key) => lessor.attach(key, 0n);
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
    const { proposals } = this.#o;
    const pending = proposals.take(entryOrigin(entry.data), entrySequence(entry.data));
    const request = pending === undefined ? decodeBody(kind, entry.data) : pending.request;
    const verdict = kind === EntryKind.txn ? this.#verdictAtOnce(request as TxnRequest) : undefined;
    if (verdict !== undefined || !mayBeLong(kind, request)) {
      this.#applyAtOnce(entry, kind, request, pending, verdict);
      this.#meter.applied(kind, entry.index, startMs);
      return undefined;
    }
    const done = runSteps(this.#applySteps(entry, kind, request, pending));
    if (done instanceof Promise) {
      return done.then(() => this.#meter.applied(kind, entry.index, startMs));
    }
    this.#meter.applied(kind, entry.index, startMs);
    return undefined;
  }

  afterRun(): void {
    this.#o.watchHub.flush();
  }

  #applyRaftEntry(entry: Entry): void {
    if (entry.type === 'configChange') applyConfigChange(this.#o, entry);
    else this.#o.store.setApplied({ index: entry.index, term: entry.term });
  }

  /** What the compares of a short transaction say; undefined: it has to be done in steps. */
  #verdictAtOnce(request: TxnRequest): boolean | undefined {
    const { store, watchHub } = this.#o;
    if (!isShort(request)) return undefined;
    if (!watchHub.isHandedOut(Math.max(request.success.length, request.failure.length))) {
      return undefined;
    }
    return shortVerdict(store.reader(undefined), request);
  }

  /** `verdict`: of a short transaction. */
  #applyAtOnce(
    entry: Entry,
    kind: EntryKind,
    request: unknown,
    pending: Pending | undefined,
    verdict: boolean | undefined,
  ): void {
    if (kind === EntryKind.compaction) {
      this.#compact(entry, request as CompactionRequest, pending);
      return;
    }
    const cost = costBytes(kind, request);
    const isOver = this.#isOverQuota(cost);
    const txn = this.#o.store.begin(entry.index, entry.term, this.#onDetached);
    let result: unknown;
    let error: EtcdError | undefined;
    try {
      this.#refuseIfAlarmed(kind, cost);
      result =
        verdict === undefined
          ? this.#change(kind, txn, request, pending !== undefined)
          : this.#shortTxn(txn, request as TxnRequest, verdict, pending !== undefined);
    } catch (thrown) {
      error = this.#expected(thrown);
      // Everything that can fail is checked before anything is written.
      assert(!txn.changed, 'a failed entry must not have changed anything');
    }
    const commit = txn.commit();
    if (txn.changed) this.#o.watchHub.publish(commit);
    this.#answer(pending, error, result, isOver);
  }

  /** The same in steps: decide, do, tell. */
  *#applySteps(
    entry: Entry,
    kind: EntryKind,
    request: unknown,
    pending: Pending | undefined,
  ): Steps<void> {
    const slice = this.#slice;
    slice.begin();
    const cost = costBytes(kind, request);
    const isOver = this.#isOverQuota(cost);
    let result: unknown;
    let error: EtcdError | undefined;
    let path: TxnPath | undefined;
    try {
      this.#refuseIfAlarmed(kind, cost);
      path = yield* this.#prepare(kind, request);
    } catch (thrown) {
      error = this.#expected(thrown);
    }
    const txn = this.#o.store.begin(entry.index, entry.term, this.#onDetached);
    if (error === undefined) {
      result = yield* this.#changeSteps(kind, txn, request, path, pending !== undefined);
    }
    const commit = txn.commit();
    if (txn.changed) yield* this.#o.watchHub.publishSteps(commit, slice);
    this.#answer(pending, error, result, isOver);
  }

  /** Whatever else is thrown is our mistake, and ends the process. */
  #expected(thrown: unknown): EtcdError {
    if (!(thrown instanceof EtcdError)) throw thrown;
    this.#meter.failed = true;
    return thrown;
  }

  /** Asked before the write, as in etcd, so that it counts once. */
  #isOverQuota(cost: number): boolean {
    return cost > 0 && this.#o.store.sizeBytes + cost >= this.#o.quotaBytes;
  }

  #answer(
    pending: Pending | undefined,
    error: EtcdError | undefined,
    result: unknown,
    isOverQuota: boolean,
  ): void {
    if (error !== undefined) {
      pending?.finish(error, undefined);
    } else if (isOverQuota) {
      // As in etcd: the write is applied, and answered with the error all the same.
      this.#o.onQuotaExceeded();
      pending?.finish(new EtcdError('NO_SPACE'), undefined);
    } else pending?.finish(undefined, result);
  }

  #refuseIfAlarmed(kind: EntryKind, cost: number): void {
    const { alarms } = this.#o;
    if (alarms.corrupt && refusedWhenCorrupt.has(kind)) throw new EtcdError('CORRUPT');
    if (alarms.noSpace && cost > 0) throw new EtcdError('NO_SPACE');
  }

  /** Throws the EtcdError of an entry that can't be done, else makes sure that it can. */
  *#prepare(kind: EntryKind, request: unknown): Steps<TxnPath | undefined> {
    if (kind === EntryKind.put) yield* preparePut(this.#target, request as PutRequest);
    else if (kind === EntryKind.txn) {
      this.#o.metrics.txnTotal++;
      return yield* planTxn(this.#target, request as TxnRequest, this.#slice);
    } else if (kind === EntryKind.leaseRevoke) {
      this.#o.lessor.checkRevoke((request as LeaseRevokeRequest).id);
    }
    return undefined;
  }

  /** What was prepared; can't fail any more. */
  *#changeSteps(
    kind: EntryKind,
    txn: MvccWriteTxn,
    request: unknown,
    path: TxnPath | undefined,
    wantAnswer: boolean,
  ): Steps<unknown> {
    const target = this.#target;
    const slice = this.#slice;
    if (path !== undefined) return yield* runPath(target, txn, path, wantAnswer, slice);
    if (kind === EntryKind.deleteRange) {
      const deletion = request as DeleteRangeRequest;
      return yield* applyDeleteRange(target, txn, deletion, wantAnswer, slice);
    }
    if (kind === EntryKind.put) return applyPut(target, txn, request as PutRequest, wantAnswer);
    assert(kind === EntryKind.leaseRevoke, `entries of kind ${kind} are applied at once`);
    yield* this.#o.lessor.applyRevoke(txn, (request as LeaseRevokeRequest).id, slice);
    return true;
  }

  #shortTxn(txn: MvccWriteTxn, request: TxnRequest, succeeded: boolean, wantAnswer: boolean) {
    this.#o.metrics.txnTotal++;
    return applyShortTxn(this.#target, txn, request, succeeded, wantAnswer);
  }

  #change(kind: EntryKind, txn: MvccWriteTxn, request: unknown, wantAnswer: boolean): unknown {
    const { alarms, lessor, membership, metrics } = this.#o;
    const target = this.#target;
    switch (kind) {
      case EntryKind.put: {
        const put = request as PutRequest;
        checkPutState(target, put);
        return applyPut(target, txn, put, wantAnswer);
      }
      case EntryKind.deleteRange:
        return applyDeleteKey(target, txn, request as DeleteRangeRequest, wantAnswer);
      case EntryKind.leaseGrant: {
        const grant = request as LeaseGrantRequest;
        const ttlSeconds = lessor.applyGrant(txn, grant.id, grant.ttlSeconds);
        metrics.leaseTtlSeconds.observe(ttlSeconds);
        return { id: grant.id, ttlSeconds } satisfies LeaseGrantResult;
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

/** Entries that may touch many keys, or want a value that may be on disk: applied in steps. */
function mayBeLong(kind: EntryKind, request: unknown): boolean {
  switch (kind) {
    case EntryKind.put:
      return (request as PutRequest).ignoreValue;
    case EntryKind.deleteRange:
      return (request as DeleteRangeRequest).rangeEnd !== '';
    case EntryKind.txn:
    case EntryKind.leaseRevoke:
      return true;
    default:
      return false;
  }
}

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
