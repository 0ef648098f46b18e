/**
 * One HTTP/2 connection (RFC 9113), either half: what arrives is checked, turned into stream
 * events, and answered where the protocol itself answers. Knows nothing of gRPC.
 *
 * Invariant: a stream is in `streams` exactly while at least one side has not ended it; whoever
 * takes it out either saw both ends or tells the owner by `onAbort`.
 */

import {
  assert,
  type ByteStream,
  type ByteStreamHandler,
  type Clock,
  inShares,
  type Timer,
} from '../common/index.js';
import type { ConnectionOwner } from './connection-owner.js';
import { FloodGuard } from './flood-guard.js';
import { FrameReader, type FrameSink } from './frame-reader.js';
import {
  ConnectionError,
  ErrorCode,
  flagAck,
  flagEndStream,
  flagPadded,
  frameContinuation,
  frameData,
  frameGoaway,
  frameHeaders,
  framePing,
  framePriority,
  framePushPromise,
  frameRstStream,
  frameSettings,
  frameSizeError,
  frameWindowUpdate,
  protocolError,
  readU32,
} from './frames.js';
import { type BlockSink, HeaderAssembler } from './header-assembler.js';
import { type HeaderBlock, HpackDecoder } from './hpack-decode.js';
import { Keepalive, type KeepaliveTarget } from './keepalive.js';
import { readPauseBacklogBytes, streamIdMax, windowBytesMax } from './limits.js';
import { parseRequestHead, validTrailers } from './message-head.js';
import { ReceiveWindows } from './receive-windows.js';
import { ResetMemory } from './reset-memory.js';
import type { SendRoom } from './send-room.js';
import { Sender, type SenderHost } from './sender.js';
import { applySettings, ownSettings } from './settings.js';
import { type AbortReason, lengthFits, noTurn, Stream } from './stream.js';
import { StreamTable } from './stream-table.js';
import type { TransportLimits } from './types.js';

const drainPing = Buffer.from('kv-drain', 'latin1');
const keepalivePing = Buffer.from('kv-alive', 'latin1');
/** How long a connection that we end may take to read our GOAWAY, and a peer to answer a drain. */
const lingerMs = 1_000;

