/** The state machine of watchers and their streams: what it refuses, and where it keeps whom. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Backpressure, StreamFlow, type WatchSink } from '../../src/server/watch/backpressure.js';
import { EventSlot } from '../../src/server/watch/event-slot.js';
import { defaultWatchLimits } from '../../src/server/watch/limits.js';
import { Watcher, type WatcherGroup } from '../../src/server/watch/watcher.js';
import { SimClock, SimRandom } from '../../src/sim/index.js';
import { HistoryStore } from './watch-helpers.js';

/** Says what a test wants it to say. */
class FakeSink implements WatchSink {
  backlogBytes = 0;
  takes = true;
  sendParts(): boolean {
    return this.takes;
  }
}

class FakeGroup implements WatcherGroup {
  readonly members = new Set<Watcher>();
  add(watcher: Watcher): void {
    this.members.add(watcher);
  }
  remove(watcher: Watcher): void {
    this.members.delete(watcher);
  }
}

function setup() {
  const clock = new SimClock();
  const random = new SimRandom(1);
  let woken = 0;
  const wake = (): void => {
    woken += 1;
  };
  const limits = { ...defaultWatchLimits, backlogBytesMax: 100, backlogBytesTotalMax: 150 };
  const all = new Backpressure({ clock, random, limits, wake });
  const store = new HistoryStore(clock);
  const open = () => {
    const sink = new FakeSink();
    return { sink, flow: new StreamFlow(all, sink, false) };
  };
  /** The sink has so much that it has not sent. */
  const fill = ({ sink, flow }: ReturnType<typeof open>, bytes: number): void => {
    sink.takes = false;
    sink.backlogBytes = bytes;
    flow.put([]);
  };
  const drain = ({ sink, flow }: ReturnType<typeof open>): boolean => {
    sink.takes = true;
    sink.backlogBytes = 0;
    return flow.drained();
  };
  const slot = (): EventSlot => {
    const [event] = store.apply([{ key: 'a', value: 'v' }]).events;
    if (event === undefined) throw new Error('an event');
    return new EventSlot(event);
  };
  return { all, clock, open, fill, drain, slot, woken: () => woken };
}

function newWatcher(flow: StreamFlow, id = 0): Watcher {
  const spec = {
    id,
    key: 'a',
    end: undefined,
    startRevision: 0,
    wantsPuts: true,
    wantsDeletes: true,
    wantsPrev: false,
    fragments: false,
    progressNotify: false,
  };
  return new Watcher(flow, spec, 1);
}

describe('a watcher', () => {
  it('goes the whole way round, and is counted on it', () => {
    const { all, open, fill, drain, slot, woken } = setup();
    const stream = open();
    const watcher = newWatcher(stream.flow);
    all.sync(watcher);
    all.offer(watcher, slot());
    all.offer(watcher, slot());
    expect(all.counters).toMatchObject({ watchers: 1, slowWatchers: 0, pendingEvents: 2 });
    fill(stream, 101);
    all.fallBehind(watcher, 3);
    expect(watcher.state).toBe('parked');
    // What was pending is to be had from history.
    expect(watcher.nextRevision).toBe(2);
    expect(all.counters).toMatchObject({ watchers: 1, slowWatchers: 1, pendingEvents: 0 });
    expect(woken()).toBe(0);
    drain(stream);
    expect(watcher.state).toBe('waiting');
    expect(woken()).toBe(1);
    const group = new FakeGroup();
    all.read(watcher, group);
    expect([...group.members]).toEqual([watcher]);
    all.sync(watcher);
    expect(group.members.size).toBe(0);
    expect(all.counters).toMatchObject({ watchers: 1, slowWatchers: 0 });
    all.close(watcher);
    expect(all.counters).toMatchObject({ watchers: 0, slowWatchers: 0 });
    expect(all.live.size).toBe(0);
  });

  it('can not change its state against the diagram', () => {
    const { all, open } = setup();
    const { flow } = open();
    const group = new FakeGroup();
    const synced = newWatcher(flow);
    expect(() => all.read(synced, group)).toThrow('as the diagram says');
    expect(() => all.close(synced)).toThrow('as the diagram says');
    expect(() => all.fallBehind(synced, 1)).toThrow('up to date');
    all.sync(synced);
    expect(() => all.sync(synced)).toThrow('as the diagram says');
    expect(() => all.read(synced, group)).toThrow('as the diagram says');
    expect(() => all.lose(synced)).toThrow('as the diagram says');
    const waiting = newWatcher(flow);
    all.goOn(waiting);
    expect(() => all.goOn(waiting)).toThrow('as the diagram says');
    expect(() => all.sync(waiting)).toThrow('as the diagram says');
    const compacted = newWatcher(flow);
    all.lose(compacted);
    expect(() => all.goOn(compacted)).toThrow('as the diagram says');
    all.close(compacted);
    expect(() => all.close(compacted)).toThrow('as the diagram says');
    expect(group.members.size).toBe(0);
    expect(all.counters).toMatchObject({ watchers: 2, slowWatchers: 1 });
  });

  it('is in the one place of its state, and counted once, whatever happens', () => {
    const step = fc.record({ what: fc.nat(9), who: fc.nat(5), stream: fc.nat(2) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const { all, open, fill, drain, slot } = setup();
        const streams = [open(), open(), open()];
        const group = new FakeGroup();
        const watchers = streams.flatMap(({ flow }) => [newWatcher(flow, 0), newWatcher(flow, 1)]);
        for (const { what, who, stream: which } of steps) {
          const watcher = watchers[who] as Watcher;
          const stream = streams[which] as (typeof streams)[0];
          const { state } = watcher;
          if (what === 0 && state === 'new') all.sync(watcher);
          if (what === 1 && state === 'new') all.goOn(watcher);
          if (what === 2 && state === 'waiting') all.read(watcher, group);
          if (what === 3 && state === 'reading') all.sync(watcher);
          if (what === 4 && state === 'reading') all.goOn(watcher);
          if (what === 5 && (state === 'new' || state === 'reading')) all.lose(watcher);
          if (what === 6 && state === 'synced') all.offer(watcher, slot());
          if (what === 7 && state === 'synced') all.fallBehind(watcher, 1);
          if (what === 8) fill(stream, 90 + 10 * who);
          if (what === 9) drain(stream);
          check(all, watchers, group);
        }
        for (const watcher of watchers) if (watcher.state !== 'new') all.close(watcher);
        check(all, watchers, group);
        expect(all.counters).toMatchObject({ watchers: 0, slowWatchers: 0, pendingEvents: 0 });
        for (const { flow } of streams) {
          flow.close();
          flow.ended();
        }
        expect(all.counters.streams).toBe(0);
        expect(all.isOverBudget).toBe(false);
      }),
    );
  });
});

