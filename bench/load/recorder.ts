/** Latencies and counts inside the measured window; what happens outside is not counted. */

import { build } from 'hdr-histogram-js';
import type { LatencyMs, RowResult } from './types.js';

const microsPerMs = 1000;

export class Recorder {
  readonly #histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 600_000_000,
    numberOfSignificantValueDigits: 3,
  });
  readonly #rows = new Map<string, Recorder>();
  #active = false;
  #phase: Recorder | undefined;
  /** Called when the measured time begins. */
  onBegin: (() => void) | undefined;
  operations = 0;
  errors = 0;
  firstError = '';

  begin(): void {
    this.#active = true;
    for (const row of this.#rows.values()) row.begin();
    this.onBegin?.();
  }

  end(): void {
    this.#active = false;
    for (const row of this.#rows.values()) row.end();
  }

  /** What is counted beside the whole under a name: one kind of operation of several. */
  row(name: string): Recorder {
    const known = this.#rows.get(name);
    if (known !== undefined) return known;
    const row = new Recorder();
    row.#active = this.#active;
    this.#rows.set(name, row);
    return row;
  }

  /** Operations count in the row of this name as well, until another phase begins. */
  phase(name: string): void {
    this.#phase = this.row(name);
  }

  /** What the rows have, in the order in which they were asked for first. */
  rows(): RowResult[] {
    return [...this.#rows].map(([name, row]) => {
      return { name, operations: row.operations, latencyMs: row.latencyMs() };
    });
  }

  /** An operation that took from `startedMs` to `nowMs`, both of performance.now(). */
  done(startedMs: number, nowMs: number): void {
    if (!this.#active) return;
    this.operations += 1;
    this.latency(nowMs - startedMs);
    this.#phase?.done(startedMs, nowMs);
  }

  /** Operations whose latency is not looked at one by one. */
  count(operations: number): void {
    if (this.#active) this.operations += operations;
  }

  /** A latency that is not an operation of its own. */
  latency(durationMs: number): void {
    if (this.#active)
      this.#histogram.recordValue(Math.max(1, Math.round(durationMs * microsPerMs)));
  }

  failed(message: string): void {
    if (this.#active) this.errors += 1;
    if (this.firstError === '') this.firstError = message;
  }

  latencyMs(): LatencyMs {
    const at = (percentile: number): number =>
      this.#histogram.getValueAtPercentile(percentile) / microsPerMs;
    return {
      mean: this.#histogram.mean / microsPerMs,
      p50: at(50),
      p99: at(99),
      p999: at(99.9),
      max: this.#histogram.maxValue / microsPerMs,
    };
  }
}
