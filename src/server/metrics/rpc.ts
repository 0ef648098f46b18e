/** Counts of RPCs by method, with the names and labels that go-grpc-prometheus gives them. */

import { GrpcCode } from '../../common/index.js';
import type { MethodHandler } from '../../transport/index.js';
import { Histogram } from './histogram.js';

/** Prometheus' default buckets, which grpc_server_handling_seconds uses. */
const handlingBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What grpc-go calls the codes, by number. */
export const grpcCodeNames: readonly string[] = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];

const typeNames: Readonly<Record<MethodHandler['kind'], string>> = {
  unary: 'unary',
  serverStream: 'server_stream',
  bidi: 'bidi_stream',
};

/** Numbers of one method. */
export class RpcCounters {
  readonly labels: Readonly<Record<'grpc_type' | 'grpc_service' | 'grpc_method', string>>;
  started = 0;
  messagesReceived = 0;
  messagesSent = 0;
  /** By gRPC code. */
  readonly handled = new Float64Array(grpcCodeNames.length);
  readonly seconds = new Histogram(handlingBuckets);

  constructor(method: string, kind: MethodHandler['kind']) {
    const [, service = '', name = ''] = method.split('/');
    this.labels = { grpc_type: typeNames[kind], grpc_service: service, grpc_method: name };
  }
}

/** All methods of a server; only registered ones, so clients can't make rows. */
export class RpcMetrics {
  readonly #methods = new Map<string, RpcCounters>();

  /** Makes the rows of the methods at zero, so that dashboards see them before the first call. */
  register(methods: Iterable<readonly [method: string, kind: MethodHandler['kind']]>): void {
    for (const [method, kind] of methods) {
      if (!this.#methods.has(method)) this.#methods.set(method, new RpcCounters(method, kind));
    }
  }

  /** The numbers of a method, for what only its handler can count; undefined: not registered. */
  of(method: string): RpcCounters | undefined {
    return this.#methods.get(method);
  }

  rows(): Iterable<RpcCounters> {
    return this.#methods.values();
  }

  /** Call when a registered method gets a call. */
  readonly started = (method: string): void => {
    const row = this.#methods.get(method);
    if (row !== undefined) row.started += 1;
  };

  /** The transport's observer. What streams send and get counts as it passes (rpc/metering.ts). */
  readonly ended = (
    method: string,
    kind: MethodHandler['kind'],
    code: GrpcCode,
    durationMs: number,
  ): void => {
    const row = this.#methods.get(method);
    if (row === undefined) return;
    const index = code < grpcCodeNames.length ? code : GrpcCode.UNKNOWN;
    row.handled[index] = (row.handled[index] as number) + 1;
    row.seconds.observe(durationMs / 1000);
    if (kind === 'bidi') return;
    row.messagesReceived += 1;
    if (kind === 'unary' && code === GrpcCode.OK) row.messagesSent += 1;
  };
}
