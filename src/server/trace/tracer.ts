/**
 * Spans of calls: one for the call, as child of what its client sent (`traceparent`), and one for
 * each step on its way. All of them are made when the call has ended, of the times that are noted
 * anyway: a call that is not traced costs a look at its metadata, and if traces are off, nothing.
 */

import {
  type Clock,
  GrpcCode,
  idToHex,
  kvorumVersion,
  type Logger,
  type MemberId,
  type Network,
  type Random,
} from '../../common/index.js';
import { grpcCodeNames, type Metrics } from '../metrics/index.js';
import type { TracingConfig } from '../options/index.js';
import type { CallStep, CallTracer, Timeline, TracedCall } from '../rpc/index.js';
import { SpanExporter } from './exporter.js';
import { type Span, SpanKind } from './otlp.js';
import { parseTraceparent, type TraceContext } from './traceparent.js';

export interface TracerOptions {
  readonly config: TracingConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Network;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly member: { readonly memberId: MemberId; readonly name: string };
}

/** What went on until a step was reached. Durable and committed are both waited for. */
const stepNames: Readonly<Record<CallStep, string>> = {
  received: 'receive',
  proposed: 'wait to be proposed',
  durable: 'write to the log',
  committed: 'replicate',
  applied: 'apply',
  confirmed: 'confirm the read',
  room: 'wait for memory',
  sent: 'answer',
};

export class Tracer implements CallTracer {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #share: number;
  readonly #exporter: SpanExporter;

  constructor(options: TracerOptions) {
    const { clock, config, logger, member, metrics, network, random } = options;
    this.#clock = clock;
    this.#random = random;
    this.#share = config.share;
    const resource = {
      'service.name': config.serviceName,
      ...(config.instanceId === '' ? {} : { 'service.instance.id': config.instanceId }),
      'service.version': kvorumVersion,
      'kvorum.member.name': member.name,
      'kvorum.member.id': idToHex(member.memberId),
    };
    const source = { resource, scope: 'kvorum', version: kvorumVersion };
    const { collector } = config;
    this.#exporter = new SpanExporter({ clock, network, logger, metrics, collector, source });
  }

  ended(traced: TracedCall, nowMs: number, timeline: () => Timeline): void {
    const parent = parseTraceparent(traced.call.metadata('traceparent'));
    // The client decides; where it says nothing, chance does.
    const isTraced = parent?.isSampled ?? (this.#share > 0 && this.#random.float() < this.#share);
    if (isTraced) this.#addSpans(traced, parent, timeline(), this.#clock.wallMs() - nowMs);
  }

  /** Sends what is left. */
  close(): Promise<void> {
    return this.#exporter.close();
  }

  /** `shiftMs`: from the clock of the timeline to the wall clock. */
  #addSpans(
    { call, code, method }: TracedCall,
    parent: TraceContext | undefined,
    timeline: Timeline,
    shiftMs: number,
  ): void {
    const [first, ...steps] = timeline;
    const last = steps.at(-1);
    if (first === undefined || last === undefined) return;
    if (!this.#exporter.hasRoom(timeline.length)) return;
    const traceId = parent?.traceId ?? Buffer.concat([this.#id(), this.#id()]);
    const [, service = '', name = ''] = method.split('/');
    const spanId = this.#id();
    this.#exporter.add({
      traceId,
      spanId,
      parentId: parent?.spanId,
      name: method.slice(1),
      kind: SpanKind.server,
      startMs: first[1] + shiftMs,
      endMs: last[1] + shiftMs,
      attributes: {
        'rpc.system': 'grpc',
        'rpc.service': service,
        'rpc.method': name,
        'rpc.grpc.status_code': code,
        'network.peer.address': call.peer.address,
        ...(call.steps !== undefined && call.steps.index > 0
          ? { 'kvorum.log.index': call.steps.index }
          : {}),
      },
      error: code === GrpcCode.OK ? undefined : (grpcCodeNames[code] ?? 'Unknown'),
    });
    for (const step of stepSpans(timeline, shiftMs)) {
      this.#exporter.add({ ...step, traceId, spanId: this.#id(), parentId: spanId });
    }
  }

  #id(): Buffer {
    const id = Buffer.alloc(8);
    id.writeBigUInt64BE(this.#random.u64() || 1n);
    return id;
  }
}

function stepSpans(
  timeline: Timeline,
  shiftMs: number,
): Array<Omit<Span, 'traceId' | 'spanId' | 'parentId'>> {
  const proposedMs = timeline.find(([step]) => step === 'proposed')?.[1];
  let beforeMs = timeline[0]?.[1] ?? 0;
  return timeline.slice(1).map(([step, atMs]) => {
    // Both begin with the proposal, and go on side by side.
    const isBeside = (step === 'durable' || step === 'committed') && proposedMs !== undefined;
    const startMs = isBeside ? proposedMs : beforeMs;
    beforeMs = atMs;
    return {
      name: stepNames[step],
      kind: SpanKind.internal,
      startMs: startMs + shiftMs,
      endMs: atMs + shiftMs,
      attributes: { 'kvorum.step': step },
      error: undefined,
    };
  });
}
