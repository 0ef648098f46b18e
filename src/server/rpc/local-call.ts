/**
 * A call that comes from inside of the member: the gateway and the Lock service make them on behalf
 * of a client. It passes the same guards as a call from a socket, with the identity and metadata
 * that its maker gives it.
 */

import { assert, type Caller, GrpcCode } from '../../common/index.js';
import type {
  AnswerHold,
  CallSteps,
  CallWitness,
  MessageCounts,
  MethodHandler,
  PeerOfCall,
  SendRoom,
  ServerCall,
} from '../../transport/index.js';

export interface LocalCallOptions {
  /** Full method, `/package.Service/Method`. */
  readonly method: string;
  /** Whoever the call is made for. */
  readonly peer: PeerOfCall;
  /** First value of a metadata key (lower case). */
  readonly metadata: (key: string) => string | undefined;
  /** As of the injected clock; the maker of the call cancels it at that time. */
  readonly deadlineMs?: number | undefined;
  /** For a call that passes no guard: there nobody else finds out who makes it. */
  readonly caller?: Caller | undefined;
  /** Where large answers wait until earlier ones have left; left out: there is always room. */
  readonly room?: AnswerRoom | undefined;
  /** What the answer in the making takes of the memory for all; without it nobody counts. */
  readonly memory?: AnswerHold | undefined;
}

/** What a call from inside takes of the memory for answers; each has its turn among the others. */
export function localMemory(room: SendRoom): AnswerHold {
  // Nothing of it waits in a queue of the transport, and nobody there is slow to read.
  return room.hold({ queuedBytes: 0, dequeuedBytes: 0, onStalled() {} });
}

/** Says whether an answer that may be large can be made now. */
export interface AnswerRoom {
  readonly hasRoom: boolean;
  /** Calls `run` once there is room. */
  whenRoom(run: () => void): void;
}

/** How a call ended. */
export interface LocalStatus {
  readonly code: GrpcCode;
  /** '' if it went well. */
  readonly message: string;
}

/** What the maker of a call is told. */
export interface LocalAnswers {
  /** One message; the bytes are the receiver's. */
  message(bytes: Buffer): void;
  /** In its place for an answer in pieces, by who can take one without having it put together. */
  parts?(parts: readonly Uint8Array[]): void;
  /** Called once, unless the maker cancelled the call before; nothing comes after it. */
  ended(status: LocalStatus): void;
}

/**
 * The server's view of the call is {@link ServerCall}; `push`, `finish`, `cancel`, `hold`,
 * `release`, `onResume` and `unsentBytes` are for the maker.
 */
export class LocalCall implements ServerCall {
  readonly method: string;
  readonly peer: PeerOfCall;
  readonly deadlineMs: number | undefined;
  readonly metadata: (key: string) => string | undefined;
  cancelled = false;
  caller: ServerCall['caller'] = undefined;
  onCancel: (() => void) | undefined;
  onDrain: (() => void) | undefined;
  onMessage: ((message: Buffer) => void) | undefined;
  onEnd: (() => void) | undefined;
  counts: MessageCounts | undefined;
  steps: CallSteps | undefined;
  witness: CallWitness | undefined;
  /** For the maker: called when the handler wants messages again. */
  onResume: (() => void) | undefined;
  /** For the maker: bytes of answers that it was given and that have not left yet. */
  unsentBytes = 0;
  readonly #room: AnswerRoom | undefined;
  readonly #memory: AnswerHold | undefined;
  readonly #answers: LocalAnswers;
  #ended = false;
  #isHeld = false;
  /** Of messages that the maker got while it held the call. */
  #heldBytes = 0;
  #waiting: Array<() => void> = [];
  /** While the handler does not want more: what has been pushed. */
  #pushed: Buffer[] = [];
  #isPaused = false;
  #isFinished = false;

  constructor(options: LocalCallOptions, answers: LocalAnswers) {
    this.method = options.method;
    this.peer = options.peer;
    this.deadlineMs = options.deadlineMs;
    this.metadata = options.metadata;
    this.caller = options.caller;
    this.#room = options.room;
    this.#memory = options.memory;
    this.#answers = answers;
  }

  // ------------------------------------------------------------------- for the maker of the call

