/**
 * The Watch stream. An event is encoded once, whatever the number of watchers; a WatchResponse
 * splices the shared bytes behind its own few fields.
 */

import { mergeKeyValue } from './key-value.js';
import {
  type Event,
  EventType,
  type KeyValue,
  type ResponseHeader,
  type WatchCreateRequest,
  type WatchRequest,
  type WatchResponse,
  type WatchResponseFields,
} from './message-types.js';
import type { Mutable } from './mutable.js';
import { mergeHeader, writeHeader } from './response-header.js';
import { WireReader } from './wire-reader.js';
import { startMessage } from './wire-writer.js';

interface CreateDraft {
  type: 'create';
  key: string;
  rangeEnd: string;
  startRevision: number;
  progressNotify: boolean;
  readonly filters: number[];
  prevKv: boolean;
  watchId: number;
  fragment: boolean;
}
type WatchDraft =
  | CreateDraft
  | { type: 'cancel'; watchId: number }
  | { type: 'progress' }
  | { type: 'none' };

/** Throws ProtoError. Nothing of `bytes` is kept. */
export function decodeWatchRequest(bytes: Buffer): WatchRequest {
  let request: WatchDraft = { type: 'none' };
  const r = new WireReader(bytes);
  while (r.more()) {
    const tag = r.tag();
    if (tag !== 0x0a && tag !== 0x12 && tag !== 0x1a) {
      r.skip(tag);
      continue;
    }
    const outer = r.enter();
    if (tag === 0x0a) {
      const create: CreateDraft = request.type === 'create' ? request : emptyCreate();
      createFields(r, create);
      request = create;
    } else if (tag === 0x12) {
      request = { type: 'cancel', watchId: request.type === 'cancel' ? request.watchId : 0 };
      cancelFields(r, request);
    } else {
      request = { type: 'progress' };
      skipFields(r);
    }
    r.leave(outer);
  }
  return request;
}

/** Fields that are left out have their zero value. */
export function encodeWatchCreateRequest(request: Partial<WatchCreateRequest>): Buffer {
  const w = startMessage();
  const mark = w.length;
  w.optionalBool(8, request.fragment ?? false);
  w.optionalInt(7, request.watchId ?? 0);
  w.optionalBool(6, request.prevKv ?? false);
  const filters = request.filters ?? [];
  if (filters.length > 0) {
    const filtersMark = w.length;
    for (let i = filters.length - 1; i >= 0; i -= 1) w.varint(filters[i] as number);
    w.message(5, filtersMark);
  }
  w.optionalBool(4, request.progressNotify ?? false);
  w.optionalInt(3, request.startRevision ?? 0);
  w.optionalKey(2, request.rangeEnd ?? '');
  w.optionalKey(1, request.key ?? '');
  w.message(1, mark);
  return w.take();
}

export function encodeWatchCancelRequest(watchId: number): Buffer {
  const w = startMessage();
  const mark = w.length;
  w.optionalInt(1, watchId);
  w.message(2, mark);
  return w.take();
}

export function encodeWatchProgressRequest(): Buffer {
  return Buffer.of(0x1a, 0);
}

/**
 * One element of WatchResponse.events, tag and length included, for
 * {@link encodeWatchResponse}. `kv` and `prevKv` are encoded KeyValues and are copied.
 */
export function encodeEvent(
  type: 'put' | 'delete',
  kv: Uint8Array,
  prevKv: Uint8Array | undefined,
): Buffer {
  const w = startMessage();
  const mark = w.length;
  if (prevKv !== undefined) w.bytesField(3, prevKv);
  w.bytesField(2, kv);
  w.optionalInt(1, type === 'put' ? EventType.PUT : EventType.DELETE);
  w.message(11, mark);
  return w.take();
}

/**
 * A WatchResponse in pieces; `events` come from {@link encodeEvent}, are shared, and must not
 * change until it has been sent.
 */
