/**
 * DATA that a paused call has received and not taken. Copied, because what is received is borrowed;
 * bounded by the stream's window, which is not renewed meanwhile. It is gathered in pieces that
 * grow, for a million frames of one byte each must not cost a million buffers.
 */

import { assert, emptyBytes } from '../common/index.js';
import type { Connection } from './connection.js';
import { heldPieceBytes } from './limits.js';

/** A queue of received bytes. */
export class HeldData {
  readonly #connection: Pick<Connection, 'countHeld'>;
  #pieces: Buffer[] = [];
  #next = 0;
  /** The newest piece, which has room behind `#openBytes`. */
  #open: Buffer = emptyBytes;
  #openBytes = 0;
  /** END_STREAM came after the last piece. */
  ended = false;

  constructor(connection: Pick<Connection, 'countHeld'>) {
    this.#connection = connection;
  }

  add(from: Buffer, start: number, end: number): void {
    const bytes = end - start;
    assert(bytes >= 0, 'a piece ends where it began, or later');
    if (bytes === 0) return;
    if (this.#openBytes + bytes > this.#open.length) {
      const twice = Math.min(2 * this.#open.length, heldPieceBytes);
      this.#seal();
      this.#open = Buffer.allocUnsafe(Math.max(bytes, twice));
    }
    from.copy(this.#open, this.#openBytes, start, end);
    this.#openBytes += bytes;
    this.#connection.countHeld(bytes);
  }

  #seal(): void {
    if (this.#openBytes > 0) this.#pieces.push(this.#open.subarray(0, this.#openBytes));
    this.#open = emptyBytes;
    this.#openBytes = 0;
  }

  /** The oldest piece, no longer counted. */
  take(): Buffer | undefined {
    if (this.#next === this.#pieces.length) this.#seal();
    const piece = this.#pieces[this.#next];
    if (piece === undefined) return undefined;
    this.#next++;
    this.#connection.countHeld(-piece.length);
    return piece;
  }

  /** Puts the end of the piece just taken back in front. */
  putBack(piece: Buffer, from: number): void {
    assert(this.#next > 0 && this.#pieces[this.#next - 1] === piece, 'it is what was just taken');
    this.#pieces.splice(0, this.#next);
    this.#next = 0;
    if (from >= piece.length) return;
    this.#pieces.unshift(piece.subarray(from));
    this.#connection.countHeld(piece.length - from);
  }

  /** Forgets everything. */
  drop(): void {
    while (this.take() !== undefined);
  }
}
