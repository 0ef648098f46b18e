import { afterEach, describe, expect, it } from 'vitest';
import {
  type ClusterOptions,
  startCluster,
  type TestCluster,
  type TestMember,
} from '../../src/testing/index.js';
import { eventually } from '../helpers/eventually.js';
import { bytes, RawClient } from '../helpers/grpc.js';

const clients: RawClient[] = [];
const clusters: TestCluster[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.channel.close();
  for (const cluster of clusters.splice(0)) await cluster.stop();
});

async function cluster(options: ClusterOptions = {}): Promise<TestCluster> {
  const started = await startCluster(options);
  clusters.push(started);
  return started;
}

function clientOf(member: TestMember): RawClient {
  const client = new RawClient(member.endpoint);
  clients.push(client);
  return client;
}

async function valueAt(member: TestMember, key: string): Promise<string | undefined> {
  const { kvs } = await clientOf(member).range({ key: bytes(key) });
  return kvs?.[0]?.value?.toString();
}

function others(all: TestCluster, member: TestMember): TestMember[] {
  return all.members.filter((one) => one !== member);
}

describe('a cluster in one process', () => {
  it('replicates what any member was told, and reads it from any other', async () => {
    const three = await cluster();
    for (const [i, member] of three.members.entries()) {
      await clientOf(member).put({ key: bytes(`k${i}`), value: bytes(`v${i}`) });
      for (const other of three.members) expect(await valueAt(other, `k${i}`)).toBe(`v${i}`);
    }
  });

  it('goes on without its leader, which catches up when it is back', async () => {
    const three = await cluster();
    const leader = await three.leader();
    const [other] = others(three, leader) as [TestMember, TestMember];
    await clientOf(leader).put({ key: bytes('a'), value: bytes('1') });
    await leader.stop();
    await clientOf(other).put({ key: bytes('a'), value: bytes('2') });
    await leader.start();
    expect(await valueAt(leader, 'a')).toBe('2');
  });

  it('answers nothing in the minority, and everything in the majority', async () => {
    const three = await cluster();
    const leader = await three.leader();
    const rest = others(three, leader);
    three.partition([leader], rest);
    const minority = clientOf(leader).put(
      { key: bytes('a'), value: bytes('lost') },
      { deadlineMs: 1000 },
    );
    await expect(minority).rejects.toThrow();
    await clientOf(rest[0] as TestMember).put({ key: bytes('a'), value: bytes('kept') });
    three.heal();
    await eventually(
      async () => ((await valueAt(leader, 'a')) === 'kept' ? true : undefined),
      'kept',
    );
  });

  it('answers in the minority what may be old, and no other read', async () => {
    const three = await cluster();
    const leader = await three.leader();
    await clientOf(leader).put({ key: bytes('a'), value: bytes('1') });
    three.partition([leader], others(three, leader));
    const client = clientOf(leader);
    const [equal, value] = [0, 3];
    const compare = [{ key: bytes('a'), result: equal, target: value, value: bytes('1') }];
    const old = { request_range: { key: bytes('a'), serializable: true } };
    const present = { request_range: { key: bytes('a') } };
    const soon = { deadlineMs: 1000 };
    const kvs = [{ value: bytes('1') }];
    expect(await client.range(old.request_range, soon)).toMatchObject({ kvs });
    await expect(client.range(present.request_range, soon)).rejects.toThrow();
    // As etcd: all ranges of a transaction without any are serializable.
    expect(await client.txn({ compare }, soon)).toMatchObject({ succeeded: true });
    expect(await client.txn({ compare, success: [old] }, soon)).toMatchObject({ succeeded: true });
    const mixed = { compare, success: [old], failure: [present] };
    await expect(client.txn(mixed, soon)).rejects.toThrow();
    await expect(client.txn({ compare, success: [present] }, soon)).rejects.toThrow();
    await expect(client.txn({ compare, success: [{ request_txn: {} }] }, soon)).rejects.toThrow();
    three.heal();
  });

  it('sends a snapshot to a member that was away for too long', async () => {
    const flags = ['--snapshot-count=100', '--snapshot-catchup-entries=10'];
    const three = await cluster({ flags });
    const away = others(three, await three.leader())[0] as TestMember;
    const here = clientOf(others(three, away)[0] as TestMember);
    await here.put({ key: bytes('before'), value: bytes('x') });
    await away.stop();
    const puts = Array.from({ length: 3000 }, (_, i) =>
      here.put({ key: bytes(`k${i % 500}`), value: bytes(`v${i}`) }),
    );
    await Promise.all(puts);
    await away.start();
    expect(await valueAt(away, 'k499')).toBe('v2999');
    expect(await valueAt(away, 'before')).toBe('x');
    const hashes = await Promise.all(three.members.map((one) => clientOf(one).hashKv({})));
    expect(new Set(hashes.map(({ hash }) => hash)).size).toBe(1);
  });
});
