/**
 * Header fields as shared objects. A field is made once, when it enters a table or is met as a
 * literal, and everything that can be known from it alone (what it means to us, whether RFC 9113
 * section 8.2 forbids it) is worked out then; an indexed field costs a table look-up afterwards.
 */

/** What a field means; the numbers are only compared. */
export const kindOrdinary = 0;
export const kindMethod = 1;
export const kindScheme = 2;
export const kindPath = 3;
export const kindAuthority = 4;
export const kindStatus = 5;
export const kindContentType = 6;
export const kindTe = 7;
export const kindTimeout = 8;
export const kindEncoding = 9;
export const kindContentLength = 10;
export const kindGrpcStatus = 11;
export const kindGrpcMessage = 12;
export const kindBinary = 13;
/** Malformed by itself: the message it is in is a stream error PROTOCOL_ERROR. */
export const kindMalformed = 14;
export const kindHost = 15;

/** One header field; immutable and shared by all blocks that refer to it. */
export class HeaderField {
  readonly name: string;
  readonly value: string;
  readonly kind: number;
  /** Size in the sense of RFC 7541 section 4.1. */
  readonly size: number;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
    this.kind = kindOf(name, value);
    this.size = name.length + value.length + 32;
  }
}

const kinds: ReadonlyMap<string, number> = new Map([
  [':method', kindMethod],
  [':scheme', kindScheme],
  [':path', kindPath],
  [':authority', kindAuthority],
  [':status', kindStatus],
  ['content-type', kindContentType],
  ['te', kindTe],
  ['grpc-timeout', kindTimeout],
  ['grpc-encoding', kindEncoding],
  ['content-length', kindContentLength],
  ['grpc-status', kindGrpcStatus],
  ['grpc-message', kindGrpcMessage],
  ['host', kindHost],
  // RFC 9113 section 8.2.2: fields that belong to one HTTP/1.1 connection.
  ['connection', kindMalformed],
  ['proxy-connection', kindMalformed],
  ['keep-alive', kindMalformed],
  ['transfer-encoding', kindMalformed],
  ['upgrade', kindMalformed],
]);

// Lower-case token characters (RFC 9110 section 5.6.2).
const validName = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const invalidValue = /[\0\r\n]|^[ \t]|[ \t]$/;

function kindOf(name: string, value: string): number {
  if (invalidValue.test(value)) return kindMalformed;
  const kind = kinds.get(name);
  if (kind === kindTe) return value === 'trailers' ? kindTe : kindMalformed;
  if (kind !== undefined) return kind;
  if (!validName.test(name)) return kindMalformed; // also every unknown pseudo-header
  return name.endsWith('-bin') ? kindBinary : kindOrdinary;
}

const staticPairs: ReadonlyArray<readonly [string, string]> = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
];

/** RFC 7541 appendix A; entry `i` has index `i + 1`. */
export const staticTable: readonly HeaderField[] = staticPairs.map(
  ([name, value]) => new HeaderField(name, value),
);
