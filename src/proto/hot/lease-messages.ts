/**
 * The Lease service: bytes to data and back, both directions.
 */

import { emptyBytes, type KeyString } from '../../common/index.js';
import type {
  EncodedHeader,
  LeaseCheckpoint,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  ResponseHeader,
} from './message-types.js';
import type { Mutable } from './mutable.js';
import { mergeHeader, writeHeader } from './response-header.js';
import { WireReader } from './wire-reader.js';
import { startMessage } from './wire-writer.js';

/** Throws ProtoError. */
export function decodeLeaseGrantRequest(bytes: Buffer): LeaseGrantRequest {
  const request: Mutable<LeaseGrantRequest> = { ttlSeconds: 0, id: 0n };
  const r = new WireReader(bytes);
  while (r.more()) {
    const tag = r.tag();
    if (tag === 0x08) request.ttlSeconds = r.int64();
    else if (tag === 0x10) request.id = r.signedId();
    else r.skip(tag);
  }
  return request;
}

/** Throws ProtoError. */
export function decodeLeaseRevokeRequest(bytes: Buffer): LeaseRevokeRequest {
  return { id: decodeId(bytes) };
}

/** Throws ProtoError. */
export function decodeLeaseKeepAliveRequest(bytes: Buffer): LeaseKeepAliveRequest {
  return { id: decodeId(bytes) };
}

/** Throws ProtoError. */
export function decodeLeaseTimeToLiveRequest(bytes: Buffer): LeaseTimeToLiveRequest {
  const request: Mutable<LeaseTimeToLiveRequest> = { id: 0n, keys: false };
  const r = new WireReader(bytes);
  while (r.more()) {
    const tag = r.tag();
    if (tag === 0x08) request.id = r.signedId();
    else if (tag === 0x10) request.keys = r.bool();
    else r.skip(tag);
  }
  return request;
}

/** LeaseCheckpointRequest; its reply is just a header. Throws ProtoError. */
export function decodeLeaseCheckpoints(bytes: Buffer): LeaseCheckpoint[] {
  const checkpoints: LeaseCheckpoint[] = [];
  const r = new WireReader(bytes);
  while (r.more()) {
    const tag = r.tag();
    if (tag === 0x0a) checkpoints.push(readCheckpoint(r));
    else r.skip(tag);
  }
  return checkpoints;
}

export function encodeLeaseGrantRequest(request: LeaseGrantRequest): Buffer {
  const w = startMessage();
  w.optionalId(2, request.id);
  w.optionalInt(1, request.ttlSeconds);
  return w.take();
}

export function encodeLeaseRevokeRequest(request: LeaseRevokeRequest): Buffer {
  const w = startMessage();
  w.optionalId(1, request.id);
  return w.take();
}

export function encodeLeaseKeepAliveRequest(request: LeaseKeepAliveRequest): Buffer {
  const w = startMessage();
  w.optionalId(1, request.id);
  return w.take();
}

export function encodeLeaseTimeToLiveRequest(request: LeaseTimeToLiveRequest): Buffer {
  const w = startMessage();
  w.optionalBool(2, request.keys);
  w.optionalId(1, request.id);
  return w.take();
}

export function encodeLeaseCheckpoints(checkpoints: readonly LeaseCheckpoint[]): Buffer {
  const w = startMessage();
  for (let i = checkpoints.length - 1; i >= 0; i -= 1) {
    const checkpoint = checkpoints[i] as LeaseCheckpoint;
    const mark = w.length;
    w.optionalInt(2, checkpoint.remainingTtlSeconds);
    w.optionalId(1, checkpoint.id);
    w.message(1, mark);
  }
  return w.take();
}

export function encodeLeaseGrantResponse(
  header: EncodedHeader,
  id: bigint,
  ttlSeconds: number,
): Buffer {
  const w = startMessage();
  w.optionalInt(3, ttlSeconds);
  w.optionalId(2, id);
  writeHeader(w, header);
  return w.take();
}

/** May return the shared header itself: the caller must not write to the result. */
export function encodeLeaseRevokeResponse(header: EncodedHeader): Buffer {
  return header ?? emptyBytes;
}

/** May return the shared header itself: the caller must not write to the result. */
export function encodeLeaseCheckpointResponse(header: EncodedHeader): Buffer {
  return header ?? emptyBytes;
}

export function encodeLeaseKeepAliveResponse(
  header: EncodedHeader,
  id: bigint,
  ttlSeconds: number,
): Buffer {
  const w = startMessage();
  w.optionalInt(3, ttlSeconds);
  w.optionalId(2, id);
  writeHeader(w, header);
  return w.take();
}

