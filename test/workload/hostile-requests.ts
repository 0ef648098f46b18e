/**
 * Requests that no sane client makes and every member has to stand: transactions at all limits of
 * size and depth, compares over everything, ranges with ends before their beginnings, deletes of
 * all there is, values that are to stay where there are none. What they answer is judged like any
 * other request, so each begins with a put of a value of its own. Their keys sort behind all
 * others.
 */

import type { SimRandom } from '../../src/sim/index.js';
import {
  type CompareResult,
  type Condition,
  deleteRequest,
  getRequest,
  type Op,
  type Request,
  txnRequest,
} from '../checkers/history.js';

export interface HostileOptions {
  readonly random: SimRandom;
  /** The key that every transaction of this client writes, and a value that nobody else does. */
  readonly tokenKey: string;
  readonly token: () => string;
  readonly keys: number;
  /** Newest revision that the client knows of. */
  readonly revision: () => number;
  /** Leases that may be there. */
  readonly leases: readonly bigint[];
}

/** --max-txn-ops, which holds for each list, and along the way into nested transactions. */
const opsMax = 128;
/** Keys times conditions that one request looks at: else a run would do nothing else. */
const looksMax = 20_000;
const valueBytesMax = 200_000;
const prefix = '~';
const relations: readonly CompareResult[] = ['=', '!=', '<', '>', 'any'];
const extremes: readonly number[] = [0, 1, -1, 2, 2 ** 31, -(2 ** 31), 2 ** 53 - 1, 1 - 2 ** 53];

export class HostileRequests {
  readonly #o: HostileOptions;

  constructor(options: HostileOptions) {
    this.#o = options;
  }

  draw(): Request {
    const { random } = this.#o;
    const dice = random.below(100);
    if (dice < 25) return this.#fill();
    if (dice < 50) return this.#compares();
    if (dice < 65) return this.#nested();
    if (dice < 75) return this.#ignoring();
    if (dice < 80) return this.#wipe();
    if (dice < 90) return this.#looks();
    return this.#large();
  }

  /** As many puts as there may be, of values of all sizes. */
  #fill(): Request {
    const { random, keys } = this.#o;
    const count = random.pick([1, 2, Math.min(keys, opsMax - 1), opsMax - 1]);
    const bytes = random.pick([0, 1, 10, 1000]);
    const first = random.below(keys);
    const puts = Array.from({ length: count }, (_, i): Op => {
      // Each key once, also if there are fewer keys than puts.
      const key = i < keys ? this.#keyAt((first + i) % keys) : `${prefix}more${i}`;
      return { type: 'put', key, value: 'v'.repeat(bytes), lease: this.#lease() };
    });
    return this.#txn([], puts);
  }

  /** Conditions on everything, of all kinds there are and some that there are not. */
  #compares(): Request {
    const { random, keys } = this.#o;
    const count = Math.max(1, Math.min(random.pick([1, 3, opsMax]), Math.floor(looksMax / keys)));
    const conditions = Array.from({ length: count }, () => this.#condition());
    return this.#txn(conditions, random.chance(0.5) ? [this.#get()] : []);
  }

