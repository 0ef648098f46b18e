/**
 * The text of /metrics, read: series by name and labels, and histograms put together again. What is
 * no number is left out; a server that has other metrics than ours is read as well.
 */

/** One series. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A histogram of the text: how many were at most each bound. */
export interface BucketCounts {
  readonly bounds: readonly number[];
  /** Cumulative; the last is all of them, above the last bound too. */
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}

type Labels = Readonly<Record<string, string>>;

/** See the head of this file. */
export class Metrics {
  readonly #series = new Map<string, Series[]>();

  constructor(text: string) {
    for (const line of text.split('\n')) {
      const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/.exec(line);
      if (match === null) continue;
      const [, name = '', labels = '', number = ''] = match;
      const value = number === '+Inf' ? Number.POSITIVE_INFINITY : Number(number);
      if (Number.isNaN(value)) continue;
      const list = this.#series.get(name) ?? [];
      if (list.length === 0) this.#series.set(name, list);
      list.push({ labels: labelsOf(labels), value });
    }
  }

  /** The series of this name with these labels. */
  rows(name: string, labels: Labels = {}): readonly Series[] {
    const wanted = Object.entries(labels);
    return (this.#series.get(name) ?? []).filter((series) =>
      wanted.every(([label, value]) => series.labels[label] === value),
    );
  }

  /** Their sum; undefined: there is none. */
  value(name: string, labels: Labels = {}): number | undefined {
    const rows = this.rows(name, labels);
    return rows.length === 0 ? undefined : rows.reduce((sum, { value }) => sum + value, 0);
  }

  /** All histograms of this name with these labels, as one. */
  histogram(name: string, labels: Labels = {}): BucketCounts | undefined {
    const buckets = new Map<number, number>();
    for (const { labels: all, value } of this.rows(`${name}_bucket`, labels)) {
      const bound = all.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(all.le);
      buckets.set(bound, (buckets.get(bound) ?? 0) + value);
    }
    const count = this.value(`${name}_count`, labels);
    if (buckets.size === 0 || count === undefined) return undefined;
    const sorted = [...buckets].sort(([a], [b]) => a - b);
    return {
      bounds: sorted.map(([bound]) => bound),
      counts: sorted.map(([, many]) => many),
      sum: this.value(`${name}_sum`, labels) ?? 0,
      count,
    };
  }
}

function labelsOf(text: string): Labels {
  const labels: Record<string, string> = {};
  for (const [, name = '', value = ''] of text.matchAll(/([a-zA-Z_]\w*)="((?:\\.|[^"\\])*)"/g)) {
    labels[name] = value.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c));
  }
  return labels;
}

/** What came between two looks. A member that began anew meanwhile counts from its start. */
export function since(now: BucketCounts, before: BucketCounts | undefined): BucketCounts {
  if (before === undefined || before.count > now.count) return now;
  const earlier = new Map(before.bounds.map((bound, i) => [bound, before.counts[i] ?? 0]));
  return {
    bounds: now.bounds,
    counts: now.counts.map((count, i) => count - (earlier.get(now.bounds[i] ?? 0) ?? 0)),
    sum: now.sum - before.sum,
    count: now.count - before.count,
  };
}

/**
 * The value that this share of them is at most, as Prometheus estimates it: evenly spread inside of
 * a bucket. Undefined if there are none.
 */
export function quantile(of: BucketCounts, share: number): number | undefined {
  const total = of.counts.at(-1) ?? 0;
  if (total <= 0) return undefined;
  const rank = share * total;
  const at = of.counts.findIndex((count) => count >= rank);
  const upper = of.bounds[at] ?? Number.POSITIVE_INFINITY;
  const lower = at > 0 ? (of.bounds[at - 1] ?? 0) : 0;
  // Beyond the last bound nothing is known.
  if (upper === Number.POSITIVE_INFINITY) return lower;
  const below = at > 0 ? (of.counts[at - 1] ?? 0) : 0;
  const inside = (of.counts[at] ?? 0) - below;
  return inside === 0 ? upper : lower + ((upper - lower) * (rank - below)) / inside;
}
