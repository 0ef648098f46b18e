/**
 * Clients that read and write through random members, each with one call at a time and a time limit
 * of its own: what is not answered by then has an unknown outcome, and nothing is ever sent again.
 */

import { GrpcCode } from '../../src/common/index.js';
import type { SimRandom } from '../../src/sim/index.js';
import {
  type Condition,
  compactRequest,
  deleteRequest,
  describeRequest,
  getRequest,
  type History,
  type Kv,
  type Op,
  putRequest,
  type Request,
  type Response,
  txnRequest,
} from '../checkers/history.js';
import { checkRing, type ListRead, type MemberHash } from '../checkers/oracles.js';
import type { Report } from '../checkers/report.js';
import { callUnary, type Outcome } from '../helpers/in-process-call.js';
import { fromWire, isDefinite, toWire } from './calls.js';
import { type Knobs, requestTimeoutMs } from './knobs.js';
import type { SimProcess } from './machine.js';
import type { Trace } from './trace.js';

/** What clients need of the world. */
export interface ClientWorld {
  readonly knobs: Knobs;
  readonly history: History;
  readonly trace: Trace;
  readonly report: Report;
  nowMs(): number;
  sleep(ms: number): Promise<void>;
  /** A member that clients can reach now. */
  anyServing(random: SimRandom): SimProcess | undefined;
  readonly stopping: boolean;
}

/**
 * A call with a time limit; undefined: no answer came. With `cancels` the member is told when the
 * caller gives up.
 */
export function callWithin(
  world: ClientWorld,
  process: SimProcess,
  method: string,
  bytes: Buffer,
  timeoutMs: number,
  cancels = false,
): Promise<Outcome | undefined> {
  return new Promise((resolve) => {
    let isOpen = true;
    let cancel = (): void => {};
    world.sleep(timeoutMs).then(() => {
      isOpen = false;
      resolve(undefined);
      if (cancels) process.clock.afterTurn(() => cancel());
    });
    const started = (by: () => void): void => {
      cancel = by;
    };
    // A stopped process gets the call when it goes on; one that dies never does.
    process.clock.afterTurn(() => {
      if (!isOpen || !process.alive) return;
      callUnary(process.methods, method, bytes, started).then((outcome) => {
        if (process.alive) resolve(outcome);
      });
    });
  });
}

/** Some wait for the member to give up; most give up sooner. */
function limitMs(knobs: Knobs, random: SimRandom): number {
  if (random.chance(0.3)) return requestTimeoutMs(knobs) * 1.5;
  return knobs.electionMs * (1 + 4 * random.float());
}

/** No client waits longer for an answer. */
export function callMsMax(knobs: Knobs): number {
  return Math.max(requestTimeoutMs(knobs) * 1.5, knobs.electionMs * 5);
}

/** Nothing that a client asks for is a member's own mistake. */
export function judgeError(
  world: ClientWorld,
  outcome: Outcome | undefined,
  what: () => string,
): void {
  if (outcome === undefined || outcome.ok) return;
  const { code, text } = outcome;
  const isBad = code === GrpcCode.INTERNAL && !text.startsWith('grpc: error unmarshalling request');
  world.report.check(
    'answer: no internal error',
    !isBad && code !== GrpcCode.DATA_LOSS,
    () => `${code} ${text}: ${what()}`,
    world.nowMs(),
  );
}

const ringSize = 5;
const ringKey = (at: number): string => `ring/${at}`;
const ringGet = getRequest('ring/', { end: 'ring0' });

/** What all clients of a run share. */
export class Workload {
  readonly listReads: ListRead[] = [];
  readonly appended = new Map<string, string[]>();
  readonly hashes: MemberHash[] = [];
  /** Newest compaction that anybody asked for. */
  compactedMax = 0;
  newestRevision = 1;
  #lastValue = 0;
  #ringIsAsked = false;

  value(): string {
    this.#lastValue += 1;
    return `v${this.#lastValue}`;
  }

