/** What every Clock promises, asked of the real and of the simulated ones. */

import { describe, expect, test } from 'vitest';

import { type Clock, sleep } from '../../src/common/index.js';
import { nodeClock } from '../../src/server/platform/clock-node.js';
import { SimClock, SimRandom } from '../../src/sim/index.js';

interface Subject {
  readonly name: string;
  /** A clock, and how to make its time pass until a promise is settled. */
  make(): { clock: Clock; run<T>(promise: Promise<T>): Promise<T> };
}

const subjects: readonly Subject[] = [
  { name: 'real', make: () => ({ clock: nodeClock, run: (promise) => promise }) },
  {
    name: 'simulated',
    make: () => {
      const clock = new SimClock();
      return { clock, run: (promise) => clock.runUntil(promise) };
    },
  },
  {
    name: 'simulated, shuffling',
    make: () => {
      const clock = new SimClock({ random: new SimRandom(1) });
      return { clock, run: (promise) => clock.runUntil(promise) };
    },
  },
  {
    name: 'of a simulated process',
    make: () => {
      const clock = new SimClock();
      return { clock: clock.process(), run: (promise) => clock.runUntil(promise) };
    },
  },
];

for (const subject of subjects) {
  describe(`${subject.name} clock`, () => {
    test('after fires once, not early, and never before the call has returned', async () => {
      const { clock, run } = subject.make();
      const start = clock.nowMs();
      let fired = 0;
      const done = new Promise<void>((resolve) => {
        clock.after(3, () => {
          fired += 1;
          expect(clock.nowMs() - start).toBeGreaterThanOrEqual(3);
          clock.after(5, resolve);
        });
        clock.after(0, () => {
          fired += 1;
        });
        expect(fired).toBe(0);
      });
      await run(keepAlive(done));
      expect(fired).toBe(2);
    });

    test('a cancelled timer does not fire, and may be cancelled again', async () => {
      const { clock, run } = subject.make();
      let fired = 0;
      const done = new Promise<void>((resolve) => {
        const early = clock.after(1, () => {
          fired += 1;
        });
        early.cancel();
        early.cancel();
        const late = clock.after(2, () => {
          late.cancel();
          clock.after(2, resolve);
        });
      });
      await run(keepAlive(done));
      expect(fired).toBe(0);
    });

    test('afterTurn keeps its order and comes after what the turn already did', async () => {
      const { clock, run } = subject.make();
      const seen: string[] = [];
      const done = new Promise<void>((resolve) => {
        for (const name of ['a', 'b', 'c']) clock.afterTurn(() => seen.push(name));
        clock.afterTurn(() => {
          clock.afterTurn(resolve);
        });
        seen.push('now');
        queueMicrotask(() => seen.push('reaction'));
      });
      await run(done);
      expect(seen).toEqual(['now', 'reaction', 'a', 'b', 'c']);
    });

    test('time does not go back, and wall time is after 2020', async () => {
      const { clock } = subject.make();
      let last = clock.nowMs();
      for (let i = 0; i < 100; i++) {
        const now = clock.nowMs();
        expect(now).toBeGreaterThanOrEqual(last);
        last = now;
      }
      expect(clock.wallMs()).toBeGreaterThan(Date.UTC(2020, 0, 1));
      expect(Number.isInteger(clock.wallMs())).toBe(true);
    });

    test('a very long delay does not fire at once', async () => {
      const { clock, run } = subject.make();
      let fired = 0;
      const timer = clock.after(2 ** 40, () => {
        fired += 1;
      });
      await run(keepAlive(sleep(clock, 2)));
      expect(fired).toBe(0);
      timer.cancel();
    });
  });
}

/** Real timers of the port do not keep the process alive; this one does. */
function keepAlive<T>(promise: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, 1000);
  return promise.finally(() => clearInterval(timer));
}

describe('the event queue of a simulation', () => {
  /** Timers that start others; the order is what a simulation's outcome depends on. */
  async function trace(seed: number | undefined): Promise<string> {
    const random = seed === undefined ? undefined : new SimRandom(seed);
    const clock = new SimClock(random === undefined ? {} : { random });
    const seen: string[] = [];
    const spawn = (name: string, depth: number): void => {
      clock.after(depth % 3, async () => {
        await Promise.resolve();
        seen.push(`${name}@${clock.nowMs()}`);
        if (depth > 0) for (const child of ['x', 'y']) spawn(name + child, depth - 1);
      });
    };
    for (const name of ['1', '2', '3', '4']) spawn(name, 4);
    await clock.run(100);
    expect(clock.nowMs()).toBe(100);
    return seen.join(' ');
  }

  test('is the same for the same seed, and not for another', async () => {
    expect(await trace(1)).toBe(await trace(1));
    expect(await trace(1)).not.toBe(await trace(2));
    expect(await trace(undefined)).toBe(await trace(undefined));
  });

  test('waits for all promise reactions before the next event', async () => {
    const clock = new SimClock();
    const seen: string[] = [];
    clock.after(1, async () => {
      for (let i = 0; i < 50; i++) await Promise.resolve();
      seen.push('first');
    });
    clock.after(1, () => seen.push('second'));
    await clock.runAll();
    expect(seen).toEqual(['first', 'second']);
  });

  test('runs up to a time and no further', async () => {
    const clock = new SimClock();
    const seen: number[] = [];
    for (const at of [5, 1, 3, 4, 2]) clock.after(at, () => seen.push(at));
    await clock.run(3);
    expect(seen).toEqual([1, 2, 3]);
    expect(clock.step()).toBe(true);
    expect(clock.nowMs()).toBe(4);
    await clock.runAll();
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(clock.step()).toBe(false);
  });

  test('says so when a promise can no longer settle', async () => {
    const clock = new SimClock();
    await expect(clock.runUntil(new Promise(() => {}))).rejects.toThrow('nothing is left');
    const ticking = (): void => {
      clock.after(10, ticking);
    };
    ticking();
    await expect(clock.runUntil(new Promise(() => {}), 1000)).rejects.toThrow('nothing is left');
  });

  test('a process may run fast, jump, freeze and die', async () => {
    const clock = new SimClock();
    const one = clock.process();
    const seen: string[] = [];
    one.setRate(2);
    one.after(10, () => seen.push(`fast ${clock.nowMs()} ${one.nowMs()}`));
    await clock.run(100);
    expect(seen).toEqual(['fast 5 10']);
    expect(one.nowMs()).toBe(200);
    one.setRate(0.5);
    await clock.run(200);
    expect(one.nowMs()).toBe(250);
    const wall = one.wallMs();
    one.jumpWall(-3_600_000);
    expect(one.wallMs()).toBe(wall - 3_600_000);
    expect(one.nowMs()).toBe(250);
    one.freeze();
    one.after(1, () => seen.push('first'));
    one.after(2, () => seen.push('second'));
    await clock.run(300);
    expect(seen.length).toBe(1);
    one.unfreeze();
    await clock.run(301);
    expect(seen.slice(1)).toEqual(['first', 'second']);
    one.after(1, () => seen.push('never'));
    one.afterTurn(() => seen.push('never'));
    one.kill();
    await clock.runAll();
    expect(seen.length).toBe(3);
  });
});
