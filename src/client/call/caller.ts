/**
 * Makes calls: picks a connection, adds metadata, keeps the deadline, and sends again what may be
 * sent again (see failed-call.ts). One {@link CallRun} a call, no promise beside the caller's own
 * while all goes well: a put costs little more than what the transport takes.
 */

import {
  assert,
  type Clock,
  GrpcCode,
  onAbort,
  type Random,
  type Timer,
} from '../../common/index.js';
import {
  closedError,
  type Link,
  type LinkCall,
  type LinkStream,
  type Pick,
  type Pool,
  parseEndpoint,
  type RpcStatus,
  type Slot,
  type Until,
} from '../connection/index.js';
import { atCaller, EtcdClientError, type Reason, reasonOf } from '../errors.js';
import { TokenSource } from './auth-token.js';
import type { ClientEvent } from './events.js';
import {
  abortedError,
  blamesServer,
  type CallContext,
  type CallKind,
  callError,
  worthRepeating,
} from './failed-call.js';
import { checkMetadata } from './metadata.js';
import type {
  CallOptions,
  Credentials,
  EndpointOptions,
  Interceptor,
  Metadata,
  OutgoingStream,
  RetryOptions,
  StreamInterceptor,
} from './types.js';

export interface CallerOptions {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly random: Random;
  readonly timeoutMs: number;
  readonly retry: Required<RetryOptions>;
  readonly metadata: Metadata;
  readonly requireLeader: boolean;
  readonly credentials: Credentials | undefined;
  readonly interceptors: readonly Interceptor[];
  /** Asks a server for a token; undefined: auth is off. */
  readonly authenticate: (
    caller: Caller,
    user: string,
    password: string,
  ) => Promise<string | undefined>;
  /** Somebody listens: calls that succeed are only told of then. */
  readonly tellsCalls: boolean;
  readonly streamInterceptors: readonly StreamInterceptor[];
  readonly onEvent: (event: ClientEvent) => void;
  /** Aborted when the client is closed. */
  readonly signal: AbortSignal;
}

type Fields = ReadonlyArray<readonly [string, string]>;
const noOptions: EndpointOptions = {};
/** Calls for a token carry none. */
const authenticateMethod = '/etcdserverpb.Auth/Authenticate';

/** A stream that was opened, and where. */
export interface OpenedStream {
  readonly stream: LinkStream;
  readonly slot: Slot;
  readonly link: Link;
  /** Of the token it was opened with. */
  readonly tokenGeneration: number;
  readonly hadToken: boolean;
}

export class Caller {
  readonly options: CallerOptions;
  readonly tokens: TokenSource;
  readonly #running = new Set<CallRun>();
  #fields: { readonly token: string | undefined; led: Fields; free: Fields } | undefined;

  constructor(options: CallerOptions) {
    this.options = options;
    const { credentials, clock, timeoutMs, signal, onEvent } = options;
    this.tokens = new TokenSource({
      ...{ credentials, clock, timeoutMs, signal, onEvent },
      authenticate: (user, password) => options.authenticate(this, user, password),
    });
  }

  /** One unary call; resolves with the encoded reply. `key`: what errors say it is about. */
  async call(
    method: string,
    kind: CallKind,
    request: Uint8Array,
    options: EndpointOptions = noOptions,
    key?: string,
  ): Promise<Buffer> {
    const asked = { method, kind, request, options, key };
    try {
      // Nobody beside the client and the server needs to see the password.
      const direct = this.options.interceptors.length === 0 || method === authenticateMethod;
      return direct ? await this.#run(asked) : await this.#intercepted(asked);
    } catch (error) {
      throw atCaller(error);
    }
  }

