/** One unary call at the client. */

import { assert, emptyBytes, GrpcCode } from '../common/index.js';
import type { ClientCallHost } from './call-host.js';
import {
  abortStatus,
  cancelStatus,
  deadlineStatus,
  headError,
  internalStatus,
  isInformational,
  isMisplaced,
  responseHead,
  trailerStatus,
} from './client-status.js';
import type { DeadlineEntry } from './deadline-wheel.js';
import { ErrorCode } from './frames.js';
import { decompress, MessageReader, type MessageSink, messagePrefixBytes } from './grpc-message.js';
import type { HeaderBlock } from './hpack-decode.js';
import type { AbortReason, Stream, StreamOwner } from './stream.js';
import type { CallOptions, ClientCall, RpcStatus } from './types.js';

const noParts: readonly Uint8Array[] = [];

/** State of one call; `done` is called once. */
export class UnaryCall implements ClientCall, StreamOwner, DeadlineEntry, MessageSink {
  readonly deadlineMs: number | undefined;
  readonly holding = false;
  wheelNext: DeadlineEntry | undefined;
  wheelPrevious: DeadlineEntry | undefined;
  wheelSlot: number;
  over: boolean;
  readonly #client: ClientCallHost;
  readonly #method: string;
  readonly #options: CallOptions;
  readonly #done: (status: RpcStatus, message: Buffer | undefined) => void;
  #request: Uint8Array;
  #stream: Stream | undefined;
  #message: Buffer | undefined;
  #encoding: string;
  #headSeen: boolean;
  #reader: MessageReader | undefined;

  constructor(
    client: ClientCallHost,
    method: string,
    request: Uint8Array,
    options: CallOptions,
    done: (status: RpcStatus, message: Buffer | undefined) => void,
  ) {
    const timeoutMs = options.timeoutMs;
    this.deadlineMs = timeoutMs === undefined ? undefined : client.clock.nowMs() + timeoutMs;
    this.wheelNext = undefined;
    this.wheelPrevious = undefined;
    this.wheelSlot = -1;
    this.over = false;
    this.#client = client;
    this.#method = method;
    this.#options = options;
    this.#done = done;
    this.#request = request;
    this.#stream = undefined;
    this.#message = undefined;
    this.#encoding = '';
    this.#headSeen = false;
    this.#reader = undefined;
    client.wheel.add(this);
  }

  /** The connection has a stream for the call: the request leaves. */
  begin(stream: Stream): void {
    assert(this.#stream === undefined && !this.over, 'a call begins once, while it is wanted');
    this.#stream = stream;
    stream.owner = this;
    const client = this.#client;
    const request = this.#request;
    this.#request = emptyBytes;
    client.sendHead(stream, this.#method, this.#options, this.#options.timeoutMs ?? -1);
    const sender = client.connection.sender;
    if (sender.tryMessage(stream, 0, request, noParts, true)) return;
    sender.queueMessage(stream, 0, request, noParts);
    sender.end(stream, 'data');
  }

  /** It never got a stream. */
  refuse(status: RpcStatus): void {
    this.#finish(status);
  }

  cancel(): void {
    this.#giveUp(cancelStatus);
  }

  onDeadline(): void {
    this.#giveUp(deadlineStatus);
  }

  onHeaders(block: HeaderBlock, endStream: boolean): void {
    if (this.over) return;
    const head = responseHead(block);
    if (isMisplaced(head, this.#headSeen, endStream)) {
      this.#giveUp(internalStatus('malformed header from the server'), ErrorCode.PROTOCOL_ERROR);
      return;
    }
    if (isInformational(head)) return;
    this.#headSeen = true;
    if (endStream) {
      this.#finish(trailerStatus(head));
      return;
    }
    this.#encoding = head.encoding;
    const error = headError(head);
    if (error !== undefined) this.#giveUp(error);
  }

  onData(from: Buffer, start: number, end: number, endStream: boolean): void {
    if (this.over) return;
    if (!this.#headSeen) {
      this.#giveUp(internalStatus('DATA before the head'), ErrorCode.PROTOCOL_ERROR);
      return;
    }
    const length = end - start - messagePrefixBytes;
    if (
      this.#reader === undefined &&
      this.#message === undefined &&
      length >= 0 &&
      from[start] === 0 &&
      from.readUInt32BE(start + 1) === length &&
      length <= this.#client.limits.receiveMessageBytesMax
    ) {
      this.#message = Buffer.from(from.subarray(start + messagePrefixBytes, end));
    } else {
      if (this.#reader === undefined) {
        this.#reader = new MessageReader(this.#client.limits.receiveMessageBytesMax);
      }
      this.#reader.push(from, start, end, this);
      // The trailers may come in a later chunk; what was gathered of several is ours.
      if (this.#message?.buffer === from.buffer) this.#message = Buffer.from(this.#message);
    }
    if (endStream) {
      this.#finish(internalStatus('server closed the stream without sending trailers'));
    }
  }

  onAbort(errorCode: number, reason: AbortReason): void {
    this.#finish(abortStatus(errorCode, reason, this.#client.connection.lostBecause));
  }

  onWritable(): void {}

  onWireMessage(wire: Buffer, flag: number): void {
    if (this.#message !== undefined) {
      this.#giveUp(internalStatus('cardinality violation: more than one reply'));
      return;
    }
    if (flag === 0) {
      this.#message = wire;
      return;
    }
    const bytesMax = this.#client.limits.receiveMessageBytesMax;
    const clear = decompress(wire, this.#encoding, bytesMax);
    if ('message' in clear) this.#message = clear.message;
    else this.onWireError(clear.code, clear.text);
  }

  onWireError(code: GrpcCode, message: string): void {
    this.#giveUp({ code, message, maySent: true });
  }

  #giveUp(status: RpcStatus, errorCode: number = ErrorCode.CANCEL): void {
    if (this.over) return;
    const stream = this.#stream;
    if (stream === undefined) {
      this.#finish({ ...status, maySent: false });
      return;
    }
    this.#client.connection.resetStream(stream, errorCode);
    this.#finish(status);
  }

  #finish(status: RpcStatus): void {
    if (this.over) return;
    this.over = true;
    if (this.wheelSlot >= 0) this.#client.wheel.remove(this);
    assert(this.wheelNext === undefined, 'a call that is over has no deadline');
    const stream = this.#stream;
    if (stream !== undefined && !stream.closed && !stream.localEnded) {
      // The server answered without waiting for the rest of the request.
      this.#client.connection.resetStream(stream, ErrorCode.CANCEL);
    }
    if (status.code !== GrpcCode.OK) {
      this.#done(status, undefined);
    } else if (this.#message === undefined || this.#reader?.partial) {
      this.#done(internalStatus('cardinality violation: no reply, or half of one'), undefined);
    } else {
      this.#done(status, this.#message);
    }
  }
}