export function encodeWatchResponse(
  fields: WatchResponseFields,
  events: readonly Uint8Array[],
): Uint8Array[] {
  const w = startMessage();
  if (fields.fragment === true) w.intField(7, 1);
  if (fields.cancelReason !== undefined) w.optionalText(6, fields.cancelReason);
  if (fields.compactRevision !== undefined) w.optionalInt(5, fields.compactRevision);
  if (fields.canceled === true) w.intField(4, 1);
  if (fields.created === true) w.intField(3, 1);
  w.optionalInt(2, fields.watchId);
  writeHeader(w, fields.header);
  // The events are the last field: they stand behind the head as they are.
  const parts = w.takeParts();
  for (let i = 0; i < events.length; i += 1) parts.push(events[i] as Uint8Array);
  return parts;
}

/** Throws ProtoError. Values are borrowed from `bytes`. */
export function decodeWatchResponse(bytes: Buffer): WatchResponse {
  const events: Event[] = [];
  let header: ResponseHeader | undefined;
  const response: Mutable<WatchResponse> = {
    header: undefined,
    watchId: 0,
    created: false,
    canceled: false,
    compactRevision: 0,
    cancelReason: '',
    fragment: false,
    events,
  };
  const r = new WireReader(bytes);
  while (r.more()) {
    const tag = r.tag();
    switch (tag) {
      case 0x0a:
        header = mergeHeader(r, header);
        response.header = header;
        break;
      case 0x10:
        response.watchId = r.int64();
        break;
      case 0x18:
        response.created = r.bool();
        break;
      case 0x20:
        response.canceled = r.bool();
        break;
      case 0x28:
        response.compactRevision = r.int64();
        break;
      case 0x32:
        response.cancelReason = r.text();
        break;
      case 0x38:
        response.fragment = r.bool();
        break;
      case 0x5a:
        events.push(readEvent(r));
        break;
      default:
        r.skip(tag);
    }
  }
  return response;
}

function emptyCreate(): CreateDraft {
  return {
    type: 'create',
    key: '',
    rangeEnd: '',
    startRevision: 0,
    progressNotify: false,
    filters: [],
    prevKv: false,
    watchId: 0,
    fragment: false,
  };
}

function createFields(r: WireReader, create: CreateDraft): void {
  while (r.more()) {
    const tag = r.tag();
    switch (tag) {
      case 0x0a:
        create.key = r.key();
        break;
      case 0x12:
        create.rangeEnd = r.key();
        break;
      case 0x18:
        create.startRevision = r.int64();
        break;
      case 0x20:
        create.progressNotify = r.bool();
        break;
      case 0x28:
      case 0x2a:
        r.enums(tag, create.filters);
        break;
      case 0x30:
        create.prevKv = r.bool();
        break;
      case 0x38:
        create.watchId = r.int64();
        break;
      case 0x40:
        create.fragment = r.bool();
        break;
      default:
        r.skip(tag);
    }
  }
}

function cancelFields(r: WireReader, cancel: { watchId: number }): void {
  while (r.more()) {
    const tag = r.tag();
    if (tag === 0x08) cancel.watchId = r.int64();
    else r.skip(tag);
  }
}

function skipFields(r: WireReader): void {
  while (r.more()) r.skip(r.tag());
}

function readEvent(r: WireReader): Event {
  let type = 0;
  let kv: KeyValue | undefined;
  let prevKv: KeyValue | undefined;
  const outer = r.enter();
  while (r.more()) {
    const tag = r.tag();
    switch (tag) {
      case 0x08:
        type = r.int32();
        break;
      case 0x12:
        kv = mergeKeyValue(r, kv);
        break;
      case 0x1a:
        prevKv = mergeKeyValue(r, prevKv);
        break;
      default:
        r.skip(tag);
    }
  }
  r.leave(outer);
  return { type, kv, prevKv };
}
