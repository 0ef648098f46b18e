/**
 * The KV service (C-1): steps 2, 3 and 12 of the data path for Range, Put,
 * DeleteRange, Txn and Compact. RangeStream is in kv/range-stream.ts.
 */

import { type EtcdError, runSteps, Slice, txnMessagesMax } from '../../common/index.js';
import {
  type CompactionRequest,
  type DeleteRangeRequest,
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeTxnRequest,
  encodeCompactionResponse,
  encodeDeleteRangeResponse,
  encodePutResponse,
  encodeRangeResponse,
  encodeTxnResponse,
  type PutRequest,
  type RangeRequest,
  TooManyMessagesError,
  type TxnRequest,
} from '../../proto/index.js';
import type { PointReader, RangeResult, ReadPoint } from '../../storage/index.js';
import type { MethodHandler, ServerCall } from '../../transport/index.js';
import { EntryKind, entryBody, entryHeaderBytes, newEntry } from '../feature/entry.js';
import type { CompactionResult } from '../node/apply.js';
import {
  failCall,
  headerAt,
  linearizableRead,
  type RpcContext,
  refuseCall,
  replyWith,
} from '../rpc/context.js';
import { unaryMethod } from '../rpc/unary.js';
import {
  checkDeleteRange,
  checkPut,
  checkRange,
  checkTxn,
  isTxnReadonly,
  isTxnSerializable,
} from './check-request.js';
import { putCostBytes, txnCostBytes } from './cost.js';
import { deferredReads, runDeferredReads } from './deferred-reads.js';
import type {
  DeferredRange,
  DeleteRangeResult,
  OpResult,
  PutResult,
  TxnResult,
} from './results.js';
import { evaluateReadonlyTxn } from './txn-readonly.js';
import { opReply } from './txn-reply.js';

/** A call together with the node that answers it: the context of every responder. */
interface Answering {
  readonly rpc: RpcContext;
  readonly call: ServerCall;
}

/** Handlers of the KV service by full method name. */
export function kvMethods(rpc: RpcContext): Array<readonly [string, MethodHandler]> {
  const method = (
    name: string,
    handle: (rpc: RpcContext, request: Buffer, call: ServerCall) => void,
  ): readonly [string, MethodHandler] =>
    unaryMethod(rpc, `/etcdserverpb.KV/${name}`, (request, call) => handle(rpc, request, call));
  return [
    method('Range', handleRange),
    method('Put', handlePut),
    method('DeleteRange', handleDeleteRange),
    method('Txn', handleTxn),
    method('Compact', handleCompact),
  ];
}

// -------------------------------------------------------------------------------------- Put

function handlePut(rpc: RpcContext, bytes: Buffer, call: ServerCall): void {
  if (bytes.length > rpc.requestBytesMax) {
    refuseCall(call, 'REQUEST_TOO_LARGE');
    return;
  }
  const data = newEntry(EntryKind.put, bytes);
  const request = decodePutRequest(data, entryHeaderBytes);
  const wrong = checkPut(request) ?? rpc.spaceFor(putCostBytes(request));
  if (wrong !== undefined) {
    refuseCall(call, wrong);
    return;
  }
  rpc.loop.propose(data, request, answerPut, { rpc, call });
}

function answerPut(
  { rpc, call }: Answering,
  _request: PutRequest,
  error: Error | undefined,
  result: PutResult | undefined,
): void {
  if (result === undefined) {
    failCall(rpc, call, error);
    return;
  }
  if (result.previous === undefined) {
    call.reply(rpc.headers.passing(result.revision, rpc.term()));
    return;
  }
  const header = headerAt(rpc, result.revision);
  answerWith(rpc, call, result, () => {
    call.reply(encodePutResponse(header, result.previous?.result?.kvs[0]));
  });
}

