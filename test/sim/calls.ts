/** Calls of the rpcs of a simulated member, as the checkers write requests and answers. */

import { GrpcCode } from '../../src/common/index.js';
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
  type TxnRequest,
} from '../../src/proto/index.js';
import type { MethodHandler, ServerCall } from '../../src/transport/index.js';
import type { Condition, Kv, Op, OpResult, Request, Response } from '../checkers/history.js';
import type { Outcome } from '../helpers/in-process-call.js';

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
  return { method: 'Range', bytes: encodeRangeRequest({ ...rangeOf(op), serializable }) };
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

function putOf(op: Op & { type: 'put' }): PutRequest {
  const { key, lease, ignoreValue = false, ignoreLease = false } = op;
  const value = Buffer.from(op.value, 'latin1');
  return { key, value, lease, prevKv: false, ignoreValue, ignoreLease };
}

function deleteOf(op: Op & { type: 'delete' }): DeleteRangeRequest {
  return { key: op.key, rangeEnd: op.end, prevKv: false };
}

function rangeOf(op: Op & { type: 'get' }): RangeRequest {
  return {
    key: op.key,
    rangeEnd: op.end,
    revision: op.revision,
    limit: 0,
    sortOrder: 0,
    sortTarget: 0,
    serializable: false,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
}

function opOf(op: Op): RequestOp {
  if (op.type === 'put') return { type: 'put', request: putOf(op) };
  if (op.type === 'delete') return { type: 'deleteRange', request: deleteOf(op) };
  if (op.type === 'txn') return { type: 'txn', request: txnOf(op.request) };
  return { type: 'range', request: rangeOf(op) };
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

/** Codes of errors after which nothing has happened and nothing will. */
const definite: ReadonlySet<GrpcCode> = new Set<GrpcCode>([
  GrpcCode.INVALID_ARGUMENT,
  GrpcCode.OUT_OF_RANGE,
  GrpcCode.NOT_FOUND,
  GrpcCode.FAILED_PRECONDITION,
  GrpcCode.UNIMPLEMENTED,
]);

export function isDefinite(outcome: Outcome): boolean {
  return !outcome.ok && definite.has(outcome.code);
}

const nobody = { commonName: '', certificateVerified: false };

/** The client's end of a bidirectional call. */
export class SimStream {
  readonly #call: StreamCall;
  readonly #handler: MethodHandler;

  constructor(
    handler: MethodHandler | undefined,
    onMessage: (message: Buffer) => void,
    onEnd: (text: string) => void,
  ) {
    if (handler === undefined || handler.kind !== 'bidi') throw new Error('no such stream');
    this.#handler = handler;
    this.#call = new StreamCall(onMessage, onEnd);
  }

  open(): void {
    if (this.#handler.kind === 'bidi') this.#handler.handle(this.#call);
  }

  send(bytes: Buffer): void {
    this.#call.onMessage?.(bytes);
  }

  cancel(): void {
    this.#call.cancel();
  }

  /** The client does not read: what is sent piles up. */
  stick(): void {
    this.#call.stuck = true;
  }

  unstick(): void {
    this.#call.unstick();
  }
}

/** More unread bytes than this, and the stream is full. */
const highWaterBytes = 2048;

class StreamCall implements ServerCall {
  readonly method = 'stream';
  readonly peer = { address: 'in-process', identity: nobody };
  readonly deadlineMs = undefined;
  cancelled = false;
  onCancel: (() => void) | undefined;
  onDrain: (() => void) | undefined;
  onMessage: ((message: Buffer) => void) | undefined;
  onEnd: (() => void) | undefined;
  backlogBytes = 0;
  readonly hasRoom = true;
  stuck = false;
  #mustTell = false;
  #ended = false;
  #unread: Buffer[] = [];
  readonly #receive: (message: Buffer) => void;
  readonly #finish: (text: string) => void;

  constructor(receive: (message: Buffer) => void, finish: (text: string) => void) {
    this.#receive = receive;
    this.#finish = finish;
  }

  metadata(): string | undefined {
    return undefined;
  }
  binaryMetadata(): Buffer | undefined {
    return undefined;
  }
  reply(message: Uint8Array): void {
    this.sendParts([message]);
  }
  replyParts(parts: readonly Uint8Array[]): void {
    this.sendParts(parts);
  }
  fail(code: GrpcCode, text: string): void {
    this.#close(`${code} ${text}`);
  }
  send(message: Uint8Array): boolean {
    return this.sendParts([message]);
  }
  sendParts(parts: readonly Uint8Array[]): boolean {
    if (this.#ended) return true;
    const message = Buffer.concat(parts);
    if (!this.stuck) {
      this.#receive(message);
      return true;
    }
    this.#unread.push(message);
    this.backlogBytes += message.length;
    if (this.backlogBytes > highWaterBytes) this.#mustTell = true;
    return !this.#mustTell;
  }
  end(): void {
    this.#close('ended');
  }
  whenRoom(run: () => void): void {
    run();
  }
  pause(): void {}
  resume(): void {}

  unstick(): void {
    this.stuck = false;
    const unread = this.#unread;
    this.#unread = [];
    this.backlogBytes = 0;
    for (const message of unread) if (!this.#ended) this.#receive(message);
    if (!this.#mustTell) return;
    this.#mustTell = false;
    this.onDrain?.();
  }

  cancel(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.cancelled = true;
    this.onCancel?.();
  }

  #close(text: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#finish(text);
  }
}
