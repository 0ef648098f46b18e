/**
 * DATA that a paused call has received and not taken. Copied, because a view of it would keep the
 * socket's whole chunk alive; bounded by the stream's window, which is not renewed meanwhile.
 */

import type { Connection } from './connection.js';

/** A queue of received bytes. */
export class HeldData {
  readonly #connection: Connection;
  #pieces: Buffer[] = [];
  #next = 0;
  /** END_STREAM came after the last piece. */
  ended = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  add(from: Buffer, start: number, end: number): void {
    if (end === start) return;
    this.#pieces.push(Buffer.from(from.subarray(start, end)));
    this.#connection.countHeld(end - start);
  }

  /** The oldest piece, no longer counted. */
  take(): Buffer | undefined {
    const piece = this.#pieces[this.#next];
    if (piece === undefined) return undefined;
    this.#next++;
    this.#connection.countHeld(-piece.length);
    return piece;
  }

  /** Puts the end of the piece just taken back in front. */
  putBack(piece: Buffer, from: number): void {
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
