/**
 * One HTTP/2 stream: its state (RFC 9113 section 5.1), its two windows, and what waits to be sent
 * on it. Only data; `Connection` and `Sender` act on it.
 */

import type { HeaderField } from './header-field.js';
import type { HeaderBlock } from './hpack-decode.js';
import type { HeaderTemplate } from './hpack-encode.js';

/** Who gets what arrives on a stream: a call at the server or the client, or a plain request. */
export interface StreamOwner {
  /** Client: head or trailers of the response. Server: trailers of the request. */
  onHeaders(block: HeaderBlock, endStream: boolean): void;
  /** DATA without padding, `from[start, end)`, borrowed until it returns. */
  onData(from: Buffer, start: number, end: number, endStream: boolean): void;
  /** The stream is gone before both sides ended it: reset, a violation, a lost connection. */
  onAbort(errorCode: number, reason: AbortReason): void;
  /** The send queue fell below the high-water mark after it was above it. */
  onWritable(): void;
}

/** Why a stream was cut off. `refused`: the peer has not looked at it, it may be sent again. */
export type AbortReason = 'reset' | 'refused' | 'violation' | 'connection';

/** What ends the stream once its queue is empty. */
export type StreamEnd = 'data' | HeaderTemplate | readonly HeaderField[];

/** `Stream.turn` of a stream that does not wait to send. */
export const noTurn = 0;

/** State of one stream. The fields are initialised in one order, so that all have one shape. */
export class Stream {
  readonly id: number;
  owner: StreamOwner | undefined;
  /** We sent END_STREAM (or queued it: `end` is set). */
  localEnded: boolean;
  /** The peer sent END_STREAM. */
  remoteEnded: boolean;
  /** Out of the table; nothing may be sent on it. */
  closed: boolean;
  /**
   * Bytes that we may send, less the peer's INITIAL_WINDOW_SIZE: so that a change of that changes
   * no stream. The window itself may be negative after a change.
   */
  sendWindowOffset: number;
  /** Bytes that the peer may send. */
  receiveWindow: number;
  /** Bytes received that we have not given back by WINDOW_UPDATE. */
  receiveDebt: number;
  /** The owner holds data back: the debt is not paid until it goes on. */
  paused: boolean;
  /** Declared content-length of the peer's message, -1 without. */
  contentLength: number;
  bodyBytes: number;
  /** Chunks waiting, from `queueHead` on; `queueOffset` bytes of the first have left. */
  queue: Uint8Array[] | undefined;
  queueHead: number;
  queueOffset: number;
  queuedBytes: number;
  end: StreamEnd | undefined;
  /** `send` said "no room"; the owner waits for `onDrain`. */
  overHighWater: boolean;
  /** Place and links in {@link SendTurns}. */
  turn: number;
  previousTurn: Stream | undefined;
  nextTurn: Stream | undefined;

  constructor(id: number, receiveWindow: number) {
    this.id = id;
    this.owner = undefined;
    this.localEnded = false;
    this.remoteEnded = false;
    this.closed = false;
    this.sendWindowOffset = 0;
    this.receiveWindow = receiveWindow;
    this.receiveDebt = 0;
    this.paused = false;
    this.contentLength = -1;
    this.bodyBytes = 0;
    this.queue = undefined;
    this.queueHead = 0;
    this.queueOffset = 0;
    this.queuedBytes = 0;
    this.end = undefined;
    this.overHighWater = false;
    this.turn = noTurn;
    this.previousTurn = undefined;
    this.nextTurn = undefined;
  }
}

/** False if the DATA so far contradicts the content-length (RFC 9113 section 8.1.1). */
export function lengthFits(stream: Stream, endStream: boolean): boolean {
  const declared = stream.contentLength;
  if (declared < 0) return true;
  return endStream ? stream.bodyBytes === declared : stream.bodyBytes <= declared;
}
