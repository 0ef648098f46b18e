import { expect, it } from 'vitest';
import { startCluster } from '../../src/testing/index.js';
import { bytes, RawClient } from '../helpers/grpc.js';

it('a restarted leader still has the entries for a follower that missed a few', async () => {
  const said: string[] = [];
  const note = (message: string): void => void said.push(message);
  const logger = { debug: note, info: note, warn: note, error: note };
  await using cluster = await startCluster({ logger });
  const [first, second, third] = cluster.members;
  if (first === undefined || second === undefined || third === undefined) throw new Error('three');
  const client = new RawClient(first.endpoint);
  await client.put({ key: bytes('a'), value: bytes('0') });
  await third.stop();
  for (let i = 0; i < 20; i++) await client.put({ key: bytes('a'), value: bytes(`${i}`) });
  client.channel.close();
  // Nobody who has been running since then is left.
  await Promise.all([first.stop(), second.stop()]);
  await Promise.all(cluster.members.map((member) => member.start()));
  const reader = new RawClient(third.endpoint);
  const { kvs } = await reader.range({ key: bytes('a') });
  expect(kvs?.[0]?.value?.toString()).toBe('19');
  reader.channel.close();
  expect(said.filter((line) => line.includes('snapshot'))).toEqual([]);
});
