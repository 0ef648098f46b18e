/**
 * A watch over encoded messages that outlives its stream: when that breaks, another one goes on
 * behind what was told, as etcd's client does. What the server ends itself is told and is the end.
 */

import { isEtcdError } from '../../client/index.js';
import { method, type RawClient, type RawStream } from '../../client/raw/index.js';
import {
  decodeWatchResponse,
  encodeWatchCreateRequest,
  encodeWatchProgressRequest,
  type WatchCreateRequest,
  type WatchResponse,
} from '../../proto/index.js';

/** An answer of the server: never that the watch was made, unless it was refused at once. */
export interface Watched {
  readonly bytes: Buffer;
  readonly response: WatchResponse;
}

/** The first wait before a stream is opened again, and the longest. */
const pauseMsMin = 100;
const pauseMsMax = 2_000;

const ended = Symbol('ended');

/** Use {@link answers} once; it ends when `signal` is aborted, or the server has ended the watch. */
export class Watch {
  readonly #client: RawClient;
  readonly #request: Partial<WatchCreateRequest>;
  readonly #signal: AbortSignal | undefined;
  /** What has come and was not taken yet. */
  readonly #queue: Array<Buffer | Error | typeof ended> = [];
  #wake: () => void = () => {};
  #stream: RawStream | undefined;
  #next: number;

  constructor(client: RawClient, request: Partial<WatchCreateRequest>, signal?: AbortSignal) {
    this.#client = client;
    this.#request = request;
    this.#signal = signal;
    this.#next = request.startRevision ?? 0;
  }

  /** Asks the server to say how far it is; nothing while there is no stream. */
  requestProgress(): void {
    this.#stream?.send(encodeWatchProgressRequest());
  }

  /** Rejects with what etcd's client would give up on. */
  async *answers(): AsyncGenerator<Watched, undefined, void> {
    const stop = (): void => this.#put(ended);
    this.#signal?.addEventListener('abort', stop, { once: true });
    try {
      let pauseMs = pauseMsMin;
      while (this.#signal?.aborted !== true) {
        for await (const watched of this.#oneStream()) {
          pauseMs = pauseMsMin;
          yield watched;
          const { canceled, compactRevision } = watched.response;
          if (canceled || compactRevision !== 0) return undefined;
        }
        if (this.#isAborted()) return undefined;
        await this.#pause(pauseMs);
        pauseMs = Math.min(pauseMsMax, 2 * pauseMs);
      }
      return undefined;
    } finally {
      this.#signal?.removeEventListener('abort', stop);
      this.#stream?.cancel();
    }
  }

  /** Ends when the stream breaks. */
  async *#oneStream(): AsyncGenerator<Watched, undefined, void> {
    this.#queue.length = 0;
    try {
      await this.#open();
    } catch (error) {
      this.#giveUpOn(error);
      return undefined;
    }
    for (;;) {
      const item = this.#queue.shift();
      if (item === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      } else if (item === ended) return undefined;
      else if (item instanceof Error) {
        this.#giveUpOn(item);
        return undefined;
      } else {
        const response = decodeWatchResponse(item);
        this.#follow(response);
        if (!response.created || response.canceled) yield { bytes: item, response };
      }
    }
  }

  async #open(): Promise<void> {
    const stream = await this.#client.stream(
      method.watch,
      'read',
      {
        message: (message) => this.#put(message),
        ended: (error) => this.#put(error ?? ended),
      },
      {
        metadata: { hasleader: 'true' },
        ...(this.#signal === undefined ? {} : { signal: this.#signal }),
      },
    );
    this.#stream = stream;
    stream.send(encodeWatchCreateRequest({ ...this.#request, startRevision: this.#next }));
  }

  /** Where another stream would go on. */
  #follow({ header, events, created }: WatchResponse): void {
    const revision = header?.revision ?? 0;
    const last = events.at(-1)?.kv?.modRevision;
    if (last !== undefined) this.#next = last + 1;
    else if (created ? this.#next === 0 : revision >= this.#next) this.#next = revision + 1;
  }

  #put(item: Buffer | Error | typeof ended): void {
    this.#queue.push(item);
    this.#wake();
  }

  /** Throws what another stream would not do better. */
  #giveUpOn(error: unknown): void {
    this.#stream = undefined;
    if (this.#isAborted()) return;
    const again = isEtcdError(error) && (error.code === 'UNAVAILABLE' || error.code === 'INTERNAL');
    if (!again && !(isEtcdError(error) && error.reason === 'CONNECT_FAILED')) throw error;
  }

  #isAborted(): boolean {
    return this.#signal?.aborted === true;
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#client.clock.after(ms, resolve);
      const now = (): void => {
        timer.cancel();
        resolve();
      };
      this.#signal?.addEventListener('abort', now, { once: true });
    });
  }
}
