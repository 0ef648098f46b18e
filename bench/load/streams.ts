/** The loads on streams: watches and lease keep-alives. */

import {
  decodeLeaseGrantResponse,
  decodeWatchResponse,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  encodePutRequest,
  encodeWatchCreateRequest,
} from '../../src/proto/index.js';
import type { CallOptions, ClientStream, GrpcClient } from '../../src/transport/index.js';
import { countEvents } from './events.js';
import { newValue } from './keys.js';
import type { RunningLoad } from './loops.js';
import { startPacer } from './pacer.js';
import { call } from './pool.js';
import type { Recorder } from './recorder.js';
import { methods } from './sources.js';
import type { LoadSpec } from './types.js';

const watchPrefix = '/watched/';
const watchEnd = '/watched0';
/** Puts go round these keys; a key's last put time tells when its event was caused. */
const watchedKeys = 100_000;
const putOptions: CallOptions = { timeoutMs: 60_000 };

export interface WatchLoad {
  readonly watchers: number;
  /** Puts that may be ahead of the slowest delivery, so that no backlog without bound builds up. */
  readonly putsAheadMax: number;
  /** Start this many puts a second instead of as many as `putsAheadMax` lets through. */
  readonly putsPerSecond: number;
  /** Each watcher watches a key of its own, and a put concerns one; else all watch all keys. */
  readonly ownKeys?: boolean;
}

/** Counts delivered events; the latency is from the start of the put to its event. */
export async function startWatch(
  pool: readonly GrpcClient[],
  spec: LoadSpec,
  recorder: Recorder,
  load: WatchLoad,
): Promise<RunningLoad> {
  const watches = new Watches(recorder, load);
  const streams = Math.min(load.watchers, pool.length);
  for (let i = 0; i < streams; i += 1) {
    const share = Math.floor(load.watchers / streams) + (i < load.watchers % streams ? 1 : 0);
    await watches.open(pool[i] as GrpcClient, share);
  }
  watches.startPuts(pool, spec);
  return watches;
}

class Watches implements RunningLoad {
  readonly #recorder: Recorder;
  readonly #load: WatchLoad;
  readonly #streams: ClientStream[] = [];
  readonly #putMs = new Float64Array(watchedKeys);
  #pool: readonly GrpcClient[] = [];
  #value: Buffer = Buffer.alloc(0);
  #stopPacer: (() => void) | undefined;
  #watchedKey = 0;
  #started = 0;
  #answered = 0;
  #delivered = 0;
  #running = true;
  #settled: (() => void) | undefined;

  constructor(recorder: Recorder, load: WatchLoad) {
    this.#recorder = recorder;
    this.#load = load;
  }