/** Runs what the answer still has to read, then answers: at once, if all of it is in memory. */
function answerWith(
  rpc: RpcContext,
  call: ServerCall,
  result: OpResult,
  answer: () => void,
  held?: PointReader,
): void {
  const reads: DeferredRange[] = [];
  deferredReads(result, reads);
  const waits = runDeferredReads(rpc.store, rpc.clock, reads, held);
  if (waits === undefined) answer();
  else waits.then(answer).catch((error: unknown) => failCall(rpc, call, error));
}

// ------------------------------------------------------------------------------ DeleteRange

function handleDeleteRange(rpc: RpcContext, bytes: Buffer, call: ServerCall): void {
  if (bytes.length > rpc.requestBytesMax) {
    refuseCall(call, 'REQUEST_TOO_LARGE');
    return;
  }
  const data = newEntry(EntryKind.deleteRange, bytes);
  const request = decodeDeleteRangeRequest(entryBody(data));
  const wrong = checkDeleteRange(request);
  if (wrong !== undefined) {
    refuseCall(call, wrong);
    return;
  }
  rpc.loop.propose(data, request, answerDeleteRange, { rpc, call });
}

function answerDeleteRange(
  { rpc, call }: Answering,
  _request: DeleteRangeRequest,
  error: Error | undefined,
  result: DeleteRangeResult | undefined,
): void {
  if (result === undefined) {
    failCall(rpc, call, error);
    return;
  }
  const header = headerAt(rpc, result.revision);
  answerWith(rpc, call, result, () => {
    const previous = result.previous?.result?.kvs ?? [];
    replyWith(call, encodeDeleteRangeResponse(header, result.deleted, previous));
  });
}

// ------------------------------------------------------------------------------------ Range

function handleRange(rpc: RpcContext, bytes: Buffer, call: ServerCall): void {
  const request = decodeRangeRequest(bytes);
  const wrong = checkRange(request);
  if (wrong !== undefined) {
    refuseCall(call, wrong);
    return;
  }
  const reading = { rpc, call, request };
  if (request.serializable) runRange(reading, undefined);
  else linearizableRead(rpc, runRange, reading, bytes.length);
}

interface RangeReading extends Answering {
  readonly request: RangeRequest;
}

function runRange({ rpc, call, request }: RangeReading, error: EtcdError | undefined): void {
  if (error !== undefined) {
    failCall(rpc, call, error);
    return;
  }
  if (!call.hasRoom) {
    call.whenRoom(() => runRange({ rpc, call, request }, undefined));
    return;
  }
  try {
    const at = readPointOf(rpc, request);
    // The header shows the newest revision, whatever revision is read.
    const header = headerAt(rpc, rpc.store.revision);
    rpc.metrics.rangeTotal++;
    const result = rpc.store.range(request.keysOnly ? { ...request, paged: true } : request, at);
    if (result instanceof Promise) {
      result.then(
        (found) => answerRange(call, header, found),
        (thrown: unknown) => failCall(rpc, call, thrown),
      );
    } else {
      answerRange(call, header, result);
    }
  } catch (thrown) {
    failCall(rpc, call, thrown);
  }
}

function answerRange(call: ServerCall, header: Buffer, result: RangeResult): void {
  if (call.cancelled) return;
  replyWith(call, encodeRangeResponse(header, result));
}

/** Undefined: the present. Throws the EtcdError of a revision that can't be read. */
export function readPointOf(rpc: RpcContext, request: RangeRequest): ReadPoint | undefined {
  if (request.revision <= 0) return undefined;
  const wrong = rpc.store.checkRevision(request.revision);
  if (wrong !== undefined) throw wrong;
  return { main: request.revision, sub: Number.POSITIVE_INFINITY };
}

// -------------------------------------------------------------------------------------- Txn

