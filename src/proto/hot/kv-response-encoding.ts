/**
 * Replies of the KV service: results whose KeyValues are already encoded go out by splicing them
 * between tags and lengths.
 */

import { emptyBytes } from '../../common/index.js';
import type {
  EncodedHeader,
  RangeResultBytes,
  ResponseOpResult,
  TxnResult,
} from './message-types.js';
import { writeHeader } from './response-header.js';
import { startMessage, varintBytes, type WireWriter } from './wire-writer.js';

/** May return the shared header itself: the caller must not write to the result. */
export function encodePutResponse(header: EncodedHeader, prevKv: Uint8Array | undefined): Buffer {
  const w = startMessage();
  if (prevKv === undefined) return header ?? emptyBytes;
  w.bytesField(2, prevKv);
  writeHeader(w, header);
  return w.take();
}

/** In pieces: big KeyValues are passed on by reference and must not change until sent. */
export function encodeRangeResponse(header: EncodedHeader, result: RangeResultBytes): Uint8Array[] {
  const w = startMessage();
  writeRange(w, result);
  writeHeader(w, header);
  return w.takeParts();
}

/** The length of what {@link encodeRangeResponse} returns, without building it. */
export function rangeResponseBytes(header: EncodedHeader, result: RangeResultBytes): number {
  let bytes = header?.length ?? 0;
  for (const kv of result.kvs) bytes += 1 + varintBytes(kv.length) + kv.length;
  for (const page of result.pages ?? []) bytes += page.length;
  if (result.more) bytes += 2;
  if (result.count !== 0) bytes += 1 + varintBytes(result.count);
  return bytes;
}

/** One chunk of RangeStream; only the last one has header, more and count. */
export function encodeRangeStreamResponse(
  header: EncodedHeader,
  result: RangeResultBytes,
): Uint8Array[] {
  const w = startMessage();
  const mark = w.length;
  writeRange(w, result);
  writeHeader(w, header);
  w.message(1, mark);
  return w.takeParts();
}

/** In pieces, as {@link encodeRangeResponse}. */
export function encodeDeleteRangeResponse(
  header: EncodedHeader,
  deleted: number,
  prevKvs: readonly Uint8Array[],
): Uint8Array[] {
  const w = startMessage();
  writeDeleteRange(w, deleted, prevKvs);
  writeHeader(w, header);
  return w.takeParts();
}

/** In pieces, as {@link encodeRangeResponse}. */
export function encodeTxnResponse(result: TxnResult): Uint8Array[] {
  const w = startMessage();
  writeTxn(w, result.succeeded, result.responses);
  writeHeader(w, result.header);
  return w.takeParts();
}

/** May return the shared header itself: the caller must not write to the result. */
export function encodeCompactionResponse(header: EncodedHeader): Buffer {
  return header ?? emptyBytes;
}

function writeRange(w: WireWriter, result: RangeResultBytes): void {
  w.optionalInt(4, result.count);
  w.optionalBool(3, result.more);
  const { pages } = result;
  if (pages !== undefined) for (let i = pages.length; i-- > 0; ) w.raw(pages[i] as Uint8Array);
  writeKeyValues(w, 2, result.kvs);
}

function writeDeleteRange(w: WireWriter, deleted: number, prevKvs: readonly Uint8Array[]): void {
  writeKeyValues(w, 3, prevKvs);
  w.optionalInt(2, deleted);
}

function writeKeyValues(w: WireWriter, field: number, kvs: readonly Uint8Array[]): void {
  for (let i = kvs.length - 1; i >= 0; i -= 1) w.bytesField(field, kvs[i] as Uint8Array);
}

function writeTxn(w: WireWriter, succeeded: boolean, responses: readonly ResponseOpResult[]): void {
  for (let i = responses.length - 1; i >= 0; i -= 1) {
    const mark = w.length;
    writeResponseOp(w, responses[i] as ResponseOpResult);
    w.message(3, mark);
  }
  w.optionalBool(2, succeeded);
}

function writeResponseOp(w: WireWriter, response: ResponseOpResult): void {
  const mark = w.length;
  switch (response.type) {
    case 'range':
      writeRange(w, response);
      writeRevision(w, response.revision);
      w.message(1, mark);
      break;
    case 'put':
      if (response.prevKv !== undefined) w.bytesField(2, response.prevKv);
      writeRevision(w, response.revision);
      w.message(2, mark);
      break;
    case 'deleteRange':
      writeDeleteRange(w, response.deleted, response.prevKvs);
      writeRevision(w, response.revision);
      w.message(3, mark);
      break;
    case 'txn':
      writeTxn(w, response.succeeded, response.responses);
      w.bytesField(1, emptyBytes);
      w.message(4, mark);
      break;
  }
}

/** The header of a reply inside a txn: just the revision. */
function writeRevision(w: WireWriter, revision: number): void {
  const mark = w.length;
  w.optionalInt(3, revision);
  w.message(1, mark);
}