  #intercepted(asked: Asked): Promise<Buffer> {
    const { method, request, options } = asked;
    const last = (call: Parameters<Interceptor>[0]): Promise<Buffer> => {
      const own = { ...options, metadata: call.metadata };
      return this.#run({ ...asked, method: call.method, request: call.request, options: own });
    };
    const chain = this.options.interceptors.reduceRight<typeof last>(
      (next, interceptor) => (call) => interceptor(call, next),
      last,
    );
    return chain({ method, request, metadata: options.metadata ?? {} });
  }

  /** Opens a stream on a connection as soon as there is one. */
  async open(
    method: string,
    kind: CallKind,
    options: EndpointOptions,
    avoid?: Slot,
  ): Promise<OpenedStream> {
    const { streamInterceptors, onEvent } = this.options;
    let opened: OpenedStream | undefined;
    const last = async ({ metadata }: OutgoingStream) => {
      assert(opened === undefined, 'an interceptor goes on once');
      const given = options.metadata === undefined && Object.keys(metadata).length === 0;
      opened = await this.#open(method, kind, given ? options : { ...options, metadata }, avoid);
      return { endpoint: opened.slot.endpoint.address };
    };
    const chain = streamInterceptors.reduceRight<typeof last>(
      (next, interceptor) => (stream) => interceptor(stream, next),
      last,
    );
    try {
      const { endpoint } = await chain({ method, metadata: options.metadata ?? {} });
      if (opened === undefined) throw new TypeError('a stream interceptor did not go on');
      onEvent({ type: 'streamOpened', method, endpoint });
      return opened;
    } catch (error) {
      // What an interceptor did afterwards must not leave a stream behind.
      (opened as OpenedStream | undefined)?.stream.cancel();
      throw atCaller(error);
    }
  }

  /** Tells of the end of a stream that `open` gave. */
  streamEnded(opened: OpenedStream, method: string, status: RpcStatus | undefined): void {
    const endpoint = opened.slot.endpoint.address;
    const bad = status !== undefined && status.code !== GrpcCode.OK;
    const context = { kind: 'read', method, endpoint, attempts: 1 } as const;
    const error = bad ? callError(status, context) : undefined;
    this.options.onEvent({ type: 'streamEnded', method, endpoint, error });
  }

  async #open(
    method: string,
    kind: CallKind,
    options: EndpointOptions,
    avoid?: Slot,
  ): Promise<OpenedStream> {
    if (options.metadata !== undefined) checkMetadata(options.metadata);
    const until = this.until(options, Number.POSITIVE_INFINITY);
    await this.tokenReady(until);
    const pick =
      options.endpoint === undefined
        ? await this.options.pool.acquire(until, avoid)
        : await this.options.pool.acquireAt(parseEndpoint(options.endpoint), until);
    const { tokens } = this;
    const leftMs = until.deadlineMs - this.options.clock.nowMs();
    const stream = pick.link.stream(method, {
      metadata: this.metadataOf(kind, options.metadata),
      ...(Number.isFinite(leftMs) ? { timeoutMs: Math.max(1, Math.ceil(leftMs)) } : {}),
    });
    return {
      stream,
      slot: pick.slot,
      link: pick.link,
      tokenGeneration: tokens.generation,
      hadToken: tokens.token !== undefined,
    };
  }

  /** True if what was sent like this, and failed for this reason, is worth sending again. */
  refused(opened: OpenedStream, reason: Reason, refusals: number): boolean {
    return this.tokens.refused(reason, opened.hadToken, opened.tokenGeneration, refusals);
  }

  /** The end of the time that the options allow. */
  until(options: CallOptions, defaultMs: number): Until {
    const timeoutMs = options.timeoutMs ?? defaultMs;
    return { deadlineMs: this.options.clock.nowMs() + timeoutMs, signal: options.signal };
  }

  /** Resolves when there is a token, or none is needed; rejects at the end of the time given. */
  tokenReady(until: Until): Promise<void> {
    if (this.tokens.known) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const { clock } = this.options;
      const { signal, deadlineMs } = until;
      let takeBack = (): void => undefined;
      const end = (): void => {
        timer?.cancel();
        takeBack();
      };
      const onEnd = (): void => {
        end();
        reject(noTokenError(signal?.aborted === true));
      };
      const leftMs = deadlineMs - clock.nowMs();
      const timer = Number.isFinite(leftMs) ? clock.after(Math.max(0, leftMs), onEnd) : undefined;
      takeBack = onAbort(signal, onEnd);
      this.tokens.ready().then(
        () => {
          end();
          resolve();
        },
        (error: unknown) => {
          end();
          reject(asError(error));
        },
      );
    });
  }

  /** Options for the calls that one operation is made of: together they have its deadline. */
  sharedDeadline(options: CallOptions): () => CallOptions {
    const { deadlineMs } = this.until(options, this.options.timeoutMs);
    return () => ({
      timeoutMs: Math.max(0, deadlineMs - this.options.clock.nowMs()),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.metadata === undefined ? {} : { metadata: options.metadata }),
    });
  }

  /** The same array for most calls, so that transports can keep what they made of it. */
  metadataOf(kind: CallKind, own: Metadata | undefined): Fields {
    const { token } = this.tokens;
    if (this.#fields === undefined || this.#fields.token !== token) {
      const free: Array<readonly [string, string]> = Object.entries(this.options.metadata);
      if (token !== undefined) free.push(['token', token]);
      const led: Fields = this.options.requireLeader ? [...free, ['hasleader', 'true']] : free;
      this.#fields = { token, led, free };
    }
    const fields = kind === 'local' ? this.#fields.free : this.#fields.led;
    return own === undefined ? fields : [...fields, ...Object.entries(own)];
  }

  /** Ends all running calls. */
  close(): void {
    for (const run of [...this.#running]) run.closed();
  }

  #run(asked: Asked): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (asked.options.metadata !== undefined) checkMetadata(asked.options.metadata);
      new CallRun(this, asked, resolve, reject, this.#running).start();
    });
  }
}

