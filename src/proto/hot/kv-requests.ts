/**
 * Range, Put, DeleteRange and Compaction requests: bytes to data and back.
 */

import { emptyBytes, type KeyString } from '../../common/index.js';
import type {
  CompactionRequest,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
} from './message-types.js';
import type { Mutable } from './mutable.js';
import { WireReader } from './wire-reader.js';
import { startMessage, type WireWriter } from './wire-writer.js';

/** Throws ProtoError. Nothing of `bytes` is kept. */
export function decodeRangeRequest(bytes: Buffer): RangeRequest {
  const request = emptyRangeRequest();
  rangeFields(new WireReader(bytes), request);
  return request;
}

/**
 * Throws ProtoError. `value` is borrowed from `bytes`. The message begins at `start`: a view of it
 * costs as much as its decoding.
 */
export function decodePutRequest(bytes: Buffer, start = 0): PutRequest {
  const request = emptyPutRequest();
  putFields(new WireReader(bytes, start), request);
  return request;
}

/** Throws ProtoError. Nothing of `bytes` is kept. */
export function decodeDeleteRangeRequest(bytes: Buffer): DeleteRangeRequest {
  const request = emptyDeleteRangeRequest();
  deleteRangeFields(new WireReader(bytes), request);
  return request;
}

/** Throws ProtoError. */
export function decodeCompactionRequest(bytes: Buffer): CompactionRequest {
  const request: Mutable<CompactionRequest> = { revision: 0, physical: false };
  const r = new WireReader(bytes);
  while (r.more()) {
    const tag = r.tag();
    if (tag === 0x08) request.revision = r.int64();
    else if (tag === 0x10) request.physical = r.bool();
    else r.skip(tag);
  }
  return request;
}

/** Fields that are left out have their zero value. */
export function encodeRangeRequest(request: Partial<RangeRequest>): Buffer {
  const w = startMessage();
  writeRangeRequest(w, request);
  return w.take();
}

/** Fields that are left out have their zero value. */
export function encodePutRequest(request: Partial<PutRequest>): Buffer {
  const w = startMessage();
  writePutRequest(w, request);
  return w.take();
}

/** Fields that are left out have their zero value. */
export function encodeDeleteRangeRequest(request: Partial<DeleteRangeRequest>): Buffer {
  const w = startMessage();
  writeDeleteRangeRequest(w, request);
  return w.take();
}

export function encodeCompactionRequest(request: CompactionRequest): Buffer {
  const w = startMessage();
  w.optionalBool(2, request.physical);
  w.optionalInt(1, request.revision);
  return w.take();
}

export function emptyRangeRequest(): Mutable<RangeRequest> {
  return {
    key: '',
    rangeEnd: '',
    limit: 0,
    revision: 0,
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

/** Asks for one key, or for those up to `rangeEnd`: all of them, as they are now. */
export function rangeOf(key: KeyString, rangeEnd: KeyString = ''): RangeRequest {
  const request = emptyRangeRequest();
  request.key = key;
  request.rangeEnd = rangeEnd;
  return request;
}

export function emptyPutRequest(): Mutable<PutRequest> {
  return {
    key: '',
    value: emptyBytes,
    lease: 0n,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  };
}

export function emptyDeleteRangeRequest(): Mutable<DeleteRangeRequest> {
  return { key: '', rangeEnd: '', prevKv: false };
}

/** Reads the fields up to the end of the current message; last one wins. */
export function rangeFields(r: WireReader, request: Mutable<RangeRequest>): void {
  while (r.more()) {
    const tag = r.tag();
    switch (tag) {
      case 0x0a:
        request.key = r.key();
        break;
      case 0x12:
        request.rangeEnd = r.key();
        break;
      case 0x18:
        request.limit = r.int64();
        break;
      case 0x20:
        request.revision = r.int64();
        break;
      case 0x28:
        request.sortOrder = r.int32();
        break;
      case 0x30:
        request.sortTarget = r.int32();
        break;
      case 0x38:
        request.serializable = r.bool();
        break;
      case 0x40:
        request.keysOnly = r.bool();
        break;
      case 0x48:
        request.countOnly = r.bool();
        break;
      case 0x50:
        request.minModRevision = r.int64();
        break;
      case 0x58:
        request.maxModRevision = r.int64();
        break;
      case 0x60:
        request.minCreateRevision = r.int64();
        break;
      case 0x68:
        request.maxCreateRevision = r.int64();
        break;
      default:
        r.skip(tag);
    }
  }
}

/** Reads the fields up to the end of the current message; last one wins. */
export function putFields(r: WireReader, request: Mutable<PutRequest>): void {
  while (r.more()) {
    const tag = r.tag();
    switch (tag) {
      case 0x0a:
        request.key = r.key();
        break;
      case 0x12:
        request.value = r.value();
        break;
      case 0x18:
        request.lease = r.signedId();
        break;
      case 0x20:
        request.prevKv = r.bool();
        break;
      case 0x28:
        request.ignoreValue = r.bool();
        break;
      case 0x30:
        request.ignoreLease = r.bool();
        break;
      default:
        r.skip(tag);
    }
  }
}

/** Reads the fields up to the end of the current message; last one wins. */
export function deleteRangeFields(r: WireReader, request: Mutable<DeleteRangeRequest>): void {
  while (r.more()) {
    const tag = r.tag();
    switch (tag) {
      case 0x0a:
        request.key = r.key();
        break;
      case 0x12:
        request.rangeEnd = r.key();
        break;
      case 0x18:
        request.prevKv = r.bool();
        break;
      default:
        r.skip(tag);
    }
  }
}

export function writeRangeRequest(w: WireWriter, request: Partial<RangeRequest>): void {
  w.optionalInt(13, request.maxCreateRevision ?? 0);
  w.optionalInt(12, request.minCreateRevision ?? 0);
  w.optionalInt(11, request.maxModRevision ?? 0);
  w.optionalInt(10, request.minModRevision ?? 0);
  w.optionalBool(9, request.countOnly ?? false);
  w.optionalBool(8, request.keysOnly ?? false);
  w.optionalBool(7, request.serializable ?? false);
  w.optionalInt(6, request.sortTarget ?? 0);
  w.optionalInt(5, request.sortOrder ?? 0);
  w.optionalInt(4, request.revision ?? 0);
  w.optionalInt(3, request.limit ?? 0);
  w.optionalKey(2, request.rangeEnd ?? '');
  w.optionalKey(1, request.key ?? '');
}

export function writePutRequest(w: WireWriter, request: Partial<PutRequest>): void {
  w.optionalBool(6, request.ignoreLease ?? false);
  w.optionalBool(5, request.ignoreValue ?? false);
  w.optionalBool(4, request.prevKv ?? false);
  w.optionalId(3, request.lease ?? 0n);
  w.optionalBytes(2, request.value ?? emptyBytes);
  w.optionalKey(1, request.key ?? '');
}

export function writeDeleteRangeRequest(w: WireWriter, request: Partial<DeleteRangeRequest>): void {
  w.optionalBool(3, request.prevKv ?? false);
  w.optionalKey(2, request.rangeEnd ?? '');
  w.optionalKey(1, request.key ?? '');
}
