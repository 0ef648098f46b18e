/**
 * The door: what each call passes before its handler, once, in this order.
 *
 *     counted      by method, and by the API version of its client
 *     learner      may be far behind: answers only what says so, or asks for no more (C-5)
 *     leader       who asks for one (`hasleader: true`) is refused without one, as etcd does;
 *                  of streams, that one may be lost later as well: require-leader.ts
 *     handler      decodes the request, and looks at its form
 *
 * What a request may add is known once it is decoded: Host.propose asks guard/space.ts, and apply
 * asks again. Whoever adds a guard (who are you, may you) adds it here.
 */

import { decodeRangeRequest } from '../../proto/index.js';
import type { MethodHandler, ServerCall } from '../../transport/index.js';
import type { Metrics } from '../metrics/index.js';
import { refuseCall } from './answers.js';

/** What the guards know of the member. */
export interface Guards {
  /** Undefined: nobody counts. */
  readonly metrics: Metrics | undefined;
  readonly isLearner: () => boolean;
  readonly hasLeader: () => boolean;
}

type Handle = Extract<MethodHandler, { readonly kind: 'unary' | 'serverStream' }>['handle'];
type HandleStream = Extract<MethodHandler, { readonly kind: 'bidi' }>['handle'];

/** The same handlers behind the guards, by full method name. */
export function guarded(
  methods: ReadonlyArray<readonly [string, MethodHandler]>,
  guards: Guards,
): Map<string, MethodHandler> {
  guards.metrics?.rpc.register(methods.map(([name, { kind }]) => [name, kind] as const));
  return new Map(methods.map(([name, method]) => [name, behindGuards(name, method, guards)]));
}

function behindGuards(name: string, method: MethodHandler, guards: Guards): MethodHandler {
  if (method.kind === 'bidi') {
    return { kind: 'bidi', handle: guardedStream(name, method.handle, guards) };
  }
  return { kind: method.kind, handle: guardedCall(name, method, guards) };
}

function guardedCall(
  name: string,
  { kind, handle }: { readonly kind: 'unary' | 'serverStream'; readonly handle: Handle },
  { hasLeader, isLearner, metrics }: Guards,
): Handle {
  const counter = counterOf(name, kind === 'unary' ? 'unary' : 'stream', metrics);
  const ofLearner = learnerRule(name);
  return (request, call) => {
    counter?.count(call, kind === 'serverStream');
    if (ofLearner !== always && isLearner() && !ofLearner(request)) {
      refuseCall(call, 'LEARNER_UNSUPPORTED');
    } else if (call.metadata('hasleader') === 'true' && !hasLeader()) {
      refuseCall(call, 'NO_LEADER');
    } else handle(request, call);
  };
}

function guardedStream(
  name: string,
  handle: HandleStream,
  { isLearner, metrics }: Guards,
): HandleStream {
  const counter = counterOf(name, 'stream', metrics);
  return (call) => {
    counter?.count(call, true);
    if (isLearner()) refuseCall(call, 'LEARNER_UNSUPPORTED');
    else handle(call);
  };
}

// ---------------------------------------------------------------------------------- learners

/** Whether a learner answers a request; it is not asked of a member that is none. */
type LearnerRule = (request: Buffer) => boolean;

const learnerRules: ReadonlyMap<string, LearnerRule> = new Map([
  ['/etcdserverpb.Maintenance/Status', always],
  ['/etcdserverpb.Maintenance/Snapshot', always],
  ['/etcdserverpb.KV/Range', isSerializable],
]);

function learnerRule(name: string): LearnerRule {
  return learnerRules.get(name) ?? never;
}

function always(): boolean {
  return true;
}

function never(): boolean {
  return false;
}

function isSerializable(request: Buffer): boolean {
  try {
    return decodeRangeRequest(request).serializable;
  } catch {
    // The handler says what is wrong with it.
    return true;
  }
}

// ---------------------------------------------------------------------------------- counting

function counterOf(
  name: string,
  type: 'unary' | 'stream',
  metrics: Metrics | undefined,
): CallCounter | undefined {
  const row = metrics?.rpc.of(name);
  return metrics === undefined || row === undefined
    ? undefined
    : new CallCounter(metrics, type, row);
}

type RpcRow = NonNullable<ReturnType<Metrics['rpc']['of']>>;

/** Counts calls by the API version of the client, which hardly ever differs from call to call. */
class CallCounter {
  readonly #metrics: Metrics;
  readonly #type: 'unary' | 'stream';
  readonly #row: RpcRow;
  #version: string | undefined;
  #versionRow: { value: number };

  constructor(metrics: Metrics, type: 'unary' | 'stream', row: RpcRow) {
    this.#metrics = metrics;
    this.#type = type;
    this.#row = row;
    this.#versionRow = metrics.clientRequests.of(type, 'unknown');
  }

  /** `isStream`: its messages count as they pass. */
  count(call: ServerCall, isStream: boolean): void {
    this.#row.started++;
    if (isStream) call.counts = this.#row;
    const version = call.metadata('client-api-version');
    if (version !== this.#version) {
      this.#version = version;
      this.#versionRow = this.#metrics.clientRequests.of(this.#type, version ?? 'unknown');
    }
    this.#versionRow.value += 1;
  }
}
