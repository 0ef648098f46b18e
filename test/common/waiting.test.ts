import { describe, expect, it } from 'vitest';
import { Lock, settle, sleep, turn, untilOrAfter } from '../../src/common/index.js';
import { SimClock } from '../../src/sim/index.js';

describe('sleep', () => {
  it('lasts as long as it is told', async () => {
    const clock = new SimClock();
    await clock.runUntil(sleep(clock, 250));
    expect(clock.nowMs()).toBe(250);
  });

  it('ends with a signal, and leaves no timer behind', async () => {
    const clock = new SimClock();
    const end = new AbortController();
    clock.after(10, () => end.abort());
    await clock.runUntil(sleep(clock, 250, end.signal));
    expect(clock.nowMs()).toBe(10);
    await clock.run(1000);
    // The abort; a timer that was cancelled is no event.
    expect(clock.eventsFired).toBe(1);
  });

  it('lasts its time if the signal does not abort, and not at all if it has', async () => {
    const clock = new SimClock();
    const end = new AbortController();
    await clock.runUntil(sleep(clock, 250, end.signal));
    expect(clock.nowMs()).toBe(250);
    end.abort();
    await sleep(clock, 250, end.signal);
    expect(clock.nowMs()).toBe(250);
  });
});

describe('turn', () => {
  it('comes back in a later turn, after those who asked before', async () => {
    const clock = new SimClock();
    const order: number[] = [];
    const wait = async (at: number): Promise<void> => {
      await turn(clock);
      order.push(at);
    };
    const all = Promise.all([wait(1), wait(2), wait(3)]);
    expect(order).toEqual([]);
    await clock.runUntil(all);
    expect(order).toEqual([1, 2, 3]);
  });
});

describe('untilOrAfter', () => {
  it('resolves with the work, or without it when the time is over', async () => {
    const clock = new SimClock();
    await clock.runUntil(untilOrAfter(sleep(clock, 20), clock, 100));
    expect(clock.nowMs()).toBe(20);
    await clock.runUntil(untilOrAfter(sleep(clock, 5000), clock, 100));
    expect(clock.nowMs()).toBe(120);
  });

  it('rejects as the work does', async () => {
    const clock = new SimClock();
    const work = sleep(clock, 10).then(() => Promise.reject(new Error('no')));
    const ends = expect(untilOrAfter(work, clock, 100)).rejects.toThrow('no');
    await clock.run(200);
    await ends;
  });
});

describe('Lock', () => {
  it('runs one job at a time, in order, whatever becomes of those before', async () => {
    const clock = new SimClock();
    const lock = new Lock();
    const log: string[] = [];
    const job = (name: string, ms: number) => async (): Promise<string> => {
      log.push(`${name} begins`);
      await sleep(clock, ms);
      log.push(`${name} ends`);
      if (name === 'b') throw new Error('b failed');
      return name;
    };
    const [a, b, c] = [lock.run(job('a', 30)), lock.run(job('b', 20)), lock.run(job('c', 10))];
    const ends = Promise.allSettled([a, b, c]);
    await clock.runUntil(lock.idle);
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
    expect((await ends).map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    expect(await c).toBe('c');
  });

  it('is idle at once without jobs, and never rejects', async () => {
    const lock = new Lock();
    await lock.idle;
    const failed = lock.run(() => Promise.reject(new Error('no')));
    await lock.idle;
    await expect(failed).rejects.toThrow('no');
  });
});

describe('settle', () => {
  it('resolves without an error and rejects with one', async () => {
    const outcome = (error: Error | undefined): Promise<void> =>
      new Promise((resolve, reject) => settle({ resolve, reject }, error));
    await outcome(undefined);
    await expect(outcome(new Error('why'))).rejects.toThrow('why');
  });
});
