/**
 * The sending half of a connection: HPACK encoder, output, the windows the peer granted, and who
 * may send next. Small things go straight into the output; what does not fit a window, or would
 * pile up behind a full socket, waits in its stream's queue. Streams that could send if only the
 * connection let them take turns, one frame each, so that a large reply delays nobody.
 */

import { assert, type ByteStream, type Clock, emptyBytes } from '../common/index.js';
import {
  ConnectionError,
  ErrorCode,
  flagAck,
  flagEndHeaders,
  flagEndStream,
  frameContinuation,
  frameData,
  frameGoaway,
  frameHeaderBytes,
  frameHeaders,
  framePing,
  frameRstStream,
  frameSettings,
  frameWindowUpdate,
  writeFrameHeader,
  writeU32,
} from './frames.js';
import type { HeaderField } from './header-field.js';
import { HeaderTemplate, HpackEncoder } from './hpack-encode.js';
import {
  copyBytesMax,
  frameBytesMax,
  socketBacklogBytesMax,
  socketBacklogHighWaterBytes,
  turnFramesMax,
  windowBytesMax,
} from './limits.js';
import { Output } from './output.js';
import { segmentPoolOf } from './segment-pool.js';
import type { RoomUser, SendRoom } from './send-room.js';
import { SendTurns } from './send-turns.js';
import { noTurn, type Stream, type StreamEnd } from './stream.js';
import type { StreamTable } from './stream-table.js';
import { type Flushable, type TurnFlusher, turnFlusherOf } from './turn-flusher.js';
import type { TransportLimits } from './types.js';

/** gRPC's prefix of a message: a flag and four bytes of length. */
const messagePrefixBytes = 5;
/** Chunks that have left, at the front of a stream's queue, before it is made shorter. */
const queueHeadMax = 64;

/** What the sender tells its connection. */
export interface SenderHost {
  /** END_STREAM is in the output. */
  onLocalEnd(stream: Stream): void;
  /** The peer does not read: why the connection has to go. */
  onOverload(reason: string): void;
  /** The output was handed to the socket. */
  onFlushed(socketBacklogBytes: number): void;
}

/** Sends frames on one connection. */
export class Sender implements Flushable, RoomUser {
  readonly output: Output;
  readonly encoder = new HpackEncoder();
  /** The connection's window, in bytes. */
  window = 65_535;
  /** The peer's INITIAL_WINDOW_SIZE: part of the window of each stream, see `sendWindowOffset`. */
  initialWindow = 65_535;
  /** HEADERS or DATA left since this was last cleared. */
  sentSincePing = false;
  readonly #socket: ByteStream;
  readonly #host: SenderHost;
  readonly #limits: TransportLimits;
  readonly #flusher: TurnFlusher;
  #flushAsked = false;
  #socketBacklog = 0;
  readonly #room: SendRoom | undefined;
  /** Bytes in the queues of streams. */
  queuedBytes = 0;
  dequeuedBytes = 0;
  readonly #turns = new SendTurns();
  /** No open stream has a larger `sendWindowOffset`. */
  #offsetMax = 0;
  /** DATA frames made of queues since the last flush. */
  #turnFrames = 0;
  #pumping = false;
  #closed = false;
  #scratch = Buffer.alloc(0);

  /** `room`: of the server; a client has none. */
  constructor(
    socket: ByteStream,
    clock: Clock,
    limits: TransportLimits,
    host: SenderHost,
    room: SendRoom | undefined,
  ) {
    this.#socket = socket;
    this.#room = room;
    this.#limits = limits;
    this.#host = host;
    this.#flusher = turnFlusherOf(clock);
    this.output = new Output(socket, segmentPoolOf(clock));
  }

  /** Bytes not handed to the network yet, queues included. */
  get backlogBytes(): number {
    return this.queuedBytes + this.output.bytes + this.#socketBacklog;
  }

