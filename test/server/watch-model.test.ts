/**
 * Random histories with random watchers and clients that stop reading, against what every watcher
 * must have been told.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Random } from '../../src/common/index.js';
import type { WatchStream } from '../../src/server/watch/stream.js';
import { SimRandom } from '../../src/sim/index.js';
import { createRequest, type TestClient, WatchBench } from './watch-helpers.js';
import { WatchValidator } from './watch-validator.js';

const keys = ['a', 'aa', 'b', 'bb', 'c', '\xff'];
const ends = ['', '', '\0', 'b', 'c', 'zz'];

interface OpenStream {
  readonly client: TestClient;
  readonly stream: WatchStream;
  readonly validator: WatchValidator;
}

class Run {
  readonly bench: WatchBench;
  readonly random: Random;
  readonly streams: OpenStream[] = [];
  checked = 0;
  compactedWatchers = 0;
  eventsTotal = 0;

  constructor(seed: number) {
    this.random = new SimRandom(seed);
    this.bench = new WatchBench(
      {
        backlogBytesMax: this.pick([200, 1000, 4000]),
        backlogBytesTotalMax: this.pick([1500, 100_000]),
        messageBytesTarget: this.pick([60, 1000]),
        messageBytesMax: this.pick([100, 2000]),
        responseBytesMax: this.pick([100, 4000]),
        heldBytesMax: this.pick([1000, 20_000, 1_000_000]),
        heldEventsMax: this.pick([10, 1000]),
        fragmentBytes: this.pick([150, 1000]),
        catchUpRevisionsMax: this.pick([1, 7, 1000]),
        catchUpBytesMax: this.pick([100, 10_000]),
        pendingEventsMax: this.pick([3, 1000]),
        progressIntervalMs: this.pick([5, 50]),
      },
      seed,
    );
    const known = this.pick([0, 0.5, 1]);
    this.bench.store.prevInMemory = () => this.random.float() < known;
    this.bench.store.historyMs = this.pick([0, 1, 10]);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.random.u32() % choices.length] as T;
  }

  below(n: number): number {
    return this.random.u32() % n;
  }

  open(): void {
    const { client, stream } = this.bench.open();
    client.highWaterBytes = this.pick([0, 100, 1000]);
    const validator = new WatchValidator(
      this.bench.store,
      this.bench.hub.limits.catchUpRevisionsMax,
    );
    client.onResponse = (response) => validator.receive(response);
    this.streams.push({ client, stream, validator });
  }

  write(): void {
    const { store, hub } = this.bench;
    const commits = 1 + this.below(4);
    for (let i = 0; i < commits; i += 1) {
      const changed = keys.filter(() => this.below(3) === 0);
      const changes = changed.map((key) =>
        this.below(3) === 0 ? { key } : { key, value: 'v'.repeat(this.below(60)) },
      );
      hub.publish(store.apply(changes));
    }
    if (this.below(4) > 0) hub.flush();
  }

  create({ stream, validator }: OpenStream): void {
    const { store } = this.bench;
    const key = this.pick(keys);
    const rangeEnd = this.pick(ends);
    const start = store.revision - 30 + this.below(45);
    // Sometimes as a client that goes on where a lost stream ended.
    const lost = this.pick([...validator.watchers.values(), undefined]);
    const request = createRequest({
      key,
      rangeEnd: rangeEnd > key || rangeEnd === '\0' ? rangeEnd : '',
      startRevision: lost !== undefined ? lost.lastEvent + 1 : this.pick([0, Math.max(start, 1)]),
      progressNotify: this.below(2) === 0,
      filters: this.pick([[], [], [0], [1]]),
      prevKv: this.below(2) === 0,
      watchId: this.pick([0, 0, this.below(6)]),
      fragment: this.below(2) === 0,
    });
    validator.asked.push(request);
    stream.create(request, undefined);
  }

  async step(): Promise<void> {
    const { bench } = this;
    const open = this.pick(this.streams);
    switch (this.below(12)) {
      case 0:
      case 1:
        this.create(open);
        break;
      case 2:
        open.stream.cancel(this.below(6));
        break;
      case 3:
        open.stream.requestProgress();
        break;
      case 4:
        open.client.stuck = true;
        break;
      case 5:
        open.client.unstick();
        break;
      case 6:
        open.client.catchUp();
        break;
      case 7:
        await bench.run(this.pick([0.02, 0.5, 3, 20]));
        break;
      case 8:
        if (this.below(4) === 0) this.close(open);
        else if (this.below(6) === 0) bench.hub.syncAfterRestore(bench.store);
        else if (this.below(3) === 0) this.compact();
        break;
      default:
        this.write();
    }
  }

  compact(): void {
    const { store } = this.bench;
    const to = store.revision - this.below(20);
    if (to > store.compactRevision && to > 0) store.compact(to);
  }

  close(open: OpenStream): void {
    open.stream.close();
    this.note(open);
    this.streams.splice(this.streams.indexOf(open), 1);
    this.open();
  }

  note({ validator }: OpenStream): void {
    this.checked += validator.checked;
    for (const watcher of validator.watchers.values()) {
      this.eventsTotal += watcher.events;
      if (watcher.compacted) this.compactedWatchers += 1;
    }
  }

  async finish(): Promise<void> {
    const { hub, clock } = this.bench;
    hub.flush();
    for (const { client } of this.streams) client.unstick();
    await this.bench.run(20_000);
    for (const open of this.streams) {
      expect(open.validator.missing()).toBe(undefined);
      this.note(open);
      open.stream.close();
    }
    await clock.runAll();
    const { counters } = hub;
    expect(hub.heldEvents).toEqual({ bytes: 0, count: 0 });
    expect(counters).toMatchObject({ watchers: 0, streams: 0, slowWatchers: 0, pendingEvents: 0 });
  }
}

describe('watchers under random load', () => {
  it('get exactly what they asked for', async () => {
    let checked = 0;
    let compacted = 0;
    let events = 0;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), async (seed) => {
        const run = new Run(seed);
        for (let i = 0; i < 3; i += 1) run.open();
        for (let i = 0; i < 300; i += 1) await run.step();
        await run.finish();
        checked += run.checked;
        compacted += run.compactedWatchers;
        events += run.eventsTotal;
      }),
      { numRuns: 60 },
    );
    // The harness must have done something, and met the hard cases.
    expect(checked).toBeGreaterThan(4000);
    expect(events).toBeGreaterThan(4000);
    expect(compacted).toBeGreaterThan(20);
  });
});
