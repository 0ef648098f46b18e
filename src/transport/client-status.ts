/** How a call at the client ends, whatever the way it ended. */

import { GrpcCode } from '../common/index.js';
import { ErrorCode } from './frames.js';
import { codeFromHttp, codeFromWire } from './grpc-status.js';
import type { HeaderBlock } from './hpack-decode.js';
import { parseResponseHead, type ResponseHead } from './message-head.js';
import type { AbortReason } from './stream.js';
import type { RpcStatus } from './types.js';

/** The usual end; one object for all. */
export const okStatus: RpcStatus = { code: GrpcCode.OK, message: '', maySent: true };

export const deadlineStatus: RpcStatus = {
  code: GrpcCode.DEADLINE_EXCEEDED,
  message: 'context deadline exceeded',
  maySent: true,
};

export const cancelStatus: RpcStatus = {
  code: GrpcCode.CANCELLED,
  message: 'context canceled',
  maySent: true,
};

/** A violation of gRPC by the server. */
export function internalStatus(message: string): RpcStatus {
  return { code: GrpcCode.INTERNAL, message, maySent: true };
}

/** Head or trailers of the block, worked out once for equal blocks. */
export function responseHead(block: HeaderBlock): ResponseHead {
  if (block.response === undefined) block.response = parseResponseHead(block.fields);
  return block.response;
}

/** What the last header block of a reply says. */
export function trailerStatus(head: ResponseHead): RpcStatus {
  if (head.grpcStatus === 0) return okStatus;
  if (head.grpcStatus > 0) {
    return { code: codeFromWire(head.grpcStatus), message: head.grpcMessage, maySent: true };
  }
  return headError(head) ?? internalStatus('server closed the stream without sending trailers');
}

/** A 1xx head: another one follows. */
export function isInformational(head: ResponseHead): boolean {
  return head.status >= 100 && head.status < 200;
}

/** A header block that can not stand where it came: a second head, or trailers before the head. */
export function isMisplaced(head: ResponseHead, headSeen: boolean, endStream: boolean): boolean {
  if (head.malformed) return true;
  if (headSeen) return !endStream || head.status >= 0;
  return head.status < 0 || (isInformational(head) && endStream);
}

/** An error in the head of a reply, or undefined if it is a gRPC reply. */
export function headError(head: ResponseHead): RpcStatus | undefined {
  if (head.status >= 0 && head.status !== 200) {
    const message = `unexpected HTTP status code received from server: ${head.status}`;
    return { code: codeFromHttp(head), message, maySent: true };
  }
  if (head.status === 200 && !head.contentType.startsWith('application/grpc')) {
    const type = JSON.stringify(head.contentType);
    const message = `received unexpected content-type ${type}`;
    return { code: GrpcCode.UNKNOWN, message, maySent: true };
  }
  return undefined;
}

/** A stream that was cut off (gRPC over HTTP/2, "Errors"); `lostBecause`: with its connection. */
export function abortStatus(
  errorCode: number,
  reason: AbortReason,
  lostBecause: string,
): RpcStatus {
  if (reason === 'connection') {
    const cause = lostBecause === '' ? '' : `: ${lostBecause}`;
    const message = `the connection was lost${cause}`;
    return { code: GrpcCode.UNAVAILABLE, message, maySent: true };
  }
  const message = `stream terminated by RST_STREAM with error code: ${nameOf(errorCode)}`;
  if (reason === 'refused') return { code: GrpcCode.UNAVAILABLE, message, maySent: false };
  if (reason === 'violation') return internalStatus('the server broke the HTTP/2 protocol');
  if (errorCode === ErrorCode.CANCEL) return { code: GrpcCode.CANCELLED, message, maySent: true };
  if (errorCode === ErrorCode.ENHANCE_YOUR_CALM) {
    return { code: GrpcCode.RESOURCE_EXHAUSTED, message, maySent: true };
  }
  if (errorCode === ErrorCode.INADEQUATE_SECURITY) {
    return { code: GrpcCode.PERMISSION_DENIED, message, maySent: true };
  }
  return internalStatus(message);
}

function nameOf(errorCode: number): string {
  const entry = Object.entries(ErrorCode).find(([, code]) => code === errorCode);
  return entry === undefined ? String(errorCode) : entry[0];
}
