/**
 * What of a request's headers a call sees as metadata, as grpc-gateway passes it on:
 * `Grpc-Metadata-NAME` is NAME, the token of `Authorization` is there, and other headers that
 * everybody knows are `grpcgateway-NAME`. Who showed which certificate is not among it.
 */

import { GrpcCode } from '../../common/index.js';
import type { HttpRequest } from '../../transport/index.js';
import type { Failure } from './errors.js';

const prefix = 'grpc-metadata-';
const passedPrefix = 'grpcgateway-';

/** Headers of HTTP itself that are passed on. */
const passed: ReadonlySet<string> = new Set([
  ...['accept', 'accept-charset', 'accept-language', 'accept-ranges', 'authorization'],
  ...['cache-control', 'content-type', 'cookie', 'date', 'expect', 'from', 'host', 'if-match'],
  ...['if-modified-since', 'if-none-match', 'if-schedule-tag-match', 'if-unmodified-since'],
  ...['max-forwards', 'origin', 'pragma', 'referer', 'user-agent', 'via', 'warning'],
]);

/** Reads one key of the metadata of a call. */
export type Metadata = (key: string) => string | undefined;

/** The metadata of a call for this request; values that gRPC does not permit are not there. */
export function metadataOf(request: HttpRequest): Metadata {
  const { headers } = request;
  return (key) => {
    const value = headerFor(headers, key, request.peer.address);
    return value === undefined || !/^[\x20-\x7e]*$/.test(value) ? undefined : value;
  };
}

function headerFor(
  headers: HttpRequest['headers'],
  key: string,
  address: string,
): string | undefined {
  const given = headers[prefix + key];
  if (given !== undefined) return given;
  switch (key) {
    case 'authorization':
      return headers.authorization;
    case 'traceparent':
      return headers.traceparent;
    case 'x-forwarded-host':
      return headers['x-forwarded-host'] ?? headers.host;
    case 'x-forwarded-for': {
      const from = address.replace(/:\d+$/, '');
      const earlier = headers['x-forwarded-for'];
      return earlier === undefined ? from : `${earlier}, ${from}`;
    }
    default: {
      const name = key.startsWith(passedPrefix) ? key.slice(passedPrefix.length) : '';
      return passed.has(name) ? headers[name] : undefined;
    }
  }
}

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Milliseconds of `Grpc-Timeout`; undefined: it is not there, or zero, which is none. */
export function timeoutOf(request: HttpRequest): number | Failure | undefined {
  const text = request.headers['grpc-timeout'];
  if (text === undefined || text === '') return undefined;
  const match = /^([+-]?\d{1,18})([HMSmun])$/.exec(text);
  if (match === null) {
    return { code: GrpcCode.INVALID_ARGUMENT, message: `invalid grpc-timeout: ${text}` };
  }
  const ms = Number(match[1]) * (unitMs[match[2] as string] as number);
  return ms === 0 ? undefined : ms;
}

/** What is wrong with a header of binary metadata, if something is. */
export function binaryFault(request: HttpRequest): Failure | undefined {
  for (const [name, value] of Object.entries(request.headers)) {
    if (!name.startsWith(prefix) || !name.endsWith('-bin') || value === undefined) continue;
    const wrongAt = value.replace(/={0,2}$/, '').search(/[^A-Za-z0-9+/]/);
    const { length } = value.replace(/=+$/, '');
    if (wrongAt < 0 && length % 4 !== 1) continue;
    const at = wrongAt < 0 ? length - 1 : wrongAt;
    const header = name.replace(/(^|-)([a-z])/g, (letters) => letters.toUpperCase());
    const fault = `illegal base64 data at input byte ${at}`;
    const message = `invalid binary header ${header}: ${fault}`;
    return { code: GrpcCode.INVALID_ARGUMENT, message };
  }
  return undefined;
}
