/**
 * What a client that reads and writes does next, and what it learns from the answers: single keys
 * and several, now and in the past, compare and swap, lists that only grow, the ring. How a call is
 * made, and through whom, is the caller's business.
 */

import type { SimRandom } from '../../src/sim/index.js';
import {
  type Condition,
  compactRequest,
  deleteRequest,
  getRequest,
  type Kv,
  type Op,
  putRequest,
  type Request,
  type Response,
  txnRequest,
} from '../checkers/history.js';
import type { Report } from '../checkers/report.js';
import { judgeRing, ringGet, ringPrefix, ringSize, turnRing, unchanged } from './ring.js';
import type { Workload } from './workload.js';

/** In the order in which the dice is read. */
const kinds = [
  ...(['ring', 'append', 'swap', 'put', 'get', 'stale', 'range'] as const),
  ...(['past', 'delete', 'compact', 'several'] as const),
];

/** Shares of the operations; their sum is a hundred, or a thousand. */
export type KvMix = Readonly<Record<(typeof kinds)[number], number>>;

export interface Span {
  readonly key: string;
  readonly end: string;
}

/** The keys of a run, by number. */
export interface KvKeys {
  readonly count: number;
  key(at: number): string;
  /** Where a delete that begins at this key, and takes more than it, ends. */
  deleteEnd(at: number): string;
  /** What a range reads. */
  range(at: number): Span;
  /** What is read of the past, and within a transaction. */
  glance(at: number): Span;
  /** How many revisions back reads of the past go at the most. */
  pastMax(random: SimRandom): number;
}

export interface KvOperationsOptions {
  readonly client: number;
  readonly random: SimRandom;
  readonly workload: Workload;
  readonly report: Report;
  readonly mix: KvMix;
  readonly keys: KvKeys;
  /** Lists that grow at the same time, and when one is long enough and another begins. */
  readonly lists: number;
  readonly listItemsMax: number;
  /** Gives the answer to `learn` itself. Undefined: no success, as far as anybody knows. */
  readonly call: (request: Request) => Promise<Response | undefined>;
}

const compactionMax = 30;
const listPrefix = 'list/';

export class KvOperations {
  readonly #o: KvOperationsOptions;
  readonly #total: number;
  /** Reads of single keys are shared: a million of them need no memory of their own. */
  readonly #gets: readonly Request[];
  readonly #staleGets: readonly Request[];
  /** What it last saw of a key, for its next condition. */
  readonly #seen = new Map<string, Kv | undefined>();
  #lastRevision = 1;
  #fullLists = 0;

  constructor(options: KvOperationsOptions) {
    this.#o = options;
    const { mix, keys } = options;
    this.#total = kinds.reduce((sum, kind) => sum + mix[kind], 0);
    const all = Array.from({ length: keys.count }, (_, at) => keys.key(at));
    this.#gets = all.map((key) => getRequest(key));
    this.#staleGets = all.map((key) => getRequest(key, { serializable: true }));
  }

  /** Does one of them, to the end. */
  async act(): Promise<void> {
    const kind = this.#draw();
    if (kind === 'ring') await this.#turnRing();
    else if (kind === 'append') await this.#append();
    else if (kind === 'swap') await this.#swap();
    else await this.#o.call(this.#simple(kind));
  }

