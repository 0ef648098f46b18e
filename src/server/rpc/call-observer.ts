/** Measures the calls of clients when they have ended, and writes slow ones into the log. */

import { type Clock, GrpcCode, type Logger } from '../../common/index.js';
import type { CallObserver, CallSteps } from '../../transport/index.js';
import { type Histogram, type Metrics, SlowLog, type StepTimes } from '../metrics/index.js';
import { type Timeline, timelineOf } from './call-timeline.js';

export interface CallObserverOptions {
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Unary calls that take longer are logged (--warning-unary-request-duration). */
  readonly slowRequestMs: number;
  /** Undefined: no traces. */
  readonly tracer?: CallTracer | undefined;
}

/** Makes spans of calls that have ended: see trace/. */
export interface CallTracer {
  /** `timeline` is asked for only if the call is traced; it stands at `nowMs` then. */
  ended(call: TracedCall, nowMs: number, timeline: () => Timeline): void;
}

/** A call that has ended. */
export interface TracedCall {
  readonly method: string;
  readonly code: GrpcCode;
  readonly call: Parameters<CallObserver>[4];
}

/** Lines about slow requests in a second: when all are slow the log must not make it worse. */
const slowLinesMax = 100;

const rangeMethod = '/etcdserverpb.KV/Range';

/** What etcd calls the requests that it measures. A txn that only reads is one here. */
const requestTypes: ReadonlyArray<readonly [method: string, type: string]> = [
  [rangeMethod, 'Range'],
  ['/etcdserverpb.KV/Put', 'Put'],
  ['/etcdserverpb.KV/DeleteRange', 'DeleteRange'],
  ['/etcdserverpb.KV/Txn', 'Txn'],
  ['/etcdserverpb.KV/Compact', 'Compaction'],
  ['/etcdserverpb.Lease/LeaseGrant', 'LeaseGrant'],
  ['/etcdserverpb.Lease/LeaseRevoke', 'LeaseRevoke'],
  ['/etcdserverpb.Maintenance/Alarm', 'Alarm'],
];

/** Made at once, so that dashboards see all rows before the first request. */
function requestHistograms(metrics: Metrics): ReadonlyMap<string, readonly [Histogram, Histogram]> {
  const { requestDuration } = metrics;
  const both = (type: string): readonly [Histogram, Histogram] => [
    requestDuration.of(type, 'false'),
    requestDuration.of(type, 'true'),
  ];
  return new Map(requestTypes.map(([method, type]) => [method, both(type)]));
}

/** What the transport tells about each call that ended. */
export function callObserver(options: CallObserverOptions): CallObserver {
  const { metrics, slowRequestMs, tracer } = options;
  const { clock } = options;
  const slow = new SlowLog(clock, options.logger, slowLinesMax);
  const ranges = [metrics.rangeDuration.of('false'), metrics.rangeDuration.of('true')] as const;
  const requests = requestHistograms(metrics);
  return (method, kind, code, durationMs, call) => {
    metrics.rpc.ended(method, kind, code, durationMs);
    if (tracer !== undefined) {
      const nowMs = clock.nowMs();
      const { steps } = call;
      tracer.ended({ method, code, call }, nowMs, () =>
        timelineBack(steps, metrics.steps, nowMs, durationMs),
      );
    }
    if (kind !== 'unary') return;
    const succeeded = code === GrpcCode.OK;
    // As etcd: what is refused for its form alone was never a request.
    if (code !== GrpcCode.INVALID_ARGUMENT) {
      requests.get(method)?.[succeeded ? 1 : 0].observe(durationMs / 1000);
    }
    if (method === rangeMethod) ranges[succeeded ? 1 : 0].observe(durationMs / 1000);
    if (durationMs <= slowRequestMs) return;
    // etcd's words and names, and the steps. What was asked stays out: it may be anything.
    slow.warn('request stats', () => ({
      'start time': new Date(clock.wallMs() - durationMs).toISOString(),
      'time spent': `${durationMs.toFixed(3)}ms`,
      remote: call.peer.address,
      'response type': method,
      code,
      ...whereTheTimeWent(timelineBack(call.steps, metrics.steps, clock.nowMs(), durationMs)),
    }));
  };
}

function timelineBack(
  steps: CallSteps | undefined,
  times: StepTimes,
  nowMs: number,
  durationMs: number,
): Timeline {
  return timelineOf(steps, times, nowMs - durationMs, nowMs);
}

/** Each step in milliseconds after the arrival, and the one that took longest from the one before. */
function whereTheTimeWent(timeline: Timeline): Readonly<Record<string, unknown>> {
  const [first] = timeline;
  const receivedMs = first?.[1] ?? 0;
  let longestMs = 0;
  let waitedFor = '';
  let beforeMs = receivedMs;
  const steps: Record<string, number> = {};
  for (const [step, atMs] of timeline.slice(1)) {
    steps[step] = rounded(atMs - receivedMs);
    if (atMs - beforeMs > longestMs) {
      longestMs = atMs - beforeMs;
      waitedFor = step;
    }
    beforeMs = atMs;
  }
  return { 'steps ms': steps, 'longest step': waitedFor };
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
