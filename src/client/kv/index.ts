/** The key-value store: reads, writes, transactions and what is built on them. */

export { Forgotten } from './forgotten.js';
export type { ClientOfView, Isolation, Kv, Stm, StmOptions } from './kv-types.js';
export { KvView } from './kv-view.js';
export { type MirrorOptions, mirror } from './mirror.js';
export type {
  CommitIsMissing,
  Comparer,
  Condition,
  KvOps,
  Op,
  Relation,
  ResultOf,
  ResultsOf,
  Txn,
  TxnComplete,
  TxnIf,
  TxnResult,
  TxnStart,
  TxnThen,
} from './txn-types.js';
export type {
  CasOptions,
  CasResult,
  DeleteOptions,
  DeleteResult,
  LeaseChoice,
  LeaseRef,
  ModifyOptions,
  ModifyResult,
  PrevOf,
  PrevsOf,
  PutOptions,
  PutResult,
  WriteResult,
} from './write-types.js';