/** What is asked for. */
interface Asked {
  readonly method: string;
  readonly kind: CallKind;
  readonly request: Uint8Array;
  readonly options: EndpointOptions;
  readonly key: string | undefined;
}

/** One unary call over all its attempts. */
class CallRun {
  readonly #caller: Caller;
  readonly #method: string;
  readonly #kind: CallKind;
  readonly #request: Uint8Array;
  readonly #options: EndpointOptions;
  readonly #key: string | undefined;
  readonly #resolve: (reply: Buffer) => void;
  readonly #reject: (error: Error) => void;
  readonly #running: Set<CallRun>;
  readonly #deadlineMs: number;
  readonly #startMs: number;
  #attempts = 0;
  #repeats = 0;
  #tokenRefusals = 0;
  #over = false;
  /** The attempt that is running. */
  #call: LinkCall | undefined;
  #pick: Pick | undefined;
  #avoid: Slot | undefined;
  #tokenGeneration = 0;
  #hadToken = false;
  #pause: Timer | undefined;
  #takeBack: (() => void) | undefined;

  constructor(
    caller: Caller,
    { method, kind, request, options, key }: Asked,
    resolve: (reply: Buffer) => void,
    reject: (error: Error) => void,
    running: Set<CallRun>,
  ) {
    this.#caller = caller;
    this.#method = method;
    this.#kind = kind;
    this.#request = request;
    this.#options = options;
    this.#key = key;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#running = running;
    const timeoutMs = options.timeoutMs ?? caller.options.timeoutMs;
    this.#startMs = caller.options.clock.nowMs();
    this.#deadlineMs = this.#startMs + timeoutMs;
  }

  start(): void {
    assert(this.#attempts === 0 && !this.#over, 'a call starts once');
    if (this.#caller.options.signal.aborted) {
      this.#reject(this.#withContext(closedError()));
      return;
    }
    this.#running.add(this);
    const { signal } = this.#options;
    if (signal !== undefined) this.#takeBack = onAbort(signal, () => this.#aborted(signal));
    if (!this.#over) this.#begin();
  }

  /** The client was closed. */
  closed(): void {
    const sent = this.#call !== undefined;
    this.#fail(
      new EtcdClientError({
        code: 'CANCELLED',
        reason: 'CLOSED',
        outcome: sent && this.#kind === 'write' ? 'unknown' : 'failed',
        message: 'the client was closed',
        method: this.#method,
        key: this.#key,
        attempts: this.#attempts,
      }),
    );
  }

  #aborted(signal: AbortSignal): void {
    this.#fail(abortedError(signal, this.#call !== undefined, this.#context()));
  }

