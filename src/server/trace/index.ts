/** Traces of calls for a collector of OpenTelemetry: --enable-distributed-tracing. */
export { Tracer } from './tracer.js';
