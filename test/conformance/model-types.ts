/**
 * Requests and answers of the model: etcd's messages under their proto names, with keys and values
 * as latin1 text (one character a byte) and 64-bit numbers as numbers.
 */

import type { RpcFailure } from '../helpers/grpc.js';

/** A header: the revision, and whether it names the answering server or nobody (nested replies). */
export interface ModelHeader {
  readonly revision: number;
  readonly ids: 'own' | 'none';
}

export interface ModelKv {
  readonly key: string;
  readonly create_revision: number;
  readonly mod_revision: number;
  readonly version: number;
  readonly value: string;
  readonly lease: number;
}

export interface ModelEvent {
  readonly type: 0 | 1;
  readonly kv: ModelKv;
  readonly prev_kv: ModelKv | null;
}

export interface RangeOp {
  readonly key: string;
  readonly range_end?: string;
  readonly limit?: number;
  readonly revision?: number;
  readonly sort_order?: number;
  readonly sort_target?: number;
  readonly serializable?: boolean;
  readonly keys_only?: boolean;
  readonly count_only?: boolean;
  readonly min_mod_revision?: number;
  readonly max_mod_revision?: number;
  readonly min_create_revision?: number;
  readonly max_create_revision?: number;
}

export interface PutOp {
  readonly key: string;
  readonly value?: string;
  readonly lease?: number;
  readonly prev_kv?: boolean;
  readonly ignore_value?: boolean;
  readonly ignore_lease?: boolean;
}

export interface DeleteOp {
  readonly key: string;
  readonly range_end?: string;
  readonly prev_kv?: boolean;
}

export interface CompareOp {
  readonly result: number;
  readonly target: number;
  readonly key: string;
  readonly range_end?: string;
  readonly version?: number;
  readonly create_revision?: number;
  readonly mod_revision?: number;
  readonly value?: string;
  readonly lease?: number;
}

/** Exactly one of the four is set. */
export interface BranchOp {
  readonly request_range?: RangeOp;
  readonly request_put?: PutOp;
  readonly request_delete_range?: DeleteOp;
  readonly request_txn?: TxnOp;
}

export interface TxnOp {
  readonly compare?: readonly CompareOp[];
  readonly success?: readonly BranchOp[];
  readonly failure?: readonly BranchOp[];
}

export interface WatchOp {
  readonly key: string;
  readonly range_end?: string;
  readonly start_revision: number;
  readonly filters?: readonly number[];
  readonly prev_kv?: boolean;
}

/** What a call answers: a message, or an error with its code and text. */
export type Answer = { readonly reply: object } | { readonly error: RpcFailure };

/** The errors the model can answer with. */
export const failures = {
  emptyKey: { code: 3, text: 'etcdserver: key is not provided' },
  keyNotFound: { code: 3, text: 'etcdserver: key not found' },
  valueProvided: { code: 3, text: 'etcdserver: value is provided' },
  leaseProvided: { code: 3, text: 'etcdserver: lease is provided' },
  tooManyOps: { code: 3, text: 'etcdserver: too many operations in txn request' },
  duplicateKey: { code: 3, text: 'etcdserver: duplicate key given in txn request' },
  compacted: { code: 11, text: 'etcdserver: mvcc: required revision has been compacted' },
  future: { code: 11, text: 'etcdserver: mvcc: required revision is a future revision' },
  leaseNotFound: { code: 5, text: 'etcdserver: requested lease not found' },
  leaseExists: { code: 9, text: 'etcdserver: lease already exists' },
  ttlTooLarge: { code: 11, text: 'etcdserver: too large lease TTL' },
} as const satisfies Record<string, RpcFailure>;

/** Thrown inside the model to refuse a request. */
export class Refusal extends Error {
  readonly failure: RpcFailure;

  constructor(failure: RpcFailure) {
    super(failure.text);
    this.failure = failure;
  }
}
