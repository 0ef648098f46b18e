/** What snapshots are taken of in the tests of both directions, and what has to be there again. */

import { expect } from 'vitest';
import { exec } from '../helpers/exec.js';
import { bytes, RawClient } from '../helpers/grpc.js';
import { toolPath } from '../helpers/tools.js';

const leaseId = 0x7b;

/** What etcdctl prints; it has to succeed. */
export async function etcdctl(endpoint: string, ...args: readonly string[]): Promise<string> {
  const done = await exec(toolPath('etcdctl'), [`--endpoints=${endpoint}`, ...args]);
  expect(done.code, `etcdctl ${args.join(' ')}: ${done.stderr}`).toBe(0);
  return done.stdout.toString();
}

/** History, big values, deletions, a compaction, and a lease with keys, up to revision 163. */
export async function fill(endpoint: string): Promise<void> {
  const client = new RawClient(endpoint);
  try {
    await client.leaseGrant({ ID: leaseId, TTL: 3000 });
    for (let i = 0; i < 80; i++) {
      await client.put({ key: bytes('often'), value: bytes(`${i}`) });
      const lease = i % 10 === 0 ? leaseId : 0;
      const value = bytes('v'.repeat(i % 40 === 39 ? 300_000 : i * 100));
      await client.put({ key: bytes(`key-${i % 60}`), value, lease });
    }
    await client.deleteRange({ key: bytes('key-7') });
    await client.compact({ revision: 20, physical: true });
    await client.put({ key: bytes('last'), value: bytes('one') });
  } finally {
    client.close();
  }
}

/** Everything that a client can see of the data. */
export async function contents(endpoint: string): Promise<Record<string, unknown>> {
  const json = async (...args: readonly string[]) =>
    JSON.parse(await etcdctl(endpoint, ...args, '-w', 'json'));
  const all = await json('get', '', '--prefix');
  const old = await json('get', 'often', '--rev=40');
  const hashes = await json('endpoint', 'hashkv');
  const oldHashes = await json('endpoint', 'hashkv', '--rev=100');
  const lease = await json('lease', 'timetolive', leaseId.toString(16), '--keys');
  return {
    kvs: all.kvs,
    revision: all.header.revision,
    old: old.kvs,
    hash: hashes[0].HashKV.hash,
    oldHash: oldHashes[0].HashKV.hash,
    compacted: hashes[0].HashKV.compact_revision,
    granted: lease['granted-ttl'],
    leasedKeys: [...lease.keys].sort(),
  };
}
