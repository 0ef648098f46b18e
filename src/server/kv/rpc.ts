/**
 * The KV service (C-1): steps 2, 3 and 12 of the data path for Range, Put,
 * DeleteRange, Txn and Compact. RangeStream is in kv/range-stream.ts.
 */

import {
  type ErrorReason,
  type EtcdError,
  nobody,
  runSteps,
  Slice,
  txnMessagesMax,
} from '../../common/index.js';
import {
  type CompactionRequest,
  type DeleteRangeRequest,
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeTxnRequest,
  encodeCompactionRequest,
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
import { memberCaller } from '../access/index.js';
import { EntryKind, entryBody, entryHeaderBytes, newEntry } from '../entry/index.js';
import type { Host } from '../feature/index.js';
import { failCall, headerAt, refuseCall, replyWith, unaryMethod } from '../rpc/index.js';
import {
  checkDeleteRange,
  checkPut,
  checkRange,
  checkTxn,
  isTxnReadonly,
  isTxnSerializable,
} from './check-request.js';
import { deferredReads, runDeferredReads } from './deferred-reads.js';
import type { CompactionResult, KvEntries } from './entries.js';
import { txnRefusal } from './permissions.js';
import { Reading } from './reading.js';
import type {
  DeferredRange,
  DeleteRangeResult,
  OpResult,
  PutResult,
  TxnResult,
} from './results.js';
import { evaluateReadonlyTxn } from './txn-readonly.js';
import { opReply } from './txn-reply.js';

/** A call together with the member that answers it: the context of every responder. */
interface Answering {
  readonly host: Host;
  readonly call: ServerCall;
}

type KvHandler = (host: Host, entries: KvEntries, request: Buffer, call: ServerCall) => void;

/** Handlers of the KV service by full method name. */
export function kvMethods(host: Host, entries: KvEntries): Array<readonly [string, MethodHandler]> {
  const method = (name: string, handle: KvHandler): readonly [string, MethodHandler] =>
    unaryMethod(host, `/etcdserverpb.KV/${name}`, (request, call) => {
      handle(host, entries, request, call);
    });
  return [
    method('Range', handleRange),
    method('Put', handlePut),
    method('DeleteRange', handleDeleteRange),
    method('Txn', handleTxn),
    method('Compact', handleCompact),
  ];
}

// -------------------------------------------------------------------------------------- Put

function handlePut(host: Host, entries: KvEntries, bytes: Buffer, call: ServerCall): void {
  if (bytes.length > host.requestBytesMax) {
    refuseCall(call, 'REQUEST_TOO_LARGE');
    return;
  }
  const { caller } = call;
  const data = newEntry(EntryKind.put, bytes, caller);
  const request =
    caller === undefined
      ? decodePutRequest(data, entryHeaderBytes)
      : decodePutRequest(entryBody(data));
  const wrong = checkPut(request);
  if (wrong !== undefined) {
    refuseCall(call, wrong);
    return;
  }
  host.propose(entries.put, data, request, answerPut, { host, call });
}

function answerPut(
  { host, call }: Answering,
  _request: PutRequest,
  error: Error | undefined,
  result: PutResult | undefined,
): void {
  if (result === undefined) {
    failCall(host, call, error);
    return;
  }
  if (result.previous === undefined) {
    call.reply(host.headers.passing(result.revision, host.term()));
    return;
  }
  const header = headerAt(host, result.revision);
  answerWith(host, call, result, () => {
    call.reply(encodePutResponse(header, result.previous?.result?.kvs[0]));
  });
}

/** Runs what the answer still has to read, then answers: at once, if all of it is in memory. */
function answerWith(
  host: Host,
  call: ServerCall,
  result: OpResult,
  answer: () => void,
  held?: PointReader,
): void {
  const reads: DeferredRange[] = [];
  deferredReads(result, reads);
  const waits = runDeferredReads(held ?? host.store, host.clock, reads, call);
  if (waits === undefined) {
    answer();
    // Also what was found in memory may have taken room.
    call.leaveRoom();
  } else endInRoom(host, call, waits.then(answer));
}

/** The end of an answer that has taken room. */
function endInRoom(host: Host, call: ServerCall, answered: Promise<void>): void {
  answered.catch((error: unknown) => failCall(host, call, error)).finally(() => call.leaveRoom());
}

// ------------------------------------------------------------------------------ DeleteRange

function handleDeleteRange(host: Host, entries: KvEntries, bytes: Buffer, call: ServerCall): void {
  if (bytes.length > host.requestBytesMax) {
    refuseCall(call, 'REQUEST_TOO_LARGE');
    return;
  }
  const data = newEntry(EntryKind.deleteRange, bytes, call.caller);
  const request = decodeDeleteRangeRequest(entryBody(data));
  const wrong = checkDeleteRange(request);
  if (wrong !== undefined) {
    refuseCall(call, wrong);
    return;
  }
  host.propose(entries.deleteRange, data, request, answerDeleteRange, { host, call });
}

function answerDeleteRange(
  { host, call }: Answering,
  _request: DeleteRangeRequest,
  error: Error | undefined,
  result: DeleteRangeResult | undefined,
): void {
  if (result === undefined) {
    failCall(host, call, error);
    return;
  }
  const header = headerAt(host, result.revision);
  answerWith(host, call, result, () => {
    const previous = result.previous?.result?.kvs ?? [];
    replyWith(call, encodeDeleteRangeResponse(header, result.deleted, previous));
  });
}

// ------------------------------------------------------------------------------------ Range

function handleRange(host: Host, _entries: KvEntries, bytes: Buffer, call: ServerCall): void {
  const request = decodeRangeRequest(bytes);
  const wrong = checkRange(request);
  if (wrong !== undefined) {
    refuseCall(call, wrong);
    return;
  }
  const reading = new Reading(host, call, request, bytes.length);
  if (request.serializable) roomForRange(reading);
  else host.read(runRange, reading, bytes.length);
}

function runRange(reading: Reading<RangeRequest>, error: EtcdError | undefined): void {
  if (error !== undefined) {
    failCall(reading.host, reading.call, error);
    return;
  }
  reading.confirmed();
  roomForRange(reading);
}

function roomForRange(reading: Reading<RangeRequest>): void {
  const { call, request, bytes } = reading;
  const isShort = request.rangeEnd === '';
  if (isShort ? call.hasShortRoom : call.hasRoom) beginRange(reading);
  else {
    const begin = (): void => {
      reading.hasRoom();
      beginRange(reading);
    };
    call.whenRoom(begin, bytes, isShort);
  }
}

function beginRange({ host, call, request }: Reading<RangeRequest>): void {
  const denied = readDenied(host, call, request);
  if (denied !== undefined) {
    refuseCall(call, denied);
    return;
  }
  try {
    const at = readPointOf(host, request);
    // The header shows the newest revision, whatever revision is read.
    const header = headerAt(host, host.store.revision);
    host.metrics.rangeTotal++;
    const query = request.keysOnly ? { ...request, paged: true } : request;
    const result = host.store.range(query, at, call);
    if (result instanceof Promise) {
      endInRoom(
        host,
        call,
        result.then((found) => answerRange(call, header, found)),
      );
    } else {
      answerRange(call, header, result);
    }
  } catch (thrown) {
    failCall(host, call, thrown);
  }
}

/** Asked right before it is read: what is read and who may read it are of the same moment. */
export function readDenied(
  { access }: Host,
  call: ServerCall,
  { key, rangeEnd }: RangeRequest,
): ErrorReason | undefined {
  if (!access.isEnabled) return undefined;
  return access.readRefusal(call.caller ?? nobody, key, rangeEnd);
}

function answerRange(call: ServerCall, header: Buffer, result: RangeResult): void {
  if (call.cancelled) return;
  replyWith(call, encodeRangeResponse(header, result));
}

/** Undefined: the present. Throws the EtcdError of a revision that can't be read. */
export function readPointOf(host: Host, request: RangeRequest): ReadPoint | undefined {
  if (request.revision <= 0) return undefined;
  const wrong = host.store.checkRevision(request.revision);
  if (wrong !== undefined) throw wrong;
  return { main: request.revision, sub: Number.POSITIVE_INFINITY };
}

// -------------------------------------------------------------------------------------- Txn

function handleTxn(host: Host, entries: KvEntries, bytes: Buffer, call: ServerCall): void {
  if (bytes.length > host.requestBytesMax) {
    refuseCall(call, 'REQUEST_TOO_LARGE');
    return;
  }
  const data = newEntry(EntryKind.txn, bytes, call.caller);
  const request = decodeBoundedTxn(host, entryBody(data));
  if (request === undefined) {
    refuseCall(call, 'TOO_MANY_OPS');
    return;
  }
  const wrong = checkTxn(request, host.txnOpsMax);
  if (wrong !== undefined) {
    refuseCall(call, wrong);
    return;
  }
  if (isTxnReadonly(request)) {
    const reading = new Reading(host, call, request, bytes.length);
    if (isTxnSerializable(request)) roomForTxn(reading);
    else host.read(runReadonlyTxn, reading, bytes.length);
    return;
  }
  host.propose(entries.txn, data, request, answerTxn, { host, call });
}

/** Messages that one flat operation of each branch and one compare make of a transaction. */
const messagesPerOp = 7;

/** Undefined: there is more in it than can be looked through in one piece. */
function decodeBoundedTxn(host: Host, bytes: Buffer): TxnRequest | undefined {
  try {
    return decodeTxnRequest(bytes, Math.max(txnMessagesMax, messagesPerOp * host.txnOpsMax));
  } catch (error) {
    if (error instanceof TooManyMessagesError) return undefined;
    throw error;
  }
}

function answerTxn(
  { host, call }: Answering,
  _request: TxnRequest,
  error: Error | undefined,
  result: TxnResult | undefined,
): void {
  if (result === undefined) failCall(host, call, error);
  else replyToTxn(host, call, result);
}

function replyToTxn(host: Host, call: ServerCall, result: TxnResult, held?: PointReader) {
  const header = headerAt(host, result.revision);
  const answer = (): void => {
    const { succeeded, responses } = result;
    const reply = { header, succeeded, responses: responses.map(opReply) };
    replyWith(call, encodeTxnResponse(reply));
  };
  answerWith(host, call, result, answer, held);
}

function runReadonlyTxn(reading: Reading<TxnRequest>, error: EtcdError | undefined): void {
  if (error !== undefined) {
    failCall(reading.host, reading.call, error);
    return;
  }
  reading.confirmed();
  roomForTxn(reading);
}

function roomForTxn(reading: Reading<TxnRequest>): void {
  const { call, bytes } = reading;
  if (call.hasRoom) beginReadonlyTxn(reading);
  else {
    const begin = (): void => {
      reading.hasRoom();
      beginReadonlyTxn(reading);
    };
    call.whenRoom(begin, bytes);
  }
}

function beginReadonlyTxn({ host, call, request }: Reading<TxnRequest>): void {
  const { access } = host;
  const denied = access.isEnabled ? txnRefusal(access, call.caller ?? nobody, request) : undefined;
  if (denied !== undefined) {
    refuseCall(call, denied);
    return;
  }
  // Whatever is written meanwhile, all of it is decided and read at this revision.
  const reader = host.store.reader(host.store.revision);
  const answer = (result: TxnResult): void => {
    host.metrics.txnTotal++;
    host.metrics.rangeTotal += result.responses.length;
    // What waits for the disk has a hold of its own by then.
    replyToTxn(host, call, result, reader);
  };
  const fail = (thrown: unknown): void => failCall(host, call, thrown);
  try {
    const slice = new Slice(host.clock);
    const done = runSteps(evaluateReadonlyTxn(host.store, reader, request, slice));
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

function handleCompact(host: Host, entries: KvEntries, bytes: Buffer, call: ServerCall): void {
  const data = newEntry(EntryKind.compaction, bytes, call.caller);
  const request = decodeCompactionRequest(entryBody(data));
  host.propose(entries.compaction, data, request, answerCompact, { host, call });
}

function answerCompact(
  { host, call }: Answering,
  request: CompactionRequest,
  error: Error | undefined,
  result: CompactionResult | undefined,
): void {
  if (result === undefined) {
    failCall(host, call, error);
    return;
  }
  const answer = (): void => {
    call.reply(encodeCompactionResponse(headerAt(host, host.store.revision)));
  };
  if (!request.physical) answer();
  else result.done().then(answer, (thrown: unknown) => failCall(host, call, thrown));
}

/** Compacts, as a client would. */
export function compact(
  host: Host,
  entries: KvEntries,
  revision: number,
  done: (error: Error | undefined) => void,
): void {
  const request = { revision, physical: false };
  const data = newEntry(
    EntryKind.compaction,
    encodeCompactionRequest(request),
    memberCaller(host.access),
  );
  host.propose(entries.compaction, data, request, finishCompact, done);
}

function finishCompact(
  done: (error: Error | undefined) => void,
  _request: CompactionRequest,
  error: Error | undefined,
): void {
  done(error);
}
