/** Waits for something that will happen, without naming a time at which it must have happened. */

import { setTimeout as delay } from 'node:timers/promises';

/**
 * Asks `attempt` until it returns something other than undefined and does not throw. The deadline
 * only ends a test that has already failed; it is no statement about speed.
 */
export async function eventually<T>(
  attempt: () => Promise<T | undefined> | T | undefined,
  what: string,
  deadlineMs = 100_000,
): Promise<T> {
  const end = Date.now() + deadlineMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await attempt();
      if (value !== undefined) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`never happened: ${what}`, { cause: last });
    await delay(20);
  }
}