  /** Opens one stream with `count` watchers; resolves when all are there. */
  open(connection: GrpcClient, count: number): Promise<void> {
    const stream = connection.stream(methods.watch, {});
    const { ownKeys = false } = this.#load;
    // One watcher of all is looked at closely, where all see the same; the others only counted.
    const sampled = ownKeys || this.#streams.length === 0;
    this.#streams.push(stream);
    return new Promise((resolve, reject) => {
      let created = 0;
      stream.onStatus = (status) => {
        if (this.#running) this.#recorder.failed(`watch ended: ${status.message}`);
        reject(new Error(status.message));
      };
      stream.onMessage = (message) => {
        if (created < count) {
          created += 1;
          if (created === count) resolve();
          return;
        }
        if (sampled) this.#sample(message);
        this.#deliver(countEvents(message));
      };
      for (let i = 0; i < count; i += 1) {
        const range = ownKeys
          ? { key: watchPrefix + this.#watchedKey++ }
          : { key: watchPrefix, rangeEnd: watchEnd };
        stream.send(encodeWatchCreateRequest(range));
      }
    });
  }

  startPuts(pool: readonly GrpcClient[], spec: LoadSpec): void {
    this.#pool = pool;
    this.#value = newValue(spec.valueBytes, spec.seed);
    const { putsPerSecond } = this.#load;
    if (putsPerSecond === 0) {
      this.#fill();
      return;
    }
    this.#stopPacer = startPacer(putsPerSecond, (dueMs) => this.#put(dueMs));
  }

  stop(): Promise<void> {
    this.#running = false;
    this.#stopPacer?.();
    return new Promise((resolve) => {
      this.#settled = () => {
        for (const stream of this.#streams) stream.cancel();
        resolve();
      };
      if (this.#answered === this.#started) this.#settled();
    });
  }

  /** Starts puts as far as deliveries allow. */
  #fill(): void {
    const { watchers, putsAheadMax } = this.#load;
    while (
      this.#running &&
      this.#started * watchers - this.#delivered < putsAheadMax * watchers &&
      this.#started - this.#answered < putsAheadMax
    ) {
      this.#put(performance.now());
    }
  }

  #put(startedMs: number): void {
    const i = this.#started % watchedKeys;
    const connection = this.#pool[this.#started % this.#pool.length] as GrpcClient;
    this.#started += 1;
    this.#putMs[i] = startedMs;
    const key = watchPrefix + i;
    const request = encodePutRequest({ key, value: this.#value });
    connection.unary(methods.put, request, putOptions, (status, reply) => {
      this.#answered += 1;
      if (reply === undefined) this.#recorder.failed(status.message);
      if (!this.#running && this.#answered === this.#started) this.#settled?.();
      else if (this.#load.putsPerSecond === 0) this.#fill();
    });
  }

  #deliver(events: number): void {
    this.#delivered += events;
    this.#recorder.count(events);
    if (this.#load.putsPerSecond === 0) this.#fill();
  }

  #sample(message: Buffer): void {
    const nowMs = performance.now();
    const response = decodeWatchResponse(message);
    if (response.watchId !== 0 && this.#load.ownKeys !== true) return;
    for (const event of response.events) {
      const i = Number(event.kv?.key.slice(watchPrefix.length));
      this.#recorder.latency(nowMs - (this.#putMs[i] ?? nowMs));
    }
  }
}

/** Each of `clients` leases is kept alive again as soon as the answer is there. */
export async function startKeepAlive(
  pool: readonly GrpcClient[],
  spec: LoadSpec,
  recorder: Recorder,
): Promise<RunningLoad> {
  const ids: bigint[] = [];
  const grant = encodeLeaseGrantRequest({ ttlSeconds: 600, id: 0n });
  for (let i = 0; i < spec.clients; i += 1) {
    const reply = await call(pool[i % pool.length] as GrpcClient, methods.leaseGrant, grant);
    ids.push(decodeLeaseGrantResponse(reply).id);
  }
  const lanes = pool.map((connection, lane) => {
    const own = ids.filter((_id, i) => i % pool.length === lane);
    return new KeepAliveLane(connection, own, recorder);
  });
  for (const lane of lanes) lane.start();
  return {
    async stop() {
      for (const lane of lanes) lane.stop();
    },
  };
}

/** One stream. Answers come in the order of the requests, so a cursor tells whose one is. */
class KeepAliveLane {
  readonly #stream: ClientStream;
  readonly #requests: readonly Buffer[];
  readonly #startedMs: number[];
  readonly #recorder: Recorder;
  #cursor = 0;
  #running = true;

  constructor(connection: GrpcClient, ids: readonly bigint[], recorder: Recorder) {
    this.#recorder = recorder;
    this.#requests = ids.map((id) => encodeLeaseKeepAliveRequest({ id }));
    this.#startedMs = ids.map(() => 0);
    this.#stream = connection.stream(methods.leaseKeepAlive, {});
    this.#stream.onStatus = (status) => {
      if (this.#running) recorder.failed(`keep-alive ended: ${status.message}`);
    };
    this.#stream.onMessage = () => this.#answered();
  }

  start(): void {
    for (let i = 0; i < this.#requests.length; i += 1) this.#send(i);
  }

  stop(): void {
    this.#running = false;
    this.#stream.cancel();
  }

  #answered(): void {
    const i = this.#cursor;
    this.#cursor = (i + 1) % this.#requests.length;
    this.#recorder.done(this.#startedMs[i] as number, performance.now());
    if (this.#running) this.#send(i);
  }

  #send(i: number): void {
    this.#startedMs[i] = performance.now();
    this.#stream.send(Buffer.from(this.#requests[i] as Buffer));
  }
}