/** In pieces, for a lease may have many keys. */
export function encodeLeaseTimeToLiveResponse(
  header: EncodedHeader,
  lease: {
    readonly id: bigint;
    readonly ttlSeconds: number;
    readonly grantedTtlSeconds: number;
    readonly keys: readonly KeyString[];
  },
): Uint8Array[] {
  const w = startMessage();
  const { keys } = lease;
  for (let i = keys.length - 1; i >= 0; i -= 1) w.keyField(5, keys[i] as KeyString);
  w.optionalInt(4, lease.grantedTtlSeconds);
  w.optionalInt(3, lease.ttlSeconds);
  w.optionalId(2, lease.id);
  writeHeader(w, header);
  return w.takeParts();
}

/** In pieces, for there may be many leases. */
export function encodeLeaseLeasesResponse(
  header: EncodedHeader,
  leases: readonly bigint[],
): Uint8Array[] {
  const w = startMessage();
  for (let i = leases.length - 1; i >= 0; i -= 1) {
    const mark = w.length;
    w.optionalId(1, leases[i] as bigint);
    w.message(2, mark);
  }
  writeHeader(w, header);
  return w.takeParts();
}

/** Throws ProtoError. */
export function decodeLeaseGrantResponse(bytes: Buffer): LeaseGrantResponse {
  const response: Mutable<LeaseGrantResponse> = {
    header: undefined,
    id: 0n,
    ttlSeconds: 0,
    error: '',
  };
  const r = new WireReader(bytes);
  while (r.more()) {
    const tag = r.tag();
    if (tag === 0x22) response.error = r.text();
    else leaseField(r, tag, response);
  }
  return response;
}

/** Throws ProtoError. */
export function decodeLeaseKeepAliveResponse(bytes: Buffer): LeaseKeepAliveResponse {
  const response: Mutable<LeaseKeepAliveResponse> = { header: undefined, id: 0n, ttlSeconds: 0 };
  const r = new WireReader(bytes);
  while (r.more()) leaseField(r, r.tag(), response);
  return response;
}

/** Throws ProtoError. */
export function decodeLeaseTimeToLiveResponse(bytes: Buffer): LeaseTimeToLiveResponse {
  const keys: KeyString[] = [];
  const response: Mutable<LeaseTimeToLiveResponse> = {
    header: undefined,
    id: 0n,
    ttlSeconds: 0,
    grantedTtlSeconds: 0,
    keys,
  };
  const r = new WireReader(bytes);
  while (r.more()) {
    const tag = r.tag();
    if (tag === 0x20) response.grantedTtlSeconds = r.int64();
    else if (tag === 0x2a) keys.push(r.key());
    else leaseField(r, tag, response);
  }
  return response;
}

/** Throws ProtoError. */
export function decodeLeaseLeasesResponse(bytes: Buffer): LeaseLeasesResponse {
  const leases: bigint[] = [];
  let header: ResponseHeader | undefined;
  const r = new WireReader(bytes);
  while (r.more()) {
    const tag = r.tag();
    if (tag === 0x0a) header = mergeHeader(r, header);
    else if (tag === 0x12) {
      const outer = r.enter();
      leases.push(idField(r));
      r.leave(outer);
    } else r.skip(tag);
  }
  return { header, leases };
}

/** Fields 1 to 3, which the replies about one lease have in common. */
function leaseField(r: WireReader, tag: number, response: Mutable<LeaseKeepAliveResponse>): void {
  if (tag === 0x0a) response.header = mergeHeader(r, response.header);
  else if (tag === 0x10) response.id = r.signedId();
  else if (tag === 0x18) response.ttlSeconds = r.int64();
  else r.skip(tag);
}

function readCheckpoint(r: WireReader): LeaseCheckpoint {
  const checkpoint: Mutable<LeaseCheckpoint> = { id: 0n, remainingTtlSeconds: 0 };
  const outer = r.enter();
  while (r.more()) {
    const tag = r.tag();
    if (tag === 0x08) checkpoint.id = r.signedId();
    else if (tag === 0x10) checkpoint.remainingTtlSeconds = r.int64();
    else r.skip(tag);
  }
  r.leave(outer);
  return checkpoint;
}

function decodeId(bytes: Buffer): bigint {
  return idField(new WireReader(bytes));
}

/** A message whose only field is `1: ID`. */
function idField(r: WireReader): bigint {
  let id = 0n;
  while (r.more()) {
    const tag = r.tag();
    if (tag === 0x08) id = r.signedId();
    else r.skip(tag);
  }
  return id;
}
