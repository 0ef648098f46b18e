/** The client and a cluster of three members, some of which go away. */

import { afterEach, expect, it } from 'vitest';
import { Etcd, EtcdClientError, text } from '../../src/client/index.js';
import { startCluster, type TestCluster, type TestMember } from '../../src/testing/index.js';
import { eventually } from '../helpers/eventually.js';

const ends: Array<() => Promise<void>> = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function three(): Promise<TestCluster> {
  const cluster = await startCluster({ size: 3 });
  ends.push(() => cluster.stop());
  return cluster;
}

function clientOf(endpoints: readonly string[]): Etcd {
  const client = new Etcd({ endpoints, timeoutMs: 100_000 });
  ends.push(() => client.close());
  return client;
}

/** Puts until one is done; what is unknown may have happened. */
async function putAnyhow(client: Etcd, key: string, value: string): Promise<void> {
  await eventually(
    () =>
      client.kv.put(key, value).then(
        () => true as const,
        (error: unknown) => {
          expect(error).toBeInstanceOf(EtcdClientError);
          return undefined;
        },
      ),
    'a put is done',
  );
}

it('reads and writes go on without any one member, the leader included', async () => {
  const cluster = await three();
  const client = clientOf(cluster.endpoints);
  const kv = client.kv.as(text);
  await kv.put('a', '0');
  for (const member of [await cluster.leader(), ...cluster.members.slice(0, 1)]) {
    if (!member.running) continue;
    await member.stop();
    await putAnyhow(client, 'a', member.name);
    expect((await kv.get('a'))?.value).toBe(member.name);
    await member.start();
  }
});

it('a watch and a lease move to another member, and miss nothing', async () => {
  const cluster = await three();
  const client = clientOf(cluster.endpoints);
  const kv = client.kv.as(text);
  await using watcher = kv.watch({ key: 'a' });
  await watcher.ready;
  const lease = await client.leases.create(120, { intervalMs: 200 });
  await kv.put('held', 'x', { lease });
  for (let round = 0; round < 3; round += 1) {
    const member = cluster.members[round] as TestMember;
    await member.stop();
    await putAnyhow(client, 'a', String(round));
    let value: string | undefined;
    while (value !== String(round)) {
      const { value: event } = await watcher.next();
      value = event?.type === 'put' ? event.value : undefined;
    }
    await lease.renew();
    await member.start();
  }
  expect(lease.state).toBe('alive');
  expect(await kv.exists('held')).toBe(true);
});

it('leaves a member that sees no leader for one that does', async () => {
  const cluster = await three();
  const leader = await cluster.leader();
  const cutOff = cluster.members.find((member) => member !== leader) as TestMember;
  const rest = cluster.members.filter((member) => member !== cutOff);
  const client = clientOf([cutOff.endpoint, ...rest.map(({ endpoint }) => endpoint)]);
  const kv = client.kv.as(text);
  await kv.put('a', '1');
  await using watcher = kv.watch({ key: 'a' });
  await watcher.ready;
  cluster.partition([cutOff], rest);
  for (let i = 0; i < 10; i += 1) expect((await kv.get('a'))?.value).toBe('1');
  // A serializable read is answered by any member, leader or not.
  const alone = clientOf([cutOff.endpoint]);
  const stale = await alone.kv.as(text).get('a', { serializable: true });
  expect(stale?.value).toBe('1');
  await putAnyhow(client, 'a', '2');
  let value: string | undefined;
  while (value !== '2') {
    const { value: event } = await watcher.next();
    value = event?.type === 'put' ? event.value : undefined;
  }
  cluster.heal();
});

it('learns of the other members from one', async () => {
  const cluster = await three();
  const client = clientOf(cluster.endpoints.slice(0, 1));
  expect(client.endpoints).toHaveLength(1);
  await client.syncEndpoints();
  expect([...client.endpoints].sort()).toEqual([...cluster.endpoints].sort());
  await cluster.members[0]?.stop();
  expect(await client.kv.get('a')).toBeUndefined();
});
