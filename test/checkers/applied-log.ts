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
import {
  EntryKind,
  entryBody,
  entryCaller,
  entryKind,
  entryOrigin,
} from '../../src/server/entry/index.js';
import {
  AuthModel,
  type Need,
  needsOfDelete,
  needsOfLease,
  needsOfPut,
  needsOfTxn,
} from './auth-model.js';
import {
  type CompareResult,
  type Condition,
  deleteRequest,
  type Op,
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
  readonly auth = new AuthModel();
  compactRevision = -1;
  /** Entries that had no effect because of who asked for them. */
  refusedCallers = 0;
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
    const kind = entryKind(entry.data, entry.index);
    if (this.auth.apply(kind, entry.data, this.truth.revision)) return;
    switch (kind) {
      case EntryKind.put: {
        const put = decodePutRequest(body);
        this.#change(entry, txnRequest([], [putOp(put)]), () => needsOfPut(put, this.#keysOf));
        return;
      }
      case EntryKind.deleteRange: {
        const deletion = decodeDeleteRangeRequest(body);
        const { key, rangeEnd } = deletion;
        this.#change(entry, deleteRequest(key, rangeEnd), () => needsOfDelete(deletion));
        return;
      }
      case EntryKind.txn: {
        const txn = decodeTxnRequest(body);
        this.#change(entry, txnOf(txn), () => needsOfTxn(txn, this.#keysOf));
        return;
      }
      case EntryKind.compaction: {
        if (this.auth.refusesAllButRoot(entryCaller(entry.data))) return;
        const { revision } = decodeCompactionRequest(body);
        if (revision > this.compactRevision && revision <= this.truth.revision) {
          this.compactRevision = revision;
        }
        return;
      }
      case EntryKind.leaseGrant: {
        if (this.#refuses(entry, () => [])) return;
        const { id, ttlSeconds } = decodeLeaseGrantRequest(body);
        if (ttlSeconds <= ttlSecondsMax) this.leases.add(id);
        return;
      }
      case EntryKind.leaseRevoke:
        this.#revoke(entry, decodeLeaseRevokeRequest(body).id);
        return;
      default:
    }
  }

  #refuses(entry: LogEntry, needs: () => readonly Need[]): boolean {
    if (!this.auth.now.enabled) return false;
    const isRefused = this.auth.refuses(entryCaller(entry.data), needs());
    if (isRefused) this.refusedCallers += 1;
    return isRefused;
  }

  readonly #keysOf = (id: bigint): string[] => {
    const { truth } = this;
    const keys = truth.range('\0', '\0', truth.revision);
    return keys.filter(({ lease }) => lease === id).map(({ key }) => key);
  };

  #change(entry: LogEntry, request: Request, needs: () => readonly Need[]): void {
    const { truth } = this;
    if (this.#refuses(entry, needs)) return;
    if (truth.refuses(request, truth.revision, this)) return;
    const effect = truth.effect(request, truth.revision);
    if (effect.changes.length === 0) return;
    truth.append(effect.changes);
    this.indexes.push(entry.index);
  }

  #revoke(entry: LogEntry, id: bigint): void {
    if (this.#refuses(entry, () => needsOfLease(id, this.#keysOf))) return;
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

/** etcd's largest. */
const ttlSecondsMax = 9_000_000_000;

function putOp({ key, value, lease, ignoreValue, ignoreLease }: PutRequest): Op {
  return { type: 'put', key, value: value.toString('latin1'), lease, ignoreValue, ignoreLease };
}

function txnOf({ compare, success, failure }: TxnRequest): Request {
  return txnRequest(compare.map(conditionOf), success.map(opOf), failure.map(opOf));
}

const compareResults: readonly CompareResult[] = ['=', '>', '<', '!='];

function conditionOf(compare: Compare): Condition {
  const { key, target, targetUnion } = compare;
  const base = { key, end: compare.rangeEnd, result: compareResults[compare.result] ?? 'any' };
  // What is given for another target than the one that is compared counts for nothing.
  const number = (union: Compare['targetUnion'], given: number): number =>
    targetUnion === union ? given : 0;
  switch (target) {
    case CompareTarget.VALUE: {
      const value = targetUnion === 'value' ? compare.value.toString('latin1') : '';
      return { ...base, target: 'value', value };
    }
    case CompareTarget.CREATE:
      return {
        ...base,
        target: 'create',
        number: number('createRevision', compare.createRevision),
      };
    case CompareTarget.MOD:
      return { ...base, target: 'mod', number: number('modRevision', compare.modRevision) };
    case CompareTarget.VERSION:
      return { ...base, target: 'version', number: number('version', compare.version) };
    case CompareTarget.LEASE:
      return { ...base, target: 'lease', lease: targetUnion === 'lease' ? compare.lease : 0n };
    default:
      return { ...base, target: 'unknown' };
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
    case 'txn':
      return { type: 'txn', request: txnOf(op.request) };
    case 'none':
      throw new Error('an operation that is none is in the log');
  }
}