/** State of one connection. */
export class Connection
  implements FrameSink, BlockSink, ByteStreamHandler, SenderHost, KeepaliveTarget
{
  readonly socket: ByteStream;
  readonly sender: Sender;
  readonly streams = new StreamTable();
  /** False once closed or closing: no frame is looked at any more. */
  reading = true;
  /** GOAWAY was sent or received. */
  draining = false;
  closed = false;
  /** It was closed because of what the peer did or did not do. */
  closedByUs = false;
  /** What ended the connection, as far as it is known. */
  lostBecause = '';
  /** The clock when the chunk that is being handled arrived: one reading for many calls. */
  nowMs: number;
  peerConcurrentStreamsMax = Number.POSITIVE_INFINITY;
  nextStreamId = 1;
  readonly #isServer: boolean;
  readonly #clock: Clock;
  readonly #limits: TransportLimits;
  readonly #owner: ConnectionOwner;
  readonly #decoder: HpackDecoder;
  readonly #reader: FrameReader;
  readonly #assembler: HeaderAssembler;
  readonly #guard: FloodGuard;
  readonly #windows: ReceiveWindows;
  readonly #keepalive: Keepalive;
  #lastPeerStreamId = 0;
  #goawayLastId = streamIdMax;
  #settingsSeen = false;
  readonly #resets = new ResetMemory();
  #lingerTimer: Timer | undefined;
  #readPaused = false;

  constructor(
    socket: ByteStream,
    clock: Clock,
    limits: TransportLimits,
    isServer: boolean,
    owner: ConnectionOwner,
    room?: SendRoom,
  ) {
    this.socket = socket;
    this.#clock = clock;
    this.#limits = limits;
    this.#isServer = isServer;
    this.#owner = owner;
    this.nowMs = clock.nowMs();
    this.sender = new Sender(socket, clock, limits, this, room);
    this.#decoder = new HpackDecoder(limits.headerListBytesMax);
    this.#reader = new FrameReader(this);
    this.#assembler = new HeaderAssembler(this, limits.headerBlockBytesMax);
    this.#guard = new FloodGuard(limits);
    this.#windows = new ReceiveWindows(limits, this.sender);
    this.#keepalive = new Keepalive(clock, limits, this);
  }

  /** True once the peer's first SETTINGS arrived. */
  get settled(): boolean {
    return this.#settingsSeen;
  }

  /** Sends our SETTINGS (a client has sent the preface before). */
  start(): void {
    this.sender.sendSettings(ownSettings(this.#limits, this.#isServer));
    this.#windows.open();
    this.#keepalive.start();
  }

  /** Client: a new stream, in the table; undefined if there are no identifiers left. */
  openStream(): Stream | undefined {
    if (this.nextStreamId > streamIdMax || this.draining || this.closed) return undefined;
    const stream = this.#newStream(this.nextStreamId);
    this.nextStreamId += 2;
    return stream;
  }

  /** Ends a stream by RST_STREAM; its owner is not told. */
  resetStream(stream: Stream, code: number): void {
    if (stream.closed || this.closed) return;
    this.sender.sendReset(stream.id, code);
    this.#resets.add(stream.id);
    this.#remove(stream);
  }

  /** The owner stops taking DATA of this stream: the peer may fill the window, no more. */
  pauseStream(stream: Stream): void {
    stream.paused = true;
  }

  /** The owner goes on; what it held back counts as taken. */
  resumeStream(stream: Stream): void {
    stream.paused = false;
    this.#windows.payStream(stream);
  }

  /** How many bytes owners hold back changed; they count against the connection's window. */
  countHeld(bytes: number): void {
    if (!this.closed) this.#windows.countHeld(bytes);
  }

  /** Takes no more streams, lets those that run end, then closes. */
  drain(): void {
    if (this.closed || this.draining) return;
    this.draining = true;
    // Two GOAWAYs a round trip apart, so that no request that is already under way is lost.
    this.sender.sendGoaway(streamIdMax, ErrorCode.NO_ERROR, 'graceful_stop');
    this.sender.sendPing(false, drainPing, 0);
    this.#lingerTimer = this.#clock.after(lingerMs, () => this.#drainNow());
  }

  /** Client: opens no more streams, closes when those that run have ended. */
  drainClient(): void {
    if (this.closed) return;
    this.draining = true;
    this.sender.sendGoaway(0, ErrorCode.NO_ERROR, '');
    this.#closeIfDrained();
  }

  /** Ends the connection with GOAWAY; streams are aborted. */
  fail(code: number, message: string, error?: Error): void {
    if (this.closed) return;
    this.sender.sendGoaway(Math.min(this.#lastPeerStreamId, this.#goawayLastId), code, message);
    this.sender.flush();
    this.#shut(error);
    this.socket.end();
    // The socket is read to the end meanwhile: closing it unread would destroy the GOAWAY.
    this.#lingerTimer = this.#clock.after(lingerMs, () => this.socket.destroy());
  }

  destroy(error?: Error): void {
    if (this.closed) return;
    this.#shut(error);
    this.socket.destroy(error);
  }

  // ByteStreamHandler

  onData(chunk: Buffer): void {
    if (!this.reading) return;
    this.nowMs = this.#clock.nowMs();
    this.#keepalive.received(this.nowMs);
    try {
      this.#reader.push(chunk);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.closedByUs = true;
      this.fail(error.code, error.message, error);
    }
  }

  onEnd(): void {
    // Half-closed TCP is of no use to HTTP/2: replies could not be flow controlled.
    if (this.closed) {
      this.socket.destroy();
      return;
    }
    this.sender.flush();
    this.#shut(undefined);
    this.socket.end();
    this.#lingerTimer = this.#clock.after(lingerMs, () => this.socket.destroy());
  }

  onDrain(): void {
    this.sender.onSocketDrain();
  }

  onClose(error: Error | undefined): void {
    this.#lingerTimer?.cancel();
    this.#shut(error);
  }

  // SenderHost

  onLocalEnd(stream: Stream): void {
    assert(stream.localEnded && !stream.closed, 'a stream that has just ended is open');
    if (stream.remoteEnded) {
      this.#remove(stream);
    } else if (this.#isServer) {
      // Section 8.1: the reply is complete, the rest of the request is not wanted.
      this.resetStream(stream, ErrorCode.NO_ERROR);
    }
  }

  onOverload(reason: string): void {
    this.closedByUs = true;
    this.destroy(new Error(reason));
  }

  onFlushed(socketBacklogBytes: number): void {
    if (!this.#isServer) return; // two ends that both stop reading would never go on
    const full = socketBacklogBytes > readPauseBacklogBytes;
    if (full === this.#readPaused) return;
    this.#readPaused = full;
    if (full) this.socket.pause();
    else this.socket.resume();
  }

  // KeepaliveTarget

  sendKeepalivePing(): void {
    this.sender.sendPing(false, keepalivePing, 0);
  }

  onSilence(): void {
    this.closedByUs = true;
    this.destroy(new Error('keepalive ping was not answered'));
  }

  // FrameSink

  onFrame(
    type: number,
    flags: number,
    streamId: number,
    from: Buffer,
    start: number,
    end: number,
  ): void {
    if (this.#assembler.open && type !== frameContinuation) {
      throw protocolError('a header block was interrupted');
    }
    if (!this.#settingsSeen && type !== frameSettings) {
      throw protocolError('the first frame is not SETTINGS');
    }
    switch (type) {
      case frameData:
        this.#onDataFrame(flags, streamId, from, start, end);
        break;
      case frameHeaders:
        this.#assembler.onHeaders(flags, streamId, from, start, end);
        break;
      case frameContinuation:
        this.#guard.countControl(this.nowMs);
        this.#assembler.onContinuation(flags, streamId, from, start, end);
        break;
      case frameWindowUpdate:
        this.#onWindowUpdate(streamId, from, start, end);
        break;
      case frameRstStream:
        this.#onReset(streamId, from, start, end);
        break;
      case frameSettings:
        this.#onSettings(flags, streamId, from, start, end);
        break;
      case framePing:
        this.#onPing(flags, streamId, from, start, end);
        break;
      case frameGoaway:
        this.#onGoaway(streamId, from, start, end);
        break;
      case framePriority:
        this.#onPriority(streamId, from, start, end);
        break;
      case framePushPromise:
        throw protocolError('PUSH_PROMISE');
      default:
        this.#guard.countControl(this.nowMs); // section 4.1: unknown types are ignored
    }
  }

  #onDataFrame(flags: number, id: number, from: Buffer, start: number, end: number): void {
    const frameBytes = end - start;
    this.#windows.take(frameBytes);
    let dataStart = start;
    let dataEnd = end;
    if ((flags & flagPadded) !== 0) {
      const padding = frameBytes === 0 ? 0 : (from[start] as number) + 1;
      if (padding > frameBytes || frameBytes === 0) throw protocolError('padding too long');
      dataStart = start + 1;
      dataEnd = end - padding + 1;
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      this.#onUnknownStream(id, 'DATA');
      if (!this.#isServer || this.#resets.has(id)) return;
      this.#guard.countControl(this.nowMs);
      this.sender.sendReset(id, ErrorCode.STREAM_CLOSED);
      return;
    }
    if (stream.remoteEnded) {
      this.#streamError(stream, ErrorCode.STREAM_CLOSED);
      return;
    }
    if (!this.#windows.takeStream(stream, frameBytes)) {
      this.#streamError(stream, ErrorCode.FLOW_CONTROL_ERROR);
      return;
    }
    const endStream = (flags & flagEndStream) !== 0;
    const dataBytes = dataEnd - dataStart;
    if (dataBytes === 0 && !endStream) this.#guard.countControl(this.nowMs);
    stream.bodyBytes += dataBytes;
    if (!lengthFits(stream, endStream)) {
      this.#streamError(stream, ErrorCode.PROTOCOL_ERROR);
      return;
    }
    if (endStream) this.#endRemote(stream);
    stream.owner?.onData(from, dataStart, dataEnd, endStream);
    if (!endStream) this.#windows.payStream(stream);
  }

  // BlockSink

  onHeaderBlock(
    id: number,
    from: Buffer,
    start: number,
    end: number,
    endStream: boolean,
    selfDependent: boolean,
  ): void {
    const block = this.#decoder.decode(from, start, end);
    const stream = this.streams.get(id);
    if (stream !== undefined) {
      this.#onLaterBlock(stream, block, endStream, selfDependent);
      return;
    }
    if (!this.#isServer || (id & 1) === 0 || id <= this.#lastPeerStreamId) {
      this.#onUnknownStream(id, 'HEADERS');
      if (this.#isServer && !this.#resets.has(id)) {
        throw new ConnectionError(ErrorCode.STREAM_CLOSED, 'HEADERS on a closed stream');
      }
      return;
    }
    this.#lastPeerStreamId = id;
    // After GOAWAY (section 6.8) a stream may be ignored; refused, the client knows at once.
    const late = id > this.#goawayLastId;
    if (late || this.streams.size >= this.#limits.concurrentStreamsMax) {
      this.#refuse(id, ErrorCode.REFUSED_STREAM);
      return;
    }
    if (block.request === undefined) block.request = parseRequestHead(block.fields);
    const head = block.request;
    if (((head.malformed && !block.tooLong) || selfDependent) && !this.closed) {
      this.#refuse(id, ErrorCode.PROTOCOL_ERROR);
      return;
    }
    const opened = this.#newStream(id);
    opened.contentLength = head.contentLength;
    if (!lengthFits(opened, endStream)) {
      this.#streamError(opened, ErrorCode.PROTOCOL_ERROR);
      return;
    }
    if (endStream) opened.remoteEnded = true;
    this.#owner.onStream(opened, block, endStream);
  }

  #onLaterBlock(
    stream: Stream,
    block: HeaderBlock,
    endStream: boolean,
    selfDependent: boolean,
  ): void {
    if (stream.remoteEnded) {
      this.#streamError(stream, ErrorCode.STREAM_CLOSED);
      return;
    }
    // At the server these can only be trailers; the client's owner knows what it waits for.
    const wrong = this.#isServer && (!endStream || !validTrailers(block.fields));
    if (wrong || selfDependent || (endStream && !lengthFits(stream, true))) {
      this.#streamError(stream, ErrorCode.PROTOCOL_ERROR);
      return;
    }
    if (endStream) this.#endRemote(stream);
    stream.owner?.onHeaders(block, endStream);
  }

  #onWindowUpdate(id: number, from: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw frameSizeError('WINDOW_UPDATE');
    const bytes = readU32(from, start) & windowBytesMax;
    if (id === 0) {
      if (bytes === 0) throw protocolError('WINDOW_UPDATE of 0');
      if (!this.sender.grow(undefined, bytes)) {
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'window above 2^31-1');
      }
      return;
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      this.#onUnknownStream(id, 'WINDOW_UPDATE');
    } else if (bytes === 0) {
      this.#streamError(stream, ErrorCode.PROTOCOL_ERROR);
    } else if (!this.sender.grow(stream, bytes)) {
      this.#streamError(stream, ErrorCode.FLOW_CONTROL_ERROR);
    }
  }

  #onReset(id: number, from: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw frameSizeError('RST_STREAM');
    const stream = this.streams.get(id);
    if (this.#isServer) this.#guard.countReset(this.nowMs);
    if (stream === undefined) {
      this.#onUnknownStream(id, 'RST_STREAM');
      return;
    }
    const code = readU32(from, start);
    this.#abort(stream, code, code === ErrorCode.REFUSED_STREAM ? 'refused' : 'reset');
  }

  #onSettings(flags: number, id: number, from: Buffer, start: number, end: number): void {
    if (id !== 0) throw protocolError('SETTINGS on a stream');
    if ((flags & flagAck) !== 0) {
      if (end !== start) throw frameSizeError('SETTINGS');
      this.#windows.settingsAcked = true;
      return;
    }
    if ((end - start) % 6 !== 0) throw frameSizeError('SETTINGS');
    this.#guard.countControl(this.nowMs);
    this.#settingsSeen = true;
    this.#guard.countLooks(this.nowMs, applySettings(this, this.#isServer, from, start, end));
    this.sender.sendSettingsAck();
    this.sender.pump();
    this.#owner.onSettings();
  }

  #onPing(flags: number, id: number, from: Buffer, start: number, end: number): void {
    if (id !== 0) throw protocolError('PING on a stream');
    if (end - start !== 8) throw frameSizeError('PING');
    if ((flags & flagAck) !== 0) {
      if (drainPing.equals(from.subarray(start, end)) && this.draining) this.#drainNow();
      return;
    }
    const { sender, streams } = this;
    this.#guard.countPing(this.nowMs, sender, this.#isServer, streams.size);
    sender.sendPing(true, from, start);
  }

  #onGoaway(id: number, from: Buffer, start: number, end: number): void {
    if (id !== 0) throw protocolError('GOAWAY on a stream');
    if (end - start < 8) throw frameSizeError('GOAWAY');
    this.#guard.countControl(this.nowMs);
    const lastStreamId = readU32(from, start) & streamIdMax;
    const debug = from.toString('latin1', start + 8, Math.min(end, start + 8 + 256));
    const code = readU32(from, start + 4);
    if (code !== ErrorCode.NO_ERROR) this.lostBecause = `the peer says ${debug}`;
    this.draining = true;
    if (this.#isServer) {
      this.#goawayLastId = this.#lastPeerStreamId; // no more streams; those that run may end
    } else {
      const refused = this.streams.values().filter(({ id }) => id > lastStreamId);
      const abort = (stream: Stream) => this.#abort(stream, ErrorCode.REFUSED_STREAM, 'refused');
      inShares(this.#clock, refused, abort, () => {});
    }
    this.#owner.onGoaway(lastStreamId, code, debug);
    this.#closeIfDrained();
  }

  #onPriority(id: number, from: Buffer, start: number, end: number): void {
    if (id === 0) throw protocolError('PRIORITY on stream 0');
    this.#guard.countControl(this.nowMs);
    const wrongSize = end - start !== 5;
    if (!wrongSize && (readU32(from, start) & streamIdMax) !== id) return; // ignored, see head
    const code = wrongSize ? ErrorCode.FRAME_SIZE_ERROR : ErrorCode.PROTOCOL_ERROR;
    const stream = this.streams.get(id);
    if (stream !== undefined) this.#streamError(stream, code);
    else this.#refuse(id, code);
  }

  /** Frames other than PRIORITY on a stream that was never opened break the protocol (5.1). */
  #onUnknownStream(id: number, what: string): void {
    const fromPeer = (id & 1) === (this.#isServer ? 1 : 0);
    const idle = fromPeer ? id > this.#lastPeerStreamId : this.#isServer || id >= this.nextStreamId;
    if (id === 0 || idle) throw protocolError(`${what} on an idle stream`);
  }

  #newStream(id: number): Stream {
    return this.streams.add(new Stream(id, this.#windows.initialBytes));
  }

  #endRemote(stream: Stream): void {
    assert(!stream.remoteEnded && !stream.closed, 'the side of the peer ends once');
    stream.remoteEnded = true;
    if (stream.localEnded) this.#remove(stream);
  }

  #remove(stream: Stream): void {
    if (stream.closed) return;
    stream.closed = true;
    this.streams.delete(stream.id);
    if (stream.queuedBytes > 0 || stream.turn !== noTurn) this.sender.drop(stream);
    assert(stream.turn === noTurn && stream.queuedBytes === 0, 'nothing more is sent on it');
    this.#owner.onStreamGone();
    if (this.draining) this.#closeIfDrained();
  }

  #abort(stream: Stream, code: number, reason: AbortReason): void {
    if (stream.closed) return;
    this.#remove(stream);
    stream.owner?.onAbort(code, reason);
  }

  #streamError(stream: Stream, code: number): void {
    if (this.#isServer) this.#guard.countReset(this.nowMs);
    this.sender.sendReset(stream.id, code);
    this.#resets.add(stream.id);
    this.#abort(stream, code, 'violation');
  }

  #refuse(id: number, code: number): void {
    this.#guard.countReset(this.nowMs);
    this.sender.sendReset(id, code);
    this.#resets.add(id);
  }

  #drainNow(): void {
    this.#lingerTimer?.cancel();
    if (this.closed || this.#goawayLastId !== streamIdMax) return;
    this.#goawayLastId = this.#lastPeerStreamId;
    if (this.#isServer) this.sender.sendGoaway(this.#goawayLastId, ErrorCode.NO_ERROR, '');
    this.#closeIfDrained();
  }

  #closeIfDrained(): void {
    if (this.closed || this.streams.size > 0) return;
    if (this.#isServer && this.#goawayLastId === streamIdMax) return;
    // After the turn: the last reply is still in the output, and the caller still on the stack.
    this.#clock.afterTurn(() => {
      if (this.closed || this.streams.size > 0) return;
      this.sender.flush();
      this.#shut(undefined);
      this.socket.end();
      this.#lingerTimer = this.#clock.after(lingerMs, () => this.socket.destroy());
    });
  }

  /** Everything but the socket. */
  #shut(error: Error | undefined): void {
    if (this.closed) return;
    this.closed = true;
    if (error !== undefined) this.lostBecause = error.message;
    this.reading = false;
    this.#keepalive.stop();
    this.#lingerTimer?.cancel();
    this.sender.close();
    if (this.#readPaused) this.socket.resume();
    const abort = (stream: Stream) => this.#abort(stream, ErrorCode.CANCEL, 'connection');
    inShares(this.#clock, this.streams.values(), abort, () => this.#owner.onClosed(error));
  }
}
