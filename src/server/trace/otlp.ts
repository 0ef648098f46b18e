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
  const w = new BackWriter(64 * 1024);
  for (let i = spans.length - 1; i >= 0; i -= 1) {
    const mark = w.mark();
    writeSpan(w, spans[i] as Span);
    w.message(2, mark);
  }
  const scope = w.mark();
  w.text(2, source.version);
  w.text(1, source.scope);
  w.message(1, scope);
  w.message(2, 0);
  const resource = w.mark();
  writeAttributes(w, 1, source.resource);
  w.message(1, resource);
  w.message(1, 0);
  return w.finish();
}

/** Fields are written last to first. */
function writeSpan(w: BackWriter, span: Span): void {
  const { error, parentId } = span;
  if (error !== undefined) {
    const status = w.mark();
    w.integer(3, statusError);
    w.text(2, error);
    w.message(15, status);
  }
  writeAttributes(w, 9, span.attributes);
  w.time(8, span.endMs);
  w.time(7, span.startMs);
  w.integer(6, span.kind);
  w.text(5, span.name);
  if (parentId !== undefined) w.bytes(4, parentId);
  w.bytes(2, span.spanId);
  w.bytes(1, span.traceId);
}

function writeAttributes(w: BackWriter, field: number, given: Attributes): void {
  for (const key in given) {
    const value = given[key] as AttributeValue;
    const [pair, any] = [w.mark(), w.mark()];
    if (typeof value === 'string') w.text(1, value);
    else if (typeof value === 'boolean') w.integer(2, Number(value));
    else w.integer(3, value);
    w.message(2, any);
    w.text(1, key);
    w.message(field, pair);
  }
}

/** Writes from the end to the beginning, so that the length of a message is known when it is due. */
class BackWriter {
  #buffer: Buffer;
  #at: number;

  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafe(bytes);
    this.#at = bytes;
  }

  /** What is written from now on is one message; see `message`. */
  mark(): number {
    return this.#buffer.length - this.#at;
  }

  /** All since the mark becomes a field. */
  message(field: number, mark: number): void {
    this.#head(field * 8 + bytesType, this.mark() - mark);
  }

  text(field: number, value: string): void {
    const length = Buffer.byteLength(value);
    this.#room(length);
    this.#at -= length;
    this.#buffer.write(value, this.#at);
    this.#head(field * 8 + bytesType, length);
  }

  bytes(field: number, value: Uint8Array): void {
    this.#room(value.length);
    this.#at -= value.length;
    this.#buffer.set(value, this.#at);
    this.#head(field * 8 + bytesType, value.length);
  }

  /** Not negative, and exact. */
  integer(field: number, value: number): void {
    this.#head(field * 8 + varintType, value);
  }

  /** Nanoseconds since the epoch are more than a number holds; microseconds it does. */
  time(field: number, ms: number): void {
    this.#room(9);
    this.#at -= 8;
    this.#buffer.writeBigUInt64LE(BigInt(Math.round(ms * 1000)) * 1000n, this.#at);
    this.#at -= 1;
    this.#buffer[this.#at] = field * 8 + fixed64;
  }

  finish(): Buffer {
    return this.#buffer.subarray(this.#at);
  }

  /** A tag, which is one byte here, and a varint behind it. */
  #head(tag: number, value: number): void {
    this.#room(11);
    let length = 1;
    for (let left = value; left > 0x7f; left = Math.floor(left / 0x80)) length += 1;
    this.#at -= length;
    let left = value;
    for (let i = 0; i < length; i += 1) {
      const more = i < length - 1 ? 0x80 : 0;
      this.#buffer[this.#at + i] = (left % 0x80) | more;
      left = Math.floor(left / 0x80);
    }
    this.#at -= 1;
    this.#buffer[this.#at] = tag;
  }

  #room(bytes: number): void {
    if (this.#at >= bytes) return;
    const used = this.mark();
    const larger = Buffer.allocUnsafe(2 * this.#buffer.length + bytes);
    this.#buffer.copy(larger, larger.length - used, this.#at);
    this.#buffer = larger;
    this.#at = larger.length - used;
  }
}
