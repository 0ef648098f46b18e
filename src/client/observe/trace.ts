/**
 * Spans of a client through a tracer of OpenTelemetry (@opentelemetry/api), of which only these
 * methods are used: the package does not depend on it. A span for each call, retries included,
 * and one for each opening of a stream: watches and kept leases, also when they go on after
 * a disconnection.
 */

import type { Hooks } from '../call/index.js';
import { grpcOf } from './method-parts.js';

type Attributes = Readonly<Record<string, string | number | boolean>>;

/** What is needed of a span. */
export interface SpanLike {
  /** What is needed of it to say in `traceparent` which trace the call belongs to. */
  spanContext?(): {
    readonly traceId: string;
    readonly spanId: string;
    readonly traceFlags: number;
  };
  setAttributes(attributes: Attributes): unknown;
  setStatus(status: { readonly code: number; readonly message?: string }): unknown;
  recordException(error: Error): unknown;
  end(): void;
}

/** What is needed of a tracer. */
export interface TracerLike {
  startSpan(
    name: string,
    options?: { readonly kind?: number; readonly attributes?: Attributes },
  ): SpanLike;
}

export interface TracingOptions {
  /**
   * Adds to the metadata what carries the trace on, as `propagation.inject` of OpenTelemetry does;
   * by default `traceparent` of W3C Trace Context, which members of kvorum and etcd go on with.
   */
  readonly inject?: (span: SpanLike, carrier: Record<string, string>) => void;
}

/** SpanKind.CLIENT and SpanStatusCode.ERROR. */
const clientKind = 2;
const errorStatus = 2;

/** Nothing where the tracer gives no context, or a void one: nobody collects spans then. */
function injectTraceparent(span: SpanLike, carrier: Record<string, string>): void {
  const context = span.spanContext?.();
  if (context === undefined || /^0+$/.test(context.traceId)) return;
  const flags = (context.traceFlags & 0xff).toString(16).padStart(2, '0');
  carrier.traceparent = `00-${context.traceId}-${context.spanId}-${flags}`;
}

/** For `hooks`. */
export function tracingHook(tracer: TracerLike, options: TracingOptions = {}): Hooks {
  const within = async <Sent extends { readonly method: string; readonly metadata: object }, R>(
    sent: Sent,
    next: (sent: Sent) => Promise<R>,
    told: (span: SpanLike, result: R) => void,
  ): Promise<R> => {
    const attributes = grpcOf(sent.method);
    const span = tracer.startSpan(sent.method.slice(1), { kind: clientKind, attributes });
    const carrier: Record<string, string> = {};
    if (options.inject !== undefined) options.inject(span, carrier);
    else injectTraceparent(span, carrier);
    try {
      const result = await next({ ...sent, metadata: { ...sent.metadata, ...carrier } });
      told(span, result);
      return result;
    } catch (error) {
      const failed = error instanceof Error ? error : new Error(String(error));
      span.recordException(failed);
      span.setStatus({ code: errorStatus, message: failed.message });
      throw error;
    } finally {
      span.end();
    }
  };
  return {
    interceptor: (call, next) => within(call, next, () => undefined),
    streamInterceptor: (stream, next) =>
      within(stream, next, (span, { endpoint }) =>
        span.setAttributes({ 'server.address': endpoint }),
      ),
  };
}
