import {
  AlarmAction,
  alarmRequest,
  alarmResponse,
  type CompactionRequest,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodeLeaseGrantRequest,
  encodeLeaseRevokeRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
} from '../../src/proto/index.js';
import { allMethods } from '../../src/server/member.js';
import type { SimMachine, SimProcess } from '../crash/sim-node.js';
import type { Outcome } from '../helpers/in-process-call.js';
import { FakeCall } from '../server/watch-call.js';

/** A put inside a transaction. */
export function putOp(key: string, value: string | Buffer): RequestOp {
  const request = { ...noPut, key, value: Buffer.from(value) };
  return { type: 'put', request };
}

const noPut = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };

/** A node on a simulated machine with its calls by name; time passes while one is under way. */
export class SimClient {
  readonly machine: SimMachine;
  readonly node: SimProcess;

  private constructor(machine: SimMachine, node: SimProcess) {
    this.machine = machine;
    this.node = node;
  }

  static async start(machine: SimMachine, ...flags: readonly string[]): Promise<SimClient> {
    const node = await machine.start(...flags);
    if (node === undefined) throw new Error('the disk halted although nobody asked it to');
    return new SimClient(machine, node);
  }

  /** Loses power and starts again. */
  restart(...flags: readonly string[]): Promise<SimClient> {
    this.machine.crash();
    return SimClient.start(this.machine, ...flags);
  }

  call(method: string, request: Uint8Array): Promise<Outcome> {
    return this.machine.clock.runUntil(this.node.call(method, request));
  }

  /** Simulated time passes. */
  pass(ms: number): Promise<void> {
    return this.machine.clock.run(this.machine.clock.nowMs() + ms);
  }

  put(key: string, value: string | Buffer, more: Partial<PutRequest> = {}): Promise<Outcome> {
    return this.call('KV/Put', encodePutRequest({ ...more, key, value: Buffer.from(value) }));
  }

  range(request: Partial<RangeRequest>): Promise<Outcome> {
    return this.call('KV/Range', encodeRangeRequest(request));
  }

  deleteRange(key: string, rangeEnd = ''): Promise<Outcome> {
    return this.call('KV/DeleteRange', encodeDeleteRangeRequest({ key, rangeEnd }));
  }

  txn(success: readonly RequestOp[], failure: readonly RequestOp[] = []): Promise<Outcome> {
    return this.call('KV/Txn', encodeTxnRequest({ compare: [], success, failure }));
  }

  compact(request: CompactionRequest): Promise<Outcome> {
    return this.call('KV/Compact', encodeCompactionRequest(request));
  }

  grant(id: bigint, ttlSeconds: number): Promise<Outcome> {
    return this.call('Lease/LeaseGrant', encodeLeaseGrantRequest({ id, ttlSeconds }));
  }

  revoke(id: bigint): Promise<Outcome> {
    return this.call('Lease/LeaseRevoke', encodeLeaseRevokeRequest({ id }));
  }

  async alarm(action: number, memberId = 0n, alarm = 0) {
    const request = alarmRequest.encode({ action, memberId, alarm });
    const outcome = await this.call('Maintenance/Alarm', request);
    if (!outcome.ok) throw new Error(outcome.text);
    return alarmResponse.decode(outcome.message).alarms;
  }

  alarms() {
    return this.alarm(AlarmAction.GET);
  }

  /** Opens a stream; messages go in by its `onMessage`, answers are in `sent`. */
  stream(method: string): FakeCall {
    const { node } = this.node;
    const handlers = allMethods(node);
    const handler = handlers.get(`/etcdserverpb.${method}`);
    if (handler?.kind !== 'bidi') throw new Error(`no stream ${method}`);
    const call = new FakeCall();
    handler.handle(call);
    return call;
  }
}

/** The message of an outcome that must be a success. */
export function ok(outcome: Outcome): Buffer {
  if (!outcome.ok) throw new Error(outcome.text);
  return outcome.message;
}
