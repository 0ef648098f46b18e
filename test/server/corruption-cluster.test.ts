import { expect, it } from 'vitest';
import type { Logger } from '../../src/common/index.js';
import { startCluster } from '../../src/testing/index.js';
import { eventually } from '../helpers/eventually.js';
import { bytes, RawClient } from '../helpers/grpc.js';

it('corruption checks find nothing in sound members, however busy they are', async () => {
  let checked = 0;
  const ignore = (): void => {};
  const info = (message: string, fields?: object): void => {
    const { checked: members = 0 } = (fields ?? {}) as { checked?: number };
    if (message === 'finished compaction hash check') checked += members;
  };
  const logger = { debug: ignore, info, warn: ignore, error: ignore } as Logger;
  const gates = '--feature-gates=InitialCorruptCheck=true,CompactHashCheck=true';
  const flags = [gates, '--corrupt-check-time=100ms', '--compact-hash-check-time=100ms'];
  await using cluster = await startCluster({ flags, logger });
  const clients = cluster.members.map(({ endpoint }) => new RawClient(endpoint));
  let writing = true;
  const writers = clients.map(async (client, n) => {
    for (let i = 0; writing; i++) {
      const key = bytes(`${n} ${i % 50}`);
      const put = await client.put({ key, value: bytes(String(i)) });
      if (i % 20 !== 19) continue;
      await client.compact({ revision: Number(put.header?.revision) - 20 }).catch(ignore);
    }
  });
  await eventually(() => (checked >= 4 ? true : undefined), 'hashes were compared');
  writing = false;
  await Promise.all(writers);
  for (const client of clients) {
    expect((await client.alarm({ action: 0 })).alarms).toEqual([]);
    client.channel.close();
  }
});