  #draw(): (typeof kinds)[number] {
    let dice = this.#o.random.below(this.#total);
    for (const kind of kinds) {
      dice -= this.#o.mix[kind];
      if (dice < 0) return kind;
    }
    throw new Error('a dice beyond all shares');
  }

  /** What is one request. */
  #simple(kind: Exclude<(typeof kinds)[number], 'ring' | 'append' | 'swap'>): Request {
    const { random, workload, keys } = this.#o;
    const at = this.#drawAt();
    switch (kind) {
      case 'put':
        return putRequest(keys.key(at), workload.value());
      case 'get':
        return this.#gets[at] as Request;
      case 'stale':
        return this.#staleGets[at] as Request;
      case 'range': {
        const { key, end } = keys.range(at);
        return getRequest(key, { end, serializable: random.chance(0.3) });
      }
      case 'past': {
        // The oldest revision that is left is where a compaction goes wrong by one.
        const { compactedMax: oldest } = workload;
        const atOldest = oldest > 0 && random.chance(0.25);
        const revision = atOldest ? oldest : this.#before(keys.pastMax(random));
        const { key, end } = keys.glance(at);
        return getRequest(key, { end, revision });
      }
      case 'delete':
        return deleteRequest(keys.key(at), random.chance(0.1) ? keys.deleteEnd(at) : '');
      case 'compact': {
        const revision = this.#before(compactionMax);
        workload.compactedMax = Math.max(workload.compactedMax, revision);
        return compactRequest(revision);
      }
      case 'several':
        return this.#several();
    }
  }

  /** Several keys at once. */
  #several(): Request {
    const { random, workload, keys } = this.#o;
    const at = this.#drawAt();
    const [a, b] = [keys.key(at), keys.key(this.#drawAt())];
    const ops: Op[] = [
      { type: 'put', key: a, value: workload.value(), lease: 0n },
      { type: 'get', ...keys.glance(at), revision: 0 },
    ];
    if (b !== a && random.chance(0.5)) {
      ops.push({ type: 'put', key: b, value: workload.value(), lease: 0n });
    } else if (b !== a) ops.push({ type: 'delete', key: b, end: '' });
    const condition: Condition = random.chance(0.5)
      ? { target: 'create', key: b, result: '=', number: 0 }
      : { target: 'version', key: b, result: '>', number: 0 };
    return txnRequest([condition], ops, [{ type: 'get', key: b, end: '', revision: 0 }]);
  }

  /** Compare and swap on what it last saw. */
  async #swap(): Promise<void> {
    const { random, workload, keys, call } = this.#o;
    const at = this.#drawAt();
    const key = keys.key(at);
    if (!this.#seen.has(key) || random.chance(0.3)) await call(this.#gets[at] as Request);
    if (!this.#seen.has(key)) return;
    await call(putIfUnchanged(key, this.#seen.get(key), workload.value()));
  }

  /** A list that only grows: read it, and write it longer if nobody else has. */
  async #append(): Promise<void> {
    const { random, workload, lists, listItemsMax, call } = this.#o;
    const key = `${listPrefix}${this.#fullLists + random.below(lists)}`;
    const before = await call(getRequest(key));
    if (before === undefined) return;
    const kv = kvIn(before, key);
    if (kv !== undefined && kv.value.split(',').length >= listItemsMax) {
      this.#fullLists += 1;
      return;
    }
    const item = workload.value();
    const value = kv === undefined ? item : `${kv.value},${item}`;
    const after = await call(putIfUnchanged(key, kv, value));
    if (after?.succeeded !== true) return;
    const items = workload.appended.get(key) ?? [];
    items.push(item);
    workload.appended.set(key, items);
  }

  async #turnRing(): Promise<void> {
    const { random, workload, call } = this.#o;
    const lay = workload.layRing();
    if (lay !== undefined) {
      await call(lay);
      return;
    }
    const whole = await call(ringGet);
    const turned = turnRing(
      whole,
      () => random.below(ringSize),
      () => workload.value(),
    );
    if (turned !== undefined) await call(turned);
  }

  #drawAt(): number {
    return this.#o.random.below(this.#o.keys.count);
  }

  /** A revision at most so many before the last one it has heard of. */
  #before(revisions: number): number {
    return Math.max(1, this.#lastRevision - this.#o.random.below(revisions));
  }

  /** What an answer says of keys, lists and the ring. */
  learn(request: Request, response: Response): void {
    const { workload, report, client } = this.#o;
    this.#lastRevision = Math.max(this.#lastRevision, response.revision);
    workload.newestRevision = Math.max(workload.newestRevision, response.revision);
    const ops = response.succeeded ? request.success : request.failure;
    for (const [i, op] of ops.entries()) {
      const result = response.results[i];
      if (op.type !== 'get' || result?.type !== 'get' || op.revision !== 0) continue;
      if (op.end === '' && !request.serializable) this.#seen.set(op.key, result.kvs[0]);
      for (const { key, value } of result.kvs) {
        if (!key.startsWith(listPrefix)) continue;
        workload.listReads.push({ key, items: value.split(','), who: `client ${client}` });
      }
      if (op.key === ringPrefix && result.kvs.length > 0) report.add(judgeRing(result.kvs));
    }
  }
}

function putIfUnchanged(key: string, kv: Kv | undefined, value: string): Request {
  return txnRequest(
    [unchanged(key, kv)],
    [{ type: 'put', key, value, lease: 0n }],
    [{ type: 'get', key, end: '', revision: 0 }],
  );
}

function kvIn(response: Response, key: string): Kv | undefined {
  for (const result of response.results) {
    const found = result.type === 'get' ? result.kvs.find((kv) => kv.key === key) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}