  /** As deep as the number of operations lets it be, and every level looks around. */
  #nested(): Request {
    const { random } = this.#o;
    const width = random.pick([1, 2]);
    const depth = random.pick([1, 5, Math.floor((opsMax - 2) / width)]);
    let inner: Request = txnRequest([this.#condition()], [this.#put('deepest')], [this.#get()]);
    for (let level = 1; level < depth; level += 1) {
      const ops: Op[] = [{ type: 'txn', request: inner }];
      if (width === 2) ops.push(random.chance(0.5) ? this.#get() : this.#put(`level${level}`));
      const isChecked = random.chance(0.1);
      inner = txnRequest(isChecked ? [this.#condition()] : [], ops, ops);
      // A branch that is there twice is twice as large at each level.
      if (level > 4) inner = { ...inner, failure: [] };
    }
    return this.#txn([], [{ type: 'txn', request: inner }]);
  }

  /** Values and leases that are to stay as they are, of keys that may not be there. */
  #ignoring(): Request {
    const { random } = this.#o;
    const ignoreValue = random.chance(0.7);
    const ignoreLease = !ignoreValue || random.chance(0.5);
    const key = random.chance(0.3) ? `${prefix}missing` : this.#key();
    const value = ignoreValue ? '' : 'v';
    const put: Op = { type: 'put', key, value, lease: 0n, ignoreValue, ignoreLease };
    // A delete "from here on" is not looked at when puts and deletes are compared.
    const wipe: Op = { type: 'delete', key: prefix, end: '\0' };
    return this.#txn([], random.pick([[put], [put], [put], [wipe, put], [put, wipe]]));
  }

  #wipe(): Request {
    const { random } = this.#o;
    const end = this.#end();
    if (random.chance(0.3)) return hostile(deleteRequest(prefix, random.pick(['\0', '~~', end])));
    return this.#txn([], [{ type: 'delete', key: this.#key(), end }]);
  }

  /** Reads of everything, at all times. */
  #looks(): Request {
    const { random } = this.#o;
    if (random.chance(0.5)) {
      const revision = random.chance(0.5) ? 0 : this.#revision();
      return hostile(getRequest(random.pick(['\0', prefix, this.#key()]), { end: '\0', revision }));
    }
    const count = random.pick([1, 8, 32]);
    return this.#txn(
      [],
      Array.from({ length: count }, () => this.#get()),
    );
  }

  /** Keys and values as long as they may be. */
  #large(): Request {
    const { random } = this.#o;
    const keyBytes = random.pick([1, 1000, 65_536]);
    const valueBytes = random.pick([0, 10_000, valueBytesMax]);
    // Of everything that is longer than its beginning, the last.
    const key = random.chance(0.5) ? '\xff'.repeat(keyBytes) : `${prefix}${'\0'.repeat(keyBytes)}`;
    return this.#txn([], [{ type: 'put', key, value: '\0'.repeat(valueBytes), lease: 0n }]);
  }

  #txn(conditions: readonly Condition[], ops: readonly Op[]): Request {
    const { tokenKey, token } = this.#o;
    const put = (): Op => ({ type: 'put', key: tokenKey, value: token(), lease: 0n });
    return hostile(txnRequest(conditions, [put(), ...ops], [put()]));
  }

  #condition(): Condition {
    const { random, leases } = this.#o;
    const base = { key: this.#key(), end: this.#end(), result: random.pick(relations) };
    const number = random.pick([...extremes, this.#o.revision()]);
    switch (random.below(6)) {
      case 0:
        return { ...base, target: 'value', value: random.pick(['', 'v', 'v'.repeat(1000)]) };
      case 1:
        return { ...base, target: 'lease', lease: random.pick([0n, 1n, -1n, ...leases]) };
      case 2:
        return { ...base, target: 'unknown' };
      case 3:
        return { ...base, target: 'create', number };
      case 4:
        return { ...base, target: 'mod', number };
      default:
        return { ...base, target: 'version', number };
    }
  }

  #get(): Op {
    const { random } = this.#o;
    const revision = random.chance(0.9) ? 0 : this.#revision();
    return { type: 'get', key: this.#key(), end: this.#end(), revision };
  }

  #put(name: string): Op {
    return { type: 'put', key: `${prefix}${name}`, value: 'v', lease: 0n };
  }

  #revision(): number {
    const { random, revision } = this.#o;
    return random.pick([...extremes, Math.max(1, revision() - random.below(20))]);
  }

  #lease(): bigint {
    const { random, leases } = this.#o;
    return random.chance(0.02) ? random.pick([-1n, 2n ** 63n - 1n, ...leases]) : 0n;
  }

  /** No end, one behind all, one before all, the next key, any. */
  #end(): string {
    const { random } = this.#o;
    return random.pick(['', '\0', '\x01', '~~', this.#key(), `${this.#key()}\0`, '\xff']);
  }

  #key(): string {
    const { random, keys } = this.#o;
    return this.#keyAt(random.below(keys));
  }

  #keyAt(at: number): string {
    return `${prefix}${at.toString().padStart(4, '0')}`;
  }
}

function hostile(request: Request): Request {
  return { ...request, isHostile: true };
}
