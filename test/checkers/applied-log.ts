/**
 * The truth from the log that members apply: interprets each entry once, in log order, with rules
 * of its own. Knows the store, the leases and the compactions, which is all that clients can see.
 */

import {
  type Compare,
  CompareTarget,
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodeLeaseGrantRequest,
  decodeLeaseRevokeRequest,
  decodePutRequest,
  decodeTxnRequest,
  type PutRequest,
  type RequestOp,
  type TxnRequest,
} from '../../src/proto/index.js';
import { EntryKind, entryBody, entryKind, entryOrigin } from '../../src/server/entry.js';
import {
  type CompareResult,
  type Condition,
  deleteRequest,
  type Op,
  putRequest,
  type Request,
  txnRequest,
} from './history.js';
import { deleted, Truth } from './truth.js';

/** A committed entry. */
export interface LogEntry {
  readonly index: number;
  readonly term: number;
  readonly type: 'normal' | 'configChange' | 'noop';
  readonly data: Uint8Array;
}

/** The end of a lease, as the log has it. */
export interface LoggedLeaseEnd {
  readonly id: bigint;
  readonly index: number;
  readonly term: number;
  /** Which start of which member proposed it. */
  readonly origin: number;
  /** Of the revision that took its keys; 0: it had none. */
  readonly revision: number;
}

export class AppliedLog {
  readonly truth = new Truth();
  /** Index of the entry that made each revision, from revision 2 on. */
  readonly indexes: number[] = [];
  readonly leaseRevisions = new Set<number>();
  readonly leaseEnds = new Map<bigint, LoggedLeaseEnd>();
  readonly leases = new Set<bigint>();
  compactRevision = -1;
  #last: number;

  /** `founding`: the index that the cluster begins with. */
  constructor(founding: number) {
    this.#last = founding;
  }

  get lastIndex(): number {
    return this.#last;
  }

  apply(entry: LogEntry): void {
    if (entry.index !== this.#last + 1) throw new Error(`${entry.index} after ${this.#last}`);
    this.#last = entry.index;
    if (entry.type !== 'normal') return;
    const body = entryBody(entry.data);
    switch (entryKind(entry.data, entry.index)) {
      case EntryKind.put: {
        const put = decodePutRequest(body);
        const op = putOp(put);
        this.#change(entry, putRequest(op.key, op.value, op.lease));
        return;
      }
      case EntryKind.deleteRange: {
        const { key, rangeEnd } = decodeDeleteRangeRequest(body);
        this.#change(entry, deleteRequest(key, rangeEnd));
        return;
      }
      case EntryKind.txn:
        this.#change(entry, txnOf(decodeTxnRequest(body)));
        return;
      case EntryKind.compaction: {
        const { revision } = decodeCompactionRequest(body);
        if (revision > this.compactRevision && revision <= this.truth.revision) {
          this.compactRevision = revision;
        }
        return;
      }
      case EntryKind.leaseGrant:
        this.leases.add(decodeLeaseGrantRequest(body).id);
        return;
      case EntryKind.leaseRevoke:
        this.#revoke(entry, decodeLeaseRevokeRequest(body).id);
        return;
      default:
    }
  }

  #change(entry: LogEntry, request: Request): void {
    const { truth } = this;
    const effect = truth.effect(request, truth.revision);
    if (effect.changes.length === 0) return;
    // A put with a lease that is not there fails as a whole.
    if (effect.changes.some(({ lease }) => lease !== 0n && !this.leases.has(lease))) return;
    truth.append(effect.changes);
    this.indexes.push(entry.index);
  }

  #revoke(entry: LogEntry, id: bigint): void {
    if (!this.leases.delete(id)) return;
    const { truth } = this;
    const keys = truth.range('\0', '\0', truth.revision).filter(({ lease }) => lease === id);
    if (keys.length > 0) {
      truth.append(keys.map(({ key }) => deleted(key)));
      this.indexes.push(entry.index);
      this.leaseRevisions.add(truth.revision);
    }
    const { index, term } = entry;
    const revision = keys.length > 0 ? truth.revision : 0;
    this.leaseEnds.set(id, { id, index, term, origin: entryOrigin(entry.data), revision });
  }
}

function putOp(put: PutRequest): Op & { readonly type: 'put' } {
  if (put.ignoreLease || put.ignoreValue) throw new Error('the checkers do not know ignore_*');
  return { type: 'put', key: put.key, value: put.value.toString('latin1'), lease: put.lease };
}

function txnOf({ compare, success, failure }: TxnRequest): Request {
  return txnRequest(compare.map(conditionOf), success.map(opOf), failure.map(opOf));
}

const compareResults: readonly CompareResult[] = ['=', '>', '<', '!='];

function conditionOf(compare: Compare): Condition {
  const { key, target } = compare;
  const result = compareResults[compare.result] ?? '=';
  switch (target) {
    case CompareTarget.VALUE:
      return { target: 'value', key, result, value: compare.value.toString('latin1') };
    case CompareTarget.CREATE:
      return { target: 'create', key, result, number: compare.createRevision };
    case CompareTarget.MOD:
      return { target: 'mod', key, result, number: compare.modRevision };
    case CompareTarget.VERSION:
      return { target: 'version', key, result, number: compare.version };
    default:
      throw new Error(`the checkers do not know the comparison ${target}`);
  }
}

function opOf(op: RequestOp): Op {
  switch (op.type) {
    case 'put':
      return putOp(op.request);
    case 'deleteRange':
      return { type: 'delete', key: op.request.key, end: op.request.rangeEnd };
    case 'range':
      return {
        type: 'get',
        key: op.request.key,
        end: op.request.rangeEnd,
        revision: op.request.revision,
      };
    default:
      throw new Error(`the checkers do not know the operation ${op.type}`);
  }
}
