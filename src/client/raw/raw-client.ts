/**
 * A client below the typed one, for tools that show what was said: encoded messages in, encoded
 * messages out, with the same connections, credentials, deadlines and repeats.
 */

import { type Clock, GrpcCode } from '../../common/index.js';
import {
  type Caller,
  type CallKind,
  type CallOptions,
  callError,
  type EndpointOptions,
  serverStream,
} from '../call/index.js';
import type { EtcdOptions } from '../client.js';
import { closedError, nodeRuntime, type Pool, type TlsSource } from '../connection/index.js';
import { EtcdClientError, type Outcome } from '../errors.js';
import { etcdOptionsOf } from '../etcd-options.js';
import { makeCaller, makePool } from '../parts.js';
import type { PlainAnswer, PlainGetOptions } from './plain-get.js';

/** A stream in both directions. */
export interface RawStream {
  send(message: Uint8Array): void;
  /** No more is sent. */
  end(): void;
  cancel(): void;
}

/** How large messages may be; gRPC's words say it of others. */
export interface MessageBounds {
  readonly requestBytesMax: number;
  readonly answerBytesMax: number;
}

/** What a {@link RawStream} tells. */
export interface RawStreamEvents {
  message(message: Buffer): void;
  /** Undefined: it ended well. Nothing follows. */
  ended(error: EtcdClientError | undefined): void;
}

/** See the head of this file. Methods are full names: `/etcdserverpb.KV/Range`. */
export class RawClient {
  readonly clock: Clock;
  readonly #pool: Pool;
  readonly #caller: Caller;
  readonly #tls: TlsSource | undefined;
  readonly #closing = new AbortController();
  readonly #bounds: MessageBounds | undefined;

  constructor(options: EtcdOptions, bounds?: MessageBounds) {
    this.#bounds = bounds;
    const checked = etcdOptionsOf(options);
    const runtime = { ...nodeRuntime, ...checked.runtime };
    this.clock = runtime.clock;
    this.#tls = checked.tls;
    this.#pool = makePool(checked, runtime);
    this.#caller = makeCaller(checked, runtime, this.#pool, this.#closing.signal);
  }

  /** `host:port` of each. */
  get endpoints(): readonly string[] {
    return this.#pool.endpoints.map(({ address }) => address);
  }

  /**
   * One unary call, of any endpoint or of `options.endpoint` alone. `kind` says whether it may be
   * sent twice. Rejects with EtcdClientError.
   */
  async call(
    method: string,
    kind: CallKind,
    request: Uint8Array,
    options?: EndpointOptions,
  ): Promise<Buffer> {
    const { requestBytesMax = Infinity, answerBytesMax = Infinity } = this.#bounds ?? {};
    if (request.length > requestBytesMax) {
      throw tooLarge('trying to send message', request.length, requestBytesMax, 'failed');
    }
    const answer = await this.#caller.call(method, kind, request, options);
    if (answer.length <= answerBytesMax) return answer;
    const outcome = kind === 'write' ? 'unknown' : 'failed';
    throw tooLarge('grpc: received message', answer.length, answerBytesMax, outcome);
  }

  /** The answers to one request, with back-pressure. Throws EtcdClientError. */
  serverStream(
    method: string,
    kind: CallKind,
    request: Uint8Array,
    options: EndpointOptions = {},
  ): AsyncGenerator<Buffer, undefined, void> {
    return serverStream(this.#caller, method, kind, request, options);
  }

  /** Opens a stream in both directions. Not opened again when it ends: whoever reads decides. */
  async stream(
    method: string,
    kind: CallKind,
    events: RawStreamEvents,
    options: EndpointOptions = {},
  ): Promise<RawStream> {
    const { stream, slot } = await this.#caller.open(method, kind, options);
    const context = { kind, method, endpoint: slot.endpoint.address, attempts: 1 };
    stream.onMessage = (message) => events.message(message);
    stream.onStatus = (status) => {
      if (this.#closing.signal.aborted) return events.ended(closedError());
      events.ended(status.code === GrpcCode.OK ? undefined : callError(status, context));
    };
    return stream;
  }

  /** GET at the client port of a member, without credentials. Never rejects. */
  async get(options: PlainGetOptions): Promise<PlainAnswer> {
    // Servers are started by the same program, and must not wait for Node's HTTP.
    const { plainGet } = await import('./plain-get.js');
    const tls = typeof this.#tls === 'function' ? await this.#tls() : this.#tls;
    return await plainGet(options, tls, this.clock);
  }

  /** Fetches a token if there are credentials; else does nothing. */
  async signIn(options: CallOptions = {}): Promise<void> {
    await this.#caller.tokenReady(this.#caller.until(options, this.#caller.options.timeoutMs));
  }

  /** Ends all calls and closes the connections. */
  close(): Promise<void> {
    this.#closing.abort(closedError());
    this.#caller.close();
    this.#pool.close();
    return Promise.resolve();
  }
}

function tooLarge(what: string, bytes: number, max: number, outcome: Outcome): EtcdClientError {
  return new EtcdClientError({
    ...{ code: 'RESOURCE_EXHAUSTED', reason: 'MESSAGE_TOO_LARGE', outcome },
    message: `${what} larger than max (${bytes} vs. ${max})`,
  });
}
