/**
 * What the API servers of a Kubernetes cluster ask of etcd: writers that create, update and delete
 * objects by txn, watchers of all of them, gets, and lists in pages.
 */

import {
  decodeOnlyHeader,
  decodeRangeResponse,
  decodeTxnResponse,
  encodeDeleteRangeRequest,
  encodeTxnRequest,
} from '../../../src/proto/index.js';
import type { GrpcClient } from '../../../src/transport/index.js';
import { newValue, randomInts } from '../keys.js';
import type { RunningLoad } from '../loops.js';
import { startPacer } from '../pacer.js';
import { call } from '../pool.js';
import type { Recorder } from '../recorder.js';
import { methods } from '../sources.js';
import type { LoadSpec } from '../types.js';
import { type KubernetesObject, Objects, resources } from './objects.js';
import { getRequest, pageRequest, putOp, type Write, writeRequest } from './requests.js';
import { Watchers } from './watchers.js';

/** Connections that are not the watchers': one for each writer, one for each of these. */
const getters = 4;
const listers = 1;
/** Each watcher has a connection of its own. */
const watchers = 100;

export const kubernetesWriters = 16;
export const kubernetesConnections = kubernetesWriters + getters + listers + watchers;

/** Names of the rows, in their order. */
export const kubernetesRows = ['create', 'update', 'delete', 'get', 'list page', 'watch delay'];

/** Of a hundred writes so many create, and as many delete; the others update. */
const createPercent = 20;
/** A list is rare beside the rest, and a page large: one at a time, and not more often than this. */
const pageIntervalMs = 100;
const errorPauseMs = 10;
const objectsPerTxn = 50;

/**
 * Fills the store, opens the watchers and starts. Closed loop: every writer and getter has one call
 * in flight. Open loop: `callsPerSecond` writes and as many gets.
 */
export async function startKubernetes(
  pool: readonly GrpcClient[],
  spec: LoadSpec,
  recorder: Recorder,
): Promise<RunningLoad> {
  const callers = spec.clients + getters + listers;
  if (pool.length <= callers) throw new Error(`this load needs more than ${callers} connections`);
  const random = randomInts(spec.seed);
  const objects = new Objects(spec.keyCount, random);
  await fill(pool.slice(0, callers), objects, spec, random);
  const rows = kubernetesRows.map((name) => recorder.row(name));
  const watching = new Watchers(objects, rows.at(-1) as Recorder, recorder);
  await watching.open(pool.slice(callers));
  const load = new KubernetesLoad(pool.slice(0, callers), spec, recorder, objects, watching);
  load.start();
  return load;
}

async function fill(
  pool: readonly GrpcClient[],
  objects: Objects,
  { valueBytes }: LoadSpec,
  random: (n: number) => number,
): Promise<void> {
  const everything = encodeDeleteRangeRequest({ key: '/registry/', rangeEnd: '/registry0' });
  await call(pool[0] as GrpcClient, methods.deleteRange, everything);
  const { existing } = objects;
  let next = 0;
  const lane = async (connection: GrpcClient): Promise<void> => {
    while (next < existing.length) {
      const some = existing.slice(next, next + objectsPerTxn);
      next += some.length;
      const success = some.map(({ key }) => putOp(key, newValue(valueBytes, random(2 ** 30))));
      const request = encodeTxnRequest({ compare: [], success, failure: [] });
      const reply = await call(connection, methods.txn, request);
      const revision = decodeOnlyHeader(reply)?.revision ?? 0;
      for (const object of some) object.modRevision = revision;
    }
  };
  await Promise.all(pool.map(lane));
}

class KubernetesLoad implements RunningLoad {
  readonly #pool: readonly GrpcClient[];
  readonly #spec: LoadSpec;
  readonly #recorder: Recorder;
  readonly #objects: Objects;
  readonly #watching: Watchers;
  readonly #random: (n: number) => number;
  readonly #pacers: Array<() => void> = [];
  #cursor = 0;
  #inFlight = 0;
  #running = true;
  #settled: (() => void) | undefined;
  /** Where the list is: the resource, the next key of it, and the revision of its first page. */
  #listed = { resource: 0, key: resources[0] as string, revision: 0 };

  constructor(
    pool: readonly GrpcClient[],
    spec: LoadSpec,
    recorder: Recorder,
    objects: Objects,
    watching: Watchers,
  ) {
    this.#pool = pool;
    this.#spec = spec;
    this.#recorder = recorder;
    this.#objects = objects;
    this.#watching = watching;
    this.#random = randomInts(spec.seed + 1);
  }

