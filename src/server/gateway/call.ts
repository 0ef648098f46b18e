/** One call of the gateway: its requests out of the body, its answers into the response. */

import {
  type Clock,
  emptyBytes,
  GrpcCode,
  gatewayStreamBacklogBytes,
  type Timer,
} from '../../common/index.js';
import type { RpcDescriptor } from '../../proto/index.js';
import type {
  CallObserver,
  HttpRequest,
  HttpResponse,
  MethodHandler,
  SendRoom,
} from '../../transport/index.js';
import {
  type LocalAnswers,
  type LocalCall,
  type LocalCallOptions,
  type LocalStatus,
  localMemory,
  startLocalCall,
} from '../rpc/index.js';
import { type GatewayRoom, HeldAnswer } from './answer-room.js';
import { type BodyBudget, BodyFault, type BodyLimits, JsonBody } from './bodies.js';
import {
  deadlineExceeded,
  type Failure,
  failedAnswer,
  failedLine,
  httpStatus,
  jsonType,
} from './errors.js';
import { bare, inStream, joined, textOf } from './pieces.js';

/** Headers of an answer that a method gave: gRPC's own content type is among its metadata. */
const answered = { ...jsonType, 'grpc-metadata-content-type': 'application/grpc' };

export interface GatewayOptions {
  /** The member's methods behind their guards, by full name. */
  readonly methods: ReadonlyMap<string, MethodHandler>;
  readonly clock: Clock;
  /** Told of each call that ended. */
  readonly observe: CallObserver | undefined;
  readonly limits: BodyLimits;
  /** For what is read for answers; without it nobody counts. */
  readonly memory?: SendRoom | undefined;
}

/** What all calls of one gateway share. */
export interface GatewayShared extends GatewayOptions {
  readonly room: GatewayRoom;
  readonly budget: BodyBudget;
}

export class GatewayCall implements LocalAnswers {
  readonly #shared: GatewayShared;
  readonly #clock: Clock;
  readonly #rpc: RpcDescriptor;
  readonly #request: HttpRequest;
  readonly #options: LocalCallOptions;
  readonly #body: JsonBody;
  readonly #held: HeldAnswer;
  readonly #startMs: number;
  #call: LocalCall | undefined;
  #timer: Timer | undefined;
  /** Answers that have not been written. */
  readonly #queue: Array<readonly Uint8Array[]> = [];
  #status: Failure | undefined;
  #hasBegun = false;
  #isOver = false;
  #onOver: (() => void) | undefined;
  #isGone = false;
  #wake: (() => void) | undefined;

  constructor(
    shared: GatewayShared,
    rpc: RpcDescriptor,
    request: HttpRequest,
    options: LocalCallOptions,
  ) {
    const { budget, clock, limits, room } = shared;
    const memory = shared.memory === undefined ? undefined : localMemory(shared.memory);
    this.#shared = shared;
    this.#clock = clock;
    this.#rpc = rpc;
    this.#request = request;
    this.#options = { ...options, room, memory };
    this.#body = new JsonBody(request.body, limits, budget, clock);
    this.#held = new HeldAnswer(room, () => request.drop());
    this.#startMs = clock.nowMs();
  }

  /** Resolves with the answer as soon as its head is known; rejects if the client went away. */
  async answer(): Promise<HttpResponse> {
    this.#request.onGone = () => this.#lost();
    this.#armDeadline();
    try {
      // Nothing is a message as well: one with nothing in it.
      if (this.#rpc.requestStream) this.#begin();
      else this.#begin((await this.#body.first(this.#rpc.request)) ?? emptyBytes);
    } catch (error) {
      this.#body.drop();
      this.#timer?.cancel();
      if (!(error instanceof BodyFault)) throw error;
      if (!this.#isOver) return failedAnswer(error.failure, error.status);
    }
    return this.#rpc.responseStream ? this.#streamed() : this.#whole();
  }

  // ------------------------------------------------------------------------------ LocalAnswers

  message(bytes: Buffer): void {
    this.parts([bytes]);
  }

  parts(parts: readonly Uint8Array[]): void {
    if (this.#isOver) return;
    this.#queue.push(parts);
    this.#held.add(totalBytes(parts));
    const call = this.#call;
    if (call !== undefined) this.#tellBacklog(call);
    this.#wakeUp();
  }

  ended({ code, message }: LocalStatus): void {
    this.#end(code === GrpcCode.OK ? undefined : { code, message });
  }

  // --------------------------------------------------------------------------------- the call

  #begin(request?: Buffer): void {
    if (request !== undefined) this.#body.drop();
    if (this.#isOver) return;
    this.#hasBegun = true;
    const { methods } = this.#shared;
    const call = startLocalCall(methods, this.#options, this, request);
    this.#call = call;
    this.#tellBacklog(call);
    if (request === undefined) void this.#pump(call);
  }

  /** Passes the messages of the body on, as the method takes them. */
  async #pump(call: LocalCall): Promise<void> {
    try {
      while (!this.#isOver) {
        const message = await this.#body.next(this.#rpc.request);
        if (message === undefined) break;
        call.push(message);
        while (call.isPaused && !this.#isOver) await this.#untilWanted(call);
      }
    } catch (error) {
      // As etcd: what is no message ends the requests, not the answers; one that is too long both.
      const failure = error instanceof BodyFault ? error.failure : undefined;
      if (failure !== undefined && failure.code !== GrpcCode.INVALID_ARGUMENT) {
        call.cancel();
        this.#end(failure);
      }
    } finally {
      this.#body.drop();
      call.finish();
    }
  }

  #untilWanted(call: LocalCall): Promise<void> {
    return new Promise((resolve) => {
      call.onResume = resolve;
      this.#onOver = resolve;
    });
  }

  #armDeadline(): void {
    const { deadlineMs } = this.#options;
    if (deadlineMs === undefined) return;
    const leftMs = deadlineMs - this.#startMs;
    if (leftMs <= 0) this.#end(deadlineExceeded);
    else {
      this.#timer = this.#clock.after(Math.min(leftMs, timerMsMax), () => {
        this.#call?.cancel();
        this.#end(deadlineExceeded);
      });
    }
  }

