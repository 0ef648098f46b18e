/**
 * More writes wait than a member takes: what lessens the load or repairs the cluster goes ahead of
 * them, and is not refused with them.
 */

import { beforeEach, describe, expect, it } from 'vitest';
import {
  GrpcCode,
  proposalsWaitingMax,
  type Settler,
  urgentShare,
} from '../../src/common/index.js';
import {
  AlarmAction,
  AlarmType,
  alarmRequest,
  encodeLeaseRevokeRequest,
  encodePutRequest,
} from '../../src/proto/index.js';
import { EntryKind, newEntry } from '../../src/server/entry/index.js';
import { configChangeSteps, encodeMemberChange } from '../../src/server/membership/index.js';
import { SimMachine } from '../crash/sim-node.js';
import { ok, SimClient } from '../faults/sim.js';
import type { Outcome } from '../helpers/in-process-call.js';

const tooMany = { ok: false, code: GrpcCode.UNKNOWN, text: 'etcdserver: too many requests' };

const onePut = encodePutRequest({ key: 'k', value: Buffer.from('v') });

let client: SimClient;
/** How the puts ended that were answered. */
let answered: Outcome[];
let ended: Promise<unknown>;

/** So many that one more is refused; none of them is proposed before time passes. */
function overload(): void {
  const calls = Array.from({ length: proposalsWaitingMax + 1000 }, async () => {
    answered.push(await client.node.call('KV/Put', onePut));
  });
  ended = Promise.all(calls);
}

function settled(settler: Settler, _request: unknown, error: Error | undefined): void {
  if (error === undefined) settler.resolve();
  else settler.reject(error);
}

/** What MemberAdd proposes once it has asked whether the cluster can do with it. */
function addLearner(): Promise<void> {
  const peerUrls = ['http://10.0.0.9:2380'];
  const change = { type: 'add', id: 9n, peerUrls, isLearner: true, learnersMax: 1 } as const;
  const data = newEntry(EntryKind.memberChange, encodeMemberChange(change));
  const { host } = client.node.node;
  return new Promise((resolve, reject) => {
    const context = { resolve, reject };
    host.proposeConfigChange(configChangeSteps(change), data, change, settled, context);
  });
}

beforeEach(async () => {
  client = await SimClient.start(new SimMachine(5));
  answered = [];
});

describe('while 50,000 puts wait', { timeout: 120_000 }, () => {
  it('leases are revoked, members added and alarms raised before them', async () => {
    ok(await client.grant(5n, 100));
    ok(await client.put('leased', 'v', { lease: 5n }));
    const { node } = client;
    overload();
    const putsDone = (): number => answered.filter((outcome) => outcome.ok).length;
    const places: Record<string, number> = {};
    const urgent = async (method: string, request: Uint8Array): Promise<void> => {
      ok(await node.call(method, request));
      places[method] = putsDone();
    };
    const { ACTIVATE } = AlarmAction;
    const alarm = { action: ACTIVATE, memberId: 7n, alarm: AlarmType.NOSPACE };
    const all = Promise.all([
      urgent('Lease/LeaseRevoke', encodeLeaseRevokeRequest({ id: 5n })),
      urgent('Maintenance/Alarm', alarmRequest.encode(alarm)),
      addLearner().then(() => {
        places.change = putsDone();
      }),
    ]);
    const refused = await client.machine.clock.runUntil(node.call('KV/Put', onePut));
    expect(refused).toEqual(tooMany);
    await client.machine.clock.runUntil(all);
    // Not one put was applied before them.
    expect(places).toEqual({ 'Lease/LeaseRevoke': 0, 'Maintenance/Alarm': 0, change: 0 });
    expect(node.node.membership.get(9n)?.isLearner).toBe(true);
    await client.machine.clock.runUntil(ended);
    expect(answered.filter((outcome) => !outcome.ok && outcome.text === tooMany.text)).toHaveLength(
      1000,
    );
    expect(node.fatal).toEqual([]);
  });

  it('leases expire in time, however full it is at that moment', async () => {
    ok(await client.grant(5n, 2));
    const { lessor } = client.node.node;
    const { clock } = client.machine;
    // The scan that finds it expired meets a full queue.
    for (let ms = 0; ms < 1900; ms += 100) await client.pass(100);
    let wasFull = false;
    for (let i = 0; i < 3 && lessor.has(5n); i++) {
      overload();
      wasFull ||= !(await clock.runUntil(client.node.call('KV/Put', onePut))).ok;
      await client.pass(400);
    }
    expect([wasFull, lessor.has(5n)]).toEqual([true, false]);
    await clock.runUntil(ended);
  });

  it('what is urgent has its own bound, and then waits behind nobody', async () => {
    overload();
    const request = encodeLeaseRevokeRequest({ id: 99n });
    const count = Math.ceil(proposalsWaitingMax * urgentShare) + 500;
    const outcomes = Array.from({ length: count }, () =>
      client.node.call('Lease/LeaseRevoke', request),
    );
    const texts = new Map<string, number>();
    for (const outcome of await client.machine.clock.runUntil(Promise.all(outcomes))) {
      const text = outcome.ok ? 'ok' : outcome.text;
      texts.set(text, (texts.get(text) ?? 0) + 1);
    }
    expect(texts.get('etcdserver: requested lease not found')).toBeGreaterThan(count - 600);
    expect(texts.get(tooMany.text)).toBeGreaterThan(400);
    await client.machine.clock.runUntil(ended);
  });
});

it('kinds of entries that are urgent are few, and known', () => {
  const { node } = client.node;
  const urgent = node.features
    .flatMap((feature) => feature.entries ?? [])
    .filter((type) => type.isUrgent)
    .map((type) => type.kind);
  expect(urgent.sort((a, b) => a - b)).toEqual(
    [
      EntryKind.leaseRevoke,
      EntryKind.alarm,
      EntryKind.memberAttributes,
      EntryKind.memberUpdate,
    ].sort((a, b) => a - b),
  );
});