  /**
   * Writes a header block; HEADERS and, if it is long, CONTINUATION. `more`: fields after those of
   * `fields` that have a template of their own.
   */
  sendHeaders(
    stream: Stream,
    fields: readonly HeaderField[] | HeaderTemplate,
    endStream: boolean,
    more?: HeaderTemplate,
  ): void {
    if (this.#closed || stream.closed) return;
    let block =
      fields instanceof HeaderTemplate
        ? this.encoder.encodeTemplate(fields)
        : this.encoder.encode(fields);
    if (more !== undefined) {
      // Copied first: the encoder may be using the same memory for both.
      const length = store(block, this.#blockScratch(block.length), 0);
      const rest = this.encoder.encodeTemplate(more);
      const joined = this.#blockScratch(length + rest.length);
      block = joined.subarray(0, store(rest, joined, length));
    }
    this.#writeBlock(stream.id, block, endStream);
    if (endStream) this.#ended(stream);
  }

  /**
   * A whole unary reply in one piece: head, message (`first` and `rest`), trailers. False if it
   * must take the long way (windows, size, or a template that is not in the dynamic table yet):
   * then nothing was sent.
   */
  tryUnary(
    stream: Stream,
    head: HeaderTemplate,
    first: Uint8Array,
    rest: readonly Uint8Array[],
    trailers: HeaderTemplate,
  ): boolean {
    const version = this.encoder.version;
    const messageBytes = totalBytes(first, rest);
    const dataBytes = messageBytes + messagePrefixBytes;
    if (head.version !== version || trailers.version !== version) return false;
    if (!this.#fitsInline(stream, dataBytes)) return false;
    const headBytes = head.bytes;
    const trailerBytes = trailers.bytes;
    const total = 3 * frameHeaderBytes + headBytes.length + dataBytes + trailerBytes.length;
    let at = this.output.reserve(total);
    const buffer = this.output.buffer;
    const id = stream.id;
    writeFrameHeader(buffer, at, headBytes.length, frameHeaders, flagEndHeaders, id);
    at = store(headBytes, buffer, at + frameHeaderBytes);
    at = this.#storeMessage(stream, at, 0, messageBytes, first, rest, false);
    const flags = flagEndHeaders | flagEndStream;
    writeFrameHeader(buffer, at, trailerBytes.length, frameHeaders, flags, id);
    store(trailerBytes, buffer, at + frameHeaderBytes);
    this.sentSincePing = true;
    this.askFlush();
    this.#ended(stream);
    return true;
  }

  /**
   * One gRPC message (`first` and `rest`) as one DATA frame, copied; with `endStream`, the last.
   * False if it does not fit now: then nothing was sent, and the caller queues it.
   */
  tryMessage(
    stream: Stream,
    flag: number,
    first: Uint8Array,
    rest: readonly Uint8Array[],
    endStream: boolean,
  ): boolean {
    if (this.#closed || stream.closed) return true;
    const messageBytes = totalBytes(first, rest);
    const dataBytes = messageBytes + messagePrefixBytes;
    if (!this.#fitsInline(stream, dataBytes)) return false;
    const at = this.output.reserve(frameHeaderBytes + dataBytes);
    this.#storeMessage(stream, at, flag, messageBytes, first, rest, endStream);
    this.sentSincePing = true;
    this.askFlush();
    if (endStream) this.#ended(stream);
    return true;
  }

  /** Queues a message and sends what may be sent of it. Ownership of the pieces passes. */
  queueMessage(stream: Stream, flag: number, first: Uint8Array, rest: readonly Uint8Array[]): void {
    const prefix = Buffer.allocUnsafe(messagePrefixBytes);
    prefix[0] = flag;
    writeU32(prefix, 1, totalBytes(first, rest));
    this.queue(stream, prefix);
    this.queue(stream, first);
    for (const part of rest) this.queue(stream, part);
    this.push(stream);
  }

  /** Queues DATA; ownership of `chunk` passes. `push` sends what may be sent. */
  queue(stream: Stream, chunk: Uint8Array): void {
    if (this.#closed || stream.closed || chunk.length === 0) return;
    if (stream.queue === undefined) stream.queue = [];
    stream.queue.push(chunk);
    stream.queuedBytes += chunk.length;
    this.queuedBytes += chunk.length;
    this.#room?.add(this, chunk.length);
  }

  /** Sends what is queued on `stream` as far as the windows and the socket let it. */
  push(stream: Stream): void {
    if (this.#closed || stream.closed) return;
    this.#turns.ready(stream);
    this.#pump();
  }

  /** Ends our side of the stream once its queue is empty. */
  end(stream: Stream, end: StreamEnd): void {
    if (this.#closed || stream.closed || stream.localEnded) return;
    stream.end = end;
    this.push(stream);
  }

  /** Drops what is queued on a stream that is gone, and its place among those who send. */
  drop(stream: Stream): void {
    if (stream.turn !== noTurn) this.#turns.leave(stream);
    if (stream.queuedBytes === 0) return;
    const bytes = stream.queuedBytes;
    this.queuedBytes -= bytes;
    assert(this.queuedBytes >= 0, 'a connection has queued what its streams have');
    this.#room?.add(this, -bytes);
    stream.queue = undefined;
    stream.queueHead = 0;
    stream.queueOffset = 0;
    stream.queuedBytes = 0;
    stream.end = undefined;
  }

  /** WINDOW_UPDATE of the connection (`stream` undefined) or of a stream; false: overflow. */
  grow(stream: Stream | undefined, bytes: number): boolean {
    assert(bytes > 0, 'a window grows by something');
    if (stream === undefined) {
      if (this.window + bytes > windowBytesMax) return false;
      this.window += bytes;
    } else {
      const offset = stream.sendWindowOffset + bytes;
      if (offset + this.initialWindow > windowBytesMax) return false;
      stream.sendWindowOffset = offset;
      if (offset > this.#offsetMax) this.#offsetMax = offset;
      if (stream.queuedBytes > 0) this.#turns.ready(stream);
    }
    this.#pump();
    return true;
  }

  /**
   * SETTINGS_INITIAL_WINDOW_SIZE: the windows of all open streams change by the difference (6.9.2),
   * which is one number here. What that lets out leaves with `pump`, after the acknowledgement.
   * Returns how many streams have to be looked at, now or by the pump.
   */
  changeInitialWindow(size: number, streams: Pick<StreamTable, 'values'>): number {
    assert(size >= 0 && size <= windowBytesMax, 'a window size has been checked');
    let looks = 0;
    if (size + this.#offsetMax > windowBytesMax) {
      let offsetMax = 0;
      for (const stream of streams.values()) {
        offsetMax = Math.max(offsetMax, stream.sendWindowOffset);
        looks++;
      }
      this.#offsetMax = offsetMax;
      if (size + offsetMax > windowBytesMax) {
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'window above 2^31-1');
      }
    }
    const grows = size > this.initialWindow;
    this.initialWindow = size;
    if (!grows) return looks;
    looks += this.#turns.blockedCount;
    this.#turns.unblockAll();
    return looks;
  }

  /** Sends what the windows and the socket let out. */
  pump(): void {
    this.#pump();
  }

  sendSettings(settings: ReadonlyArray<readonly [number, number]>): void {
    const length = settings.length * 6;
    let at = this.#frame(length, frameSettings, 0, 0);
    const buffer = this.output.buffer;
    for (const [id, value] of settings) {
      buffer[at] = id >>> 8;
      buffer[at + 1] = id;
      writeU32(buffer, at + 2, value);
      at += 6;
    }
  }

  sendSettingsAck(): void {
    this.#frame(0, frameSettings, flagAck, 0);
  }

  /** `payload[at, at + 8)` is the opaque data. */
  sendPing(ack: boolean, payload: Buffer, payloadAt: number): void {
    const at = this.#frame(8, framePing, ack ? flagAck : 0, 0);
    payload.copy(this.output.buffer, at, payloadAt, payloadAt + 8);
  }

  sendGoaway(lastStreamId: number, code: number, debug: string): void {
    const text = Buffer.from(debug, 'utf8');
    const at = this.#frame(8 + text.length, frameGoaway, 0, 0);
    const buffer = this.output.buffer;
    writeU32(buffer, at, lastStreamId);
    writeU32(buffer, at + 4, code);
    text.copy(buffer, at + 8);
  }

  sendReset(streamId: number, code: number): void {
    const at = this.#frame(4, frameRstStream, 0, streamId);
    writeU32(this.output.buffer, at, code);
  }

  sendWindowUpdate(streamId: number, bytes: number): void {
    assert(bytes > 0 && bytes <= windowBytesMax, 'a window is granted in bytes');
    const at = this.#frame(4, frameWindowUpdate, 0, streamId);
    writeU32(this.output.buffer, at, bytes);
  }

  askFlush(): void {
    if (this.#flushAsked) return;
    this.#flushAsked = true;
    this.#flusher.add(this);
  }

  /** Hands the output to the socket. Called at the end of the turn, or before closing. */
  flush(): void {
    this.#flushAsked = false;
    if (this.#closed) return;
    this.output.flush();
    this.#socketBacklog = this.#socket.backlogBytes();
    if (this.#socketBacklog > socketBacklogBytesMax) {
      this.#host.onOverload('it does not read');
      return;
    }
    this.#host.onFlushed(this.#socketBacklog);
    this.#turnFrames = 0;
    if (this.#turns.head !== undefined) this.#pump();
  }

  /** The socket has room again. */
  onSocketDrain(): void {
    if (this.#closed) return;
    this.output.settle();
    this.#socketBacklog = this.#socket.backlogBytes();
    this.#host.onFlushed(this.#socketBacklog);
    this.#pump();
  }

  /** Nothing more will be sent. */
  close(): void {
    this.#closed = true;
    this.output.clear();
    this.#turns.clear();
    this.#room?.forget(this);
  }

  onStalled(): void {
    this.#host.onOverload('it reads none of its answers, and others wait for the room they take');
  }

  #writeBlock(streamId: number, block: Buffer, endStream: boolean): void {
    let type = frameHeaders;
    let flags = endStream ? flagEndStream : 0;
    let from = 0;
    do {
      const length = Math.min(block.length - from, frameBytesMax);
      if (from + length === block.length) flags |= flagEndHeaders;
      const at = this.output.reserve(frameHeaderBytes + length);
      const buffer = this.output.buffer;
      writeFrameHeader(buffer, at, length, type, flags, streamId);
      block.copy(buffer, at + frameHeaderBytes, from, from + length);
      type = frameContinuation;
      flags = 0;
      from += length;
    } while (from < block.length);
    this.sentSincePing = true;
    this.askFlush();
  }

  #blockScratch(length: number): Buffer {
    if (this.#scratch.length < length) {
      const grown = Buffer.allocUnsafe(length * 2);
      this.#scratch.copy(grown);
      this.#scratch = grown;
    }
    return this.#scratch;
  }

  /** DATA frame with one message; room is reserved, and the windows have it. Returns the end. */
  #storeMessage(
    stream: Stream,
    from: number,
    flag: number,
    messageBytes: number,
    first: Uint8Array,
    rest: readonly Uint8Array[],
    endStream: boolean,
  ): number {
    const buffer = this.output.buffer;
    const dataBytes = messageBytes + messagePrefixBytes;
    const flags = endStream ? flagEndStream : 0;
    writeFrameHeader(buffer, from, dataBytes, frameData, flags, stream.id);
    let at = from + frameHeaderBytes;
    buffer[at] = flag;
    writeU32(buffer, at + 1, messageBytes);
    at = store(first, buffer, at + messagePrefixBytes);
    for (let i = 0; i < rest.length; i++) at = store(rest[i] ?? emptyBytes, buffer, at);
    this.window -= dataBytes;
    stream.sendWindowOffset -= dataBytes;
    assert(this.window >= 0, 'a message fits the window of the connection');
    assert(stream.sendWindowOffset + this.initialWindow >= 0, 'a message fits its own window');
    return at;
  }

  #socketFull(): boolean {
    return this.output.bytes + this.#socketBacklog > socketBacklogHighWaterBytes;
  }

  #fitsInline(stream: Stream, dataBytes: number): boolean {
    return (
      stream.queuedBytes === 0 &&
      dataBytes <= frameBytesMax &&
      dataBytes - messagePrefixBytes <= this.#limits.sendMessageBytesMax &&
      dataBytes <= stream.sendWindowOffset + this.initialWindow &&
      dataBytes <= this.window &&
      !this.#closed &&
      !stream.closed &&
      !this.#socketFull()
    );
  }

  #frame(length: number, type: number, flags: number, streamId: number): number {
    assert(length <= frameBytesMax, 'a frame is one that every peer takes');
    const at = this.output.reserve(frameHeaderBytes + length);
    writeFrameHeader(this.output.buffer, at, length, type, flags, streamId);
    this.askFlush();
    return at + frameHeaderBytes;
  }

  /** As far as the windows, the socket and the share of this turn go. */
  #pump(): void {
    if (this.#pumping) return; // an owner sends from within onDrain
    this.#pumping = true;
    const turns = this.#turns;
    for (;;) {
      const stream = turns.head;
      if (stream === undefined || this.#closed) break;
      if (stream.queuedBytes === 0) {
        turns.leave(stream);
        this.#finish(stream);
        continue;
      }
      if (stream.sendWindowOffset + this.initialWindow <= 0) {
        turns.leave(stream);
        turns.block(stream);
        continue;
      }
      if (this.window <= 0 || this.#socketFull()) break;
      if (this.#turnFrames >= turnFramesMax) {
        this.askFlush(); // where it goes on
        break;
      }
      turns.leave(stream);
      this.#sendQueued(stream);
      if (!stream.closed && (stream.queuedBytes > 0 || stream.end !== undefined)) {
        turns.ready(stream);
      }
    }
    this.#pumping = false;
  }

  #finish(stream: Stream): void {
    const end = stream.end;
    if (end === undefined) return;
    stream.end = undefined;
    if (end === 'data') {
      this.#frame(0, frameData, flagEndStream, stream.id);
      this.#ended(stream);
    } else {
      this.sendHeaders(stream, end, true);
    }
  }

  /** One DATA frame from the queue. */
  #sendQueued(stream: Stream): void {
    const window = stream.sendWindowOffset + this.initialWindow;
    const length = Math.min(stream.queuedBytes, frameBytesMax, window, this.window);
    assert(length > 0, 'who has its turn can send');
    const last = length === stream.queuedBytes && stream.end === 'data';
    const at = this.output.reserve(frameHeaderBytes);
    const flags = last ? flagEndStream : 0;
    writeFrameHeader(this.output.buffer, at, length, frameData, flags, stream.id);
    this.#takeQueued(stream, length);
    this.#turnFrames++;
    this.window -= length;
    stream.sendWindowOffset -= length;
    stream.queuedBytes -= length;
    this.queuedBytes -= length;
    this.dequeuedBytes += length;
    assert(this.window >= 0, 'no more leaves than the connection may send');
    assert(this.queuedBytes >= stream.queuedBytes, 'a stream has no more than all of them');
    this.#room?.add(this, -length);
    this.sentSincePing = true;
    this.askFlush();
    if (last) {
      stream.end = undefined;
      this.#ended(stream);
    }
    if (
      stream.overHighWater &&
      stream.queuedBytes <= this.#limits.streamBacklogHighWaterBytes / 2
    ) {
      stream.overHighWater = false;
      stream.owner?.onWritable();
    }
  }

  #takeQueued(stream: Stream, length: number): void {
    const queue = stream.queue ?? [];
    let left = length;
    let head = stream.queueHead;
    while (left > 0) {
      const chunk = queue[head];
      assert(chunk !== undefined, 'a queue has the bytes that it counts');
      const from = stream.queueOffset;
      const take = Math.min(left, chunk.length - from);
      const whole = from === 0 && take === chunk.length;
      const piece = whole ? chunk : chunk.subarray(from, from + take);
      if (take <= copyBytesMax) this.output.copy(piece);
      else this.output.reference(piece);
      left -= take;
      if (from + take === chunk.length) {
        queue[head] = emptyBytes; // sent, so not held any longer
        head++;
        stream.queueOffset = 0;
      } else {
        stream.queueOffset = from + take;
      }
    }
    if (head === queue.length) {
      stream.queue = undefined;
      head = 0;
    } else if (head >= queueHeadMax && head * 2 >= queue.length) {
      // Not at every frame: a message may be in a million pieces.
      queue.splice(0, head);
      head = 0;
    }
    stream.queueHead = head;
  }

  #ended(stream: Stream): void {
    assert(!stream.localEnded, 'our side of a stream ends once');
    stream.localEnded = true;
    this.#host.onLocalEnd(stream);
  }
}

/** Copies a short piece; below about 50 bytes a loop beats `set`, which has a fixed cost. */
function store(from: Uint8Array, to: Buffer, at: number): number {
  const length = from.length;
  if (length > 48) to.set(from, at);
  else for (let i = 0; i < length; i++) to[at + i] = from[i] as number;
  return at + length;
}

/** Length of a message in pieces. */
export function totalBytes(first: Uint8Array, rest: readonly Uint8Array[]): number {
  let total = first.length;
  for (let i = 0; i < rest.length; i++) total += rest[i]?.length ?? 0;
  return total;
}
