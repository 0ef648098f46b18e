/** One streaming call at the client: messages both ways, with backpressure both ways. */

import { assert, type GrpcCode } from '../common/index.js';
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
import { decompress, MessageReader, type MessageSink } from './grpc-message.js';
import { HeldData } from './held-data.js';
import type { HeaderBlock } from './hpack-decode.js';
import type { AbortReason, Stream, StreamOwner } from './stream.js';
import type { CallOptions, ClientStream, RpcStatus } from './types.js';

const noParts: readonly Uint8Array[] = [];

/** State of one call; `onStatus` is its last callback. */
export class StreamingCall implements ClientStream, StreamOwner, DeadlineEntry, MessageSink {
  readonly deadlineMs: number | undefined;
  onMessage: ((message: Buffer) => void) | undefined;
  onStatus: ((status: RpcStatus) => void) | undefined;
  onDrain: (() => void) | undefined;
  wheelNext: DeadlineEntry | undefined;
  wheelPrevious: DeadlineEntry | undefined;
  wheelSlot = -1;
  over = false;
  readonly #client: ClientCallHost;
  readonly #method: string;
  readonly #options: CallOptions;
  readonly #reader: MessageReader;
  #stream: Stream | undefined;
  /** Messages sent before there was a stream. */
  #early: Uint8Array[] = [];
  #earlyBytes = 0;
  #ending = false;
  #headSeen = false;
  #encoding = '';
  #held: HeldData | undefined;
  /** The status that waits behind held messages. */
  #status: RpcStatus | undefined;

  constructor(client: ClientCallHost, method: string, options: CallOptions) {
    const timeoutMs = options.timeoutMs;
    this.deadlineMs = timeoutMs === undefined ? undefined : client.clock.nowMs() + timeoutMs;
    this.#client = client;
    this.#method = method;
    this.#options = options;
    this.#reader = new MessageReader(client.limits.receiveMessageBytesMax);
    client.wheel.add(this);
  }

  begin(stream: Stream): void {
    assert(this.#stream === undefined && !this.over, 'a call begins once, while it is wanted');
    this.#stream = stream;
    stream.owner = this;
    this.#client.sendHead(stream, this.#method, this.#options, this.#options.timeoutMs ?? -1);
    const early = this.#early;
    this.#early = [];
    for (const message of early) this.send(message);
    if (this.#ending) this.#client.connection.sender.end(stream, 'data');
    else if (this.#earlyBytes > 0) this.onWritable();
  }

  refuse(status: RpcStatus): void {
    this.#finish(status);
  }

  send(message: Uint8Array): boolean {
    if (this.over) return true;
    const stream = this.#stream;
    const highWaterBytes = this.#client.limits.streamBacklogHighWaterBytes;
    if (stream === undefined) {
      this.#early.push(message);
      this.#earlyBytes += message.length;
      return this.#earlyBytes <= highWaterBytes;
    }
    const sender = this.#client.connection.sender;
    if (!sender.tryMessage(stream, 0, message, noParts, false)) {
      sender.queueMessage(stream, 0, message, noParts);
    }
    if (stream.queuedBytes <= highWaterBytes) return true;
    stream.overHighWater = true;
    return false;
  }

  end(): void {
    if (this.over || this.#ending) return;
    this.#ending = true;
    if (this.#stream !== undefined) this.#client.connection.sender.end(this.#stream, 'data');
  }

  cancel(): void {
    this.#giveUp(cancelStatus);
  }

  onDeadline(): void {
    this.#giveUp(deadlineStatus);
  }

  pause(): void {
    if (this.#held !== undefined || this.over) return;
    this.#held = new HeldData(this.#client.connection);
    if (this.#stream !== undefined) this.#client.connection.pauseStream(this.#stream);
  }

  resume(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    for (let piece = held.take(); piece !== undefined; piece = held.take()) {
      const stopped = this.#reader.push(piece, 0, piece.length, this);
      if (this.#held !== undefined) {
        held.putBack(piece, stopped);
        this.#held = held;
        return;
      }
    }
    if (this.#stream !== undefined) this.#client.connection.resumeStream(this.#stream);
    if (this.#status !== undefined) this.#finish(this.#status);
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
      this.#end(trailerStatus(head));
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
    const held = this.#held;
    if (held !== undefined) {
      held.add(from, start, end);
    } else {
      const stopped = this.#reader.push(from, start, end, this);
      this.#heldNow()?.add(from, stopped, end);
    }
    if (endStream) this.#end(internalStatus('server closed the stream without sending trailers'));
  }

  onAbort(errorCode: number, reason: AbortReason): void {
    this.#finish(abortStatus(errorCode, reason, this.#client.connection.lostBecause));
  }

  onWritable(): void {
    if (!this.over) this.onDrain?.();
  }

  get holding(): boolean {
    return this.#held !== undefined || this.over;
  }

  onWireMessage(wire: Buffer, flag: number): void {
    if (this.over) return;
    if (flag === 0) {
      this.onMessage?.(wire);
      return;
    }
    const bytesMax = this.#client.limits.receiveMessageBytesMax;
    const clear = decompress(wire, this.#encoding, bytesMax);
    if ('message' in clear) this.onMessage?.(clear.message);
    else this.onWireError(clear.code, clear.text);
  }

  onWireError(code: GrpcCode, message: string): void {
    this.#giveUp({ code, message, maySent: true });
  }

  /** Read anew: a callback may have paused the call. */
  #heldNow(): HeldData | undefined {
    return this.#held;
  }

  /** The reply is complete; held messages come first. */
  #end(status: RpcStatus): void {
    if (this.#held !== undefined) {
      this.#status = status;
      this.#release();
    } else if (this.#reader.partial && status.code === 0) {
      this.#finish(internalStatus('unexpected EOF'));
    } else {
      this.#finish(status);
    }
  }

  #giveUp(status: RpcStatus, errorCode: number = ErrorCode.CANCEL): void {
    if (this.over) return;
    const stream = this.#stream;
    if (stream !== undefined) this.#client.connection.resetStream(stream, errorCode);
    this.#finish(stream === undefined ? { ...status, maySent: false } : status);
  }

  /** The server is done; what we still meant to send is not wanted. */
  #release(): void {
    const stream = this.#stream;
    if (stream !== undefined && !stream.closed && !stream.localEnded) {
      this.#client.connection.resetStream(stream, ErrorCode.CANCEL);
    }
  }

  #finish(status: RpcStatus): void {
    if (this.over) return;
    this.over = true;
    if (this.wheelSlot >= 0) this.#client.wheel.remove(this);
    assert(this.wheelNext === undefined, 'a call that is over has no deadline');
    this.#held?.drop();
    this.#held = undefined;
    this.#early = [];
    this.#release();
    this.onStatus?.(status);
  }
}
