/**
 * Clients that read and write through random members, each with one call at a time and a time limit
 * of its own: what is not answered by then has an unknown outcome, and nothing is ever sent again.
 */

import { GrpcCode } from '../../src/common/index.js';
import type { SimRandom } from '../../src/sim/index.js';
import { describeRequest, type History, type Request, type Response } from '../checkers/history.js';
import type { Report } from '../checkers/report.js';
import { callUnary, type Outcome } from '../helpers/in-process-call.js';
import { type KvKeys, type KvMix, KvOperations, type Span } from '../workload/kv-operations.js';
import { describeOutcome, settleOperation } from '../workload/outcome.js';
import { toWire } from '../workload/request-codec.js';
import type { Workload } from '../workload/workload.js';
import type { Credentials } from './credentials.js';
import { type Knobs, requestTimeoutMs } from './knobs.js';
import { answerLimits, readingUser, type SimProcess } from './machine.js';
import { judgeReader } from './member-checks.js';
import type { Trace } from './trace.js';

/** What clients need of the world. */
export interface ClientWorld {
  readonly knobs: Knobs;
  readonly history: History;
  readonly trace: Trace;
  readonly report: Report;
  readonly workload: Workload;
  nowMs(): number;
  sleep(ms: number): Promise<void>;
  /** Who makes such a call, unless somebody else is said to; undefined: auth is off in this run. */
  credentialsFor(path: string): Credentials | undefined;
  /** A member that clients can reach now. */
  anyServing(random: SimRandom): SimProcess | undefined;
  readonly stopping: boolean;
}

/**
 * A call with a time limit; undefined: no answer came. With `cancels` the member is told when the
 * caller gives up. Who has to say who he is authenticates first, if he has no token.
 */
export async function callWithin(
  world: ClientWorld,
  process: SimProcess,
  method: string,
  bytes: Buffer,
  timeoutMs: number,
  cancels = false,
  credentials = world.credentialsFor(method),
): Promise<Outcome | undefined> {
  if (credentials === undefined) return callOnce(world, process, method, bytes, timeoutMs, cancels);
  await authenticate(world, process, credentials);
  const { token } = credentials;
  // A cluster that waits for a new member gives out no tokens, but somebody has to ask it.
  const who = { token, certificateOf: token === undefined ? credentials.certificateOf : '' };
  const outcome = await callOnce(world, process, method, bytes, timeoutMs, cancels, who);
  if (outcome?.ok === false) credentials.heard(token, outcome.text);
  return outcome;
}

/** Gets a token, unless there is one. */
export function authenticate(
  world: ClientWorld,
  process: SimProcess,
  credentials: Credentials,
): Promise<void> {
  const timeoutMs = world.knobs.electionMs * 3;
  return credentials.ensure((path, request) => callOnce(world, process, path, request, timeoutMs));
}

function callOnce(
  world: ClientWorld,
  process: SimProcess,
  method: string,
  bytes: Buffer,
  timeoutMs: number,
  cancels = false,
  who: { readonly token?: string | undefined; readonly certificateOf?: string } = {},
): Promise<Outcome | undefined> {
  const { token, certificateOf } = who;
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
      const { methods, room } = process;
      const memory = { room, user: readingUser() };
      process.callsOpen += 1;
      callUnary(methods, method, bytes, started, token, memory, certificateOf).then((outcome) => {
        judgeMemory(world, process);
        judgeReader(world.report, process, method, bytes, outcome);
        if (process.alive) resolve(outcome);
      });
    });
  });
}

/** A call has been answered: what answers hold is bounded, and with the last call nothing is held. */
function judgeMemory({ report }: ClientWorld, process: SimProcess): void {
  const { room } = process;
  const bytesMax = answerLimits.serverBacklogBytesMax;
  const has = (): string => `${room.bytes} bytes, ${room.waiting} wait, at ${process.name}`;
  report.check('answers: bounded memory', room.bytes <= bytesMax, has);
  process.callsOpen -= 1;
  process.clock.afterTurn(() => {
    if (process.callsOpen > 0 || !process.alive) return;
    report.check('answers: nothing left behind', room.bytes === 0 && room.waiting === 0, has);
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

/** Of a hundred. Few keys and many conditions: most of the faults should meet a conflict. */
const mix: KvMix = {
  ...{ ring: 6, append: 8, swap: 10, put: 24, get: 14, stale: 8, range: 6 },
  ...{ past: 6, delete: 6, compact: 2, several: 10 },
};
/** All keys of the clients: there are few. */
const all: Span = { key: 'k', end: 'l' };
const pastMax = 20;

function keysOf(count: number): KvKeys {
  return {
    count,
    key: (at) => `k${at}`,
    deleteEnd: () => all.end,
    range: () => all,
    glance: () => all,
    pastMax: () => pastMax,
  };
}

export class KvClient {
  readonly #world: ClientWorld;
  readonly #id: number;
  readonly #random: SimRandom;
  readonly #operations: KvOperations;
  readonly #credentials: Credentials | undefined;

  /** `credentials`: instead of those that the world gives to all. */
  constructor(world: ClientWorld, id: number, random: SimRandom, credentials?: Credentials) {
    this.#world = world;
    this.#credentials = credentials;
    this.#id = id;
    this.#random = random;
    const { workload, report, knobs } = world;
    this.#operations = new KvOperations({
      ...{ client: id, random, workload, report, mix, keys: keysOf(knobs.keys) },
      ...{ lists: 2, listItemsMax: Number.POSITIVE_INFINITY },
      call: (request) => this.call(request),
    });
  }

  async run(): Promise<void> {
    const { knobs } = this.#world;
    while (!this.#world.stopping) {
      await this.#world.sleep(2 * knobs.thinkMs * this.#random.float());
      if (this.#world.stopping) return;
      await this.#operations.act();
    }
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
    const credentials = this.#credentials ?? world.credentialsFor(path);
    const outcome = await callWithin(world, process, path, bytes, timeoutMs, cancels, credentials);
    const response = settleOperation(history, id, request, outcome, world.nowMs());
    if (response === undefined) {
      trace.add(`#${id} ${describeOutcome(outcome)}`);
      judgeError(world, outcome, () => `#${id} of client ${this.#id}: ${describeRequest(request)}`);
      return undefined;
    }
    trace.add(`#${id} @${response.revision} ${response.succeeded}`);
    this.#operations.learn(request, response);
    return response;
  }
}
