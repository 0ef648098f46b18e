/**
 * The door: what each call passes before its handler, once, in this order.
 *
 *     audited      what it asks for is noted; what came of it when it ends: audit/
 *     counted      by method, and by the API version of its client
 *     learner      may be far behind: answers only what says so, or asks for no more (C-5)
 *     leader       who asks for one (`hasleader: true`) is refused without one, as etcd does;
 *                  of streams, that one may be lost later as well: require-leader.ts
 *     rate         how many requests did he make already (--rate-limit): rate-guard.ts; once he is
 *                  known, if that is asked, but before he is refused for another reason
 *     caller       who is it, and may anybody like that call this: access/requirements.ts
 *     handler      decodes the request, and looks at its form
 *
 * What a request asks for is known once it is decoded. Whether its caller may do that is asked by
 * the handlers of reads, and for changes by Host.propose, which also asks guard/space.ts; apply
 * asks both again.
 */

import type { Caller, ErrorReason } from '../../common/index.js';
import { decodeRangeRequest, memberListRequest } from '../../proto/index.js';
import type { MethodHandler, ServerCall } from '../../transport/index.js';
import { type Access, type Requirement, requirementOf } from '../access/index.js';
import type { Metrics } from '../metrics/index.js';
import { refuseCall } from './answers.js';
import type { CallAuditor, MethodAuditor } from './auditor.js';
import type { RateGuard } from './rate-guard.js';

/** What the guards know of the member. */
export interface Guards {
  /** Undefined: nobody counts. */
  readonly metrics: Metrics | undefined;
  readonly isLearner: () => boolean;
  /** --read-only-member: as a learner it answers what `readOnlyRules` say, too. */
  readonly isReadOnly?: boolean;
  readonly hasLeader: () => boolean;
  readonly access: Access;
  /** Undefined: nobody makes too many requests. */
  readonly rate?: RateGuard | undefined;
  /** Undefined: nobody writes down who did what. */
  readonly audit?: CallAuditor | undefined;
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
  { access, audit, hasLeader, isLearner, isReadOnly = false, metrics, rate }: Guards,
): Handle {
  const counter = counterOf(name, kind === 'unary' ? 'unary' : 'stream', metrics);
  const ofLearner = learnerRule(name, isReadOnly);
  const requirement = requirementOf(name);
  const limit = rate?.of(name);
  const auditor = audit?.of(name, kind);
  const door = { access, requirement, limit, handle };
  return (request, call) => {
    auditor?.begin(call, request);
    counter?.count(call, kind === 'serverStream');
    if (ofLearner !== always && isLearner() && !ofLearner(request)) {
      refuseCall(call, 'LEARNER_UNSUPPORTED');
    } else if (call.metadata('hasleader') === 'true' && !hasLeader()) {
      refuseCall(call, 'NO_LEADER');
    } else if (access.isEnabled && requirement !== 'open') {
      admit(door, request, call);
    } else if (limit === undefined || !limit.refuses(call)) handle(request, call);
  };
}

function guardedStream(
  name: string,
  begin: HandleStream,
  { access, audit, isLearner, isReadOnly = false, metrics, rate }: Guards,
): HandleStream {
  const counter = counterOf(name, 'stream', metrics);
  const isForLearner = learnerRule(name, isReadOnly) === always;
  const requirement = requirementOf(name);
  const limit = rate?.of(name);
  const auditor = audit?.of(name, 'bidi');
  const audited = auditor === undefined ? begin : auditedStream(begin, auditor);
  const handle = limit === undefined ? audited : pacedStream(audited, limit);
  return (call) => {
    auditor?.begin(call);
    counter?.count(call, true);
    if (!isForLearner && isLearner()) refuseCall(call, 'LEARNER_UNSUPPORTED');
    else if (access.isEnabled && requirement !== 'open') {
      admitStream({ access, requirement, handle }, call);
    } else handle(call);
  };
}

/** What waits for its turn is not noted before it has it. */
function auditedStream(begin: HandleStream, auditor: MethodAuditor): HandleStream {
  return (call) => {
    begin(call);
    auditor.follow(call);
  };
}

