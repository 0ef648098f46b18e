/**
 * The etcd messages that tests send and read, as @grpc/proto-loader gives them: field names of the
 * proto files, int64 as decimal text, bytes as Buffer, enums as numbers, all fields present.
 */

/** int64 and uint64: decimal text when read; a number is accepted when written. */
export type Int64 = string;
type Int64In = string | number;

export interface ResponseHeader {
  readonly cluster_id: Int64;
  readonly member_id: Int64;
  readonly revision: Int64;
  readonly raft_term: Int64;
}

export interface KeyValue {
  readonly key: Buffer;
  readonly create_revision: Int64;
  readonly mod_revision: Int64;
  readonly version: Int64;
  readonly value: Buffer;
  readonly lease: Int64;
}

export interface Event {
  /** 0 put, 1 delete. */
  readonly type: number;
  readonly kv: KeyValue;
  readonly prev_kv: KeyValue | null;
}

export interface RangeRequest {
  readonly key?: Buffer;
  readonly range_end?: Buffer;
  readonly limit?: Int64In;
  readonly revision?: Int64In;
  readonly sort_order?: number;
  readonly sort_target?: number;
  readonly serializable?: boolean;
  readonly keys_only?: boolean;
  readonly count_only?: boolean;
  readonly min_mod_revision?: Int64In;
  readonly max_mod_revision?: Int64In;
  readonly min_create_revision?: Int64In;
  readonly max_create_revision?: Int64In;
}

export interface RangeResponse {
  readonly header: ResponseHeader | null;
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  readonly count: Int64;
}

export interface RangeStreamResponse {
  readonly range_response: RangeResponse | null;
}

export interface PutRequest {
  readonly key?: Buffer;
  readonly value?: Buffer;
  readonly lease?: Int64In;
  readonly prev_kv?: boolean;
  readonly ignore_value?: boolean;
  readonly ignore_lease?: boolean;
}

export interface PutResponse {
  readonly header: ResponseHeader | null;
  readonly prev_kv: KeyValue | null;
}

export interface DeleteRangeRequest {
  readonly key?: Buffer;
  readonly range_end?: Buffer;
  readonly prev_kv?: boolean;
}

export interface DeleteRangeResponse {
  readonly header: ResponseHeader | null;
  readonly deleted: Int64;
  readonly prev_kvs: readonly KeyValue[];
}

export interface Compare {
  /** 0 equal, 1 greater, 2 less, 3 not equal. */
  readonly result?: number;
  /** 0 version, 1 create, 2 mod, 3 value, 4 lease. */
  readonly target?: number;
  readonly key?: Buffer;
  readonly version?: Int64In;
  readonly create_revision?: Int64In;
  readonly mod_revision?: Int64In;
  readonly value?: Buffer;
  readonly lease?: Int64In;
  readonly range_end?: Buffer;
}

export interface RequestOp {
  readonly request_range?: RangeRequest;
  readonly request_put?: PutRequest;
  readonly request_delete_range?: DeleteRangeRequest;
  readonly request_txn?: TxnRequest;
}

export interface TxnRequest {
  readonly compare?: readonly Compare[];
  readonly success?: readonly RequestOp[];
  readonly failure?: readonly RequestOp[];
}

export interface ResponseOp {
  readonly response_range?: RangeResponse;
  readonly response_put?: PutResponse;
  readonly response_delete_range?: DeleteRangeResponse;
  readonly response_txn?: TxnResponse;
}

export interface TxnResponse {
  readonly header: ResponseHeader | null;
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOp[];
}

export interface CompactionRequest {
  readonly revision?: Int64In;
  readonly physical?: boolean;
}

export interface HeaderOnly {
  readonly header: ResponseHeader | null;
}

export interface HashKvResponse extends HeaderOnly {
  readonly hash: number;
  readonly compact_revision: Int64;
}

export interface WatchCreateRequest {
  readonly key?: Buffer;
  readonly range_end?: Buffer;
  readonly start_revision?: Int64In;
  readonly progress_notify?: boolean;
  /** 0 no puts, 1 no deletes. */
  readonly filters?: readonly number[];
  readonly prev_kv?: boolean;
  readonly watch_id?: Int64In;
  readonly fragment?: boolean;
}

export interface WatchRequest {
  readonly create_request?: WatchCreateRequest;
  readonly cancel_request?: { readonly watch_id: Int64In };
  readonly progress_request?: Readonly<Record<string, never>>;
}

export interface WatchResponse {
  readonly header: ResponseHeader | null;
  readonly watch_id: Int64;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compact_revision: Int64;
  readonly cancel_reason: string;
  readonly fragment: boolean;
  readonly events: readonly Event[];
}

export interface LeaseGrantRequest {
  readonly TTL?: Int64In;
  readonly ID?: Int64In;
}

export interface LeaseGrantResponse extends HeaderOnly {
  readonly ID: Int64;
  readonly TTL: Int64;
  readonly error: string;
}

export interface LeaseKeepAliveResponse extends HeaderOnly {
  readonly ID: Int64;
  readonly TTL: Int64;
}

export interface LeaseTimeToLiveResponse extends HeaderOnly {
  readonly ID: Int64;
  readonly TTL: Int64;
  readonly grantedTTL: Int64;
  readonly keys: readonly Buffer[];
}

export interface LeaseLeasesResponse extends HeaderOnly {
  readonly leases: readonly { readonly ID: Int64 }[];
}

export interface Member {
  readonly ID: Int64;
  readonly name: string;
  readonly peerURLs: readonly string[];
  readonly clientURLs: readonly string[];
  readonly isLearner: boolean;
}

export interface MemberListResponse extends HeaderOnly {
  readonly members: readonly Member[];
}

export interface AlarmResponse extends HeaderOnly {
  readonly alarms: readonly { readonly memberID: Int64; readonly alarm: number }[];
}

export interface StatusResponse extends HeaderOnly {
  readonly version: string;
  readonly dbSize: Int64;
  readonly leader: Int64;
  readonly raftIndex: Int64;
  readonly raftTerm: Int64;
  readonly raftAppliedIndex: Int64;
  readonly errors: readonly string[];
  readonly dbSizeInUse: Int64;
  readonly isLearner: boolean;
}

export interface SnapshotResponse extends HeaderOnly {
  readonly remaining_bytes: Int64;
  readonly blob: Buffer;
}