  #begin(): void {
    const { tokens } = this.#caller;
    if (!tokens.known && this.#method !== authenticateMethod) {
      this.#caller.tokenReady({ deadlineMs: this.#deadlineMs, signal: this.#options.signal }).then(
        () => this.#begin(),
        (error: unknown) => this.#fail(this.#withContext(asError(error))),
      );
      return;
    }
    if (this.#over) return;
    const { pool } = this.#caller.options;
    const { endpoint, signal } = this.#options;
    const pick = endpoint === undefined ? pool.pick(this.#avoid) : undefined;
    if (pick !== undefined) {
      this.#send(pick);
      return;
    }
    const until = { deadlineMs: this.#deadlineMs, signal };
    let acquired: Promise<Pick>;
    try {
      acquired =
        endpoint === undefined
          ? pool.acquire(until, this.#avoid)
          : pool.acquireAt(parseEndpoint(endpoint), until);
    } catch (error) {
      this.#fail(asError(error));
      return;
    }
    acquired.then(
      (found) => this.#send(found),
      (error: unknown) => this.#fail(this.#withContext(asError(error))),
    );
  }

  #send(pick: Pick): void {
    if (this.#over) return;
    assert(this.#call === undefined, 'one attempt runs at a time');
    const caller = this.#caller;
    const leftMs = this.#deadlineMs - caller.options.clock.nowMs();
    this.#pick = pick;
    this.#attempts += 1;
    this.#tokenGeneration = caller.tokens.generation;
    this.#hadToken = caller.tokens.token !== undefined;
    const metadata = caller.metadataOf(this.#kind, this.#options.metadata);
    const call = pick.link.unary(
      this.#method,
      this.#request,
      Number.isFinite(leftMs)
        ? { metadata, timeoutMs: Math.max(1, Math.ceil(leftMs)) }
        : { metadata },
      this.#done,
    );
    if (!this.#over) this.#call = call;
  }

  readonly #done = (status: RpcStatus, message: Buffer | undefined): void => {
    this.#call = undefined;
    if (this.#over) return;
    if (message !== undefined) {
      this.#finish();
      if (this.#caller.options.tellsCalls) this.#tellEnd(undefined);
      this.#resolve(message);
      return;
    }
    if (!this.#again(status)) this.#fail(callError(status, this.#context()));
  };

  /** True if the request is, or will be, sent again. */
  #again(status: RpcStatus): boolean {
    assert(this.#attempts > 0 && !this.#over, 'what failed had been sent, and is wanted');
    const { pool, retry, clock } = this.#caller.options;
    const { tokens } = this.#caller;
    const slot = this.#pick?.slot;
    const reason = reasonOf(status.message);
    if (slot !== undefined && status.maySent && blamesServer(status)) pool.suspect(slot);
    if (status.code === GrpcCode.DEADLINE_EXCEEDED || clock.nowMs() >= this.#deadlineMs) {
      return false;
    }
    const refusals = this.#tokenRefusals;
    if (tokens.refused(reason, this.#hadToken, this.#tokenGeneration, refusals)) {
      this.#tokenRefusals += 1;
      return this.#pauseAndBegin(refusals, status);
    }
    const learner = reason === 'LEARNER_UNSUPPORTED' && pool.size > 1;
    if (learner && slot !== undefined) pool.suspect(slot);
    const mayRepeat =
      learner || !status.maySent || (this.#kind !== 'write' && worthRepeating(status, reason));
    if (!mayRepeat || this.#repeats + 1 >= retry.attemptsMax) return false;
    this.#avoid = slot;
    this.#repeats += 1;
    return this.#pauseAndBegin(this.#repeats, status);
  }

  /**
   * At once before the first repeat for a token, `repeat` 0. Full jitter: a herd of clients that
   * failed together does not come back together.
   */
  #pauseAndBegin(repeat: number, status: RpcStatus): boolean {
    assert(this.#call === undefined, 'no attempt runs while the next one waits');
    if (repeat === 0) {
      this.#tellRetry(0, status);
      this.#begin();
      return true;
    }
    const { retry, clock, random } = this.#caller.options;
    const fullMs = Math.min(retry.delayMaxMs, retry.delayMinMs * 2 ** (repeat - 1));
    const delayMs = fullMs * random.float();
    if (clock.nowMs() + delayMs >= this.#deadlineMs) return false;
    this.#tellRetry(delayMs, status);
    this.#pause = clock.after(delayMs, () => this.#begin());
    return true;
  }

  #tellRetry(delayMs: number, status: RpcStatus): void {
    const { kind: _, attempts: attempt, method, key, endpoint } = this.#context();
    const error = callError(status, this.#context());
    this.#caller.options.onEvent({
      ...{ type: 'retry', method, key, endpoint, attempt, delayMs, error },
    });
  }

  #tellEnd(error: Error | undefined): void {
    assert(this.#over, 'what is told of as ended has ended');
    const { clock, onEvent } = this.#caller.options;
    const { method, key, endpoint, attempts } = this.#context();
    const durationMs = clock.nowMs() - this.#startMs;
    onEvent({ type: 'callEnded', method, key, endpoint, attempts, durationMs, error });
  }

  #fail(error: Error): void {
    if (this.#over) return;
    this.#finish();
    this.#call?.cancel();
    this.#tellEnd(error);
    this.#reject(error);
  }

  #finish(): void {
    assert(!this.#over, 'a call ends once');
    this.#over = true;
    this.#pause?.cancel();
    this.#running.delete(this);
    this.#takeBack?.();
  }

  #context(): CallContext {
    return {
      kind: this.#kind,
      method: this.#method,
      key: this.#key,
      endpoint: this.#pick?.slot.endpoint.address ?? this.#options.endpoint,
      attempts: this.#attempts,
    };
  }

  /** An error from before the request was sent, with what is known of the call. */
  #withContext(error: Error): Error {
    if (!(error instanceof EtcdClientError)) return error;
    return new EtcdClientError({
      code: error.code,
      reason: error.reason,
      outcome: 'failed',
      message: error.message,
      cause: error.cause,
      method: this.#method,
      key: this.#key,
      endpoint: error.endpoint ?? this.#options.endpoint,
      attempts: this.#attempts,
    });
  }
}

function noTokenError(aborted: boolean): EtcdClientError {
  return new EtcdClientError({
    code: aborted ? 'CANCELLED' : 'DEADLINE_EXCEEDED',
    reason: aborted ? 'ABORTED' : 'CONNECT_FAILED',
    outcome: 'failed',
    message: `${aborted ? 'aborted' : 'the deadline passed'} while waiting for a token`,
  });
}

/** Errors as they are; anything else somebody threw, wrapped. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
