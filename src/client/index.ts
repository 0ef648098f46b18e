/** `kvorum/client`: the typed client for kvorum and for etcd 3.4 and later. */
export { bytes, json, text, typed } from './codec.js';
export {
  type ClientReason,
  EtcdClientError,
  isEtcdError,
  type Outcome,
  type Reason,
  type ServerReason,
  type StatusName,
} from './errors.js';
export { Etcd } from './etcd.js';
export { mirror } from './mirror.js';
export type * from './types.js';
export type * from './types-admin.js';
export type * from './types-kv.js';
export type * from './types-lease.js';
export type * from './types-txn.js';
export type * from './types-watch.js';