/** The stream itself counts as a request, too. */
function pacedStream(begin: HandleStream, limit: RateGuard): HandleStream {
  return (call) => {
    if (limit.refuses(call)) return;
    begin(call);
    limit.pace(call);
  };
}

// ----------------------------------------------------------------------------------- callers

interface Door<H> {
  readonly access: Access;
  readonly requirement: Requirement | undefined;
  readonly handle: H;
}

/** A door for calls with one request. */
interface CallDoor extends Door<Handle> {
  readonly limit: RateGuard | undefined;
}

/** While auth is on: finds out who calls; who may not is refused. */
function admit(door: CallDoor, request: Buffer, call: ServerCall): void {
  const who = door.access.identify(call);
  if (!(who instanceof Promise)) {
    enter(door, request, call, who);
    return;
  }
  // It is only borrowed.
  const kept = Buffer.from(request);
  void who.then((caller) => {
    if (!call.cancelled) enter(door, kept, call, caller);
  });
}

function enter(
  { access, requirement, limit, handle }: CallDoor,
  request: Buffer,
  call: ServerCall,
  caller: Caller,
): void {
  call.caller = caller;
  if (limit?.refuses(call) === true) return;
  const refusal = caller.refusal ?? refusalOf(requirement, access, caller);
  if (refusal === undefined) handle(request, call);
  else refuseCall(call, refusal);
}

/** Where it depends on the request, only the handler knows how to refuse a message. */
function admitStream(door: Door<HandleStream>, call: ServerCall): void {
  const who = door.access.identify(call);
  if (!(who instanceof Promise)) {
    enterStream(door, call, who);
    return;
  }
  call.pause();
  void who.then((caller) => {
    if (!call.cancelled && enterStream(door, call, caller)) call.resume();
  });
}

/** False: it has been refused. */
function enterStream(
  { access, requirement, handle }: Door<HandleStream>,
  call: ServerCall,
  caller: Caller,
): boolean {
  call.caller = caller;
  const refusal =
    requirement === 'request'
      ? undefined
      : (caller.refusal ?? refusalOf(requirement, access, caller));
  if (refusal === undefined) handle(call);
  else refuseCall(call, refusal);
  return refusal === undefined;
}

function refusalOf(
  requirement: Requirement | undefined,
  access: Access,
  caller: Caller,
): ErrorReason | undefined {
  switch (requirement) {
    case 'open':
    case 'request':
      return undefined;
    case 'user':
      return access.userRefusal(caller);
    case 'root':
      return access.rootRefusal(caller);
    case undefined:
      return 'PERMISSION_DENIED';
  }
}

// ---------------------------------------------------------------------------------- learners

/** Whether a learner answers a request; it is not asked of a member that is none. */
type LearnerRule = (request: Buffer) => boolean;

const learnerRules: ReadonlyMap<string, LearnerRule> = new Map([
  ['/etcdserverpb.Maintenance/Status', always],
  ['/etcdserverpb.Maintenance/Snapshot', always],
  ['/etcdserverpb.KV/Range', isSerializable],
  // They know nothing that could be old.
  ['/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', always],
  ['/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo', always],
]);

/** What a read-only member answers besides: reads of what is here, however old, and who it is. */
const readOnlyRules: ReadonlyMap<string, LearnerRule> = new Map([
  ['/etcdserverpb.KV/RangeStream', isSerializable],
  ['/etcdserverpb.Watch/Watch', always],
  ['/etcdserverpb.Cluster/MemberList', isOwnList],
  ['/etcdserverpb.Maintenance/HashKV', always],
  // Who reads has to say who he is.
  ['/etcdserverpb.Auth/Authenticate', always],
  ['/grpc.health.v1.Health/Check', always],
  ['/grpc.health.v1.Health/List', always],
  ['/grpc.health.v1.Health/Watch', always],
]);

function learnerRule(name: string, isReadOnly: boolean): LearnerRule {
  const more = isReadOnly ? readOnlyRules.get(name) : undefined;
  return learnerRules.get(name) ?? more ?? never;
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

function isOwnList(request: Buffer): boolean {
  try {
    return !memberListRequest.decode(request).linearizable;
  } catch {
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
