/**
 * Answers and events above 256 MB, the bound of what a connection may have unsent, in their real
 * size: an order of magnitude less would not meet any bound of a default server.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytes, RawClient } from '../helpers/grpc.js';
import { type ServerProcess, startKvorum } from '../helpers/server.js';
import { createWatch, readEvents } from '../helpers/watching.js';

const keys = 270;
const valueBytes = 1_000_000;
const boundBytes = 256 * 1024 * 1024;
const all = { key: bytes('large/'), range_end: bytes('large0') };

describe('an answer above 256 MB', { timeout: 240_000 }, () => {
  let server: ServerProcess;
  let client: RawClient;

  beforeAll(async () => {
    server = await startKvorum();
    client = new RawClient(server);
    expect(keys * valueBytes).toBeGreaterThan(boundBytes);
    const value = Buffer.alloc(valueBytes, 'v');
    const put = (i: number) => client.put({ key: bytes(`large/${1000 + i}`), value });
    for (let i = 0; i < keys; i += 10) {
      await Promise.all(Array.from({ length: 10 }, (_, j) => put(i + j)));
    }
  }, 240_000);

  afterAll(async () => {
    client?.channel.close();
    await server?.dispose();
  });

  it('to a range arrives, and the other calls of the connection go on', async () => {
    const watch = client.watch();
    await createWatch(watch, { key: bytes('small') });
    const large = client.range(all);
    for (let i = 0; i < 5; i++) {
      await client.put({ key: bytes('small'), value: bytes(`${i}`) });
    }
    expect(await readEvents(watch, 5)).toHaveLength(5);
    const { kvs } = await large;
    expect(kvs).toHaveLength(keys);
    expect(kvs.every((kv) => kv.value.length === valueBytes)).toBe(true);
    await client.put({ key: bytes('small'), value: bytes('after') });
    expect((await readEvents(watch, 1))[0]?.kv.value.toString()).toBe('after');
  });

  it('to a watcher of a delete with prev_kv arrives, live and from history, and so does what follows', async () => {
    const live = client.watch();
    await createWatch(live, { ...all, prev_kv: true });
    const { deleted, header } = await client.deleteRange(all);
    expect(Number(deleted)).toBe(keys);
    const late = client.watch();
    await createWatch(late, { ...all, prev_kv: true, start_revision: header?.revision ?? 0 });
    await client.put({ key: bytes('large/next'), value: bytes('1') });
    for (const watch of [live, late]) {
      const events = await readEvents(watch, keys + 1);
      expect(events.at(-1)?.kv.key.toString()).toBe('large/next');
      const gone = events.slice(0, keys);
      expect(gone.every((event) => event.prev_kv?.value.length === valueBytes)).toBe(true);
    }
  });
});
