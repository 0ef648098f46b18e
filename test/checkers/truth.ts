/**
 * What really happened to the store, revision by revision: from the log that members applied, or
 * from a watch of everything from revision 1. Answers what any key was at any revision, and what a
 * request does to the store as it was then: the model that answers are held against, written
 * without a look at the server's.
 */

import type { Condition, Kv, Op, OpResult, Request, Response } from './history.js';

/** One change of a key; a delete has an empty value and zeros. */
export interface Change {
  readonly type: 'put' | 'delete';
  readonly key: string;
  readonly value: string;
  readonly create: number;
  readonly version: number;
  readonly lease: bigint;
}

/** All changes of one revision, in order. */
export interface Commit {
  readonly revision: number;
  readonly changes: readonly Change[];
}

interface KeyHistory {
  readonly revisions: number[];
  /** Undefined: deleted. The last one of a revision counts. */
  readonly states: Array<Kv | undefined>;
}

/** What decides beside the keys whether a request can be done. */
export interface StoreState {
  readonly leases: ReadonlySet<bigint>;
  readonly compactRevision: number;
}

/** What a request does and answers. */
export interface Effect {
  readonly succeeded: boolean;
  readonly results: readonly OpResult[];
  readonly changes: readonly Change[];
}

export class Truth {
  readonly commits: Commit[] = [];
  readonly #keys = new Map<string, KeyHistory>();
  #sorted: string[] | undefined;

  /** Newest revision; 1 when nothing has been written. */
  get revision(): number {
    return this.commits.length + 1;
  }

  /** Appends the next revision. */
  append(changes: readonly Change[]): Commit {
    const revision = this.revision + 1;
    const commit = { revision, changes };
    this.commits.push(commit);
    for (const change of changes) this.#note(change, revision);
    return commit;
  }

  /** What was committed at `revision`; undefined if that is not known (or revision 1). */
  commit(revision: number): Commit | undefined {
    return this.commits[revision - 2];
  }

  /** The key as of `revision`. */
  at(key: string, revision: number): Kv | undefined {
    const history = this.#keys.get(key);
    if (history === undefined) return undefined;
    return history.states[upperBound(history.revisions, revision) - 1];
  }

  /** All keys in [key, end) as of `revision`, in order. */
  range(key: string, end: string, revision: number): Kv[] {
    if (end === '') {
      const kv = this.at(key, revision);
      return kv === undefined ? [] : [kv];
    }
    this.#sorted ??= [...this.#keys.keys()].sort();
    const found: Kv[] = [];
    for (let i = lowerBound(this.#sorted, key); i < this.#sorted.length; i += 1) {
      const name = this.#sorted[i] as string;
      if (!isInRange(name, key, end)) break;
      const kv = this.at(name, revision);
      if (kv !== undefined) found.push(kv);
    }
    return found;
  }

  /** What `request` does to the store as of `revision`, and answers: pure. */
  effect(request: Request, revision: number): Effect {
    const view = new View(this, revision);
    const { succeeded, results } = view.run(request);
    return { succeeded, results, changes: view.changes };
  }

  /**
   * True if something on the chosen path can't be done to the store as of `revision`, before
   * anything of it is done: then nothing is.
   */
  refuses(request: Request, revision: number, state: StoreState): boolean {
    const view = new View(this, revision);
    const isRefused = (op: Op): boolean => {
      switch (op.type) {
        case 'put':
          if (op.lease !== 0n && !state.leases.has(op.lease)) return true;
          if (op.ignoreValue !== true && op.ignoreLease !== true) return false;
          return this.at(op.key, revision) === undefined;
        case 'get':
          if (op.revision === 0) return false;
          return op.revision > revision || op.revision < state.compactRevision;
        case 'txn':
          return this.refuses(op.request, revision, state);
        case 'delete':
          return false;
      }
    };
    return view.chosen(request).some(isRefused);
  }

  #note(change: Change, revision: number): void {
    const { type, key, value, create, version, lease } = change;
    let history = this.#keys.get(key);
    if (history === undefined) {
      history = { revisions: [], states: [] };
      this.#keys.set(key, history);
      this.#sorted = undefined;
    }
    if (history.revisions.at(-1) === revision) {
      history.revisions.pop();
      history.states.pop();
    }
    history.revisions.push(revision);
    const state = { key, value, create, mod: revision, version, lease };
    history.states.push(type === 'delete' ? undefined : state);
  }
}

/** The store as of a revision, and what a transaction has changed so far. */
class View {
  readonly changes: Change[] = [];
  readonly #truth: Truth;
  readonly #revision: number;
  readonly #own = new Map<string, Kv | undefined>();

  constructor(truth: Truth, revision: number) {
    this.#truth = truth;
    this.#revision = revision;
  }