  #lost(): void {
    this.#isGone = true;
    this.#call?.cancel();
    this.#body.drop();
    this.#end({ code: GrpcCode.CANCELLED, message: 'context canceled' });
    this.#queue.length = 0;
    this.#held.end();
  }

  #end(status: Failure | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#status = status;
    this.#timer?.cancel();
    this.#onOver?.();
    this.#wakeUp();
    const { clock, methods, observe } = this.#shared;
    const kind = methods.get(this.#rpc.name)?.kind;
    // What never reached its method is not counted, as a call that never came.
    if (kind === undefined || !this.#hasBegun) return;
    const { method } = this.#options;
    // It may have ended before it was known as a call: then it had no steps.
    const call = this.#call ?? this.#options;
    observe?.(method, kind, status?.code ?? GrpcCode.OK, clock.nowMs() - this.#startMs, call);
  }

  #tellBacklog(call: LocalCall): void {
    call.unsentBytes = this.#held.bytes;
    if (this.#held.bytes > gatewayStreamBacklogBytes) call.hold();
    else call.release();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  // ------------------------------------------------------------------------------- the answer

  /** Resolves once there is something to write, or nothing more will come. */
  async #more(): Promise<void> {
    while (this.#queue.length === 0 && !this.#isOver) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async #whole(): Promise<HttpResponse> {
    while (!this.#isOver) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#status !== undefined) return failedAnswer(this.#status);
    const parts = this.#queue.shift() ?? [];
    const bytes = await joined(parts, this.#clock);
    const text = textOf(bytes, this.#rpc.response, bare, this.#clock);
    if (typeof text !== 'string') {
      return { status: 200, headers: answered, body: this.#taken(text) };
    }
    this.#held.end();
    return { status: 200, headers: answered, body: text };
  }

  /** The same pieces; whoever takes one shows that the client reads. */
  async *#taken(pieces: AsyncGenerator<string, void, void>): AsyncGenerator<string, void, void> {
    try {
      for await (const piece of pieces) {
        if (this.#isGone) return;
        yield piece;
        this.#held.touch();
      }
    } finally {
      this.#held.end();
    }
  }

  async #streamed(): Promise<HttpResponse> {
    await this.#more();
    if (this.#queue.length > 0) return { status: 200, headers: answered, body: this.#lines() };
    if (this.#status === undefined) return { status: 200, headers: {}, body: '' };
    const status = httpStatus(this.#status.code);
    return { status, headers: jsonType, body: failedLine(this.#status) };
  }

  async *#lines(): AsyncGenerator<string, void, void> {
    for (;;) {
      await this.#more();
      const parts = this.#queue.shift();
      if (parts === undefined) break;
      const bytes = await joined(parts, this.#clock);
      const text = textOf(bytes, this.#rpc.response, inStream, this.#clock);
      if (typeof text === 'string') yield text;
      else yield* this.#touched(text);
      if (this.#isGone) return;
      this.#held.take(totalBytes(parts));
      if (this.#call !== undefined) this.#tellBacklog(this.#call);
    }
    if (this.#status !== undefined && !this.#isGone) yield failedLine(this.#status);
  }

  async *#touched(pieces: AsyncGenerator<string, void, void>): AsyncGenerator<string, void, void> {
    for await (const piece of pieces) {
      if (this.#isGone) return;
      yield piece;
      this.#held.touch();
    }
  }
}

/** The longest that a timer of Node can be. */
const timerMsMax = 0x7fff_ffff;

function totalBytes(parts: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  return bytes;
}
