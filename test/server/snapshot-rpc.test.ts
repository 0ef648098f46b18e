/** Maintenance.Snapshot on a real store and disk: what its calls hold, and for how long. */

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { GrpcCode, silentLogger, snapshotIdleMs } from '../../src/common/index.js';
import { snapshotResponse } from '../../src/proto/index.js';
import type { Host as RpcContext } from '../../src/server/feature/index.js';
import { snapshotMethod } from '../../src/server/maintenance/snapshot.js';
import { nodeDisk } from '../../src/server/platform/disk-node.js';
import { SimClock } from '../../src/sim/index.js';
import { type MvccStore, openLevelStore } from '../../src/storage/index.js';
import { eventually } from '../helpers/eventually.js';
import { startKvorum } from '../helpers/server.js';
import { describeWith } from '../helpers/tools.js';
import { inTempDir, openStore, put } from '../storage/mvcc/helpers.js';
import { FakeCall } from './watch-call.js';

interface Bench {
  readonly store: MvccStore;
  /** Time of the server; the disk and the store have the real one. */
  readonly clock: SimClock;
  /** Sizes of the images on disk. */
  images(): number[];
  call(stuck: boolean): FakeCall;
}

async function withBench(use: (bench: Bench) => Promise<void>): Promise<void> {
  await inTempDir(async (dir) => {
    const memberDir = `${dir}/member`;
    mkdirSync(memberDir);
    const store = await openStore(await openLevelStore(`${dir}/kv`));
    for (let i = 0; i < 200; i += 1) put(store, `key${i}`, 'x'.repeat(10_000));
    const clock = new SimClock();
    const observed = { observe: () => {} };
    const rpc = { store, logger: silentLogger, hasLeader: () => true } as unknown as RpcContext;
    const [, method] = snapshotMethod(rpc, {
      ports: { disk: nodeDisk, clock, logger: silentLogger },
      config: { dataDir: dir },
      metrics: { snapshot: observed },
      versions: { storage: '3.7.0' },
    });
    if (method.kind !== 'serverStream') throw new Error('a stream');
    await use({
      store,
      clock,
      images: () => readdirSync(memberDir).map((name) => statSync(`${memberDir}/${name}`).size),
      call: (stuck) => {
        const call = new FakeCall();
        call.stuck = stuck;
        method.handle(Buffer.alloc(0), call);
        return call;
      },
    });
    await store.close();
  });
}

/** Waits until the call has sent something, or ended. */
function started(call: FakeCall): Promise<true> {
  return eventually(() => {
    return call.sent.length > 0 || call.ended !== 'open' ? true : undefined;
  }, 'the first chunk');
}

function ended(call: FakeCall): Promise<true> {
  return eventually(() => {
    return call.ended !== 'open' ? true : undefined;
  }, 'the end of the call');
}

/** The image that a call sent, if its checksum is right. */
function imageOf(call: FakeCall): Buffer {
  const chunks = call.sent.map((message) => snapshotResponse.decode(message).blob);
  const sum = chunks.pop();
  const image = Buffer.concat(chunks);
  expect(sum?.equals(createHash('sha256').update(image).digest())).toBe(true);
  return image;
}

describe('snapshot calls', () => {
  it('that nobody reads share one image, which goes with the last of them', () =>
    withBench(async ({ images, call }) => {
      const calls = Array.from({ length: 20 }, () => call(true));
      await Promise.all(calls.map(started));
      expect(images()).toHaveLength(1);
      expect(images()[0]).toBeGreaterThan(2_000_000);
      for (const each of calls.slice(1)) each.cancel();
      await sleep(20);
      expect(images()).toHaveLength(1);
      const [last] = calls;
      last?.drain();
      await ended(last as FakeCall);
      imageOf(last as FakeCall);
      await eventually(() => images().length === 0 || undefined, 'the image to go');
    }));

  it('get nothing older than their start, and take no more room than two images', () =>
    withBench(async ({ store, clock, images, call }) => {
      const first = call(true);
      await started(first);
      put(store, 'key0', 'second');
      const second = call(true);
      await started(second);
      expect(images()).toHaveLength(2);
      put(store, 'key0', 'third');
      const third = call(true);
      const fourth = call(true);
      await sleep(50);
      expect([third, fourth].map(({ sent }) => sent.length)).toEqual([0, 0]);
      // Room is made by one that ends.
      first.drain();
      await ended(first);
      await Promise.all([third, fourth].map(started));
      expect(images()).toHaveLength(2);
      for (const each of [second, third, fourth]) each.drain();
      await Promise.all([second, third, fourth].map(ended));
      expect(imageOf(first).includes('second')).toBe(false);
      expect(imageOf(second).includes('second')).toBe(true);
      expect(imageOf(second).includes('third')).toBe(false);
      for (const each of [third, fourth]) expect(imageOf(each).includes('third')).toBe(true);
      await eventually(() => images().length === 0 || undefined, 'the images to go');
      expect(clock.nowMs()).toBe(0);
    }));

  it('that find no room are refused after a while', () =>
    withBench(async ({ store, clock, call }) => {
      const slow = [call(true)];
      await started(slow[0] as FakeCall);
      put(store, 'key0', 'second');
      slow.push(call(true));
      await started(slow[1] as FakeCall);
      put(store, 'key0', 'third');
      const late = call(true);
      for (let ms = 0; ms < snapshotIdleMs; ms += snapshotIdleMs / 2) {
        await sleep(20);
        // They take something now and then.
        for (const each of slow) {
          each.drain();
          each.stuck = true;
        }
        await clock.run(clock.nowMs() + snapshotIdleMs / 2);
      }
      await ended(late);
      expect(late.ended).toEqual({ code: GrpcCode.UNKNOWN, text: 'etcdserver: too many requests' });
      for (const each of slow) {
        expect(each.ended).toBe('open');
        each.cancel();
      }
    }));

  it('end when nothing is taken from them, and leave nothing behind', () =>
    withBench(async ({ clock, images, call }) => {
      const calls = [call(true), call(true)];
      await Promise.all(calls.map(started));
      const slow = call(true);
      await started(slow);
      await clock.run(snapshotIdleMs - 1);
      slow.backlogBytes -= 1;
      expect(images()).toHaveLength(1);
      await clock.run(snapshotIdleMs + 1);
      expect(slow.ended).toBe('open');
      expect(images()).toHaveLength(1);
      slow.cancel();
      for (const each of calls) {
        expect(each.ended).toEqual({
          code: GrpcCode.ABORTED,
          text: 'kvorum: nothing of the snapshot was taken for 30 seconds',
        });
      }
      await eventually(() => images().length === 0 || undefined, 'the image to go');
    }));

  it('that are cancelled while the image is written leave nothing behind', () =>
    withBench(async ({ images, call }) => {
      const calls = [call(false), call(false)];
      for (const each of calls) each.cancel();
      await sleep(20);
      await eventually(() => images().length === 0 || undefined, 'the image to go');
      for (const each of calls) expect(each.sent).toEqual([]);
    }));
});

describeWith(['kvorum'], 'an image that a crash left behind', () => {
  it('is removed at the next start', async () => {
    const server = await startKvorum();
    await server.kill();
    const memberDir = `${server.dataDir}/member`;
    for (const name of ['snapshot-1.tmp', 'snapshot-23.tmp', 'snapshot-of-mine.db']) {
      writeFileSync(`${memberDir}/${name}`, 'x');
    }
    await server.start();
    const left = readdirSync(memberDir).filter((name) => name.startsWith('snapshot'));
    await server.dispose();
    expect(left).toEqual(['snapshot-of-mine.db']);
  });
});
