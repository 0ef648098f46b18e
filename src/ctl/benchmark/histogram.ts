/**
 * Latencies in memory that does not grow: buckets are a fifth of a percent wide at most. That is
 * what hdr-histogram-js does as well; it would bring three packages into every installation, one
 * of them a decompressor, for what are two divisions here.
 */

/** Buckets of each power of two; above it a value is known to one part in so many. */
const perPower = 1024;
const powers = 44;

/** Counts whole numbers from 0 to 2^53, microseconds here. */
export class Histogram {
  readonly #counts = new Float64Array(perPower * powers);
  #sum = 0;
  #squares = 0;
  count = 0;
  min = Number.POSITIVE_INFINITY;
  max = 0;

  record(value: number): void {
    const whole = Math.max(0, Math.round(value));
    const at = indexOf(whole);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.count += 1;
    this.#sum += whole;
    this.#squares += whole * whole;
    this.min = Math.min(this.min, whole);
    this.max = Math.max(this.max, whole);
  }

  get mean(): number {
    return this.count === 0 ? 0 : this.#sum / this.count;
  }

  get deviation(): number {
    if (this.count === 0) return 0;
    return Math.sqrt(Math.max(0, this.#squares / this.count - this.mean ** 2));
  }

  /** What this share of them is at most; 0 if there are none. */
  quantile(share: number): number {
    const rank = Math.max(1, Math.ceil(share * this.count));
    let seen = 0;
    for (let at = 0; at < this.#counts.length; at += 1) {
      seen += this.#counts[at] ?? 0;
      if (seen >= rank) return Math.min(this.max, highestOf(at));
    }
    return this.max;
  }

  /** How many there are up to each of `many` equal steps between the least and the most. */
  steps(many: number): Array<{ readonly upTo: number; readonly count: number }> {
    const low = Math.min(this.min, this.max);
    const bounds = Array.from(
      { length: many },
      (_, i) => low + ((this.max - low) * i) / (many - 1),
    );
    const counts = new Array<number>(many).fill(0);
    for (let at = 0; at < this.#counts.length; at += 1) {
      const here = this.#counts[at] ?? 0;
      if (here === 0) continue;
      const value = Math.max(this.min, lowestOf(at));
      const found = bounds.findIndex((bound) => value <= bound + 1e-9);
      const step = found < 0 ? many - 1 : found;
      counts[step] = (counts[step] ?? 0) + here;
    }
    return bounds.map((upTo, i) => ({ upTo, count: counts[i] ?? 0 }));
  }
}

/** The first bucket of a power of two holds what is below `perPower` as it is. */
function indexOf(value: number): number {
  if (value < perPower) return value;
  const power = Math.floor(Math.log2(value / perPower)) + 1;
  const width = 2 ** power;
  // What the logarithm rounded up is in the last bucket of the power before.
  const inside = Math.max(0, Math.floor(value / width) - perPower / 2);
  return perPower + (power - 1) * (perPower / 2) + Math.min(perPower / 2 - 1, inside);
}

function highestOf(index: number): number {
  if (index < perPower) return index;
  const power = Math.floor((index - perPower) / (perPower / 2)) + 1;
  const inside = (index - perPower) % (perPower / 2);
  return (inside + perPower / 2 + 1) * 2 ** power - 1;
}

function lowestOf(index: number): number {
  return index === 0 ? 0 : highestOf(index - 1) + 1;
}
