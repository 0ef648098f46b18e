import { afterEach, describe, expect, it } from 'vitest';
import {
  type ClusterOptions,
  startCluster,
  type TestCluster,
  type TestMember,
} from '../../src/testing/index.js';
import { eventually } from '../helpers/eventually.js';
import { bytes, RawClient } from '../helpers/grpc.js';

const clients = new Map<string, RawClient>();
const clusters: TestCluster[] = [];

afterEach(async () => {
  for (const client of clients.values()) client.channel.close();
  clients.clear();
  for (const cluster of clusters.splice(0)) await cluster.stop();
});

async function cluster(options: ClusterOptions = {}): Promise<TestCluster> {
  const started = await startCluster(options);
  clusters.push(started);
  return started;
}

function clientOf(member: TestMember): RawClient {
  const known = clients.get(member.endpoint);
  if (known !== undefined) return known;
  const client = new RawClient(member.endpoint);
  clients.set(member.endpoint, client);
  return client;
}

/** Puts until it is done: on a busy machine an election may take longer than a call may wait. */
async function putAt(member: TestMember, key: string, value: string): Promise<void> {
  const client = clientOf(member);
  await eventually(() => client.put({ key: bytes(key), value: bytes(value) }), `${key}=${value}`);
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
    await putAt(leader, 'a', '1');
    await leader.stop();
    await putAt(other, 'a', '2');
    await leader.start();
    expect(await eventually(() => valueAt(leader, 'a'), 'an answer')).toBe('2');
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
    await putAt(rest[0] as TestMember, 'a', 'kept');
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
    const here = others(three, away)[0] as TestMember;
    await putAt(here, 'before', 'x');
    await away.stop();
    // A hundred at a time: more would not all be answered in time where fsync is slow.
    for (let first = 0; first < 3000; first += 100) {
      const puts = Array.from({ length: 100 }, (_, i) =>
        putAt(here, `k${(first + i) % 500}`, `v${first + i}`),
      );
      await Promise.all(puts);
    }
    await away.start();
    expect(await eventually(() => valueAt(away, 'k499'), 'an answer')).toBe('v2999');
    expect(await valueAt(away, 'before')).toBe('x');
    const received = await fetch(`http://${away.endpoint}/metrics`).then((reply) => reply.text());
    expect(received).toMatch(/^etcd_network_snapshot_receive_success\{.*\} 1$/m);
    await eventually(async () => {
      const hashes = await Promise.all(three.members.map((one) => clientOf(one).hashKv({})));
      return new Set(hashes.map(({ hash }) => hash)).size === 1 || undefined;
    }, 'the same hash');
  });
});
