/**
 * Token buckets by key: each fills at a rate up to a burst, and a request takes one. Memory is
 * bounded: of keys that were not seen for longest the bucket is forgotten, which is as if it were
 * full again.
 */

import { assert, type Clock } from '../../common/index.js';

interface Bucket {
  tokens: number;
  atMs: number;
}

export interface TokenBucketsOptions {
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly perSecond: number;
  readonly burst: number;
  /** Keys that are remembered. */
  readonly keysMax: number;
}

export class TokenBuckets {
  readonly #o: TokenBucketsOptions;
  /** Those that were seen of late, and before: which keeps the order of use without keeping it. */
  #young = new Map<string, Bucket>();
  #old = new Map<string, Bucket>();

  constructor(options: TokenBucketsOptions) {
    assert(options.perSecond > 0 && options.burst >= 1, 'a bucket fills, and holds a request');
    this.#o = options;
  }

  /** Number of keys that are remembered. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Takes a token: 0. Else, with nothing taken, the milliseconds until there is one. */
  take(key: string): number {
    const bucket = this.#filled(key);
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1;
      return 0;
    }
    return this.#msUntil(1 - bucket.tokens);
  }

  /**
   * Takes a token now or one that is still to come, and returns the milliseconds until it does;
   * Infinity, with nothing taken, if that is more than `waitMsMax`.
   */
  reserve(key: string, waitMsMax: number): number {
    const bucket = this.#filled(key);
    const waitMs = bucket.tokens >= 1 ? 0 : this.#msUntil(1 - bucket.tokens);
    if (waitMs > waitMsMax) return Number.POSITIVE_INFINITY;
    bucket.tokens -= 1;
    return waitMs;
  }

  #msUntil(tokens: number): number {
    return (1000 * tokens) / this.#o.perSecond;
  }

  #filled(key: string): Bucket {
    const { burst, clock, perSecond } = this.#o;
    const nowMs = clock.nowMs();
    const bucket = this.#bucketOf(key, nowMs);
    const gained = ((nowMs - bucket.atMs) * perSecond) / 1000;
    bucket.tokens = Math.min(burst, bucket.tokens + gained);
    bucket.atMs = nowMs;
    return bucket;
  }

  #bucketOf(key: string, nowMs: number): Bucket {
    const known = this.#young.get(key);
    if (known !== undefined) return known;
    const bucket = this.#old.get(key) ?? { tokens: this.#o.burst, atMs: nowMs };
    this.#old.delete(key);
    if (2 * (this.#young.size + 1) > this.#o.keysMax) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, bucket);
    assert(this.size <= this.#o.keysMax, 'no more keys are remembered than may be');
    return bucket;
  }
}
