/** Requests, answers and events between the form that the checkers read and the one on the wire. */

import {
  type Compare,
  CompareResult,
  CompareTarget,
  type DeleteRangeRequest,
  decodeCompactionResponse,
  decodeDeleteRangeResponse,
  decodePutResponse,
  decodeRangeResponse,
  decodeTxnResponse,
  type Event,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  type KeyValue,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  type ResponseOp,
  rangeOf,
  type TxnRequest,
} from '../../src/proto/index.js';
import type { Condition, Kv, Op, OpResult, Request, Response } from '../checkers/history.js';
import type { SeenEvent } from '../checkers/watch-checker.js';

export interface WireRequest {
  readonly method: string;
  readonly bytes: Buffer;
}

export function toWire(request: Request): WireRequest {
  const { kind, serializable } = request;
  const [op] = request.success;
  if (kind === 'compact') {
    const revision = request.compactRevision;
    return { method: 'Compact', bytes: encodeCompactionRequest({ revision, physical: false }) };
  }
  if (kind === 'txn' || op === undefined || op.type === 'txn') {
    return { method: 'Txn', bytes: encodeTxnRequest(txnOf(request)) };
  }
  if (op.type === 'put') return { method: 'Put', bytes: encodePutRequest(putOf(op)) };
  if (op.type === 'delete') {
    return { method: 'DeleteRange', bytes: encodeDeleteRangeRequest(deleteOf(op)) };
  }
  return { method: 'Range', bytes: encodeRangeRequest({ ...getOf(op), serializable }) };
}

export function fromWire(request: Request, message: Buffer): Response {
  switch (request.kind) {
    case 'compact':
      return response(decodeCompactionResponse(message).header?.revision, []);
    case 'put':
      return response(decodePutResponse(message).header?.revision, [{ type: 'put' }]);
    case 'delete': {
      const { header, deleted } = decodeDeleteRangeResponse(message);
      return response(header?.revision, [{ type: 'delete', deleted }]);
    }
    case 'get': {
      const { header, kvs } = decodeRangeResponse(message);
      return response(header?.revision, [{ type: 'get', kvs: kvs.map(kvOf) }]);
    }
    case 'txn': {
      const { header, succeeded, responses } = decodeTxnResponse(message);
      return { ...response(header?.revision, responses.map(resultOf)), succeeded };
    }
  }
}

function response(revision: number | undefined, results: readonly OpResult[]): Response {
  return { revision: revision ?? 0, succeeded: true, results };
}

function resultOf(op: ResponseOp): OpResult {
  switch (op.type) {
    case 'put':
      return { type: 'put' };
    case 'deleteRange':
      return { type: 'delete', deleted: op.response.deleted };
    case 'range':
      return { type: 'get', kvs: op.response.kvs.map(kvOf) };
    case 'txn': {
      const { succeeded, responses } = op.response;
      return { type: 'txn', succeeded, results: responses.map(resultOf) };
    }
    case 'none':
      throw new Error('an answer to no operation');
  }
}

function txnOf({ conditions, success, failure }: Request): TxnRequest {
  return {
    compare: conditions.map(compareOf),
    success: success.map(opOf),
    failure: failure.map(opOf),
  };
}

export function kvOf(kv: KeyValue): Kv {
  return {
    key: kv.key,
    value: kv.value.toString('latin1'),
    create: kv.createRevision,
    mod: kv.modRevision,
    version: kv.version,
    lease: kv.lease,
  };
}

export function seenEvent({ type, kv, prevKv }: Event): SeenEvent {
  if (kv === undefined) throw new Error('an event without kv');
  return {
    type: type === 0 ? 'put' : 'delete',
    kv: kvOf(kv),
    previous: prevKv === undefined ? undefined : kvOf(prevKv),
  };
}

function putOf(op: Op & { type: 'put' }): PutRequest {
  const { key, lease, ignoreValue = false, ignoreLease = false } = op;
  const value = Buffer.from(op.value, 'latin1');
  return { key, value, lease, prevKv: false, ignoreValue, ignoreLease };
}

function deleteOf(op: Op & { type: 'delete' }): DeleteRangeRequest {
  return { key: op.key, rangeEnd: op.end, prevKv: false };
}

function getOf(op: Op & { type: 'get' }): RangeRequest {
  return { ...rangeOf(op.key, op.end), revision: op.revision };
}

function opOf(op: Op): RequestOp {
  if (op.type === 'put') return { type: 'put', request: putOf(op) };
  if (op.type === 'delete') return { type: 'deleteRange', request: deleteOf(op) };
  if (op.type === 'txn') return { type: 'txn', request: txnOf(op.request) };
  return { type: 'range', request: getOf(op) };
}

const results: Record<Condition['result'], number> = {
  '=': CompareResult.EQUAL,
  '>': CompareResult.GREATER,
  '<': CompareResult.LESS,
  '!=': CompareResult.NOT_EQUAL,
  any: 99,
};
/** A target that no version knows. */
const noTarget = 77;
const noValue = Buffer.alloc(0);

function compareOf(condition: Condition): Compare {
  const base = {
    result: results[condition.result],
    key: condition.key,
    rangeEnd: condition.end ?? '',
    version: 0,
    createRevision: 0,
    modRevision: 0,
    value: noValue,
    lease: 0n,
  };
  switch (condition.target) {
    case 'value': {
      const value = Buffer.from(condition.value, 'latin1');
      return { ...base, target: CompareTarget.VALUE, targetUnion: 'value', value };
    }
    case 'create': {
      const createRevision = condition.number;
      return {
        ...base,
        target: CompareTarget.CREATE,
        targetUnion: 'createRevision',
        createRevision,
      };
    }
    case 'mod': {
      const modRevision = condition.number;
      return { ...base, target: CompareTarget.MOD, targetUnion: 'modRevision', modRevision };
    }
    case 'version': {
      const version = condition.number;
      return { ...base, target: CompareTarget.VERSION, targetUnion: 'version', version };
    }
    case 'lease': {
      const { lease } = condition;
      return { ...base, target: CompareTarget.LEASE, targetUnion: 'lease', lease };
    }
    case 'unknown':
      return { ...base, target: noTarget, targetUnion: 'none' };
  }
}
