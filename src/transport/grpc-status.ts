/** gRPC statuses as header fields, and what a client makes of a reply without one. */

import { GrpcCode } from '../common/index.js';
import { HeaderField } from './header-field.js';
import { HeaderTemplate } from './hpack-encode.js';
import type { ResponseHead } from './message-head.js';
import { encodeBinary, encodeMessage } from './metadata.js';

const status200 = new HeaderField(':status', '200');
const contentTypeGrpc = new HeaderField('content-type', 'application/grpc');
const encodingGzip = new HeaderField('grpc-encoding', 'gzip');
/** Tells what we can read. */
export const acceptEncodingGzip = new HeaderField('grpc-accept-encoding', 'gzip');
const statusFields: readonly HeaderField[] = Object.values(GrpcCode).map(
  (code) => new HeaderField('grpc-status', String(code)),
);

/** The lists that nearly every reply of a server consists of; one object for each connection. */
export class ReplyTemplates {
  readonly head = new HeaderTemplate([status200, contentTypeGrpc]);
  readonly headGzip = new HeaderTemplate([status200, contentTypeGrpc, encodingGzip]);
  readonly ok = new HeaderTemplate([statusField(GrpcCode.OK)]);
}

/** The trailers of a failed call. */
export function statusTrailers(
  code: GrpcCode,
  message: string,
  details?: Uint8Array,
): HeaderField[] {
  const fields = [statusField(code)];
  if (message !== '') fields.push(new HeaderField('grpc-message', encodeMessage(message)));
  if (details !== undefined) {
    fields.push(new HeaderField('grpc-status-details-bin', encodeBinary(details)));
  }
  return fields;
}

/** Head and trailers in one: a call that failed before its first message. */
export function trailersOnly(
  httpStatus: number,
  code: GrpcCode,
  message: string,
  details?: Uint8Array,
): HeaderField[] {
  const status = httpStatus === 200 ? status200 : new HeaderField(':status', String(httpStatus));
  return [status, contentTypeGrpc, ...statusTrailers(code, message, details)];
}

/** A code from the wire; what nobody defined is UNKNOWN. */
export function codeFromWire(value: number): GrpcCode {
  const known = Object.values(GrpcCode).find((code) => code === value);
  return known ?? GrpcCode.UNKNOWN;
}

const httpCodes: ReadonlyMap<number, GrpcCode> = new Map<number, GrpcCode>([
  [400, GrpcCode.INTERNAL],
  [401, GrpcCode.UNAUTHENTICATED],
  [403, GrpcCode.PERMISSION_DENIED],
  [404, GrpcCode.UNIMPLEMENTED],
  [429, GrpcCode.UNAVAILABLE],
  [431, GrpcCode.RESOURCE_EXHAUSTED],
  [502, GrpcCode.UNAVAILABLE],
  [503, GrpcCode.UNAVAILABLE],
  [504, GrpcCode.UNAVAILABLE],
]);

/** The code for a reply that is not gRPC (grpc/doc/http-grpc-status-mapping). */
export function codeFromHttp(head: ResponseHead): GrpcCode {
  return httpCodes.get(head.status) ?? GrpcCode.UNKNOWN;
}

function statusField(code: GrpcCode): HeaderField {
  return statusFields[code] ?? new HeaderField('grpc-status', String(code));
}
