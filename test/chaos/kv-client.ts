/**
 * A client that reads and writes: one call at a time, at a steady pace, through one member until
 * that does not answer any more. Nothing is sent again; what has no answer has an unknown outcome.
 *
 * Some are stubborn: they know one member only, and go on asking it while it is stopped or cut off.
 * Without them nobody would be there to hear what a leader of yesterday says when it wakes up.
 */

import type { SimRandom } from '../../src/sim/index.js';
import {
  type Condition,
  deleteRequest,
  getRequest,
  type Kv,
  type Op,
  putRequest,
  type Request,
  type Response,
  txnRequest,
} from '../checkers/history.js';
import { checkRing } from '../checkers/oracles.js';
import { fromWire, isDefinite, toWire } from '../sim/calls.js';
import { type Connection, sleep } from './connection.js';
import type { ChaosMember } from './member.js';
import { ringKey, type World } from './world.js';

const path = '/etcdserverpb.KV/';
const keyCount = 32;
const timeoutMsMin = 500;
const timeoutMsMax = 3000;
const stubbornMs = 400;
/** A list longer than this is left alone; another begins. */
const listItemsMax = 60;
const ringGet = getRequest('ring/', { end: 'ring0' });
/** Reads of single keys are shared: a million of them need no memory of their own. */
const gets = Array.from({ length: keyCount }, (_, i) => getRequest(keyOf(i)));
const staleGets = Array.from({ length: keyCount }, (_, i) =>
  getRequest(keyOf(i), { serializable: true }),
);

function keyOf(i: number): string {
  return `k${String(i).padStart(2, '0')}`;
}

export class KvClient {
  readonly number: number;
  readonly #world: World;
  readonly #random: SimRandom;
  readonly #intervalMs: number;
  readonly #only: ChaosMember | undefined;
  /** What it last saw of a key, for its next condition. */
  readonly #known = new Map<string, Kv | undefined>();
  #connection: Connection | undefined;
  #lastMember = '';
  #lastRevision = 1;
  #list = 0;

  /** `only`: the one member that a stubborn one knows. */
  constructor(world: World, random: SimRandom, intervalMs: number, only?: ChaosMember) {
    this.#world = world;
    this.#only = only;
    this.#random = random;
    this.#intervalMs = intervalMs;
    this.number = world.clientNumber();
  }