  /** The transaction that lays the ring, once. */
  layRing(): Request | undefined {
    if (this.#ringIsAsked) return undefined;
    this.#ringIsAsked = true;
    const puts = Array.from({ length: ringSize }, (_, at): Op => {
      const value = `${(at + 1) % ringSize}#${this.value()}`;
      return { type: 'put', key: ringKey(at), value, lease: 0n };
    });
    return txnRequest([{ target: 'create', key: ringKey(0), result: '=', number: 0 }], puts, [
      { type: 'get', key: ringKey(0), end: '', revision: 0 },
    ]);
  }
}

export class Client {
  readonly #world: ClientWorld;
  readonly #shared: Workload;
  readonly #id: number;
  readonly #random: SimRandom;
  /** What it last saw of a key, for its next condition. */
  readonly #seen = new Map<string, Kv | undefined>();
  #lastRevision = 1;

  constructor(world: ClientWorld, shared: Workload, id: number, random: SimRandom) {
    this.#world = world;
    this.#shared = shared;
    this.#id = id;
    this.#random = random;
  }

  async run(): Promise<void> {
    const { knobs } = this.#world;
    while (!this.#world.stopping) {
      await this.#world.sleep(2 * knobs.thinkMs * this.#random.float());
      if (this.#world.stopping) return;
      await this.#act();
    }
  }

  async #act(): Promise<void> {
    const dice = this.#random.below(100);
    if (dice < 6) await this.#turnRing();
    else if (dice < 14) await this.#append();
    else if (dice < 24) await this.#swap();
    else await this.call(this.#simple(dice));
  }

  #simple(dice: number): Request {
    const random = this.#random;
    const key = this.#key();
    if (dice < 48) return putRequest(key, this.#shared.value());
    if (dice < 62) return getRequest(key);
    if (dice < 70) return getRequest(key, { serializable: true });
    if (dice < 76) return getRequest('k', { end: 'l', serializable: random.chance(0.3) });
    if (dice < 82) {
      const revision = Math.max(1, this.#lastRevision - random.below(20));
      return getRequest('k', { end: 'l', revision });
    }
    if (dice < 88) return deleteRequest(key, random.chance(0.1) ? 'l' : '');
    if (dice < 90) {
      const revision = Math.max(1, this.#lastRevision - random.below(30));
      this.#shared.compactedMax = Math.max(this.#shared.compactedMax, revision);
      return compactRequest(revision);
    }
    return this.#several();
  }

  /** Several keys at once. */
  #several(): Request {
    const [a, b] = [this.#key(), this.#key()];
    const value = this.#shared.value();
    const ops: Op[] = [
      { type: 'put', key: a, value, lease: 0n },
      { type: 'get', key: 'k', end: 'l', revision: 0 },
    ];
    if (b !== a && this.#random.chance(0.5)) {
      ops.push({ type: 'put', key: b, value: this.#shared.value(), lease: 0n });
    } else if (b !== a) ops.push({ type: 'delete', key: b, end: '' });
    const condition: Condition = this.#random.chance(0.5)
      ? { target: 'create', key: b, result: '=', number: 0 }
      : { target: 'version', key: b, result: '>', number: 0 };
    return txnRequest([condition], ops, [{ type: 'get', key: b, end: '', revision: 0 }]);
  }

  /** Compare and swap on what it last saw. */
  async #swap(): Promise<void> {
    const key = this.#key();
    if (!this.#seen.has(key) || this.#random.chance(0.3)) await this.call(getRequest(key));
    if (!this.#seen.has(key)) return;
    const kv = this.#seen.get(key);
    await this.call(
      txnRequest(
        [unchanged(key, kv)],
        [{ type: 'put', key, value: this.#shared.value(), lease: 0n }],
        [{ type: 'get', key, end: '', revision: 0 }],
      ),
    );
  }

  /** A list that only grows: read it, and write it longer if nobody else has. */
  async #append(): Promise<void> {
    const key = `list/${this.#random.below(2)}`;
    const before = await this.call(getRequest(key));
    if (before === undefined) return;
    const kv = kvIn(before, key);
    const item = this.#shared.value();
    const value = kv === undefined ? item : `${kv.value},${item}`;
    const request = txnRequest(
      [unchanged(key, kv)],
      [{ type: 'put', key, value, lease: 0n }],
      [{ type: 'get', key, end: '', revision: 0 }],
    );
    const after = await this.call(request);
    if (after?.succeeded !== true) return;
    const items = this.#shared.appended.get(key) ?? [];
    items.push(item);
    this.#shared.appended.set(key, items);
  }

  /** FoundationDB's Cycle: a>b>c>d becomes a>c>b>d, if nobody touched a, b and c meanwhile. */
  async #turnRing(): Promise<void> {
    const lay = this.#shared.layRing();
    if (lay !== undefined) {
      await this.call(lay);
      return;
    }
    const whole = await this.call(ringGet);
    const nodes = new Map(
      (whole?.results[0]?.type === 'get' ? whole.results[0].kvs : []).map((kv) => [kv.key, kv]),
    );
    if (nodes.size !== ringSize) return;
    const a = this.#random.below(ringSize);
    const b = nextIn(nodes, a);
    const c = nextIn(nodes, b);
    const d = nextIn(nodes, c);
    const point = (from: number, to: number): Op => {
      return { type: 'put', key: ringKey(from), value: `${to}#${this.#shared.value()}`, lease: 0n };
    };
    const conditions = [a, b, c].map((at) => unchanged(ringKey(at), nodes.get(ringKey(at))));
    await this.call(txnRequest(conditions, [point(a, c), point(c, b), point(b, d)]));
  }

  #key(): string {
    return `k${this.#random.below(this.#world.knobs.keys)}`;
  }

  /** Calls a random member; undefined if that did not succeed. */
  async call(request: Request): Promise<Response | undefined> {
    const world = this.#world;
    const process = world.anyServing(this.#random);
    if (process === undefined) return undefined;
    const { history, trace, knobs } = world;
    const id = history.begin(this.#id, world.nowMs(), request);
    trace.add(`client ${this.#id} asks ${process.name} #${id} ${describeRequest(request)}`);
    const { method, bytes } = toWire(request);
    const timeoutMs = limitMs(knobs, this.#random);
    const path = `/etcdserverpb.KV/${method}`;
    const cancels = this.#random.chance(0.5);
    const outcome = await callWithin(world, process, path, bytes, timeoutMs, cancels);
    if (outcome === undefined || !outcome.ok) {
      const text = outcome === undefined ? 'no answer' : `${outcome.code} ${outcome.text}`;
      trace.add(`#${id} ${text}`);
      judgeError(world, outcome, () => `#${id} of client ${this.#id}: ${describeRequest(request)}`);
      if (outcome !== undefined && isDefinite(outcome)) history.fail(id, world.nowMs(), text);
      else history.lose(id, text);
      return undefined;
    }
    const response = fromWire(request, outcome.message);
    history.succeed(id, world.nowMs(), response);
    trace.add(`#${id} @${response.revision} ${response.succeeded}`);
    this.#learn(request, response);
    return response;
  }

  #learn(request: Request, response: Response): void {
    this.#lastRevision = Math.max(this.#lastRevision, response.revision);
    this.#shared.newestRevision = Math.max(this.#shared.newestRevision, response.revision);
    const ops = response.succeeded ? request.success : request.failure;
    for (const [i, op] of ops.entries()) {
      const result = response.results[i];
      if (op.type !== 'get' || result?.type !== 'get' || op.revision !== 0) continue;
      if (op.end === '' && !request.serializable) this.#seen.set(op.key, result.kvs[0]);
      for (const kv of result.kvs) if (kv.key.startsWith('list/')) this.#list(kv);
      if (op.key === 'ring/' && result.kvs.length > 0) this.#ring(result.kvs);
    }
  }

  #list(kv: Kv): void {
    const { listReads } = this.#shared;
    listReads.push({ key: kv.key, items: kv.value.split(','), who: `client ${this.#id}` });
  }

  #ring(kvs: readonly Kv[]): void {
    const next = new Map(
      kvs.map((kv) => [Number(kv.key.slice(5)), Number(kv.value.split('#')[0])]),
    );
    this.#world.report.add(checkRing(next, ringSize));
  }
}

function nextIn(nodes: ReadonlyMap<string, Kv>, at: number): number {
  return Number(nodes.get(ringKey(at))?.value.split('#')[0]);
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
