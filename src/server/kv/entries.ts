/**
 * The log entries of the KV service: what each costs, when it is applied at once and when in steps.
 * What they do is in kv/apply.ts.
 */

import { assert, type Clock, type Logger, type Revision } from '../../common/index.js';
import {
  type CompactionRequest,
  type DeleteRangeRequest,
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeTxnRequest,
  type PutRequest,
  type TxnRequest,
} from '../../proto/index.js';
import type { MvccStore } from '../../storage/index.js';
import { EntryKind, type EntryType, entryType, nothingToPlan, onlyRoot } from '../entry/index.js';
import type { Metrics } from '../metrics/index.js';
import {
  applyDeleteKey,
  applyDeleteRange,
  applyPut,
  applyShortTxn,
  checkLeases,
  checkPutState,
  type KvTarget,
  planTxn,
  preparePut,
  runPath,
} from './apply.js';
import { putCostBytes, txnCostBytes } from './cost.js';
import { deleteRangeRefusal, leasesOf, putRefusal, txnRefusal } from './permissions.js';
import type { DeleteRangeResult, PutResult, TxnResult } from './results.js';
import { isShort, shortVerdict, type TxnPath } from './txn-path.js';

/** Whether so many changes of one revision can be told to the watchers within one call. */
export type IsHandedOut = (changes: number) => boolean;

export interface KvEntryOptions {
  readonly target: KvTarget;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly isHandedOut: IsHandedOut;
}

/** What was decided of a transaction: of a short one just whether its compares hold. */
export type TxnPlan = boolean | TxnPath;

export interface KvEntries {
  readonly put: EntryType<PutRequest, PutResult>;
  readonly deleteRange: EntryType<DeleteRangeRequest, DeleteRangeResult>;
  readonly txn: EntryType<TxnRequest, TxnResult, TxnPlan>;
  readonly compaction: EntryType<CompactionRequest, CompactionResult>;
}

export interface CompactionResult {
  /** Resolves when old revisions have been removed. */
  readonly done: () => Promise<void>;
}

export function kvEntries(options: KvEntryOptions): KvEntries {
  const { target } = options;
  return {
    put: putEntry(target),
    deleteRange: deleteRangeEntry(target),
    txn: txnEntry(options),
    compaction: compactionEntry(options),
  };
}

function putEntry(target: KvTarget): EntryType<PutRequest, PutResult> {
  return entryType<PutRequest, PutResult>({
    kind: EntryKind.put,
    operation: 'Put',
    decode: decodePutRequest,
    costBytes: putCostBytes,
    refusedWhenCorrupt: true,
    allows: putRefusal,
    // A value that is kept may be on disk, and a lease may have many keys to look at.
    planAtOnce: (put, caller) =>
      put.ignoreValue || (caller !== undefined && put.lease !== 0n) ? undefined : nothingToPlan,
    apply(txn, put, _plan, wantAnswer) {
      checkPutState(target, put);
      return applyPut(target, txn, put, wantAnswer);
    },
    *plan(put, slice, caller) {
      if (put.lease !== 0n) yield* checkLeases(target, caller, [put.lease], slice);
      yield* preparePut(target, put);
    },
    // biome-ignore lint/correctness/useYield: what it waited for is in memory by now.
    *applySteps(txn, put, _plan, wantAnswer) {
      return applyPut(target, txn, put, wantAnswer);
    },
  });
}

function deleteRangeEntry(target: KvTarget): EntryType<DeleteRangeRequest, DeleteRangeResult> {
  return entryType<DeleteRangeRequest, DeleteRangeResult>({
    kind: EntryKind.deleteRange,
    operation: 'DeleteRange',
    decode: decodeDeleteRangeRequest,
    refusedWhenCorrupt: true,
    allows: deleteRangeRefusal,
    planAtOnce: ({ rangeEnd }) => (rangeEnd === '' ? nothingToPlan : undefined),
    apply: (txn, deletion, _plan, wantAnswer) => applyDeleteKey(target, txn, deletion, wantAnswer),
    applySteps: (txn, deletion, _plan, wantAnswer, slice) =>
      applyDeleteRange(target, txn, deletion, wantAnswer, slice),
  });
}

function txnEntry({
  target,
  metrics,
  isHandedOut,
}: KvEntryOptions): EntryType<TxnRequest, TxnResult, TxnPlan> {
  const { store } = target;
  return entryType<TxnRequest, TxnResult, TxnPlan>({
    kind: EntryKind.txn,
    operation: 'Txn',
    decode: (body) => decodeTxnRequest(body),
    costBytes: txnCostBytes,
    refusedWhenCorrupt: true,
    allows: txnRefusal,
    planAtOnce(request, caller) {
      if (!isShort(request)) return undefined;
      if (caller !== undefined && leasesOf(request).size > 0) return undefined;
      const changesMax = Math.max(request.success.length, request.failure.length);
      return isHandedOut(changesMax) ? shortVerdict(store.reader(undefined), request) : undefined;
    },
    apply(txn, request, plan, wantAnswer) {
      assert(typeof plan === 'boolean', 'a short transaction has a verdict');
      metrics.txnTotal++;
      return applyShortTxn(target, txn, request, plan, wantAnswer);
    },
    *plan(request, slice, caller) {
      metrics.txnTotal++;
      if (caller !== undefined) yield* checkLeases(target, caller, leasesOf(request), slice);
      return yield* planTxn(target, request, slice);
    },
    applySteps(txn, _request, plan, wantAnswer, slice) {
      assert(typeof plan === 'object', 'a long transaction has a path');
      return runPath(target, txn, plan, wantAnswer, slice);
    },
  });
}

function compactionEntry(options: KvEntryOptions): EntryType<CompactionRequest, CompactionResult> {
  const { store } = options.target;
  return entryType<CompactionRequest, CompactionResult>({
    kind: EntryKind.compaction,
    operation: 'Compaction',
    decode: decodeCompactionRequest,
    refusedWhenCorrupt: true,
    allows: onlyRoot,
    schedule(index, term, { revision }) {
      store.scheduleCompaction(index, term, revision);
      watchCompaction(options, store, revision);
      return { done: () => store.compactionDone() };
    },
  });
}

/** Old revisions leave in the background, after the entry. */
function watchCompaction(
  { clock, logger, metrics }: KvEntryOptions,
  store: MvccStore,
  revision: Revision,
): void {
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
