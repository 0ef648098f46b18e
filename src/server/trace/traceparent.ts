/** W3C Trace Context: what a client says of the trace that its call belongs to. */

export interface TraceContext {
  /** 16 and 8 bytes, not all zeros. */
  readonly traceId: Buffer;
  readonly spanId: Buffer;
  /** The client traces it. */
  readonly isSampled: boolean;
}

/** Versions to come may have more behind the flags; version ff is none. */
const form = /^(?!ff)([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/;
const zeros = /^0+$/;

/** Undefined: there is none, or none that counts. */
export function parseTraceparent(text: string | undefined): TraceContext | undefined {
  if (text === undefined || text.length > 512) return undefined;
  const match = form.exec(text);
  if (match === null) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', more] = match;
  if (version === '00' && more !== undefined) return undefined;
  if (zeros.test(traceId) || zeros.test(spanId)) return undefined;
  return {
    traceId: Buffer.from(traceId, 'hex'),
    spanId: Buffer.from(spanId, 'hex'),
    isSampled: (Number.parseInt(flags, 16) & 1) === 1,
  };
}
