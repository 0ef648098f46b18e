/**
 * Spans as collectors take them: ExportTraceServiceRequest of OTLP 1 (opentelemetry-proto, package
 * opentelemetry.proto.collector.trace.v1). Only the fields that we fill; their numbers are its.
 */

export type AttributeValue = string | number | boolean;
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** Span.SpanKind. */
export const SpanKind = { internal: 1, server: 2 } as const;

export interface Span {
  readonly traceId: Uint8Array;
  readonly spanId: Uint8Array;
  /** Undefined: it is the first of its trace. */
  readonly parentId: Uint8Array | undefined;
  readonly name: string;
  readonly kind: (typeof SpanKind)[keyof typeof SpanKind];
  /** Milliseconds since the Unix epoch, with a fraction. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  /** Undefined: it went well, or nobody can tell. */
  readonly error: string | undefined;
}

/** Where the spans come from. */
export interface SpanSource {
  /** Of the process: service.name and the like. */
  readonly resource: Attributes;
  readonly scope: string;
  readonly version: string;
}

const statusError = 2;
const fixed64 = 1;
const varintType = 0;
const bytesType = 2;

export function encodeSpans(source: SpanSource, spans: readonly Span[]): Buffer {
  const scope = message(text(1, source.scope), text(2, source.version));
  const scopeSpans = message(bytes(1, scope), ...spans.map((span) => bytes(2, encodeSpan(span))));
  const resource = message(...attributes(1, source.resource));
  return bytes(1, message(bytes(1, resource), bytes(2, scopeSpans)));
}

function encodeSpan(span: Span): Buffer {
  const { error, parentId } = span;
  return message(
    bytes(1, span.traceId),
    bytes(2, span.spanId),
    ...(parentId === undefined ? [] : [bytes(4, parentId)]),
    text(5, span.name),
    integer(6, span.kind),
    time(7, span.startMs),
    time(8, span.endMs),
    ...attributes(9, span.attributes),
    ...(error === undefined ? [] : [bytes(15, message(text(2, error), integer(3, statusError)))]),
  );
}

function attributes(field: number, given: Attributes): Buffer[] {
  return Object.entries(given).map(([key, value]) =>
    bytes(field, message(text(1, key), bytes(2, anyValue(value)))),
  );
}

function anyValue(value: AttributeValue): Buffer {
  if (typeof value === 'string') return text(1, value);
  return typeof value === 'boolean' ? integer(2, Number(value)) : integer(3, value);
}

/** Nanoseconds since the epoch, more than a number holds: from microseconds, which it does. */
function time(field: number, ms: number): Buffer {
  const out = Buffer.alloc(9);
  out[0] = field * 8 + fixed64;
  out.writeBigUInt64LE(BigInt(Math.round(ms * 1000)) * 1000n, 1);
  return out;
}

function text(field: number, value: string): Buffer {
  return bytes(field, Buffer.from(value));
}

function bytes(field: number, value: Uint8Array): Buffer {
  return Buffer.concat([varint(field * 8 + bytesType), varint(value.length), value]);
}

/** Not negative, and exact. */
function integer(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8 + varintType), varint(value)]);
}

function message(...fields: readonly Buffer[]): Buffer {
  return Buffer.concat(fields);
}

function varint(value: number): Buffer {
  const out: number[] = [];
  let left = value;
  while (left > 0x7f) {
    out.push((left % 0x80) + 0x80);
    left = Math.floor(left / 0x80);
  }
  out.push(left);
  return Buffer.from(out);
}
