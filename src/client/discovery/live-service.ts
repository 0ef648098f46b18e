/** The instances of one service, followed in the background. */

import type { EtcdClient } from '../client.js';
import { followRange, LiveValue, scopeOf } from '../coordination/index.js';
import { EtcdClientError } from '../errors.js';
import type { Bytes, StandardSchema } from '../keyspace/index.js';
import type { Kv } from '../kv/index.js';
import { snapshotOf } from './endpoint-json.js';
import type { LiveService, ServiceSnapshot } from './types.js';

export interface LiveServiceOptions<In, Out> {
  readonly client: EtcdClient;
  readonly kv: Kv<Buffer, Bytes>;
  readonly service: string;
  readonly prefix: string;
  readonly schema: StandardSchema<In, Out> | undefined;
  readonly signal: AbortSignal | undefined;
}

export class LiveServiceRun<In, Out> implements LiveService<Out> {
  readonly service: string;
  readonly ready: Promise<ServiceSnapshot<Out>>;
  readonly #live = new LiveValue<ServiceSnapshot<Out>>();
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: LiveServiceOptions<In, Out>) {
    this.service = options.service;
    this.#running = this.#run(options);
    this.ready = this.#first();
    this.ready.catch(() => undefined); // nobody has to ask
  }

  get current(): ServiceSnapshot<Out> {
    const { service } = this;
    return this.#live.current ?? { service, revision: 0, instances: [], invalid: [] };
  }

  [Symbol.asyncIterator](): AsyncIterator<ServiceSnapshot<Out>, undefined> {
    return this.#live.read();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run({ client, kv, prefix, schema, signal }: LiveServiceOptions<In, Out>): Promise<void> {
    const bounds = signal === undefined ? {} : { signal };
    const scope = scopeOf(client.runtime.clock, bounds, this.#closing.signal, client.signal);
    try {
      const states = followRange(client.runtime, kv, { prefix }, scope.signal);
      for await (const { revision, entries } of states) {
        this.#live.set(snapshotOf(schema, this.service, prefix, revision, entries.values()));
      }
      this.#live.end();
    } catch (error) {
      this.#live.end(error);
    } finally {
      scope.end();
    }
  }

  async #first(): Promise<ServiceSnapshot<Out>> {
    for await (const snapshot of this.#live.read()) return snapshot;
    throw new EtcdClientError({
      code: 'CANCELLED',
      reason: 'CLOSED',
      outcome: 'failed',
      message: `the watch of ${JSON.stringify(this.service)} was closed`,
    });
  }
}
