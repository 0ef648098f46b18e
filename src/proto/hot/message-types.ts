/**
 * The messages of the hot services (KV, Watch, Lease) as plain data, decoded from and encoded to
 * etcd's wire format by the hand-written codecs beside this file. Names and numbers: etcd 3.7
 * rpc.proto and kv.proto.
 *
 * Three rules hold for every field here:
 *  - keys are {@link KeyString}s (latin1, copied); values are `Buffer`s borrowed from the input;
 *  - int64 counts, limits, revisions, versions and watch ids are numbers saturated to
 *    +-(2^53 - 1). That is exact for every comparison the server makes: no revision, version,
 *    count or limit that a store reaches is that large (a million writes a second for 285 years),
 *    so a saturated value is on the same side of every reachable value as the original;
 *  - lease, member and cluster ids are all 64 bits, as bigint; 0n means absent.
 */

import type { KeyString } from '../../common/index.js';

/** Wire bytes are not a message of the expected type; a gRPC server answers INTERNAL. */
export class ProtoError extends Error {
  override readonly name = 'ProtoError';
}

/** RangeRequest.SortOrder by name. Fields hold plain numbers: the wire may carry unknown ones. */
export const SortOrder = { NONE: 0, ASCEND: 1, DESCEND: 2 } as const;
/** RangeRequest.SortTarget by name. */
export const SortTarget = { KEY: 0, VERSION: 1, CREATE: 2, MOD: 3, VALUE: 4 } as const;
/** Compare.CompareResult by name. */
export const CompareResult = { EQUAL: 0, GREATER: 1, LESS: 2, NOT_EQUAL: 3 } as const;
/** Compare.CompareTarget by name. */
export const CompareTarget = { VERSION: 0, CREATE: 1, MOD: 2, VALUE: 3, LEASE: 4 } as const;
/** WatchCreateRequest.FilterType by name. */
export const WatchFilter = { NOPUT: 0, NODELETE: 1 } as const;
/** mvccpb.Event.EventType by name. */
export const EventType = { PUT: 0, DELETE: 1 } as const;

// ------------------------------------------------------------------------------ KV requests

export interface RangeRequest {
  readonly key: KeyString;
  readonly rangeEnd: KeyString;
  readonly limit: number;
  readonly revision: number;
  /** See {@link SortOrder}; any int32. */
  readonly sortOrder: number;
  /** See {@link SortTarget}; any int32. */
  readonly sortTarget: number;
  readonly serializable: boolean;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly minModRevision: number;
  readonly maxModRevision: number;
  readonly minCreateRevision: number;
  readonly maxCreateRevision: number;
}

export interface PutRequest {
  readonly key: KeyString;
  /** Borrowed. */
  readonly value: Buffer;
  readonly lease: bigint;
  readonly prevKv: boolean;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
}

export interface DeleteRangeRequest {
  readonly key: KeyString;
  readonly rangeEnd: KeyString;
  readonly prevKv: boolean;
}

/** One operation of a txn; `none` if the oneof was not set. */
export type RequestOp =
  | { readonly type: 'range'; readonly request: RangeRequest }
  | { readonly type: 'put'; readonly request: PutRequest }
  | { readonly type: 'deleteRange'; readonly request: DeleteRangeRequest }
  | { readonly type: 'txn'; readonly request: TxnRequest }
  | { readonly type: 'none' };

/** Which member of Compare.target_union was on the wire (the last one wins). */
export type CompareUnion =
  | 'none'
  | 'version'
  | 'createRevision'
  | 'modRevision'
  | 'value'
  | 'lease';

/** Members of the union that are not set have their zero value. */
export interface Compare {
  /** See {@link CompareResult}; any int32. */
  readonly result: number;
  /** See {@link CompareTarget}; any int32. */
  readonly target: number;
  readonly key: KeyString;
  readonly rangeEnd: KeyString;
  readonly targetUnion: CompareUnion;
  readonly version: number;
  readonly createRevision: number;
  readonly modRevision: number;
  /** Borrowed. */
  readonly value: Buffer;
  readonly lease: bigint;
}

export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}

export interface CompactionRequest {
  readonly revision: number;
  readonly physical: boolean;
}

// --------------------------------------------------------------------- Watch and Lease requests

export interface WatchCreateRequest {
  readonly key: KeyString;
  readonly rangeEnd: KeyString;
  readonly startRevision: number;
  readonly progressNotify: boolean;
  /** See {@link WatchFilter}; any int32s. */
  readonly filters: readonly number[];
  readonly prevKv: boolean;
  /** Saturated; may be negative. */
  readonly watchId: number;
  readonly fragment: boolean;
}

export type WatchRequest =
  | ({ readonly type: 'create' } & WatchCreateRequest)
  | { readonly type: 'cancel'; readonly watchId: number }
  | { readonly type: 'progress' }
  | { readonly type: 'none' };

