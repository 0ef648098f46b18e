/**
 * The simulated Random: xoshiro128** (Blackman and Vigna), seeded through splitmix32. The same seed
 * gives the same numbers on every machine. `fork` makes independent streams, so that drawing one
 * more number in one part of a simulation does not change what all the others see.
 */

import { assert, type Random } from '../common/index.js';

/** A seeded generator with the helpers that simulations want. Not for secrets. */
export class SimRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** Any integer; only its low 64 bits matter. */
  constructor(seed: number | bigint) {
    const bits = BigInt.asUintN(64, BigInt(seed));
    let state = Number(bits & 0xffff_ffffn) ^ Math.imul(Number(bits >> 32n), 0x9e37_79b1);
    const next = (): number => {
      state = (state + 0x9e37_79b9) | 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x21f0_aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a_2d97);
      return z ^ (z >>> 15);
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    // All four words zero is the one state that the generator never leaves.
    this.#d = next() | 1;
  }

  u32(): number {
    const product = Math.imul(this.#b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  float(): number {
    return ((this.u32() >>> 5) * 2 ** 26 + (this.u32() >>> 6)) / 2 ** 53;
  }

  /** Uniform integer in [0, bound). */
  below(bound: number): number {
    assert(bound >= 1, 'below needs a bound of at least 1');
    return Math.floor(this.float() * bound);
  }

  /** Uniform integer in [low, high], both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True with this probability; 0 is never and 1 always. */
  chance(probability: number): boolean {
    return this.float() < probability;
  }

  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T {
    assert(items.length > 0, 'pick needs something to pick from');
    return items[this.below(items.length)] as T;
  }

  /** `items` in random order, as a new array. */
  shuffled<T>(items: readonly T[]): T[] {
    const result = items.slice();
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const kept = result[i] as T;
      result[i] = result[j] as T;
      result[j] = kept;
    }
    return result;
  }

  /** `length` random bytes. */
  bytes(length: number): Buffer {
    const result = Buffer.alloc(length);
    for (let i = 0; i < length; i++) result[i] = this.u32() & 0xff;
    return result;
  }

  /** An independent generator; takes one number from this one. */
  fork(): SimRandom {
    return new SimRandom(this.u64());
  }
}
