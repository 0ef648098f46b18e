import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { warmUp } from '../../src/cli/warm-up/index.js';
import type { Clock, Timer } from '../../src/common/index.js';
import { nodeClock } from '../../src/server/index.js';

/** Time of its own, in which each look at it takes a millisecond; timers are real, and counted. */
class BusyClock implements Clock {
  readonly pending = new Map<Timer, () => void>();
  #nowMs = 0;

  nowMs(): number {
    this.#nowMs += 1;
    return this.#nowMs;
  }

  wallMs(): number {
    return nodeClock.wallMs();
  }

  after(delayMs: number, fire: () => void): Timer {
    const real = nodeClock.after(delayMs, () => {
      this.pending.delete(timer);
      fire();
    });
    const timer = {
      cancel: () => {
        this.pending.delete(timer);
        real.cancel();
      },
    };
    this.pending.set(timer, fire);
    return timer;
  }

  afterTurn(fire: () => void): void {
    nodeClock.afterTurn(fire);
  }

  /** The time of all that still waits comes. */
  fireAll(): void {
    this.#nowMs += 3_600_000;
    for (const [timer, fire] of [...this.pending]) {
      timer.cancel();
      fire();
    }
  }
}

it('makes calls, gives up in time, and leaves nothing behind', async () => {
  const clock = new BusyClock();
  const report = await warmUp({ clock, budgetMs: 3_000 });
  expect(report.answers).toBeGreaterThan(10);
  // Each call looks at the time several times, so there is no room for more.
  expect(report.answers).toBeLessThan(3_000);
  // A last tick, an empty wheel of deadlines, a pool that is given back: they end by themselves.
  for (let round = 0; round < 20 && clock.pending.size > 0; round += 1) clock.fireAll();
  expect(clock.pending.size).toBe(0);
  expect(existsSync('/warm-up')).toBe(false);
});

it('makes no call without time, or after a signal', async () => {
  expect(await warmUp({ clock: nodeClock, budgetMs: 0 })).toMatchObject({ answers: 0 });
  const signal = AbortSignal.abort();
  const report = await warmUp({ clock: nodeClock, budgetMs: 60_000, signal });
  expect(report).toMatchObject({ answers: 0 });
});
