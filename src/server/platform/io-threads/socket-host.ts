/** The sockets of a thread: what comes goes to the core, and what the core says is done. */

import {
  type ByteStream,
  type ByteStreamHandler,
  ioStreamWindowBytes,
  ioTellBytesMin,
} from '../../../common/index.js';
import type { DoorbellButton } from './doorbell.js';
import { Outbox } from './outbox.js';
import { type CloseFacts, fromCore, fromThread, type StreamFacts } from './records.js';
import { type RecordSink, type RingMemory, type RingReader, RingWriter } from './ring.js';

export class SocketHost implements RecordSink {
  readonly #ring: RingReader;
  readonly #out: Outbox;
  readonly #core: DoorbellButton;
  readonly #streams: Array<HostedStream | undefined> = [];
  readonly #free: number[] = [];
  /** The core is behind: no socket is read. */
  #isFull = false;

  constructor(ring: RingReader, toCore: RingMemory, core: DoorbellButton) {
    this.#ring = ring;
    this.#out = new Outbox(new RingWriter(toCore));
    this.#core = core;
  }

  /** A socket that was accepted by the listener of that number. */
  open(listener: number, stream: ByteStream): void {
    const slot = this.#free.pop() ?? this.#streams.length;
    const { alpnProtocol, identity, remoteAddress } = stream;
    const facts: StreamFacts = { remoteAddress, alpnProtocol, ...identity };
    this.#put(fromThread.opened, slot, listener, Buffer.from(JSON.stringify(facts)));
    const hosted = new HostedStream(stream, slot, this.#put);
    this.#streams[slot] = hosted;
    stream.setHandler(hosted);
    if (this.#isFull) hosted.stop(ringIsFull);
  }

  /** Does what the core said; false: it said nothing. */
  work(): boolean {
    const records = this.#ring.drain(this);
    const hasGone = this.#out.flush();
    if (this.#isFull && this.#out.isEmpty) {
      this.#isFull = false;
      for (const stream of this.#streams) stream?.goOn(ringIsFull);
    }
    if (hasGone || (records > 0 && this.#ring.takeWish())) this.#core.press();
    return hasGone || records > 0;
  }

  onRecord(kind: number, slot: number, extra: number, from: Buffer, start: number, end: number) {
    if (kind === fromCore.released) {
      this.#streams[slot] = undefined;
      this.#free.push(slot);
      return;
    }
    const stream = this.#streams[slot];
    if (stream === undefined) return;
    switch (kind) {
      case fromCore.data:
        stream.write(Buffer.from(from.subarray(start, end)));
        break;
      case fromCore.end:
        stream.stream.end();
        break;
      case fromCore.destroy:
        stream.stream.destroy();
        break;
      case fromCore.pause:
        stream.stop(pausedByCore);
        break;
      case fromCore.resume:
        stream.goOn(pausedByCore);
        break;
      case fromCore.taken:
        stream.taken(extra);
        break;
    }
  }

  readonly #put = (kind: number, slot: number, extra: number, payload: Uint8Array): void => {
    this.#out.put(kind, slot, extra, payload);
    this.#core.press();
    if (this.#isFull || this.#out.isEmpty) return;
    this.#isFull = true;
    for (const stream of this.#streams) stream?.stop(ringIsFull);
  };
}

/** Why a socket is not read. */
const pausedByCore = 1;
const ringIsFull = 2;
const windowIsFull = 4;

type Put = (kind: number, slot: number, extra: number, payload: Uint8Array) => void;
const nothing = new Uint8Array(0);

class HostedStream implements ByteStreamHandler {
  readonly stream: ByteStream;
  readonly #slot: number;
  readonly #put: Put;
  #writtenBytes = 0;
  #toldBytes = 0;
  /** Came, and was not handled yet as far as is known. */
  #comingBytes = 0;
  /** Why it is not read: any of the three. */
  #stops = 0;
  #isClosed = false;

  constructor(stream: ByteStream, slot: number, put: Put) {
    this.stream = stream;
    this.#slot = slot;
    this.#put = put;
  }

  write(chunk: Buffer): void {
    if (this.#isClosed) return;
    this.#writtenBytes += chunk.length;
    this.stream.write(chunk);
    this.#tellSent();
  }

  stop(why: number): void {
    if (this.#stops === 0) this.stream.pause();
    this.#stops |= why;
  }

  goOn(why: number): void {
    const before = this.#stops;
    this.#stops &= ~why;
    if (before !== 0 && this.#stops === 0) this.stream.resume();
  }

  taken(bytes: number): void {
    this.#comingBytes -= bytes;
    if (this.#comingBytes <= ioStreamWindowBytes) this.goOn(windowIsFull);
  }

  onData(chunk: Buffer): void {
    this.#comingBytes += chunk.length;
    if (this.#comingBytes > ioStreamWindowBytes) this.stop(windowIsFull);
    this.#put(fromThread.data, this.#slot, 0, chunk);
  }

  onEnd(): void {
    this.#put(fromThread.end, this.#slot, 0, nothing);
  }

  onDrain(): void {
    this.#tellSent();
  }

  onClose(error: Error | undefined): void {
    this.#isClosed = true;
    this.#put(fromThread.closed, this.#slot, 0, closeFacts(error));
  }

  #tellSent(): void {
    const left = this.#writtenBytes - this.stream.backlogBytes() - this.#toldBytes;
    if (left < ioTellBytesMin) return;
    this.#toldBytes += left;
    this.#put(fromThread.sent, this.#slot, left, nothing);
  }
}

function closeFacts(error: (Error & { readonly code?: unknown }) | undefined): Uint8Array {
  if (error === undefined) return nothing;
  const { code, message } = error;
  const facts: CloseFacts = { message, code: typeof code === 'string' ? code : undefined };
  return Buffer.from(JSON.stringify(facts));
}