/** Where each watcher is, and every sum. */
function check(all: Backpressure, watchers: readonly Watcher[], group: FakeGroup): void {
  const live = [...all.live.heads('a')].flatMap((head) => {
    const list: Watcher[] = [];
    for (let at: Watcher | undefined = head; at !== undefined; at = at.next) list.push(at);
    return list;
  });
  for (const watcher of watchers) {
    const { state, stream, pending } = watcher;
    expect(live.includes(watcher)).toBe(state === 'synced');
    expect(all.waiting.has(watcher)).toBe(state === 'waiting');
    expect(group.members.has(watcher)).toBe(state === 'reading');
    expect(watcher.group === group).toBe(state === 'reading');
    expect(stream.parked.has(watcher)).toBe(state === 'parked');
    if (pending !== undefined) expect(state).toBe('synced');
  }
  const count = (is: (watcher: Watcher) => boolean): number => watchers.filter(is).length;
  const isSlow = ({ state }: Watcher): boolean => /waiting|reading|parked/.test(state);
  expect(all.counters.watchers).toBe(count(({ state }) => !/new|closed/.test(state)));
  expect(all.counters.slowWatchers).toBe(count(isSlow));
  const pending = watchers.reduce((sum, watcher) => sum + (watcher.pending?.length ?? 0), 0);
  expect(all.counters.pendingEvents).toBe(pending);
  for (const stream of new Set(watchers.map((watcher) => watcher.stream))) {
    const its = watchers.filter((watcher) => watcher.stream === stream);
    const unsynced = its.filter((w) => isSlow(w) || w.state === 'compacted').length;
    expect(stream.unsyncedWatchers).toBe(unsynced);
    expect(stream.pendingWatchers).toBe(its.filter((w) => w.pending !== undefined).length);
  }
}

describe('a stream', () => {
  it('is slow before it is full, stops its requests once, and flows again when drained', () => {
    const { open, fill, drain } = setup();
    const stream = open();
    const { flow } = stream;
    expect(flow.stop()).toBe(false);
    fill(stream, 100);
    expect(flow).toMatchObject({ isFlowing: false, isFull: false });
    expect(flow.stop()).toBe(false);
    fill(stream, 101);
    expect(flow.isFull).toBe(true);
    expect(flow.stop()).toBe(true);
    expect(flow.stop()).toBe(false);
    // It is asked for, and not remembered.
    stream.sink.backlogBytes = 50;
    expect(flow).toMatchObject({ isFlowing: false, isFull: false });
    expect(drain(stream)).toBe(true);
    expect(flow).toMatchObject({ isFlowing: true, isFull: false });
    expect(drain(stream)).toBe(false);
  });

  it('is full with few bytes when all together have too many, unless it flows', () => {
    const { all, open, fill, drain } = setup();
    const [one, two, three] = [open(), open(), open()];
    fill(one, 80);
    fill(two, 80);
    expect(all.isOverBudget).toBe(true);
    expect([one, two, three].map(({ flow }) => flow.isFull)).toEqual([true, true, false]);
    drain(two);
    expect([one, two, three].map(({ flow }) => flow.isFull)).toEqual([false, false, false]);
    fill(two, 80);
    one.flow.close();
    expect(all.isOverBudget).toBe(false);
  });

  it('takes nothing once it is closed, and counts nothing any more', () => {
    const { all, open, fill, drain } = setup();
    const stream = open();
    const watcher = newWatcher(stream.flow);
    all.goOn(watcher);
    all.read(watcher, new FakeGroup());
    fill(stream, 140);
    stream.flow.close();
    expect(all.hasRoom(75)).toBe(true);
    expect(stream.flow).toMatchObject({ isClosed: true, isFull: true });
    // A sink that finds out in the middle of sending that its client is gone.
    fill(stream, 140);
    expect(all.hasRoom(75)).toBe(true);
    expect(stream.flow.stop()).toBe(false);
    expect(drain(stream)).toBe(false);
    all.goOn(watcher);
    expect(watcher.state).toBe('parked');
    expect(() => stream.flow.ended()).toThrow('nobody waits');
    all.close(watcher);
    stream.flow.ended();
    expect(() => stream.flow.close()).toThrow('as drawn');
  });
});
