/**
 * Values that clients divide by, index with or parse are those that etcd 3.7.3 can send: on a
 * member that has just begun, and on one that was used.
 */

import { expect, it } from 'vitest';
import {
  AlarmAction,
  AlarmType,
  hashKvResponse,
  memberListRequest,
  memberListResponse,
  snapshotResponse,
  statusResponse,
} from '../../src/proto/index.js';
import { allMethods } from '../../src/server/member.js';
import { SimMachine } from '../crash/sim-node.js';
import { ok, SimClient } from '../faults/sim.js';
import { FakeCall } from './watch-call.js';

const empty = Buffer.alloc(0);

async function status(client: SimClient) {
  return statusResponse.decode(ok(await client.call('Maintenance/Status', empty)));
}

it('Status of a member that has just begun has no 0 where etcd has none', async () => {
  const client = await SimClient.start(new SimMachine(4));
  const { memberId, clusterId } = client.node.node;
  const fresh = await status(client);
  expect(fresh).toMatchObject({
    version: '3.7.3',
    storageVersion: '3.7.0',
    leader: memberId,
    errors: [],
    isLearner: false,
    dbSizeQuotaBytes: 2147483648,
    downgradeInfo: { enabled: false, targetVersion: '' },
    header: { clusterId, memberId, revision: 1 },
  });
  expect(fresh.raftTerm).toBeGreaterThan(0);
  expect(fresh.header?.raftTerm).toBe(fresh.raftTerm);
  expect(fresh.raftAppliedIndex).toBeGreaterThan(0);
  expect(fresh.raftIndex).toBeGreaterThanOrEqual(fresh.raftAppliedIndex);
  expect(fresh.dbSizeInUseBytes).toBeGreaterThan(0);
  expect(fresh.dbSizeBytes).toBeGreaterThanOrEqual(fresh.dbSizeInUseBytes);
});

it('Status without a quota says -1, as etcd: a share of it is computed', async () => {
  const client = await SimClient.start(new SimMachine(4), '--quota-backend-bytes=-1');
  expect((await status(client)).dbSizeQuotaBytes).toBe(-1);
});

it('Status tells what a compaction has freed, until it is given back', async () => {
  const client = await SimClient.start(new SimMachine(4));
  for (let i = 0; i < 50; i += 1) await client.put(`k${i % 5}`, 'v'.repeat(2000));
  const full = await status(client);
  expect(full.dbSizeInUseBytes).toBeGreaterThan(100_000);
  await client.compact({ revision: 50, physical: true });
  const compacted = await status(client);
  expect(compacted.dbSizeInUseBytes).toBeLessThan(30_000);
  expect(compacted.dbSizeBytes).toBeGreaterThanOrEqual(full.dbSizeInUseBytes);
  ok(await client.call('Maintenance/Defragment', empty));
  const after = await status(client);
  expect(after.dbSizeInUseBytes).toBe(compacted.dbSizeInUseBytes);
  expect(after.dbSizeBytes).toBeLessThan(compacted.dbSizeBytes / 2);
});

it('Status names alarms in the words of etcd 3.7', async () => {
  const client = await SimClient.start(new SimMachine(4));
  await client.alarm(AlarmAction.ACTIVATE, 0n, AlarmType.NOSPACE);
  await client.alarm(AlarmAction.ACTIVATE, 5n, AlarmType.CORRUPT);
  expect((await status(client)).errors).toEqual(['alarm:NOSPACE', 'memberID:5 alarm:CORRUPT']);
});

it('members have ids, names and addresses, and hashes their revisions', async () => {
  const client = await SimClient.start(new SimMachine(4));
  const { memberId } = client.node.node;
  const list = memberListResponse.decode(
    ok(await client.call('Cluster/MemberList', memberListRequest.encode({ linearizable: true }))),
  );
  expect(list.members).toHaveLength(1);
  const [member] = list.members;
  expect(member).toMatchObject({ id: memberId, isLearner: false });
  expect(member?.name).not.toBe('');
  expect(member?.clientUrls).toHaveLength(1);
  expect(member?.peerUrls).toHaveLength(1);
  const hash = hashKvResponse.decode(ok(await client.call('Maintenance/HashKV', empty)));
  expect(hash).toMatchObject({ hash: 1084519789, compactRevision: -1, hashRevision: 1 });
});

it('a snapshot says that it is of 3.7.0', async () => {
  const client = await SimClient.start(new SimMachine(4));
  const { node } = client.node;
  const methods = allMethods(node);
  const handler = methods.get('/etcdserverpb.Maintenance/Snapshot');
  if (handler?.kind !== 'serverStream') throw new Error('no Snapshot');
  const call = new FakeCall();
  handler.handle(empty, call);
  for (let i = 0; i < 1000 && call.ended === 'open'; i += 1) await client.pass(5);
  expect(call.ended).toBe('ended');
  const chunks = call.sent.map((message) => snapshotResponse.decode(message));
  expect(chunks.length).toBeGreaterThan(1);
  expect(new Set(chunks.map(({ version }) => version))).toEqual(new Set(['3.7.0']));
});
