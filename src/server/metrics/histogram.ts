/**
 * Histograms as plain arrays. prom-client's own observe() hashes labels and allocates for every
 * value; these are read out only when somebody scrapes.
 */

/**
 * Upper bounds `start, start * factor, ...`, `count` of them, as Prometheus' exponential buckets.
 */
export function exponentialBuckets(start: number, factor: number, count: number): number[] {
  // Rounded so that 0.001 * 2 ** n prints as people write it.
  return Array.from({ length: count }, (_, i) => Number((start * factor ** i).toPrecision(12)));
}

/** One histogram; `observe` is a short scan over at most two dozen numbers. */
export class Histogram {
  /** Inclusive upper bounds, ascending; +Inf is implied. */
  readonly bounds: readonly number[];
  /** Observations of each bucket alone (not cumulated); the last is +Inf. */
  readonly counts: Float64Array;
  count = 0;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** Adds one value, in the unit of the metric's name. */
  observe(value: number): void {
    this.observeMany(value, 1);
  }

  /** Adds `times` values that are `value` on average. */
  observeMany(value: number, times: number): void {
    const { bounds } = this;
    let i = 0;
    while (i < bounds.length && value > (bounds[i] as number)) i += 1;
    this.counts[i] = (this.counts[i] as number) + times;
    this.count += times;
    this.sum += value * times;
  }
}

/** Histograms of one name with different labels. Keep what `of` returns where it is hot. */
export class HistogramFamily {
  readonly labelNames: readonly string[];
  readonly #bounds: readonly number[];
  readonly #rows = new Map<string, { labels: Record<string, string>; histogram: Histogram }>();

  constructor(labelNames: readonly string[], bounds: readonly number[]) {
    this.labelNames = labelNames;
    this.#bounds = bounds;
  }

  /** The histogram with these label values, in the order of `labelNames`. */
  of(...values: readonly string[]): Histogram {
    const key = values.join('\n');
    const row = this.#rows.get(key);
    if (row !== undefined) return row.histogram;
    const histogram = new Histogram(this.#bounds);
    const labels = Object.fromEntries(this.labelNames.map((name, i) => [name, values[i] ?? '']));
    this.#rows.set(key, { labels, histogram });
    return histogram;
  }

  rows(): Iterable<{ readonly labels: Record<string, string>; readonly histogram: Histogram }> {
    return this.#rows.values();
  }
}

/** Counters of one name with different labels, bounded: label values may come from clients. */
export class CounterFamily {
  readonly labelNames: readonly string[];
  readonly #rowsMax: number;
  readonly #rows = new Map<string, { labels: Record<string, string>; value: number }>();

  constructor(labelNames: readonly string[], rowsMax: number) {
    this.labelNames = labelNames;
    this.#rowsMax = rowsMax;
  }

  /** Adds one to the counter with these label values; beyond the bound, to one called 'other'. */
  inc(...values: readonly string[]): void {
    this.of(...values).value += 1;
  }

  /** That counter, to keep where it is hot. */
  of(...values: readonly string[]): { value: number } {
    const key = values.join('\n');
    const known = this.#rows.get(key);
    if (known !== undefined) return known;
    const full = this.#rows.size >= this.#rowsMax;
    if (full && values[0] !== 'other') return this.of(...values.map(() => 'other'));
    const labels = Object.fromEntries(this.labelNames.map((name, i) => [name, values[i] ?? '']));
    const row = { labels, value: 0 };
    this.#rows.set(key, row);
    return row;
  }

  rows(): Iterable<{ readonly labels: Record<string, string>; readonly value: number }> {
    return this.#rows.values();
  }
}