  start(): void {
    const { clients, callsPerSecond } = this.#spec;
    this.#page(this.#pool.at(-1) as GrpcClient);
    if (callsPerSecond > 0) {
      const writers = this.#pool.slice(0, clients);
      const others = this.#pool.slice(clients, -listers);
      const next = (of: readonly GrpcClient[]) => of[this.#cursor++ % of.length] as GrpcClient;
      const write = (dueMs: number) => this.#write(next(writers), dueMs);
      const get = (dueMs: number) => this.#get(next(others), dueMs);
      this.#pacers.push(startPacer(callsPerSecond, write), startPacer(callsPerSecond, get));
      return;
    }
    for (const [i, connection] of this.#pool.slice(0, -listers).entries()) {
      if (i < clients) this.#write(connection, performance.now());
      else this.#get(connection, performance.now());
    }
  }

  async stop(): Promise<void> {
    this.#running = false;
    for (const stop of this.#pacers) stop();
    await new Promise<void>((resolve) => {
      this.#settled = resolve;
      if (this.#inFlight === 0) resolve();
    });
    this.#watching.stop();
  }

  #write(connection: GrpcClient, startedMs: number): void {
    const draw = this.#random(100);
    const wanted: Write =
      draw < createPercent ? 'create' : draw < 2 * createPercent ? 'delete' : 'update';
    let write = wanted;
    let object = this.#objects.take(write !== 'create');
    if (object === undefined) {
      // All that are not there are being created, or all that are there are being written.
      write = wanted === 'create' ? 'delete' : 'create';
      object = this.#objects.take(write !== 'create');
    }
    if (object === undefined) {
      this.#recorder.failed('more writes at once than objects');
      return;
    }
    const target = object;
    const { key, modRevision } = target;
    const value = newValue(this.#spec.valueBytes, this.#random(2 ** 30));
    const request = writeRequest(write, key, modRevision, value);
    target.writesMs.push(startedMs);
    this.#ask(connection, methods.txn, request, write, startedMs, (reply) => {
      if (reply === undefined || !this.#written(write, target, reply)) target.writesMs.pop();
      this.#objects.giveBack(target);
      this.#again(reply, () => this.#write(connection, performance.now()));
    });
  }

  /** False: somebody else had written it, which here nobody does. */
  #written(write: Write, target: KubernetesObject, reply: Buffer): boolean {
    const { succeeded, header, responses } = decodeTxnResponse(reply);
    if (succeeded) {
      target.modRevision = write === 'delete' ? 0 : (header?.revision ?? 0);
      return true;
    }
    this.#recorder.failed(`${write}: not as it was when it was written last`);
    const [found] = responses;
    if (found?.type === 'range') target.modRevision = found.response.kvs[0]?.modRevision ?? 0;
    return false;
  }

  #get(connection: GrpcClient, startedMs: number): void {
    const request = getRequest(this.#objects.any().key);
    this.#ask(connection, methods.range, request, 'get', startedMs, (reply) => {
      this.#again(reply, () => this.#get(connection, performance.now()));
    });
  }

  #page(connection: GrpcClient): void {
    const { resource, key, revision } = this.#listed;
    const startedMs = performance.now();
    const request = pageRequest(resources[resource] as string, key, revision);
    this.#ask(connection, methods.range, request, 'list page', startedMs, (reply) => {
      const page = reply === undefined ? undefined : decodeRangeResponse(reply);
      if (page?.more === true) {
        this.#listed.key = `${page.kvs.at(-1)?.key ?? ''}\0`;
        this.#listed.revision ||= page.header?.revision ?? 0;
      } else {
        const following = (resource + 1) % resources.length;
        this.#listed = { resource: following, key: resources[following] as string, revision: 0 };
      }
      const pauseMs = Math.max(1, startedMs + pageIntervalMs - performance.now());
      setTimeout(() => {
        if (this.#running) this.#page(connection);
      }, pauseMs);
    });
  }

  #ask(
    connection: GrpcClient,
    method: string,
    request: Buffer,
    row: string,
    startedMs: number,
    done: (reply: Buffer | undefined) => void,
  ): void {
    this.#inFlight += 1;
    connection.unary(method, request, { timeoutMs: 60_000 }, (status, reply) => {
      const nowMs = performance.now();
      if (reply === undefined) this.#recorder.failed(`${row}: ${status.message}`);
      else {
        this.#recorder.done(startedMs, nowMs);
        this.#recorder.row(row).done(startedMs, nowMs);
      }
      this.#inFlight -= 1;
      done(reply);
      if (!this.#running && this.#inFlight === 0) this.#settled?.();
    });
  }

  /** Closed loop: the next call of whoever made the one that is answered. */
  #again(reply: Buffer | undefined, next: () => void): void {
    if (!this.#running || this.#spec.callsPerSecond > 0) return;
    if (reply !== undefined) next();
    else setTimeout(() => this.#running && next(), errorPauseMs);
  }
}
