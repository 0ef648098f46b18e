/**
 * Spans on their way to the collector: gathered, and sent some at a time over a connection of our
 * own. Nobody waits for it. A collector that is not there, or slow, costs the spans that do not fit
 * any more, which are counted, and an attempt now and then.
 */

import {
  type Clock,
  GrpcCode,
  type Logger,
  type Network,
  type NetworkAddress,
  spanExportMs,
  spanExportRestMs,
  spanExportTimeoutMs,
  spansPerExportMax,
  spansWaitingMax,
  untilOrAfter,
} from '../../common/index.js';
import { connectGrpc, type GrpcClient } from '../../transport/index.js';
import type { Metrics } from '../metrics/index.js';
import { encodeSpans, type Span, type SpanSource } from './otlp.js';

export interface ExporterOptions {
  readonly clock: Clock;
  readonly network: Network;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly collector: NetworkAddress;
  readonly source: SpanSource;
}

const exportMethod = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

export class SpanExporter {
  readonly #o: ExporterOptions;
  #waiting: Span[] = [];
  #client: GrpcClient | undefined;
  #timed = false;
  #sending: Promise<void> | undefined;
  #hasFailed = false;
  #isClosed = false;

  constructor(options: ExporterOptions) {
    this.#o = options;
  }

  /** False: so many more would be dropped, and are counted as such; they need not be made. */
  hasRoom(count: number): boolean {
    if (this.#waiting.length + count <= spansWaitingMax && !this.#isClosed) return true;
    this.#o.metrics.spansDropped += count;
    return false;
  }

  /** There is room. */
  add(span: Span): void {
    this.#waiting.push(span);
    this.#later(this.#hasFailed ? spanExportRestMs : spanExportMs);
  }

  /** Sends what is left, if the collector takes it at once. */
  async close(): Promise<void> {
    await untilOrAfter(this.#sendAll(), this.#o.clock, spanExportMs);
    this.#isClosed = true;
    this.#o.metrics.spansDropped += this.#waiting.length;
    this.#waiting = [];
    this.#client?.destroy();
    this.#client = undefined;
  }

  #later(delayMs: number): void {
    if (this.#timed || this.#sending !== undefined) return;
    this.#timed = true;
    this.#o.clock.after(delayMs, () => {
      this.#timed = false;
      if (!this.#isClosed) void this.#sendAll();
    });
  }

  #sendAll(): Promise<void> {
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
      if (this.#waiting.length > 0 && !this.#isClosed) {
        this.#later(this.#hasFailed ? spanExportRestMs : spanExportMs);
      }
    });
    return this.#sending;
  }

  async #send(): Promise<void> {
    const { metrics, source } = this.#o;
    while (this.#waiting.length > 0 && !this.#isClosed) {
      const spans = this.#waiting.slice(0, spansPerExportMax);
      const why = await this.#export(encodeSpans(source, spans));
      if (this.#isClosed) return;
      if (why === undefined || why.isRefused) this.#waiting.splice(0, spans.length);
      if (why === undefined) {
        metrics.spansSent += spans.length;
        this.#hasFailed = false;
        continue;
      }
      // What it does not understand it will not understand later either.
      if (why.isRefused) metrics.spansDropped += spans.length;
      metrics.spanExportFailures += 1;
      if (!this.#hasFailed) {
        this.#o.logger.warn('the collector of traces does not take spans', { error: why.text });
      }
      this.#hasFailed = true;
      return;
    }
  }

  /** Undefined: it has them. Never rejects. */
  async #export(body: Buffer): Promise<ExportFailure | undefined> {
    let client = this.#client;
    try {
      if (client === undefined || !client.usable) {
        const { clock, collector: address, network } = this.#o;
        const connectTimeoutMs = spanExportTimeoutMs;
        client = await connectGrpc({ clock, network, address, connectTimeoutMs });
        if (this.#isClosed) {
          client.destroy();
          return undefined;
        }
        this.#client = client;
      }
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      return { text, isRefused: false };
    }
    const to = client;
    return new Promise((resolve) => {
      to.unary(exportMethod, body, { timeoutMs: spanExportTimeoutMs }, ({ code, message }) => {
        if (code === GrpcCode.OK) resolve(undefined);
        else resolve({ text: message, isRefused: refusals.has(code) });
      });
    });
  }
}

interface ExportFailure {
  readonly text: string;
  /** Sending the same again would not help. */
  readonly isRefused: boolean;
}

/** What OTLP says not to retry, as far as servers answer it. */
const refusals: ReadonlySet<GrpcCode> = new Set([
  GrpcCode.INVALID_ARGUMENT,
  GrpcCode.UNIMPLEMENTED,
  GrpcCode.UNAUTHENTICATED,
  GrpcCode.PERMISSION_DENIED,
  GrpcCode.INTERNAL,
  GrpcCode.UNKNOWN,
]);
