/**
 * Errors as JSON. etcd 3.7 (grpc-gateway 2) sends `code` and `message`; up to 3.5 (grpc-gateway 1)
 * it sent `error` as well, and in streams `grpc_code`, `http_code` and `http_status`. Clients of both
 * are in use, so all of them are there.
 */

import { GrpcCode } from '../../common/index.js';
import type { HttpResponse } from '../../transport/index.js';

/** What went wrong with a call. */
export interface Failure {
  readonly code: GrpcCode;
  readonly message: string;
}

const clientClosedRequest = 499;

const httpStatusOf: ReadonlyMap<GrpcCode, number> = new Map([
  [GrpcCode.CANCELLED, clientClosedRequest],
  [GrpcCode.INVALID_ARGUMENT, 400],
  [GrpcCode.DEADLINE_EXCEEDED, 504],
  [GrpcCode.NOT_FOUND, 404],
  [GrpcCode.ALREADY_EXISTS, 409],
  [GrpcCode.PERMISSION_DENIED, 403],
  [GrpcCode.UNAUTHENTICATED, 401],
  [GrpcCode.RESOURCE_EXHAUSTED, 429],
  [GrpcCode.FAILED_PRECONDITION, 400],
  [GrpcCode.ABORTED, 409],
  [GrpcCode.OUT_OF_RANGE, 400],
  [GrpcCode.UNIMPLEMENTED, 501],
  [GrpcCode.UNAVAILABLE, 503],
]);

/** What HTTP calls the statuses; that of a cancelled call is nginx's and has no name. */
const statusTexts: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

/** The HTTP status that stands for `code`. */
export function httpStatus(code: GrpcCode): number {
  return httpStatusOf.get(code) ?? 500;
}

export const jsonType = { 'content-type': 'application/json' };

/** The whole answer of a call that failed. */
export function failedAnswer({ code, message }: Failure, status = httpStatus(code)): HttpResponse {
  const body = JSON.stringify({ error: message, code, message, details: [] });
  // As grpc-gateway, if it can be in a header.
  const isPlain = code === GrpcCode.UNAUTHENTICATED && /^[\x20-\x7e]*$/.test(message);
  const headers = isPlain ? { ...jsonType, 'www-authenticate': message } : jsonType;
  return { status, headers, body };
}

/** The last line of a stream that failed. */
export function failedLine({ code, message }: Failure): string {
  const status = httpStatus(code);
  const text = statusTexts[status] ?? '';
  const v1 = { grpc_code: code, http_code: status, message, http_status: text };
  return `${JSON.stringify({ error: { ...v1, code, details: [] } })}\n`;
}

/** A message that is longer than this member takes, in grpc-go's words. */
export function tooLong(bytes: number, bytesMax: number): Failure {
  const message = `grpc: received message larger than max (${bytes} vs. ${bytesMax})`;
  return { code: GrpcCode.RESOURCE_EXHAUSTED, message };
}

export const deadlineExceeded: Failure = {
  code: GrpcCode.DEADLINE_EXCEEDED,
  message: 'context deadline exceeded',
};
