/** Calls of the Lock and Election services on a whole member in memory. */

import {
  campaignRequest,
  campaignResponse,
  leaderRequest,
  leaderResponse,
  lockRequest,
  lockResponse,
  type ProtoLeaderKey,
  proclaimRequest,
  proclaimResponse,
  resignRequest,
  resignResponse,
  unlockRequest,
  unlockResponse,
} from '../../src/proto/index.js';
import { allMethods } from '../../src/server/member.js';
import type { SimClient } from '../faults/sim.js';
import { FakeCall } from './watch-call.js';

/** Begins a call. */
export function begin(
  client: SimClient,
  method: string,
  request: Uint8Array,
  metadata: Readonly<Record<string, string>> = {},
): FakeCall {
  const service = method.split('/')[0] === 'Lock' ? 'v3lockpb' : 'v3electionpb';
  const handler = allMethods(client.node.node).get(`/${service}.${method}`);
  if (handler === undefined || handler.kind === 'bidi') throw new Error(`no method ${method}`);
  const call = new FakeCall(metadata);
  handler.handle(Buffer.from(request), call);
  return call;
}

/** The first message of a call, or how it failed. */
export function outcomeOf<T>(call: FakeCall, decode: (bytes: Buffer) => T) {
  const [message] = call.sent;
  if (message !== undefined) return decode(message);
  if (typeof call.ended !== 'string') return call.ended;
  return call.ended;
}

const text = (value: string): Buffer => Buffer.from(value);

export const lock = (client: SimClient, name: string, lease: bigint) =>
  begin(client, 'Lock/Lock', lockRequest.encode({ name, lease }));
export const unlock = (client: SimClient, key: string) =>
  begin(client, 'Lock/Unlock', unlockRequest.encode({ key }));
export const campaign = (client: SimClient, name: string, lease: bigint, value: string) =>
  begin(client, 'Election/Campaign', campaignRequest.encode({ name, lease, value: text(value) }));
export const proclaim = (
  client: SimClient,
  leader: Partial<ProtoLeaderKey> | undefined,
  value: string,
) =>
  begin(
    client,
    'Election/Proclaim',
    proclaimRequest.encode({ leader: wholeKey(leader), value: text(value) }),
  );
export const resign = (client: SimClient, leader: Partial<ProtoLeaderKey> | undefined) =>
  begin(client, 'Election/Resign', resignRequest.encode({ leader: wholeKey(leader) }));
export const leader = (client: SimClient, name: string) =>
  begin(client, 'Election/Leader', leaderRequest.encode({ name }));
export const observe = (
  client: SimClient,
  name: string,
  metadata?: Readonly<Record<string, string>>,
) => begin(client, 'Election/Observe', leaderRequest.encode({ name }), metadata);

export const locked = (call: FakeCall) => outcomeOf(call, lockResponse.decode);
export const unlocked = (call: FakeCall) => outcomeOf(call, unlockResponse.decode);
export const elected = (call: FakeCall) => outcomeOf(call, campaignResponse.decode);
export const proclaimed = (call: FakeCall) => outcomeOf(call, proclaimResponse.decode);
export const resigned = (call: FakeCall) => outcomeOf(call, resignResponse.decode);
export const led = (call: FakeCall) => outcomeOf(call, leaderResponse.decode);

/** `value@revision of the header` of each message of an Observe call. */
export function told(call: FakeCall): string[] {
  return call.sent.map((bytes) => {
    const { header, kv } = leaderResponse.decode(bytes);
    return `${kv?.value.toString()}@${header?.revision}`;
  });
}

function wholeKey(leader: Partial<ProtoLeaderKey> | undefined): ProtoLeaderKey | undefined {
  if (leader === undefined) return undefined;
  return { name: '', key: '', rev: 0, lease: 0n, ...leader };
}
