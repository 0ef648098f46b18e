/**
 * What a header block says as the head of a request, of a response, or as trailers, with the rules
 * of RFC 9113 section 8: order, duplicates and presence of pseudo-headers, forbidden fields,
 * content-length. The result is shared with the block, so it is worked out once for equal blocks.
 */

import {
  type HeaderField,
  kindAuthority,
  kindBinary,
  kindContentLength,
  kindContentType,
  kindEncoding,
  kindGrpcMessage,
  kindGrpcStatus,
  kindHost,
  kindMalformed,
  kindMethod,
  kindPath,
  kindScheme,
  kindStatus,
  kindTimeout,
} from './header-field.js';
import { decodeMessage, isBinaryList } from './metadata.js';
import { parseTimeout } from './timeout.js';

/** The head of a request; a field that was absent is '' (numbers: -1). */
export class RequestHead {
  readonly fields: readonly HeaderField[];
  /** Breaks RFC 9113: a stream error PROTOCOL_ERROR. */
  malformed = false;
  method = '';
  scheme = '';
  path = '';
  authority = '';
  contentType = '';
  /** From `grpc-timeout`, in milliseconds. */
  timeoutMs = -1;
  encoding = '';
  contentLength = -1;
  /** Something gRPC cannot work with, though HTTP can. */
  grpcError = '';

  constructor(fields: readonly HeaderField[]) {
    this.fields = fields;
  }
}

/** The head or the trailers of a response. */
export class ResponseHead {
  readonly fields: readonly HeaderField[];
  malformed = false;
  /** -1 in trailers. */
  status = -1;
  contentType = '';
  encoding = '';
  contentLength = -1;
  grpcStatus = -1;
  grpcMessage = '';

  constructor(fields: readonly HeaderField[]) {
    this.fields = fields;
  }
}

/** Reads a request's head. */
export function parseRequestHead(fields: readonly HeaderField[]): RequestHead {
  const head = new RequestHead(fields);
  let seen = 0; // bit `kind` for each pseudo-header
  let regular = false;
  for (const field of fields) {
    const kind = field.kind;
    if (kind >= kindMethod && kind <= kindStatus) {
      if (regular || kind === kindStatus || (seen & (1 << kind)) !== 0) head.malformed = true;
      seen |= 1 << kind;
      requestPseudo(head, kind, field.value);
      continue;
    }
    regular = true;
    requestField(head, kind, field);
  }
  const needed = (1 << kindMethod) | (1 << kindScheme) | (1 << kindPath);
  if (head.method === 'CONNECT') {
    // Section 8.5: only :method and :authority. We have no use for it, but it is well formed.
    if ((seen & (needed | (1 << kindAuthority))) !== ((1 << kindMethod) | (1 << kindAuthority))) {
      head.malformed = true;
    }
  } else if ((seen & needed) !== needed || head.path === '') {
    head.malformed = true;
  }
  return head;
}

function requestPseudo(head: RequestHead, kind: number, value: string): void {
  if (kind === kindMethod) head.method = value;
  else if (kind === kindScheme) head.scheme = value;
  else if (kind === kindPath) head.path = value;
  else head.authority = value;
}

function requestField(head: RequestHead, kind: number, field: HeaderField): void {
  switch (kind) {
    case kindContentType:
      head.contentType = field.value;
      break;
    case kindTimeout: {
      const timeout = parseTimeout(field.value);
      if (typeof timeout === 'number') head.timeoutMs = timeout;
      else head.grpcError = `malformed grpc-timeout: ${timeout}`;
      break;
    }
    case kindEncoding:
      head.encoding = field.value === 'identity' ? '' : field.value;
      break;
    case kindContentLength:
      if (!contentLength(head, field.value)) head.malformed = true;
      break;
    case kindHost:
      if (head.authority === '') head.authority = field.value;
      break;
    case kindBinary:
      if (!isBinaryList(field.value)) {
        const value = JSON.stringify(field.value);
        head.grpcError = `malformed binary metadata ${value} in header "${field.name}"`;
      }
      break;
    case kindMalformed:
      head.malformed = true;
      break;
    default:
  }
}

/** Reads a response's head, or its trailers. */
export function parseResponseHead(fields: readonly HeaderField[]): ResponseHead {
  const head = new ResponseHead(fields);
  let regular = false;
  for (const field of fields) {
    const kind = field.kind;
    if (kind >= kindMethod && kind <= kindStatus) {
      if (kind !== kindStatus || regular || head.status >= 0) head.malformed = true;
      if (!/^[1-9][0-9][0-9]$/.test(field.value)) head.malformed = true;
      head.status = Number(field.value);
      continue;
    }
    regular = true;
    if (kind === kindContentType) head.contentType = field.value;
    else if (kind === kindEncoding) head.encoding = field.value;
    else if (kind === kindGrpcMessage) head.grpcMessage = decodeMessage(field.value);
    else if (kind === kindMalformed) head.malformed = true;
    else if (kind === kindGrpcStatus) {
      head.grpcStatus = /^[0-9]{1,3}$/.test(field.value) ? Number(field.value) : 2;
    } else if (kind === kindContentLength && !contentLength(head, field.value)) {
      head.malformed = true;
    }
  }
  return head;
}

/** True unless the fields break the rules for trailers (section 8.1): no pseudo-headers. */
export function validTrailers(fields: readonly HeaderField[]): boolean {
  for (const field of fields) {
    const kind = field.kind;
    if (kind === kindMalformed || (kind >= kindMethod && kind <= kindStatus)) return false;
  }
  return true;
}

function contentLength(head: { contentLength: number }, value: string): boolean {
  if (!/^[0-9]{1,15}$/.test(value)) return false;
  const length = Number(value);
  if (head.contentLength >= 0 && head.contentLength !== length) return false;
  head.contentLength = length;
  return true;
}
