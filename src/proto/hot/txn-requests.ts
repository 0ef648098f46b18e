/**
 * TxnRequest: bytes to data and back. The only recursive request; the reader bounds its depth.
 */

import { emptyBytes } from '../../common/index.js';
import {
  deleteRangeFields,
  emptyDeleteRangeRequest,
  emptyPutRequest,
  emptyRangeRequest,
  putFields,
  rangeFields,
  writeDeleteRangeRequest,
  writePutRequest,
  writeRangeRequest,
} from './kv-requests.js';
import type { Compare, CompareUnion, RequestOp, TxnRequest } from './message-types.js';
import type { Mutable } from './mutable.js';
import { WireReader } from './wire-reader.js';
import { startMessage, type WireWriter } from './wire-writer.js';

interface TxnDraft {
  readonly compare: Compare[];
  readonly success: RequestOp[];
  readonly failure: RequestOp[];
}
/** A {@link RequestOp} that the same member, coming again, is merged into in place. */
type OpDraft =
  | Exclude<RequestOp, { readonly type: 'txn' }>
  | { readonly type: 'txn'; readonly request: TxnDraft };

/** A comparison to be encoded; what is left out has its zero value. */
export type CompareInput = Partial<Compare>;

/**
 * Throws ProtoError, and TooManyMessagesError if more than `messagesMax` messages are in it, each
 * counted as often as it is nested. Values are borrowed from `bytes`.
 */
export function decodeTxnRequest(bytes: Buffer, messagesMax?: number): TxnRequest {
  const request = emptyTxn();
  txnFields(new WireReader(bytes, 0, messagesMax), request);
  return request;
}

export function encodeTxnRequest(request: TxnRequest): Buffer {
  const w = startMessage();
  writeTxnRequest(w, request);
  return w.take();
}

/** A Compare whose fields are all zero but those given. */
export function compareOf(fields: CompareInput): Compare {
  return { ...emptyCompare(), ...fields };
}

function emptyTxn(): TxnDraft {
  return { compare: [], success: [], failure: [] };
}

function txnFields(r: WireReader, request: TxnDraft): void {
  while (r.more()) {
    const tag = r.tag();
    switch (tag) {
      case 0x0a:
        request.compare.push(readCompare(r));
        break;
      case 0x12:
        request.success.push(readRequestOp(r));
        break;
      case 0x1a:
        request.failure.push(readRequestOp(r));
        break;
      default:
        r.skip(tag);
    }
  }
}

function readRequestOp(r: WireReader): RequestOp {
  let op: OpDraft = { type: 'none' };
  const outer = r.enter();
  while (r.more()) {
    const tag = r.tag();
    if (tag < 0x0a || tag > 0x22 || (tag & 7) !== 2) r.skip(tag);
    else op = readRequestUnion(r, tag, op);
  }
  r.leave(outer);
  return op;
}

/** The same member again is merged into the one before; another one replaces it. */
function readRequestUnion(r: WireReader, tag: number, before: OpDraft): OpDraft {
  const outer = r.enter();
  let op: OpDraft;
  switch (tag) {
    case 0x0a: {
      const request = before.type === 'range' ? before.request : emptyRangeRequest();
      rangeFields(r, request);
      op = { type: 'range', request };
      break;
    }
    case 0x12: {
      const request = before.type === 'put' ? before.request : emptyPutRequest();
      putFields(r, request);
      op = { type: 'put', request };
      break;
    }
    case 0x1a: {
      const request = before.type === 'deleteRange' ? before.request : emptyDeleteRangeRequest();
      deleteRangeFields(r, request);
      op = { type: 'deleteRange', request };
      break;
    }
    default: {
      const request = before.type === 'txn' ? before.request : emptyTxn();
      txnFields(r, request);
      op = { type: 'txn', request };
    }
  }
  r.leave(outer);
  return op;
}

function emptyCompare(): Mutable<Compare> {
  return {
    result: 0,
    target: 0,
    key: '',
    rangeEnd: '',
    targetUnion: 'none',
    version: 0,
    createRevision: 0,
    modRevision: 0,
    value: emptyBytes,
    lease: 0n,
  };
}

function readCompare(r: WireReader): Compare {
  const compare = emptyCompare();
  const outer = r.enter();
  while (r.more()) {
    const tag = r.tag();
    switch (tag) {
      case 0x08:
        compare.result = r.int32();
        break;
      case 0x10:
        compare.target = r.int32();
        break;
      case 0x1a:
        compare.key = r.key();
        break;
      case 0x20:
        setUnion(compare, 'version');
        compare.version = r.int64();
        break;
      case 0x28:
        setUnion(compare, 'createRevision');
        compare.createRevision = r.int64();
        break;
      case 0x30:
        setUnion(compare, 'modRevision');
        compare.modRevision = r.int64();
        break;
      case 0x3a:
        setUnion(compare, 'value');
        compare.value = r.value();
        break;
      case 0x40:
        setUnion(compare, 'lease');
        compare.lease = r.signedId();
        break;
      case 0x202:
        compare.rangeEnd = r.key();
        break;
      default:
        r.skip(tag);
    }
  }
  r.leave(outer);
  return compare;
}

/** A oneof: setting one member clears the one before. */
function setUnion(compare: Mutable<Compare>, member: CompareUnion): void {
  if (compare.targetUnion !== 'none') {
    compare.version = 0;
    compare.createRevision = 0;
    compare.modRevision = 0;
    compare.value = emptyBytes;
    compare.lease = 0n;
  }
  compare.targetUnion = member;
}

function writeTxnRequest(w: WireWriter, request: TxnRequest): void {
  writeRequestOps(w, 3, request.failure);
  writeRequestOps(w, 2, request.success);
  for (let i = request.compare.length - 1; i >= 0; i -= 1) {
    const mark = w.length;
    writeCompare(w, request.compare[i] as Compare);
    w.message(1, mark);
  }
}

function writeRequestOps(w: WireWriter, field: number, ops: readonly RequestOp[]): void {
  for (let i = ops.length - 1; i >= 0; i -= 1) {
    const mark = w.length;
    writeRequestOp(w, ops[i] as RequestOp);
    w.message(field, mark);
  }
}

function writeRequestOp(w: WireWriter, op: RequestOp): void {
  const mark = w.length;
  switch (op.type) {
    case 'range':
      writeRangeRequest(w, op.request);
      w.message(1, mark);
      break;
    case 'put':
      writePutRequest(w, op.request);
      w.message(2, mark);
      break;
    case 'deleteRange':
      writeDeleteRangeRequest(w, op.request);
      w.message(3, mark);
      break;
    case 'txn':
      writeTxnRequest(w, op.request);
      w.message(4, mark);
      break;
    case 'none':
      break;
  }
}

/** A set member of the union is written even if zero: it is what says that it is set. */
function writeCompare(w: WireWriter, compare: Compare): void {
  w.optionalKey(64, compare.rangeEnd);
  switch (compare.targetUnion) {
    case 'version':
      w.intField(4, compare.version);
      break;
    case 'createRevision':
      w.intField(5, compare.createRevision);
      break;
    case 'modRevision':
      w.intField(6, compare.modRevision);
      break;
    case 'value':
      w.bytesField(7, compare.value);
      break;
    case 'lease':
      w.idField(8, compare.lease);
      break;
    case 'none':
      break;
  }
  w.optionalKey(3, compare.key);
  w.optionalInt(2, compare.target);
  w.optionalInt(1, compare.result);
}
