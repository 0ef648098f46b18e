/**
 * Replies of the KV service as a client reads them.
 */

import { mergeKeyValue } from './key-value.js';
import type {
  CompactionResponse,
  DeleteRangeResponse,
  KeyValue,
  PutResponse,
  RangeResponse,
  ResponseHeader,
  ResponseOp,
  TxnResponse,
} from './message-types.js';
import type { Mutable } from './mutable.js';
import { mergeHeader } from './response-header.js';
import { WireReader } from './wire-reader.js';

interface RangeDraft {
  header: ResponseHeader | undefined;
  readonly kvs: KeyValue[];
  more: boolean;
  count: number;
}
interface DeleteRangeDraft {
  header: ResponseHeader | undefined;
  deleted: number;
  readonly prevKvs: KeyValue[];
}
interface TxnDraft {
  header: ResponseHeader | undefined;
  succeeded: boolean;
  readonly responses: ResponseOp[];
}
/** A {@link ResponseOp} that the same member, coming again, is merged into in place. */
type OpDraft =
  | { readonly type: 'range'; readonly response: RangeDraft }
  | { readonly type: 'put'; readonly response: Mutable<PutResponse> }
  | { readonly type: 'deleteRange'; readonly response: DeleteRangeDraft }
  | { readonly type: 'txn'; readonly response: TxnDraft }
  | { readonly type: 'none' };

/** Throws ProtoError. Values are borrowed from `bytes`. */
export function decodeRangeResponse(bytes: Buffer): RangeResponse {
  const response = emptyRange();
  rangeFields(new WireReader(bytes), response);
  return response;
}

/**
 * One chunk of RangeStream; an absent `range_response` is an empty one. Throws ProtoError. Values
 * are borrowed from `bytes`.
 */
export function decodeRangeStreamResponse(bytes: Buffer): RangeResponse {
  const response = emptyRange();
  const r = new WireReader(bytes);
  while (r.more()) {
    const tag = r.tag();
    if (tag !== 0x0a) {
      r.skip(tag);
      continue;
    }
    const outer = r.enter();
    rangeFields(r, response);
    r.leave(outer);
  }
  return response;
}

/** Throws ProtoError. Values are borrowed from `bytes`. */
export function decodePutResponse(bytes: Buffer): PutResponse {
  const response = emptyPut();
  putFields(new WireReader(bytes), response);
  return response;
}

/** Throws ProtoError. Values are borrowed from `bytes`. */
export function decodeDeleteRangeResponse(bytes: Buffer): DeleteRangeResponse {
  const response = emptyDeleteRange();
  deleteRangeFields(new WireReader(bytes), response);
  return response;
}

/** Throws ProtoError. Values are borrowed from `bytes`. */
export function decodeTxnResponse(bytes: Buffer): TxnResponse {
  const response = emptyTxn();
  txnFields(new WireReader(bytes), response);
  return response;
}

/** Throws ProtoError. */
export function decodeCompactionResponse(bytes: Buffer): CompactionResponse {
  return { header: decodeOnlyHeader(bytes) };
}

/** The header of a reply of which nothing else is wanted. Throws ProtoError. */
export function decodeOnlyHeader(bytes: Buffer): ResponseHeader | undefined {
  let header: ResponseHeader | undefined;
  const r = new WireReader(bytes);
  while (r.more()) {
    const tag = r.tag();
    if (tag === 0x0a) header = mergeHeader(r, header);
    else r.skip(tag);
  }
  return header;
}

function emptyRange(): RangeDraft {
  return { header: undefined, kvs: [], more: false, count: 0 };
}

function emptyPut(): Mutable<PutResponse> {
  return { header: undefined, prevKv: undefined };
}

function emptyDeleteRange(): DeleteRangeDraft {
  return { header: undefined, deleted: 0, prevKvs: [] };
}

function emptyTxn(): TxnDraft {
  return { header: undefined, succeeded: false, responses: [] };
}

function rangeFields(r: WireReader, response: RangeDraft): void {
  while (r.more()) {
    const tag = r.tag();
    switch (tag) {
      case 0x0a:
        response.header = mergeHeader(r, response.header);
        break;
      case 0x12:
        response.kvs.push(mergeKeyValue(r, undefined));
        break;
      case 0x18:
        response.more = r.bool();
        break;
      case 0x20:
        response.count = r.int64();
        break;
      default:
        r.skip(tag);
    }
  }
}

function putFields(r: WireReader, response: Mutable<PutResponse>): void {
  while (r.more()) {
    const tag = r.tag();
    if (tag === 0x0a) response.header = mergeHeader(r, response.header);
    else if (tag === 0x12) response.prevKv = mergeKeyValue(r, response.prevKv);
    else r.skip(tag);
  }
}

function deleteRangeFields(r: WireReader, response: DeleteRangeDraft): void {
  while (r.more()) {
    const tag = r.tag();
    switch (tag) {
      case 0x0a:
        response.header = mergeHeader(r, response.header);
        break;
      case 0x10:
        response.deleted = r.int64();
        break;
      case 0x1a:
        response.prevKvs.push(mergeKeyValue(r, undefined));
        break;
      default:
        r.skip(tag);
    }
  }
}

function txnFields(r: WireReader, response: TxnDraft): void {
  while (r.more()) {
    const tag = r.tag();
    switch (tag) {
      case 0x0a:
        response.header = mergeHeader(r, response.header);
        break;
      case 0x10:
        response.succeeded = r.bool();
        break;
      case 0x1a:
        response.responses.push(readResponseOp(r));
        break;
      default:
        r.skip(tag);
    }
  }
}

function readResponseOp(r: WireReader): ResponseOp {
  let op: OpDraft = { type: 'none' };
  const outer = r.enter();
  while (r.more()) {
    const tag = r.tag();
    if (tag < 0x0a || tag > 0x22 || (tag & 7) !== 2) r.skip(tag);
    else op = readResponseUnion(r, tag, op);
  }
  r.leave(outer);
  return op;
}

/** The same member again is merged into the one before; another one replaces it. */
function readResponseUnion(r: WireReader, tag: number, before: OpDraft): OpDraft {
  const outer = r.enter();
  let op: OpDraft;
  switch (tag) {
    case 0x0a: {
      const response = before.type === 'range' ? before.response : emptyRange();
      rangeFields(r, response);
      op = { type: 'range', response };
      break;
    }
    case 0x12: {
      const response = before.type === 'put' ? before.response : emptyPut();
      putFields(r, response);
      op = { type: 'put', response };
      break;
    }
    case 0x1a: {
      const response = before.type === 'deleteRange' ? before.response : emptyDeleteRange();
      deleteRangeFields(r, response);
      op = { type: 'deleteRange', response };
      break;
    }
    default: {
      const response = before.type === 'txn' ? before.response : emptyTxn();
      txnFields(r, response);
      op = { type: 'txn', response };
    }
  }
  r.leave(outer);
  return op;
}
