/** Puts of many clients at once, and how long they took. */

import { method, type RawClient } from '../../client/raw/index.js';
import { type Clock, keyFromBytes } from '../../common/index.js';
import { encodePutRequest } from '../../proto/index.js';

/** How many puts, by how many, and how fast. */
export interface Load {
  readonly clients: number;
  /** Puts a second; undefined: as fast as they go. */
  readonly rate: number | undefined;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly prefix: string;
  /** True: no more puts are begun. */
  over(begun: number): boolean;
}

/** What came of it. */
export interface Report {
  /** Puts a second, over all. */
  readonly rate: number;
  readonly slowestSeconds: number;
  readonly stddevSeconds: number;
  /** How often, by what was said. */
  readonly errors: ReadonlyMap<string, number>;
}

/** Puts by `clients`, each one after the other; `done` is called after each. */
export async function putAll(
  clients: readonly RawClient[],
  load: Load,
  clock: Clock,
  done: () => void,
): Promise<Report> {
  const value = Buffer.alloc(load.valueBytes);
  const errors = new Map<string, number>();
  const tookMs: number[] = [];
  const startMs = clock.nowMs();
  let begun = 0;
  const worker = async (client: RawClient): Promise<void> => {
    while (!load.over(begun)) {
      const number = begun;
      begun += 1;
      await untilDue(number, load.rate, startMs, clock);
      if (load.over(number)) return;
      const sentMs = clock.nowMs();
      try {
        const key = keyOf(load, number);
        await client.call(method.put, 'write', encodePutRequest({ key, value }));
      } catch (error) {
        const text = (error as Error).message;
        errors.set(text, (errors.get(text) ?? 0) + 1);
      }
      tookMs.push(clock.nowMs() - sentMs);
      done();
    }
  };
  await Promise.all(clients.map(worker));
  return reportOf(tookMs, errors, clock.nowMs() - startMs);
}

/** The put of that number is due at its share of the second. */
async function untilDue(number: number, rate: number | undefined, startMs: number, clock: Clock) {
  if (rate === undefined) return;
  const waitMs = startMs + (number * 1_000) / rate - clock.nowMs();
  if (waitMs <= 0) return;
  await new Promise<void>((resolve) => void clock.after(waitMs, resolve));
}

/** Keys spread over the range: the bits of their numbers in reverse. */
function keyOf({ prefix, keyBytes }: Load, number: number): string {
  const bytes = Buffer.alloc(keyBytes);
  let rest = number;
  for (let at = 0; at < 6 && rest > 0; at++) {
    bytes[at] = rest & 0xff;
    rest = Math.floor(rest / 256);
  }
  return keyFromBytes(Buffer.concat([Buffer.from(prefix), bytes]));
}

function reportOf(
  tookMs: readonly number[],
  errors: ReadonlyMap<string, number>,
  spentMs: number,
): Report {
  const count = Math.max(1, tookMs.length);
  const mean = tookMs.reduce((sum, ms) => sum + ms, 0) / count;
  const variance = tookMs.reduce((sum, ms) => sum + (ms - mean) ** 2, 0) / count;
  return {
    rate: (tookMs.length * 1_000) / spentMs,
    slowestSeconds: tookMs.reduce((max, ms) => Math.max(max, ms), 0) / 1_000,
    stddevSeconds: Math.sqrt(variance) / 1_000,
    errors,
  };
}
