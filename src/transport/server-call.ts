/**
 * One gRPC call at the server. Unary calls are the hot path: one object besides the stream, no
 * closure, no timer, and for a small message neither reader nor copy of the request.
 */

import {
  assert,
  type Caller,
  EtcdError,
  emptyBytes,
  GrpcCode,
  sliceMsMax,
} from '../common/index.js';
import type { ServerCallHost } from './call-host.js';
import type { Connection } from './connection.js';
import type { DeadlineEntry } from './deadline-wheel.js';
import {
  compress,
  decompress,
  MessageReader,
  type MessageSink,
  messagePrefixBytes,
} from './grpc-message.js';
import { statusTrailers, trailersOnly } from './grpc-status.js';
import { HeldData } from './held-data.js';
import type { HeaderBlock } from './hpack-decode.js';
import type { RequestHead } from './message-head.js';
import { firstBinary } from './metadata.js';
import type { AnswerHold, Waiting } from './send-room.js';
import { totalBytes } from './sender.js';
import type { AbortReason, Stream, StreamOwner } from './stream.js';
import type { CallSteps, CallWitness, MessageCounts, MethodHandler, ServerCall } from './types.js';

const noParts: readonly Uint8Array[] = [];

/** State of one call; what the handler sees of it is {@link ServerCall}. */
export class GrpcServerCall implements ServerCall, StreamOwner, DeadlineEntry, MessageSink {
  readonly method: string;
  readonly deadlineMs: number | undefined;
  cancelled: boolean;
  onCancel: (() => void) | undefined;
  onDrain: (() => void) | undefined;
  onMessage: ((message: Buffer) => void) | undefined;
  onEnd: (() => void) | undefined;
  caller: Caller | undefined;
  counts: MessageCounts | undefined;
  steps: CallSteps | undefined;
  witness: CallWitness | undefined;
  wheelNext: DeadlineEntry | undefined;
  wheelPrevious: DeadlineEntry | undefined;
  wheelSlot: number;
  readonly #owner: ServerCallHost;
  readonly #connection: Connection;
  readonly #stream: Stream;
  readonly #head: RequestHead;
  readonly #handler: MethodHandler;
  readonly #startMs: number;
  #ended: boolean;
  #headSent: boolean;
  #reader: MessageReader | undefined;
  /** Unary: the request, once it is complete but END_STREAM is not there yet. */
  #request: Buffer | undefined;
  #held: HeldData | undefined;
  /** What is held is being handled, piece by piece, unless the handler pauses again. */
  #resuming: boolean;
  /** What the answer in the making takes of the memory for all. */
  #room: AnswerHold | undefined;
  #waiting: Waiting | undefined;

  constructor(owner: ServerCallHost, stream: Stream, head: RequestHead, handler: MethodHandler) {
    const nowMs = owner.connection.nowMs;
    this.method = head.path;
    this.deadlineMs = head.timeoutMs < 0 ? undefined : nowMs + head.timeoutMs;
    this.cancelled = false;
    this.onCancel = undefined;
    this.onDrain = undefined;
    this.onMessage = undefined;
    this.onEnd = undefined;
    this.caller = undefined;
    this.counts = undefined;
    this.steps = undefined;
    this.witness = undefined;
    this.wheelNext = undefined;
    this.wheelPrevious = undefined;
    this.wheelSlot = -1;
    this.#owner = owner;
    this.#connection = owner.connection;
    this.#stream = stream;
    this.#head = head;
    this.#handler = handler;
    this.#startMs = nowMs;
    this.#ended = false;
    this.#headSent = false;
    this.#reader = undefined;
    this.#request = undefined;
    this.#held = undefined;
    this.#resuming = false;
    this.#room = undefined;
    this.#waiting = undefined;
  }

