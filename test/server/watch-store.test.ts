/** The hub on the real store and a real LevelDB: history from memory and from disk. */

import { describe, expect, it } from 'vitest';
import type { Random } from '../../src/common/index.js';
import { WatchHub } from '../../src/server/watch/hub.js';
import { defaultWatchLimits } from '../../src/server/watch/limits.js';
import { SimClock, SimRandom } from '../../src/sim/index.js';
import { type MvccStore, openLevelStore } from '../../src/storage/index.js';
import { apply, compact, inTempDir, openStore, realClock } from '../storage/mvcc/helpers.js';
import {
  type Change,
  createRequest,
  HistoryStore,
  TestClient,
  tell,
  testHeaders,
} from './watch-helpers.js';
import { WatchValidator } from './watch-validator.js';

function newHub(store: MvccStore, random: Random): WatchHub {
  return new WatchHub({
    store,
    clock: realClock,
    random,
    header: (revision) => testHeaders.header(revision, 3),
    fatal: (error) => {
      throw error;
    },
    limits: { ...defaultWatchLimits, catchUpRevisionsMax: 40, backlogBytesMax: 4000 },
  });
}

function open(hub: WatchHub) {
  const client = new TestClient();
  client.highWaterBytes = 1000;
  const stream = hub.open(client);
  client.stream = stream;
  return { client, stream };
}

const turn = (): Promise<void> => new Promise((resolve) => realClock.afterTurn(resolve));

async function caughtUp(hub: WatchHub): Promise<void> {
  while (hub.counters.slowWatchers > 0 || hub.counters.pendingEvents > 0) {
    hub.flush();
    await turn();
  }
}

function both(store: MvccStore, model: HistoryStore, hub: WatchHub, changes: readonly Change[]) {
  model.apply(changes);
  const commit = apply(
    store,
    changes.map(({ key, value }) =>
      value === undefined ? { type: 'delete', key } : { type: 'put', key, value },
    ),
  );
  expect(commit.revision).toBe(model.revision);
  hub.publish(commit);
}

describe('watchers of the real store', () => {
  it('the tombstone at the compacted revision is delivered, from disk too (L-6, L-7)', () =>
    inTempDir(async (dir) => {
      let store = await openStore(await openLevelStore(dir));
      apply(store, [{ type: 'put', key: 'a', value: '1' }]);
      apply(store, [{ type: 'delete', key: 'a' }]);
      apply(store, [{ type: 'put', key: 'b', value: '1' }]);
      compact(store, 3);
      await store.compactionDone();
      for (const restart of [false, true]) {
        if (restart) {
          await store.close();
          store = await openStore(await openLevelStore(dir));
        }
        const hub = newHub(store, new SimRandom(1));
        const { client, stream } = open(hub);
        stream.create(createRequest({ key: 'a', startRevision: 3, prevKv: true }), undefined);
        stream.create(createRequest({ key: 'a', startRevision: 2 }), undefined);
        await caughtUp(hub);
        expect(client.responses.flatMap((r) => r.events.map(tell))).toEqual(['delete a @3']);
        expect(client.responses.find((r) => r.compactRevision !== 0)?.watchId).toBe(1);
      }
      await store.close();
    }));

  it('get exactly what they asked for, while it writes, flushes and compacts', () =>
    inTempDir(async (dir) => {
      const random = new SimRandom(11);
      const below = (n: number): number => random.u32() % n;
      // So small that nearly everything older than a moment comes from disk.
      const store = await openStore(await openLevelStore(dir), realClock, {
        cacheBytesMax: 4096,
        flushBytes: 1024,
      });
      const model = new HistoryStore(new SimClock());
      const hub = newHub(store, random);
      const streams = Array.from({ length: 4 }, () => {
        const { client, stream } = open(hub);
        const validator = new WatchValidator(model, hub.limits.catchUpRevisionsMax);
        client.onResponse = (response) => validator.receive(response);
        return { client, stream, validator };
      });
      for (let i = 0; i < 1500; i += 1) {
        const keys = ['a', 'b', 'c', 'd'].filter(() => below(2) === 0);
        both(
          store,
          model,
          hub,
          keys.map((key) => (below(4) === 0 ? { key } : { key, value: `${i}`.repeat(20) })),
        );
        if (below(3) > 0) hub.flush();
        const { client, stream, validator } = streams[below(4)] as (typeof streams)[0];
        if (below(20) === 0) client.stuck = true;
        if (below(12) === 0) client.unstick();
        if (below(15) === 0) {
          const start = Math.max(1, store.revision - below(400));
          const request = createRequest({
            key: 'a',
            rangeEnd: below(2) === 0 ? 'd' : '',
            startRevision: start,
            prevKv: below(2) === 0,
          });
          validator.asked.push(request);
          stream.create(request, undefined);
        }
        if (below(10) === 0) stream.cancel(below(30));
        if (below(10) === 0) stream.requestProgress();
        if (below(200) === 0) {
          const revision = store.revision - below(50);
          if (revision > store.compactRevision) {
            compact(store, revision);
            model.compact(revision);
          }
        }
        if (below(5) === 0) await turn();
      }
      for (const { client } of streams) client.unstick();
      await caughtUp(hub);
      let checked = 0;
      for (const { validator } of streams) {
        expect(validator.missing()).toBe(undefined);
        checked += validator.checked;
      }
      expect(checked).toBeGreaterThan(1000);
      hub.close();
      expect(hub.counters).toMatchObject({ watchers: 0, streams: 0 });
      await store.close();
    }));
});