  async run(): Promise<void> {
    const world = this.#world;
    let dueMs = world.nowMs() + this.#intervalMs * this.#random.float();
    while (!world.stopping) {
      const waitMs = dueMs - world.nowMs();
      if (waitMs > 0) await sleep(waitMs);
      // After a pause the load does not rise to make up for it.
      dueMs = Math.max(dueMs, world.nowMs() - this.#intervalMs) + this.#intervalMs;
      if (world.stopping) break;
      await this.#act();
    }
    this.#connection?.close();
  }

  async #act(): Promise<void> {
    const dice = this.#random.below(1000);
    if (dice < 20) await this.#turnRing();
    else if (dice < 40) await this.#append();
    else if (dice < 120) await this.#swap();
    else await this.call(this.#simple(dice));
  }

  #simple(dice: number): Request {
    const random = this.#random;
    const at = random.below(keyCount);
    if (dice < 430) return putRequest(keyOf(at), this.#world.value());
    if (dice < 780) return gets[at] as Request;
    if (dice < 870) return staleGets[at] as Request;
    if (dice < 890) {
      return getRequest(keyOf(at), { end: keyOf(at + 3), serializable: random.chance(0.3) });
    }
    if (dice < 920) {
      // Some of the past, and now and then so much of it that it may be compacted away.
      const back = random.chance(0.1) ? 4000 : 50;
      const revision = Math.max(1, this.#lastRevision - random.below(back));
      return getRequest(keyOf(at), { revision });
    }
    if (dice < 950) return deleteRequest(keyOf(at), random.chance(0.1) ? keyOf(at + 3) : '');
    return this.#several();
  }

  /** Several keys at once. */
  #several(): Request {
    const [a, b] = [this.#key(), this.#key()];
    const ops: Op[] = [
      { type: 'put', key: a, value: this.#world.value(), lease: 0n },
      { type: 'get', key: a, end: '', revision: 0 },
    ];
    if (b !== a && this.#random.chance(0.5)) {
      ops.push({ type: 'put', key: b, value: this.#world.value(), lease: 0n });
    } else if (b !== a) ops.push({ type: 'delete', key: b, end: '' });
    const condition: Condition = this.#random.chance(0.5)
      ? { target: 'create', key: b, result: '=', number: 0 }
      : { target: 'version', key: b, result: '>', number: 0 };
    return txnRequest([condition], ops, [{ type: 'get', key: b, end: '', revision: 0 }]);
  }

  /** Compare and swap on what it last saw. */
  async #swap(): Promise<void> {
    const at = this.#random.below(keyCount);
    const key = keyOf(at);
    if (!this.#known.has(key) || this.#random.chance(0.3)) await this.call(gets[at] as Request);
    if (!this.#known.has(key)) return;
    await this.call(this.#putIfUnchanged(key, this.#known.get(key), this.#world.value()));
  }

  /** A list that only grows: read it, and write it longer if nobody else has. */
  async #append(): Promise<void> {
    const key = `list/${this.#list}`;
    const before = await this.call(getRequest(key));
    if (before === undefined) return;
    const kv = kvIn(before, key);
    if (kv !== undefined && kv.value.split(',').length >= listItemsMax) {
      this.#list += 1;
      return;
    }
    const item = this.#world.value();
    const value = kv === undefined ? item : `${kv.value},${item}`;
    const after = await this.call(this.#putIfUnchanged(key, kv, value));
    if (after?.succeeded !== true) return;
    const items = this.#world.appended.get(key) ?? [];
    items.push(item);
    this.#world.appended.set(key, items);
  }

  /** a>b>c>d becomes a>c>b>d, if nobody touched a, b and c meanwhile. */
  async #turnRing(): Promise<void> {
    const { ringSize } = this.#world;
    const lay = this.#world.layRing();
    if (lay !== undefined) {
      await this.call(lay);
      return;
    }
    const whole = await this.call(ringGet);
    const nodes = new Map(
      (whole?.results[0]?.type === 'get' ? whole.results[0].kvs : []).map((kv) => [kv.key, kv]),
    );
    if (nodes.size !== ringSize) return;
    const next = (at: number): number => Number(nodes.get(ringKey(at))?.value.split('#')[0]);
    const a = this.#random.below(ringSize);
    const [b, c, d] = [next(a), next(next(a)), next(next(next(a)))];
    const point = (from: number, to: number): Op => {
      return { type: 'put', key: ringKey(from), value: `${to}#${this.#world.value()}`, lease: 0n };
    };
    const conditions = [a, b, c].map((at) => unchanged(ringKey(at), nodes.get(ringKey(at))));
    await this.call(txnRequest(conditions, [point(a, c), point(c, b), point(b, d)]));
  }

  #putIfUnchanged(key: string, kv: Kv | undefined, value: string): Request {
    return txnRequest(
      [unchanged(key, kv)],
      [{ type: 'put', key, value, lease: 0n }],
      [{ type: 'get', key, end: '', revision: 0 }],
    );
  }

  #key(): string {
    return keyOf(this.#random.below(keyCount));
  }

  /** Undefined if it did not succeed, as far as anybody knows. */
  async call(request: Request): Promise<Response | undefined> {
    const world = this.#world;
    if (this.#connection?.usable !== true) {
      this.#connection?.close();
      this.#connection = await (this.#only === undefined
        ? world.connect(this.#random, this.#lastMember)
        : world.connectTo(this.#only, this.#random));
    }
    const connection = this.#connection;
    if (connection === undefined) return undefined;
    this.#lastMember = connection.member;
    const { method, bytes } = toWire(request);
    const timeoutMs =
      this.#only === undefined ? this.#random.between(timeoutMsMin, timeoutMsMax) : stubbornMs;
    const id = world.history.begin(this.number, world.nowMs(), request);
    const answer = await connection.call(`${path}${method}`, bytes, timeoutMs);
    if (!answer.ok) {
      const text = `${answer.code} ${answer.text}`;
      const { history } = world;
      if (!answer.maySent || isDefinite(answer)) history.fail(id, world.nowMs(), text);
      else history.lose(id, text);
      // One that can't answer now may not for a while.
      if (!isDefinite(answer) && this.#only === undefined) this.#leave();
      return undefined;
    }
    const response = fromWire(request, answer.message);
    world.history.succeed(id, world.nowMs(), response);
    this.#learn(request, response);
    return response;
  }

  #leave(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  #learn(request: Request, response: Response): void {
    this.#lastRevision = Math.max(this.#lastRevision, response.revision);
    const ops = response.succeeded ? request.success : request.failure;
    for (const [i, op] of ops.entries()) {
      const result = response.results[i];
      if (op.type !== 'get' || result?.type !== 'get' || op.revision !== 0) continue;
      if (op.end === '' && !request.serializable) this.#known.set(op.key, result.kvs[0]);
      for (const kv of result.kvs) {
        if (!kv.key.startsWith('list/')) continue;
        const items = kv.value.split(',');
        this.#world.listReads.push({ key: kv.key, items, who: `client ${this.number}` });
      }
      if (op.key === 'ring/' && result.kvs.length > 0) this.#checkRing(result.kvs);
    }
  }

  #checkRing(kvs: readonly Kv[]): void {
    const next = new Map(
      kvs.map((kv) => [Number(kv.key.slice(5)), Number(kv.value.split('#')[0])]),
    );
    this.#world.report.add(checkRing(next, this.#world.ringSize));
  }
}

function kvIn(response: Response, key: string): Kv | undefined {
  for (const result of response.results) {
    const found = result.type === 'get' ? result.kvs.find((kv) => kv.key === key) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function unchanged(key: string, kv: Kv | undefined): Condition {
  const valueThen = kv?.value ?? null;
  return { target: 'mod', key, result: '=', number: kv?.mod ?? 0, valueThen };
}