  /** Begins the call: the deadline counts, a streaming handler gets to know of it. */
  open(endStream: boolean): void {
    if (this.deadlineMs !== undefined) {
      if (this.#head.timeoutMs <= 0) {
        this.onDeadline();
        return;
      }
      this.#owner.wheel.add(this);
    }
    if (this.#handler.kind === 'bidi') this.#handler.handle(this);
    if (endStream) this.#endRequest();
  }

  get peer(): ServerCall['peer'] {
    return this.#owner.peer;
  }

  get backlogBytes(): number {
    return this.#stream.queuedBytes;
  }

  get hasRoom(): boolean {
    return this.#owner.room.has(this.#connection.sender);
  }

  get hasShortRoom(): boolean {
    return this.#owner.room.has(this.#connection.sender, true);
  }

  whenRoom(run: () => void, heldBytes = 0, isShort = false): void {
    if (this.#ended) return;
    const { room } = this.#owner;
    const begin = (): void => {
      this.#waiting = undefined;
      if (!this.#ended) run();
    };
    assert(this.#waiting === undefined, 'a call waits for room once at a time');
    this.#waiting = room.wait(this.#connection.sender, begin, heldBytes, isShort);
    if (this.#waiting !== undefined) return;
    const { code, message } = new EtcdError('TOO_MANY_REQUESTS');
    this.cancelled = true;
    this.fail(code, message);
    this.onCancel?.();
  }

  takeRoom(bytes: number): Promise<void> | undefined {
    if (this.#ended) return Promise.reject(new EtcdError('REQUEST_CANCELED'));
    this.#room ??= this.#owner.room.hold(this.#connection.sender);
    return this.#room.take(bytes);
  }

  settleRoom(): void {
    this.#room?.settle();
  }

  leaveRoom(): void {
    this.#room?.leave();
  }

  metadata(key: string): string | undefined {
    for (const field of this.#head.fields) if (field.name === key) return field.value;
    return undefined;
  }

  binaryMetadata(key: string): Buffer | undefined {
    const value = this.metadata(key);
    return value === undefined ? undefined : firstBinary(value);
  }

  reply(message: Uint8Array): void {
    if (this.#ended) return;
    this.witness?.answered([message]);
    const owner = this.#owner;
    const templates = owner.templates;
    const sender = this.#connection.sender;
    if (
      !this.#headSent &&
      this.#head.encoding === '' &&
      sender.tryUnary(this.#stream, templates.head, message, noParts, templates.ok)
    ) {
      this.#finish(GrpcCode.OK);
      return;
    }
    // What cannot leave at once must not be borrowed.
    this.#replyLong(Buffer.from(message), noParts);
  }

  replyParts(parts: readonly Uint8Array[]): void {
    if (this.#ended) return;
    this.witness?.answered(parts);
    const templates = this.#owner.templates;
    const sender = this.#connection.sender;
    if (
      !this.#headSent &&
      this.#head.encoding === '' &&
      sender.tryUnary(this.#stream, templates.head, emptyBytes, parts, templates.ok)
    ) {
      this.#finish(GrpcCode.OK);
      return;
    }
    this.#replyLong(emptyBytes, parts);
  }

  fail(code: GrpcCode, message: string, details?: Uint8Array): void {
    if (this.#ended) return;
    if (code === GrpcCode.OK) {
      this.end();
      return;
    }
    this.#ended = true;
    const sender = this.#connection.sender;
    if (this.#headSent) sender.end(this.#stream, statusTrailers(code, message, details));
    else sender.sendHeaders(this.#stream, trailersOnly(200, code, message, details), true);
    this.#finish(code, message);
  }

  send(message: Uint8Array): boolean {
    if (this.#ended) return true;
    if (this.counts !== undefined) this.counts.messagesSent += 1;
    this.witness?.answered([message]);
    return this.#sendMessage(message, noParts);
  }

  sendParts(parts: readonly Uint8Array[]): boolean {
    if (this.#ended) return true;
    if (this.counts !== undefined) this.counts.messagesSent += 1;
    this.witness?.answered(parts);
    return this.#sendMessage(emptyBytes, parts);
  }

  end(): void {
    if (this.#ended) return;
    this.#sendHead();
    this.#ended = true;
    this.#connection.sender.end(this.#stream, this.#owner.templates.ok);
    this.#finish(GrpcCode.OK);
  }

  pause(): void {
    this.#resuming = false;
    if (this.#held !== undefined || this.#ended) return;
    this.#held = new HeldData(this.#connection);
    this.#connection.pauseStream(this.#stream);
  }

  resume(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    const { clock } = this.#owner;
    const untilMs = clock.nowMs() + sliceMsMax;
    for (let piece = held.take(); piece !== undefined; piece = held.take()) {
      const stopped = this.#feed(piece, 0, piece.length);
      if (this.#held === undefined && !this.#ended && clock.nowMs() >= untilMs) {
        // A window full of short messages is a long piece of work: the rest in the next turn.
        this.#held = held;
        this.#resuming = true;
        clock.afterTurn(() => {
          if (this.#resuming && this.#held === held) this.resume();
        });
        return;
      }
      if (this.#held !== undefined) {
        // Paused again by what it just got: the rest stays, in front.
        held.putBack(piece, stopped);
        this.#held = held;
        return;
      }
    }
    this.#connection.resumeStream(this.#stream);
    if (held.ended) this.#endRequest();
  }

  // StreamOwner

  onHeaders(_block: HeaderBlock, endStream: boolean): void {
    if (!endStream) return;
    if (this.#held !== undefined) this.#held.ended = true;
    else this.#endRequest();
  }

  onData(from: Buffer, start: number, end: number, endStream: boolean): void {
    if (this.#ended) return;
    const handler = this.#handler;
    if (
      endStream &&
      handler.kind !== 'bidi' &&
      this.#reader === undefined &&
      from[start] === 0 &&
      end - start >= messagePrefixBytes &&
      from.readUInt32BE(start + 1) === end - start - messagePrefixBytes &&
      end - start - messagePrefixBytes <= this.#owner.limits.receiveMessageBytesMax
    ) {
      this.#run(from.subarray(start + messagePrefixBytes, end));
      return;
    }
    const held = this.#held;
    if (held !== undefined) {
      held.add(from, start, end);
      held.ended = endStream;
      return;
    }
    const stopped = this.#feed(from, start, end);
    if (this.#request?.buffer === from.buffer && !endStream) {
      // END_STREAM comes in a later chunk; what was gathered of several is ours.
      this.#request = Buffer.from(this.#request);
    }
    const nowHeld: HeldData | undefined = this.#held;
    if (nowHeld !== undefined) {
      nowHeld.add(from, stopped, end);
      nowHeld.ended = endStream;
    } else if (endStream) {
      this.#endRequest();
    }
  }

  onAbort(_errorCode: number, _reason: AbortReason): void {
    if (this.#ended) return;
    this.#ended = true;
    this.cancelled = true;
    this.#finish(GrpcCode.CANCELLED);
    this.onCancel?.();
  }

  onWritable(): void {
    if (!this.#ended) this.onDrain?.();
  }

  // DeadlineEntry

  onDeadline(): void {
    if (this.#ended) return;
    this.cancelled = true;
    this.fail(GrpcCode.DEADLINE_EXCEEDED, 'context deadline exceeded');
    this.onCancel?.();
  }

  // MessageSink

  get holding(): boolean {
    return this.#held !== undefined;
  }

  onWireMessage(wire: Buffer, flag: number): void {
    if (this.#ended) return;
    let message = wire;
    if (flag === 1) {
      const bytesMax = this.#owner.limits.receiveMessageBytesMax;
      const clear = decompress(wire, this.#head.encoding, bytesMax);
      if (!('message' in clear)) {
        this.fail(clear.code, clear.text);
        return;
      }
      message = clear.message;
    }
    if (this.#handler.kind === 'bidi') {
      if (this.counts !== undefined) this.counts.messagesReceived += 1;
      this.onMessage?.(message);
    } else if (this.#request === undefined) {
      // Kept until END_STREAM, which may come in a later chunk.
      this.#request = message;
    } else {
      this.fail(GrpcCode.INTERNAL, 'cardinality violation: received multiple request messages');
    }
  }

  onWireError(code: GrpcCode, message: string): void {
    this.fail(code, message);
  }

  #feed(from: Buffer, start: number, end: number): number {
    if (this.#reader === undefined) {
      this.#reader = new MessageReader(this.#owner.limits.receiveMessageBytesMax);
    }
    return this.#reader.push(from, start, end, this);
  }

  #endRequest(): void {
    if (this.#ended) return;
    if (this.#reader?.partial) {
      this.fail(GrpcCode.INTERNAL, 'unexpected EOF');
      return;
    }
    const handler = this.#handler;
    if (handler.kind === 'bidi') {
      this.onEnd?.();
      return;
    }
    const request = this.#request;
    if (request === undefined) {
      this.fail(GrpcCode.INTERNAL, 'cardinality violation: received no request message');
      return;
    }
    this.#request = undefined;
    this.#run(request);
  }

  /** Has the one request handled, once the answers that this connection has not read are few. */
  #run(request: Buffer): void {
    const handler = this.#handler;
    if (handler.kind === 'bidi') return;
    assert(!this.#ended && this.#held === undefined, 'a request is handled once');
    const { connectionBacklogBytesMax } = this.#owner.limits;
    if (this.#connection.sender.queuedBytes <= connectionBacklogBytesMax) {
      handler.handle(request, this);
      return;
    }
    // It counts as held meanwhile, so that there can't be many without bound.
    const held = new HeldData(this.#connection);
    held.add(request, 0, request.length);
    this.#held = held;
    this.whenRoom(() => {
      this.#held = undefined;
      handler.handle(held.take() ?? emptyBytes, this);
    });
  }

  #sendHead(): void {
    if (this.#headSent) return;
    this.#headSent = true;
    const templates = this.#owner.templates;
    const head = this.#head.encoding === 'gzip' ? templates.headGzip : templates.head;
    this.#connection.sender.sendHeaders(this.#stream, head, false);
  }

  #replyLong(first: Uint8Array, rest: readonly Uint8Array[]): void {
    this.#sendMessage(first, rest);
    if (this.#ended) return; // it was too long
    this.#ended = true;
    this.#connection.sender.end(this.#stream, this.#owner.templates.ok);
    this.#finish(GrpcCode.OK);
  }

  #sendMessage(first: Uint8Array, rest: readonly Uint8Array[]): boolean {
    this.#sendHead();
    const sender = this.#connection.sender;
    const stream = this.#stream;
    const small = this.#head.encoding === 'gzip' ? compress([first, ...rest]) : undefined;
    if (small !== undefined) {
      if (!sender.tryMessage(stream, 1, small, noParts, false)) {
        sender.queueMessage(stream, 1, small, noParts);
      }
    } else if (!sender.tryMessage(stream, 0, first, rest, false)) {
      const bytes = totalBytes(first, rest);
      const { sendMessageBytesMax } = this.#owner.limits;
      if (bytes > sendMessageBytesMax) {
        const sizes = `${bytes} vs. ${sendMessageBytesMax}`;
        const text = `grpc: trying to send message larger than max (${sizes})`;
        this.cancelled = true;
        this.fail(GrpcCode.RESOURCE_EXHAUSTED, text);
        this.onCancel?.();
        return true;
      }
      sender.queueMessage(stream, 0, first, rest);
    }
    if (stream.queuedBytes <= this.#owner.limits.streamBacklogHighWaterBytes) return true;
    stream.overHighWater = true;
    return false;
  }

  /** The call is over for the handler; what is queued still leaves. */
  #finish(code: GrpcCode, message = ''): void {
    this.#ended = true;
    this.witness?.ended(code, message);
    if (this.wheelSlot >= 0) this.#owner.wheel.remove(this);
    assert(this.wheelNext === undefined, 'a call that is over has no deadline');
    this.#held?.drop();
    this.#held = undefined;
    this.#reader = undefined;
    this.#room?.cancel();
    this.#waiting?.cancel();
    this.#waiting = undefined;
    const observe = this.#owner.observe;
    if (observe !== undefined) {
      const durationMs = this.#owner.clock.nowMs() - this.#startMs;
      observe(this.method, this.#handler.kind, code, durationMs, this);
    }
  }
}
