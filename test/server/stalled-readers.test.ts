/** Readers that do not read hold nothing that a compaction waits for. */

import { describe, expect, it } from 'vitest';
import { GrpcCode, silentLogger } from '../../src/common/index.js';
import { encodeRangeRequest } from '../../src/proto/index.js';
import type { Host as RpcContext } from '../../src/server/feature/index.js';
import { rangeStreamMethod } from '../../src/server/kv/range-stream.js';
import { WatchHub } from '../../src/server/watch/hub.js';
import { defaultWatchLimits } from '../../src/server/watch/limits.js';
import { SimRandom } from '../../src/sim/index.js';
import { type MvccStore, openLevelStore } from '../../src/storage/index.js';
import { eventually } from '../helpers/eventually.js';
import { compact, inTempDir, openStore, put, realClock } from '../storage/mvcc/helpers.js';
import { FakeCall } from './watch-call.js';
import { createRequest, TestClient, testHeaders } from './watch-helpers.js';

async function withStore(use: (store: MvccStore) => Promise<void>): Promise<void> {
  await inTempDir(async (dir) => {
    // So small that nearly all is read from disk.
    const options = { cacheBytesMax: 4096, flushBytes: 1024 };
    const store = await openStore(await openLevelStore(dir), realClock, options);
    for (let i = 0; i < 300; i += 1) put(store, `key${i % 100}`, 'x'.repeat(2000));
    await use(store);
    await store.close();
  });
}

describe('a reader that does not read', () => {
  it('of a RangeStream lets compactions go on, and is told when it comes back', () =>
    withStore(async (store) => {
      const rpc = {
        store,
        access: { isEnabled: false },
        logger: silentLogger,
        hasLeader: () => true,
        requestBytesMax: 10_000,
        term: () => 1,
        headers: testHeaders,
        metrics: { rangeTotal: 0 },
      } as unknown as RpcContext;
      const [, method] = rangeStreamMethod(rpc);
      if (method.kind !== 'serverStream') throw new Error('a stream');
      const call = new FakeCall();
      call.stuck = true;
      const request = { key: '\0', rangeEnd: '\0', serializable: true };
      method.handle(Buffer.from(encodeRangeRequest(request)), call);
      await eventually(() => call.sent.length > 0 || undefined, 'the first chunk');
      put(store, 'key1', 'new');
      compact(store, store.revision);
      await store.compactionDone();
      expect(call.ended).toBe('open');
      call.drain();
      await eventually(() => call.ended !== 'open' || undefined, 'the end');
      expect(call.ended).toMatchObject({ code: GrpcCode.OUT_OF_RANGE });
    }));

  it('of a watch from the past lets compactions go on, and is told when it comes back', () =>
    withStore(async (store) => {
      const hub = new WatchHub({
        store,
        clock: realClock,
        random: new SimRandom(1),
        header: (revision) => testHeaders.header(revision, 3),
        fatal: (error) => {
          throw error;
        },
        limits: { ...defaultWatchLimits, backlogBytesMax: 1000, messageBytesMax: 20_000 },
      });
      const client = new TestClient();
      client.highWaterBytes = 0;
      client.stuck = true;
      const stream = hub.open(client);
      client.stream = stream;
      const all = createRequest({ key: '\0', rangeEnd: '\0', startRevision: 1 });
      stream.create(all, undefined);
      await eventually(() => stream.parked.size > 0 || undefined, 'the watcher to be held back');
      put(store, 'key1', 'new');
      compact(store, store.revision);
      await store.compactionDone();
      expect(hub.heldEvents).toEqual({ bytes: 0, count: 0 });
      client.unstick();
      await eventually(
        () => client.responses.some((r) => r.compactRevision > 0) || undefined,
        'the word of the compaction',
      );
      hub.close();
    }));
});
