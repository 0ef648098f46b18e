/** The core's end of one thread with sockets: its rings, its streams, its control port. */

import { emptyBytes } from '../../../common/index.js';
import { nodeClock } from '../clock-node.js';
import type { ThreadStart, ToThread } from './control.js';
import { DoorbellButton } from './doorbell.js';
import { Outbox } from './outbox.js';
import { type CloseFacts, fromCore, fromThread, type StreamFacts } from './records.js';
import { RemoteStream, type StreamTeller } from './remote-stream.js';
import { type RecordSink, RingReader, RingWriter } from './ring.js';

/** Who gets the streams of a thread. */
export interface LinkOwner {
  onStream(listener: number, stream: RemoteStream): void;
}

export class ThreadLink implements RecordSink, StreamTeller {
  /** To the control port of the thread. */
  readonly post: (message: ToThread) => void;
  readonly #owner: LinkOwner;
  readonly #ring: RingReader;
  readonly #out: Outbox;
  readonly #bell: DoorbellButton;
  readonly #streams: Array<RemoteStream | undefined> = [];
  #isAsked = false;
  #untilMs = 0;

  constructor(start: ThreadStart, owner: LinkOwner, post: (message: ToThread) => void) {
    this.post = post;
    this.#owner = owner;
    this.#ring = new RingReader(start.toCore);
    this.#out = new Outbox(new RingWriter(start.toThread));
    this.#bell = new DoorbellButton(start.threadBell);
  }

  /** Handles what has come, some of it if that takes until then; false: there was nothing. */
  work(untilMs: number): boolean {
    this.#untilMs = untilMs;
    const records = this.#ring.drain(this, this.#isLate);
    const hasGone = this.#out.flush();
    if (hasGone || (records > 0 && this.#ring.takeWish())) this.#bell.press();
    return hasGone || records > 0;
  }

  readonly #isLate = (): boolean => nodeClock.nowMs() >= this.#untilMs;

  tell(kind: number, slot: number, payload: Uint8Array = emptyBytes): void {
    this.#out.put(kind, slot, 0, payload);
    this.#pressLater();
  }

  tellTaken(slot: number, bytes: number): void {
    this.#out.put(fromCore.taken, slot, bytes);
    this.#pressLater();
  }

  tellParts(kind: number, slot: number, parts: readonly Uint8Array[]): void {
    this.#out.putParts(kind, slot, parts);
    this.#pressLater();
  }

  onRecord(kind: number, slot: number, extra: number, from: Buffer, start: number, end: number) {
    if (kind === fromThread.opened) {
      const facts = JSON.parse(from.toString('utf8', start, end)) as StreamFacts;
      const opened = new RemoteStream(this, slot, facts);
      this.#streams[slot] = opened;
      this.#owner.onStream(extra, opened);
      return;
    }
    const stream = this.#streams[slot];
    if (stream === undefined) return;
    switch (kind) {
      case fromThread.data:
        stream.received(ownOf(from, start, end));
        break;
      case fromThread.end:
        stream.ended();
        break;
      case fromThread.sent:
        stream.sent(extra);
        break;
      case fromThread.closed:
        this.#streams[slot] = undefined;
        this.tell(fromCore.released, slot);
        stream.closed(start === end ? undefined : closeFacts(from, start, end));
        break;
    }
  }

  /** One wake-up a turn, however much is said in it. */
  #pressLater(): void {
    if (this.#isAsked) return;
    this.#isAsked = true;
    nodeClock.afterTurn(this.#press);
  }

  readonly #press = (): void => {
    this.#isAsked = false;
    this.#bell.press();
  };
}

/** A stream that is paused keeps what comes, and the ring is written again. */
function ownOf(from: Buffer, start: number, end: number): Buffer {
  const own = Buffer.allocUnsafe(end - start);
  from.copy(own, 0, start, end);
  return own;
}

function closeFacts(from: Buffer, start: number, end: number): CloseFacts {
  return JSON.parse(from.toString('utf8', start, end)) as CloseFacts;
}