  /** One more message of a stream; the bytes are only borrowed by the handler while it runs. */
  push(message: Buffer): void {
    assert(!this.#isFinished, 'nothing comes after the end of the requests');
    if (this.#ended || this.cancelled) return;
    if (this.#isPaused) this.#pushed.push(message);
    else this.#deliver(message);
  }

  #deliver(message: Buffer): void {
    if (this.counts !== undefined) this.counts.messagesReceived += 1;
    this.onMessage?.(message);
  }

  /** The handler does not take more now: what is pushed is kept. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** No more messages of a stream. */
  finish(): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    if (!this.#isPaused && !this.#ended && !this.cancelled) this.onEnd?.();
  }

  /** The maker has no more use for the call. */
  cancel(): void {
    if (this.#ended || this.cancelled) return;
    this.cancelled = true;
    this.witness?.ended(GrpcCode.CANCELLED, 'context canceled');
    this.#memory?.cancel();
    this.#waiting = [];
    this.#pushed = [];
    this.onCancel?.();
  }

  /**
   * Takes no more for now: `send` answers false until `release`, and what comes nevertheless counts
   * as unsent, so that whoever sends stops as it would for a slow client.
   */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#heldBytes = 0;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const run of waiting) if (!this.#ended && !this.cancelled) run();
    if (!this.#ended && !this.cancelled) this.onDrain?.();
  }

  // --------------------------------------------------------------------------- for the handler

  get backlogBytes(): number {
    return Math.max(this.unsentBytes, this.#heldBytes);
  }

  get hasRoom(): boolean {
    return !this.#isHeld && (this.#room?.hasRoom ?? true);
  }

  whenRoom(run: () => void): void {
    if (this.#isHeld) this.#waiting.push(run);
    else if (this.#room === undefined) run();
    else {
      this.#room.whenRoom(() => {
        if (!this.#ended && !this.cancelled) run();
      });
    }
  }

  get hasShortRoom(): boolean {
    return !this.#isHeld;
  }

  takeRoom(bytes: number): Promise<void> | undefined {
    return this.#memory?.take(bytes);
  }

  settleRoom(): void {
    this.#memory?.settle();
  }

  leaveRoom(): void {
    this.#memory?.leave();
  }

  binaryMetadata(): Buffer | undefined {
    return undefined;
  }

  reply(message: Uint8Array): void {
    if (this.#ended || this.cancelled) return;
    this.witness?.answered([message]);
    this.#answers.message(Buffer.from(message));
    this.end();
  }

  replyParts(parts: readonly Uint8Array[]): void {
    if (this.#ended || this.cancelled) return;
    this.witness?.answered(parts);
    this.#give(parts);
    this.end();
  }

  send(message: Uint8Array): boolean {
    if (this.#ended || this.cancelled) return true;
    if (this.counts !== undefined) this.counts.messagesSent += 1;
    this.witness?.answered([message]);
    this.#answers.message(Buffer.from(message.buffer, message.byteOffset, message.byteLength));
    if (this.#isHeld) this.#heldBytes += message.length;
    return !this.#isHeld;
  }

  sendParts(parts: readonly Uint8Array[]): boolean {
    if (this.#ended || this.cancelled) return true;
    if (this.counts !== undefined) this.counts.messagesSent += 1;
    this.witness?.answered(parts);
    this.#give(parts);
    if (this.#isHeld) for (const part of parts) this.#heldBytes += part.length;
    return !this.#isHeld;
  }

  #give(parts: readonly Uint8Array[]): void {
    if (this.#answers.parts === undefined) this.#answers.message(Buffer.concat(parts));
    else this.#answers.parts(parts);
  }

  end(): void {
    this.#finishWith(GrpcCode.OK, '');
  }

  fail(code: GrpcCode, message: string): void {
    this.#finishWith(code, message);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    const pushed = this.#pushed;
    this.#pushed = [];
    for (const [at, message] of pushed.entries()) {
      if (this.#isPaused) {
        this.#pushed = pushed.slice(at);
        return;
      }
      this.#deliver(message);
    }
    // Paused again by the last of them: what follows waits, too.
    if (this.#isPaused) return;
    if (!this.#isFinished) this.onResume?.();
    else if (!this.#ended && !this.cancelled) this.onEnd?.();
  }

  #finishWith(code: GrpcCode, message: string): void {
    if (this.#ended || this.cancelled) return;
    this.#ended = true;
    this.witness?.ended(code, message);
    this.#answers.ended({ code, message });
  }
}

/**
 * Begins the call; `request` for all but streams of requests (of which the messages are pushed). A
 * method that there is not ends it with UNIMPLEMENTED.
 */
export function startLocalCall(
  methods: ReadonlyMap<string, MethodHandler>,
  options: LocalCallOptions,
  answers: LocalAnswers,
  request?: Buffer,
): LocalCall {
  const call = new LocalCall(options, answers);
  const handler = methods.get(options.method);
  if (handler === undefined) call.fail(GrpcCode.UNIMPLEMENTED, `unknown method ${options.method}`);
  else if (handler.kind === 'bidi') {
    handler.handle(call);
    if (request !== undefined) call.push(request);
  } else {
    assert(request !== undefined, 'a call with one request has it');
    handler.handle(request, call);
  }
  return call;
}

/** What a unary call came to. */
export type LocalOutcome =
  | { readonly ok: true; readonly message: Buffer }
  | ({ readonly ok: false } & LocalStatus);

/** A unary call as a promise, which never rejects; `onCall` is given the call, to cancel it. */
export function callLocally(
  methods: ReadonlyMap<string, MethodHandler>,
  options: LocalCallOptions,
  request: Buffer,
  onCall?: (call: LocalCall) => void,
): Promise<LocalOutcome> {
  return new Promise((resolve) => {
    let reply: Buffer | undefined;
    const answers: LocalAnswers = {
      message(bytes) {
        reply = bytes;
      },
      ended(status) {
        if (status.code !== GrpcCode.OK) resolve({ ok: false, ...status });
        else if (reply !== undefined) resolve({ ok: true, message: reply });
        else resolve({ ok: false, code: GrpcCode.INTERNAL, message: 'no message was answered' });
      },
    };
    // Begun in any case: an optional call would not even look at its argument.
    const call = startLocalCall(methods, options, answers, request);
    onCall?.(call);
  });
}
