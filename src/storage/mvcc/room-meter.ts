/** Asks for room as an answer grows. */

import type { AnswerRoom } from './types.js';

/** What one answer has taken of its room. */
export class RoomMeter {
  /** Undefined: nobody counts. */
  readonly room: AnswerRoom | undefined;
  #taken = 0;

  constructor(room: AnswerRoom | undefined) {
    this.room = room;
  }

  /** Resolves once the answer may hold `bytes` in all; rejects if it is to be given up. */
  async upTo(bytes: number): Promise<void> {
    const more = bytes - this.#taken;
    if (this.room === undefined || more <= 0) return;
    this.#taken = bytes;
    await this.room.takeRoom(more);
  }
}