function handleTxn(rpc: RpcContext, bytes: Buffer, call: ServerCall): void {
  if (bytes.length > rpc.requestBytesMax) {
    refuseCall(call, 'REQUEST_TOO_LARGE');
    return;
  }
  const data = newEntry(EntryKind.txn, bytes);
  const request = decodeBoundedTxn(rpc, entryBody(data));
  if (request === undefined) {
    refuseCall(call, 'TOO_MANY_OPS');
    return;
  }
  const wrong = checkTxn(request, rpc.txnOpsMax);
  if (wrong !== undefined) {
    refuseCall(call, wrong);
    return;
  }
  if (isTxnReadonly(request)) {
    const reading = { rpc, call, request };
    if (isTxnSerializable(request)) runReadonlyTxn(reading, undefined);
    else linearizableRead(rpc, runReadonlyTxn, reading, bytes.length);
    return;
  }
  const costBytes = txnCostBytes(request);
  const noSpace = costBytes > 0 ? rpc.spaceFor(costBytes) : undefined;
  if (noSpace !== undefined) {
    refuseCall(call, noSpace);
    return;
  }
  rpc.loop.propose(data, request, answerTxn, { rpc, call });
}

/** Messages that one flat operation of each branch and one compare make of a transaction. */
const messagesPerOp = 7;

/** Undefined: there is more in it than can be looked through in one piece. */
function decodeBoundedTxn(rpc: RpcContext, bytes: Buffer): TxnRequest | undefined {
  try {
    return decodeTxnRequest(bytes, Math.max(txnMessagesMax, messagesPerOp * rpc.txnOpsMax));
  } catch (error) {
    if (error instanceof TooManyMessagesError) return undefined;
    throw error;
  }
}

function answerTxn(
  { rpc, call }: Answering,
  _request: TxnRequest,
  error: Error | undefined,
  result: TxnResult | undefined,
): void {
  if (result === undefined) failCall(rpc, call, error);
  else replyToTxn(rpc, call, result);
}

function replyToTxn(rpc: RpcContext, call: ServerCall, result: TxnResult, held?: PointReader) {
  const header = headerAt(rpc, result.revision);
  const answer = (): void => {
    const { succeeded, responses } = result;
    const reply = { header, succeeded, responses: responses.map(opReply) };
    replyWith(call, encodeTxnResponse(reply));
  };
  answerWith(rpc, call, result, answer, held);
}

interface TxnReading extends Answering {
  readonly request: TxnRequest;
}

function runReadonlyTxn(reading: TxnReading, error: EtcdError | undefined): void {
  const { rpc, call, request } = reading;
  if (error !== undefined) {
    failCall(rpc, call, error);
    return;
  }
  if (!call.hasRoom) {
    call.whenRoom(() => runReadonlyTxn(reading, undefined));
    return;
  }
  // Whatever is written meanwhile, all of it is decided and read at this revision.
  const reader = rpc.store.reader(rpc.store.revision);
  const answer = (result: TxnResult): void => {
    rpc.metrics.txnTotal++;
    rpc.metrics.rangeTotal += result.responses.length;
    // What waits for the disk has a hold of its own by then.
    replyToTxn(rpc, call, result, reader);
  };
  const fail = (thrown: unknown): void => failCall(rpc, call, thrown);
  try {
    const slice = new Slice(rpc.clock);
    const done = runSteps(evaluateReadonlyTxn(rpc.store, reader, request, slice));
    if (done instanceof Promise) {
      void done
        .then(answer)
        .catch(fail)
        .finally(() => reader.close());
      return;
    }
    answer(done);
  } catch (thrown) {
    fail(thrown);
  }
  reader.close();
}

// ---------------------------------------------------------------------------------- Compact

function handleCompact(rpc: RpcContext, bytes: Buffer, call: ServerCall): void {
  const data = newEntry(EntryKind.compaction, bytes);
  rpc.loop.propose(data, decodeCompactionRequest(entryBody(data)), answerCompact, { rpc, call });
}

function answerCompact(
  { rpc, call }: Answering,
  request: CompactionRequest,
  error: Error | undefined,
  result: CompactionResult | undefined,
): void {
  if (result === undefined) {
    failCall(rpc, call, error);
    return;
  }
  const answer = (): void => {
    call.reply(encodeCompactionResponse(headerAt(rpc, rpc.store.revision)));
  };
  if (!request.physical) answer();
  else result.done().then(answer, (thrown: unknown) => failCall(rpc, call, thrown));
}