  /** All conditions look at the store as it was before the outermost transaction, as in etcd. */
  holds(condition: Condition): boolean {
    const { key, end = '' } = condition;
    if (end === '') return isFulfilled(condition, this.#truth.at(key, this.#revision));
    const kvs = this.#truth.range(key, end, this.#revision);
    if (kvs.length === 0) return isFulfilled(condition, undefined);
    return kvs.every((kv) => isFulfilled(condition, kv));
  }

  chosen({ conditions, success, failure }: Request): readonly Op[] {
    return conditions.every((condition) => this.holds(condition)) ? success : failure;
  }

  run(request: Request): OpResult & { readonly type: 'txn' } {
    const succeeded = request.conditions.every((condition) => this.holds(condition));
    const ops = succeeded ? request.success : request.failure;
    return { type: 'txn', succeeded, results: ops.map((op) => this.apply(op)) };
  }

  apply(op: Op): OpResult {
    switch (op.type) {
      case 'txn':
        return this.run(op.request);
      case 'put':
        this.#put(op);
        return { type: 'put' };
      case 'delete':
        return { type: 'delete', deleted: this.#delete(op.key, op.end) };
      case 'get': {
        const past = op.revision > 0 && op.revision <= this.#revision;
        if (past) {
          return { type: 'get', kvs: this.#truth.range(op.key, op.end, op.revision) };
        }
        return { type: 'get', kvs: this.#range(op.key, op.end) };
      }
    }
  }

  #get(key: string): Kv | undefined {
    return this.#own.has(key) ? this.#own.get(key) : this.#truth.at(key, this.#revision);
  }

  #put(op: Op & { readonly type: 'put' }): void {
    const { key } = op;
    const before = this.#get(key);
    const value = op.ignoreValue ? (before?.value ?? op.value) : op.value;
    const lease = op.ignoreLease ? (before?.lease ?? 0n) : op.lease;
    const mod = this.#revision + 1;
    const create = before?.create ?? mod;
    const version = (before?.version ?? 0) + 1;
    this.#own.set(key, { key, value, create, mod, version, lease });
    this.changes.push({ type: 'put', key, value, create, version, lease });
  }

  #delete(key: string, end: string): number {
    const found = this.#range(key, end);
    for (const kv of found) {
      this.#own.set(kv.key, undefined);
      this.changes.push(deleted(kv.key));
    }
    return found.length;
  }

  #range(key: string, end: string): Kv[] {
    if (this.#own.size === 0) return this.#truth.range(key, end, this.#revision);
    const found = this.#truth
      .range(key, end, this.#revision)
      .filter((kv) => !this.#own.has(kv.key));
    for (const [name, kv] of this.#own) {
      if (kv !== undefined && isInRange(name, key, end)) found.push(kv);
    }
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }
}

export function deleted(key: string): Change {
  return { type: 'delete', key, value: '', create: 0, version: 0, lease: 0n };
}

/** As etcd: '' is the key alone, '\0' everything from it on. */
export function isInRange(name: string, key: string, end: string): boolean {
  if (end === '') return name === key;
  return name >= key && (end === '\0' || name < end);
}

function isFulfilled(condition: Condition, kv: Kv | undefined): boolean {
  const { result } = condition;
  switch (condition.target) {
    case 'value':
      // As etcd: no condition on the value of a key that is not there holds.
      return kv !== undefined && isRelated(kv.value, result, condition.value);
    case 'lease':
      return isRelated(kv?.lease ?? 0n, result, condition.lease);
    case 'unknown':
      return isRelated(0, result, 0);
    default:
      return isRelated(kv?.[condition.target] ?? 0, result, condition.number);
  }
}

function isRelated<T extends string | number | bigint>(
  left: T,
  result: Condition['result'],
  right: T,
): boolean {
  switch (result) {
    case 'any':
      return true;
    case '=':
      return left === right;
    case '!=':
      return left !== right;
    case '<':
      return left < right;
    case '>':
      return left > right;
  }
}

/** Undefined if `response` is what `effect` says, else the difference. */
export function difference(
  effect: Pick<Effect, 'succeeded' | 'results'>,
  response: Pick<Response, 'succeeded' | 'results'>,
): string | undefined {
  if (effect.succeeded !== response.succeeded) {
    return `the conditions ${effect.succeeded ? 'hold' : 'do not hold'}`;
  }
  if (effect.results.length !== response.results.length) return 'another number of results';
  for (const [i, expected] of effect.results.entries()) {
    const found = response.results[i] as OpResult;
    if (expected.type !== found.type) return `result ${i} is a ${found.type}`;
    if (expected.type === 'delete' && found.type === 'delete') {
      if (expected.deleted !== found.deleted) {
        return `deleted ${found.deleted} instead of ${expected.deleted}`;
      }
    }
    if (expected.type === 'txn' && found.type === 'txn') {
      const what = difference(expected, found);
      if (what !== undefined) return what;
    }
    if (expected.type !== 'get' || found.type !== 'get') continue;
    const what = kvsDifference(expected.kvs, found.kvs);
    if (what !== undefined) return what;
  }
  return undefined;
}

export function kvsDifference(expected: readonly Kv[], found: readonly Kv[]): string | undefined {
  for (let i = 0; i < Math.max(expected.length, found.length); i += 1) {
    const a = expected[i];
    const b = found[i];
    if (a === undefined || b === undefined || !isSameKv(a, b)) {
      return `${b === undefined ? 'nothing' : show(b)} instead of ${a === undefined ? 'nothing' : show(a)}`;
    }
  }
  return undefined;
}

function isSameKv(a: Kv, b: Kv): boolean {
  return (
    a.key === b.key &&
    a.value === b.value &&
    a.mod === b.mod &&
    a.create === b.create &&
    a.version === b.version &&
    a.lease === b.lease
  );
}

export function isSameChange(a: Change, b: Change): boolean {
  return (
    a.type === b.type &&
    a.key === b.key &&
    a.value === b.value &&
    a.create === b.create &&
    a.version === b.version &&
    a.lease === b.lease
  );
}

function show(kv: Kv): string {
  return `${kv.key}=${kv.value}@${kv.mod}(create ${kv.create}, version ${kv.version}, lease ${kv.lease})`;
}

/** Index of the first element >= `wanted`. */
function lowerBound(sorted: readonly string[], wanted: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as string) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Number of elements <= `wanted`. */
function upperBound(sorted: readonly number[], wanted: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) <= wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
