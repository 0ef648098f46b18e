/**
 * One frame for all followers that are sent the same entries: who sends and who receives is not in
 * it (codec.ts), so those that keep up get the very same bytes. It is encoded once, and once is
 * what it takes of memory; nobody changes a frame that was sent.
 */

import type { LogIndex } from '../../common/index.js';
import type { AppendEntries, Message } from '../../raft/index.js';
import { encodeMessage } from './codec.js';

interface Sent {
  readonly message: AppendEntries;
  readonly frame: Buffer;
}

/** The frames of entries of one round of messages, by the index before their first entry. */
export class SharedFrames {
  readonly #sent = new Map<LogIndex, Sent>();

  /** As `encodeMessage`. */
  encode(message: Message, withClocks: boolean, withNotices: boolean): Buffer {
    if (message.type !== 'AppendEntries' || message.entries.length === 0) {
      return encodeMessage(message, withClocks, withNotices);
    }
    const sent = this.#sent.get(message.prevLogIndex);
    if (sent !== undefined && isSame(sent.message, message)) return sent.frame;
    const frame = encodeMessage(message, withClocks, withNotices);
    this.#sent.set(message.prevLogIndex, { message, frame });
    return frame;
  }

  /** The round is over: entries and frames are not kept. */
  forget(): void {
    if (this.#sent.size > 0) this.#sent.clear();
  }
}

/**
 * Both are of one round, so of one state of the log: what lies between two entries of it is the
 * same in both.
 */
function isSame(one: AppendEntries, other: AppendEntries): boolean {
  if (one.term !== other.term || one.leaderCommit !== other.leaderCommit) return false;
  if (one.prevLogTerm !== other.prevLogTerm) return false;
  const { length } = one.entries;
  if (length !== other.entries.length || one.entries[0] !== other.entries[0]) return false;
  return one.entries[length - 1] === other.entries[length - 1];
}