export interface LeaseGrantRequest {
  readonly ttlSeconds: number;
  readonly id: bigint;
}

export interface LeaseRevokeRequest {
  readonly id: bigint;
}

export interface LeaseKeepAliveRequest {
  readonly id: bigint;
}

export interface LeaseTimeToLiveRequest {
  readonly id: bigint;
  readonly keys: boolean;
}

export interface LeaseCheckpoint {
  readonly id: bigint;
  readonly remainingTtlSeconds: number;
}

// ---------------------------------------------------------------------------------- responses

export interface ResponseHeader {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: number;
  readonly raftTerm: number;
}

export interface KeyValue {
  readonly key: KeyString;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  /** Borrowed. */
  readonly value: Buffer;
  readonly lease: bigint;
}

export interface Event {
  /** See {@link EventType}. */
  readonly type: number;
  readonly kv: KeyValue | undefined;
  readonly prevKv: KeyValue | undefined;
}

export interface RangeResponse {
  readonly header: ResponseHeader | undefined;
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  readonly count: number;
}

export interface PutResponse {
  readonly header: ResponseHeader | undefined;
  readonly prevKv: KeyValue | undefined;
}

export interface DeleteRangeResponse {
  readonly header: ResponseHeader | undefined;
  readonly deleted: number;
  readonly prevKvs: readonly KeyValue[];
}

export type ResponseOp =
  | { readonly type: 'range'; readonly response: RangeResponse }
  | { readonly type: 'put'; readonly response: PutResponse }
  | { readonly type: 'deleteRange'; readonly response: DeleteRangeResponse }
  | { readonly type: 'txn'; readonly response: TxnResponse }
  | { readonly type: 'none' };

export interface TxnResponse {
  readonly header: ResponseHeader | undefined;
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOp[];
}

export interface CompactionResponse {
  readonly header: ResponseHeader | undefined;
}

export interface WatchResponse {
  readonly header: ResponseHeader | undefined;
  readonly watchId: number;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: number;
  readonly cancelReason: string;
  readonly fragment: boolean;
  readonly events: readonly Event[];
}

export interface LeaseGrantResponse {
  readonly header: ResponseHeader | undefined;
  readonly id: bigint;
  readonly ttlSeconds: number;
  readonly error: string;
}

export interface LeaseRevokeResponse {
  readonly header: ResponseHeader | undefined;
}

export interface LeaseKeepAliveResponse {
  readonly header: ResponseHeader | undefined;
  readonly id: bigint;
  readonly ttlSeconds: number;
}

export interface LeaseTimeToLiveResponse {
  readonly header: ResponseHeader | undefined;
  readonly id: bigint;
  readonly ttlSeconds: number;
  readonly grantedTtlSeconds: number;
  readonly keys: readonly KeyString[];
}

export interface LeaseLeasesResponse {
  readonly header: ResponseHeader | undefined;
  readonly leases: readonly bigint[];
}

// ----------------------------------------------------------------- what response encoders take

/**
 * An encoded `header` field: tag, length and ResponseHeader. Comes from `HeaderEncoder.header`;
 * shared between replies, so it must never be written to. `undefined` leaves the field out.
 */
export type EncodedHeader = Buffer | undefined;

/** What a range found; `kvs` are encoded mvccpb.KeyValue messages. */
export interface RangeResultBytes {
  readonly kvs: readonly Uint8Array[];
  /** More of them, behind those: pieces of the field `kvs` of RangeResponse, tags included. */
  readonly pages?: readonly Uint8Array[];
  readonly more: boolean;
  readonly count: number;
}

/**
 * The outcome of one operation inside a txn. Nested range, put and delete replies carry a header
 * with just `revision`; a nested txn carries an empty header (C-1.3.3).
 */
export type ResponseOpResult =
  | ({ readonly type: 'range'; readonly revision: number } & RangeResultBytes)
  | {
      readonly type: 'put';
      readonly revision: number;
      /** Encoded mvccpb.KeyValue. */
      readonly prevKv: Uint8Array | undefined;
    }
  | {
      readonly type: 'deleteRange';
      readonly revision: number;
      readonly deleted: number;
      /** Encoded mvccpb.KeyValues. */
      readonly prevKvs: readonly Uint8Array[];
    }
  | {
      readonly type: 'txn';
      readonly succeeded: boolean;
      readonly responses: readonly ResponseOpResult[];
    };

/** The outcome of a txn, ready to be encoded. */
export interface TxnResult {
  readonly header: EncodedHeader;
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOpResult[];
}

/** The fields of a WatchResponse beside its events; those left out have their zero value. */
export interface WatchResponseFields {
  readonly header: EncodedHeader;
  readonly watchId: number;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly compactRevision?: number;
  readonly cancelReason?: string;
  readonly fragment?: boolean;
}
