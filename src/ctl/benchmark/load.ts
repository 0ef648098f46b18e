/** A load: so many calls, by so many clients at a time, as fast as they are answered or at a rate. */

import type { RawClient } from '../../client/raw/index.js';
import { type Clock, sleep } from '../../common/index.js';
import { Histogram } from './histogram.js';

export interface LoadOptions {
  readonly clock: Clock;
  /** Connections; clients are spread over them. */
  readonly connections: readonly RawClient[];
  /** Each has one call under way. */
  readonly clients: number;
  readonly total: number;
  /** Calls a second that begin; 0: as fast as they are answered. */
  readonly rate: number;
  readonly signal: AbortSignal;
  /** The call of that number; `count` tells how many answers it was, 1 if it is not called. */
  readonly call: (client: RawClient, number: number) => Promise<void>;
}

/** What came of it so far. */
export class Outcome {
  readonly latencyUs = new Histogram();
  readonly errors = new Map<string, number>();
  readonly #clock: Clock;
  readonly #beganMs: number;
  #endedMs: number | undefined;
  failed = 0;

  constructor(
    clock: Clock,
    /** What there will be if all goes well. */
    readonly total: number,
  ) {
    this.#clock = clock;
    this.#beganMs = clock.nowMs();
  }

  get seconds(): number {
    return ((this.#endedMs ?? this.#clock.nowMs()) - this.#beganMs) / 1_000;
  }

  get perSecond(): number {
    return this.seconds === 0 ? 0 : this.latencyUs.count / this.seconds;
  }

  /** Began at that moment of the clock, and is answered now. */
  done(beganMs: number): void {
    this.latencyUs.record((this.#clock.nowMs() - beganMs) * 1_000);
  }

  fail(error: unknown): void {
    this.failed += 1;
    const text = error instanceof Error ? error.message : String(error);
    // Messages may have numbers in them: no more than a screen of kinds.
    const kind = this.errors.has(text) || this.errors.size < 20 ? text : 'others';
    this.errors.set(kind, (this.errors.get(kind) ?? 0) + 1);
  }

  end(): void {
    this.#endedMs ??= this.#clock.nowMs();
  }
}

/** Resolves when all calls are answered, or those under way once the signal aborts. */
export async function runLoad(options: LoadOptions, outcome: Outcome): Promise<void> {
  const { clock, connections, clients, total, rate, signal, call } = options;
  const beganMs = clock.nowMs();
  let next = 0;
  const client = async (connection: RawClient): Promise<void> => {
    while (next < total && !signal.aborted) {
      const number = next;
      next += 1;
      let startMs = clock.nowMs();
      if (rate > 0) {
        // Latency counts from when a call was due: a server that stalls can't hide it.
        const dueMs = beganMs + (number * 1_000) / rate;
        if (dueMs > startMs) await sleep(clock, dueMs - startMs, signal);
        if (signal.aborted) return;
        startMs = Math.min(dueMs, clock.nowMs());
      }
      try {
        await call(connection, number);
        outcome.done(startMs);
      } catch (error) {
        outcome.fail(error);
        if (signal.aborted) return;
        // A server that refuses at once is not asked a hundred thousand times.
        await sleep(clock, errorPauseMs, signal);
      }
    }
  };
  await Promise.all(
    Array.from({ length: clients }, (_, i) => {
      const connection = connections[i % connections.length];
      return connection === undefined ? undefined : client(connection);
    }),
  );
  outcome.end();
}

const errorPauseMs = 10;
