/**
 * Closed loop: each logical client has one call in flight and starts the next when it is answered.
 * Open loop: calls start at a fixed rate, and latency counts from when a call was due, so that a
 * server that stalls cannot hide it by slowing the load down.
 */

import type { CallOptions, GrpcClient, RpcStatus } from '../../src/transport/index.js';
import { startPacer } from './pacer.js';
import type { Recorder } from './recorder.js';

/** Where the calls of a load come from. */
export interface CallSource {
  /** Method of the request that `next` returned last. */
  method: string;
  /** A request in a buffer of its own. */
  next(): Buffer;
}

/** A load in progress. */
export interface RunningLoad {
  /** Resolves when it has done all that it will do; one without goes on until it is stopped. */
  readonly ended?: Promise<void>;
  /** Starts nothing new; resolves when nothing is in flight. */
  stop(): Promise<void>;
}

export interface LoopOptions {
  readonly pool: readonly GrpcClient[];
  readonly source: CallSource;
  readonly recorder: Recorder;
  readonly clients: number;
  /** 0: closed loop. */
  readonly callsPerSecond: number;
}

const errorPauseMs = 10;
const callOptions: CallOptions = { timeoutMs: 60_000 };

/** Starts the calls; they go on until `stop`. */
export function startLoop(options: LoopOptions): RunningLoad {
  const loop = new Loop(options);
  if (options.callsPerSecond > 0) loop.startOpen(options.callsPerSecond);
  else loop.startClosed(options.clients);
  return loop;
}

class Loop implements RunningLoad {
  readonly source: CallSource;
  readonly recorder: Recorder;
  readonly #pool: readonly GrpcClient[];
  readonly #idle: Caller[] = [];
  #stopPacer: (() => void) | undefined;
  #connectionCursor = 0;
  #inFlight = 0;
  #settled: (() => void) | undefined;
  running = true;

  constructor(options: LoopOptions) {
    this.source = options.source;
    this.recorder = options.recorder;
    this.#pool = options.pool;
  }

  startClosed(clients: number): void {
    for (let i = 0; i < clients; i += 1) {
      this.#inFlight += 1;
      new Caller(this, this.#nextConnection(), true).start(performance.now());
    }
  }

  startOpen(callsPerSecond: number): void {
    this.#stopPacer = startPacer(callsPerSecond, (dueMs) => {
      // Each call goes to the next one: with a few calls in flight all are used all the same.
      const connection = this.#nextConnection();
      const caller = this.#idle.pop() ?? new Caller(this, connection, false);
      this.#inFlight += 1;
      caller.connection = connection;
      caller.start(dueMs);
    });
  }

  stop(): Promise<void> {
    this.running = false;
    this.#stopPacer?.();
    return new Promise((resolve) => {
      this.#settled = resolve;
      if (this.#inFlight === 0) resolve();
    });
  }

  /** A caller that will not go on by itself. */
  finished(caller: Caller): void {
    this.#inFlight -= 1;
    this.#idle.push(caller);
    if (this.#inFlight === 0) this.#settled?.();
  }

  #nextConnection(): GrpcClient {
    const connection = this.#pool[this.#connectionCursor % this.#pool.length];
    this.#connectionCursor += 1;
    if (connection === undefined) throw new Error('no connections');
    return connection;
  }
}

/** One logical client. `done` is made once, so that a call costs no closure. */
class Caller {
  readonly #loop: Loop;
  readonly #closed: boolean;
  connection: GrpcClient;
  #startedMs = 0;

  constructor(loop: Loop, connection: GrpcClient, closed: boolean) {
    this.#loop = loop;
    this.connection = connection;
    this.#closed = closed;
  }

  start(startedMs: number): void {
    const { source } = this.#loop;
    this.#startedMs = startedMs;
    const request = source.next();
    this.connection.unary(source.method, request, callOptions, this.#done);
  }

  readonly #done = (status: RpcStatus, message: Buffer | undefined): void => {
    const loop = this.#loop;
    const nowMs = performance.now();
    if (message !== undefined) {
      loop.recorder.done(this.#startedMs, nowMs);
      if (this.#closed && loop.running) this.start(nowMs);
      else loop.finished(this);
      return;
    }
    loop.recorder.failed(`${status.message} (code ${status.code})`);
    if (!this.#closed || !loop.running) {
      loop.finished(this);
      return;
    }
    setTimeout(() => {
      if (loop.running) this.start(performance.now());
      else loop.finished(this);
    }, errorPauseMs);
  };
}
