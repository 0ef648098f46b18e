/**
 * One frame for all followers that are sent the same entries: who sends and who receives is not in
 * it (codec.ts), so those that keep up get the very same bytes. It is encoded once, and once is what
 * it takes of memory; nobody changes a frame that was sent.
 */

import type { AppendEntries, Message } from '../../raft/index.js';
import { encodeMessage } from './codec.js';

/** The last frame of entries, for as long as one round of messages is sent. */
export class SharedFrame {
  #message: AppendEntries | undefined;
  #frame: Buffer | undefined;

  /** As `encodeMessage`. */
  encode(message: Message, withClocks: boolean, withNotices: boolean): Buffer {
    if (message.type !== 'AppendEntries' || message.entries.length === 0) {
      return encodeMessage(message, withClocks, withNotices);
    }
    if (this.#frame !== undefined && isSame(this.#message, message)) return this.#frame;
    const frame = encodeMessage(message, withClocks, withNotices);
    this.#message = message;
    this.#frame = frame;
    return frame;
  }

  /** The round is over: entries and frame are not kept. */
  forget(): void {
    this.#message = undefined;
    this.#frame = undefined;
  }
}

/**
 * Both are of one round, so of one state of the log: what lies between two entries of it is the
 * same in both.
 */
function isSame(one: AppendEntries | undefined, other: AppendEntries): boolean {
  if (one === undefined || one.term !== other.term) return false;
  if (one.prevLogIndex !== other.prevLogIndex || one.prevLogTerm !== other.prevLogTerm)
    return false;
  if (one.leaderCommit !== other.leaderCommit) return false;
  const { length } = one.entries;
  if (length !== other.entries.length || one.entries[0] !== other.entries[0]) return false;
  return one.entries[length - 1] === other.entries[length - 1];
}
