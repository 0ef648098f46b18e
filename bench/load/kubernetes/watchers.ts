/** The watchers of a Kubernetes load: each on a connection of its own, for all of one resource. */

import { decodeWatchResponse } from '../../../src/proto/index.js';
import type { ClientStream, GrpcClient } from '../../../src/transport/index.js';
import { countEvents } from '../events.js';
import type { Recorder } from '../recorder.js';
import { methods } from '../sources.js';
import { type Objects, resources } from './objects.js';
import { watchRequest } from './requests.js';

/** Counts events; the latency is from when a write began to its event. */
export class Watchers {
  readonly #streams: ClientStream[] = [];
  readonly #objects: Objects;
  readonly #row: Recorder;
  readonly #recorder: Recorder;
  #running = true;

  /** `row`: for events; `recorder`: for a watch that ends. */
  constructor(objects: Objects, row: Recorder, recorder: Recorder) {
    this.#objects = objects;
    this.#row = row;
    this.#recorder = recorder;
  }

  /** Resolves when each of `pool` has its watcher. */
  async open(pool: readonly GrpcClient[]): Promise<void> {
    const rounds = Math.ceil(pool.length / resources.length);
    await Promise.all(
      pool.map((connection, i) => {
        const resource = i % resources.length;
        // Of each resource one watcher is looked at closely, each time another in the order of
        // their coming: the server may serve them in that order.
        const isSampled = Math.floor(i / resources.length) === resource % rounds;
        return this.#open(connection, resources[resource] as string, isSampled);
      }),
    );
  }

  stop(): void {
    this.#running = false;
    for (const stream of this.#streams) stream.cancel();
  }

  #open(connection: GrpcClient, prefix: string, isSampled: boolean): Promise<void> {
    const stream = connection.stream(methods.watch, {});
    this.#streams.push(stream);
    return new Promise((resolve, reject) => {
      let isCreated = false;
      stream.onStatus = ({ message }) => {
        if (this.#running) this.#recorder.failed(`a watch ended: ${message}`);
        reject(new Error(message));
      };
      stream.onMessage = (message) => {
        if (!isCreated) {
          isCreated = true;
          resolve();
        } else if (isSampled) this.#look(message);
        else this.#row.count(countEvents(message));
      };
      stream.send(watchRequest(prefix));
    });
  }

  #look(message: Buffer): void {
    const nowMs = performance.now();
    for (const event of decodeWatchResponse(message).events) {
      const object = this.#objects.of(event.kv?.key ?? '');
      const startedMs = object?.writesMs.shift();
      if (startedMs !== undefined) this.#row.done(startedMs, nowMs);
    }
  }
}
