/**
 * Flow control of what arrives (RFC 9113 section 5.2). Bytes are given back in large steps: one
 * WINDOW_UPDATE for half a window. The connection's window is given back on arrival, so that a
 * stream that is not read holds up nobody else, unless what such streams hold exceeds one more
 * connection window: then memory matters more than fairness.
 */

import { assert } from '../common/index.js';
import { ConnectionError, ErrorCode } from './frames.js';
import type { Sender } from './sender.js';
import type { Stream } from './stream.js';
import type { TransportLimits } from './types.js';

const windowBytesInitial = 65_535;

/** The windows that one side grants on one connection. */
export class ReceiveWindows {
  readonly #limits: TransportLimits;
  readonly #sender: Sender;
  #window = windowBytesInitial;
  #debt = 0;
  #heldBytes = 0;
  /** What the peer may send while we owe it nothing. */
  #promised = windowBytesInitial;
  /** The peer has seen our SETTINGS. */
  settingsAcked = false;

  constructor(limits: TransportLimits, sender: Sender) {
    this.#limits = limits;
    this.#sender = sender;
  }

  /** Raises the connection's window to what the limits say. */
  open(): void {
    const more = this.#limits.connectionWindowBytes - this.#window;
    if (more <= 0) return;
    this.#sender.sendWindowUpdate(0, more);
    this.#window += more;
    this.#promised += more;
  }

  /** What a new stream starts with: until our SETTINGS are acknowledged, at least the default. */
  get initialBytes(): number {
    const bytes = this.#limits.streamWindowBytes;
    return this.settingsAcked ? bytes : Math.max(bytes, windowBytesInitial);
  }

  /** DATA arrived, on whatever stream. Throws if the peer did not have the window for it. */
  take(bytes: number): void {
    assert(bytes >= 0, 'DATA takes from the window');
    this.#window -= bytes;
    if (this.#window < 0) {
      throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'connection window exceeded');
    }
    this.#debt += bytes;
    this.#pay();
  }

  /** DATA for this stream; false if it did not have the window for it. */
  takeStream(stream: Stream, bytes: number): boolean {
    stream.receiveWindow -= bytes;
    stream.receiveDebt += bytes;
    return stream.receiveWindow >= 0;
  }

  /** Gives a stream's window back if that is due. */
  payStream(stream: Stream): void {
    if (stream.paused || stream.remoteEnded || stream.closed) return;
    if (stream.receiveDebt * 2 < this.#limits.streamWindowBytes) return;
    this.#sender.sendWindowUpdate(stream.id, stream.receiveDebt);
    assert(stream.receiveWindow >= 0, 'who overdrew its window is gone');
    stream.receiveWindow += stream.receiveDebt;
    stream.receiveDebt = 0;
  }

  /** Paused streams hold this much more (or less). */
  countHeld(bytes: number): void {
    this.#heldBytes += bytes;
    assert(this.#heldBytes >= 0, 'streams let go of no more than they held');
    this.#pay();
  }

  #pay(): void {
    const { connectionWindowBytes } = this.#limits;
    if (this.#debt * 2 < connectionWindowBytes || this.#heldBytes > connectionWindowBytes) return;
    this.#sender.sendWindowUpdate(0, this.#debt);
    this.#window += this.#debt;
    this.#debt = 0;
    assert(this.#window === this.#promised, 'the window is what was promised');
  }
}
