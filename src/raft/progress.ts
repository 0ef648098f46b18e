/**
 * What a leader knows of one other member, and how it sends to it (paper 5.3; thesis 10.2.1 on
 * pipelining).
 *
 *   probe      the point where the logs agree is not known: one message, then wait
 *   replicate  it is known: send ahead optimistically, up to a window of unanswered messages
 *   snapshot   the entries it needs are compacted: send nothing until the snapshot is installed
 */

import { assert, type LogIndex, type MemberId, present } from '../common/index.js';

export type ProgressMode = 'probe' | 'replicate' | 'snapshot';

/** A copy of a {@link Progress}, for status pages and tests. */
export interface ProgressView {
  readonly member: MemberId;
  readonly mode: ProgressMode;
  readonly matchIndex: LogIndex;
  readonly nextIndex: LogIndex;
  /** Index of the snapshot under way; 0 if none. */
  readonly pendingSnapshot: LogIndex;
  /** Messages sent and not answered. */
  readonly inflight: number;
  readonly learner: boolean;
  /** Heard from within an election timeout. */
  readonly active: boolean;
}

export class Progress {
  readonly member: MemberId;
  mode: ProgressMode = 'probe';
  /** Known to be durable there and equal to ours. */
  matchIndex: LogIndex = 0;
  nextIndex: LogIndex;
  pendingSnapshot: LogIndex = 0;
  /** Probe: the one message is out; a response or a heartbeat's answer lets the next one go. */
  probeSent = false;
  /**
   * It answered a heartbeat but lacks entries: send at least an empty message, to notice a loss.
   */
  checkDue = false;
  /** The largest commit index that was sent to it. */
  commitSent: LogIndex = 0;
  /** Leader's tick of the last message from it. */
  activeTick: number;
  /** The largest read sequence that it confirmed. */
  readAcked = 0;
  readonly inflight: Inflight;

  constructor(member: MemberId, nextIndex: LogIndex, tick: number, inflightMax: number) {
    this.member = member;
    this.nextIndex = nextIndex;
    this.activeTick = tick;
    this.inflight = new Inflight(inflightMax);
  }

  becomeProbe(): void {
    // A snapshot that was sent is taken as arrived here; if not, the probe will be rejected.
    this.nextIndex = Math.max(this.matchIndex, this.pendingSnapshot) + 1;
    this.#enter('probe');
  }

  becomeReplicate(): void {
    assert(this.mode !== 'replicate', 'it is not sending ahead yet');
    this.nextIndex = this.matchIndex + 1;
    this.#enter('replicate');
  }

  becomeSnapshot(index: LogIndex): void {
    assert(this.mode !== 'snapshot', 'one snapshot at a time');
    assert(index > this.matchIndex, 'the snapshot has something that the follower lacks');
    this.#enter('snapshot');
    this.pendingSnapshot = index;
    this.nextIndex = index + 1;
  }

  #enter(mode: ProgressMode): void {
    assert(this.nextIndex > this.matchIndex, 'what is known to match is not sent again');
    this.mode = mode;
    this.probeSent = false;
    this.checkDue = false;
    this.pendingSnapshot = 0;
    this.inflight.clear();
  }

  /** The follower's log matches up to `index`; it may have said more before. */
  matched(index: LogIndex): void {
    this.probeSent = false;
    this.nextIndex = Math.max(this.nextIndex, index + 1);
    this.matchIndex = Math.max(this.matchIndex, index);
  }

  /**
   * The follower rejected a message that began after `rejected`; `hint` is the largest index where
   * the logs may agree. Returns false if that is an answer to an earlier message.
   */
  rejected(rejected: LogIndex, hint: LogIndex): boolean {
    if (this.mode === 'replicate') {
      if (rejected <= this.matchIndex) return false;
      this.becomeProbe();
      return true;
    }
    if (this.mode === 'snapshot' || this.nextIndex - 1 !== rejected) return false;
    this.nextIndex = Math.max(Math.min(rejected, hint + 1), this.matchIndex + 1);
    this.probeSent = false;
    return true;
  }
}

/** The last indexes of the messages under way to one follower: a ring, oldest first. */
export class Inflight {
  readonly #capacity: number;
  readonly #ring: LogIndex[] = [];
  #start = 0;
  count = 0;

  constructor(capacity: number) {
    assert(capacity > 0, 'at least one message may be under way');
    this.#capacity = capacity;
  }

  get full(): boolean {
    return this.count === this.#capacity;
  }

  add(lastIndex: LogIndex): void {
    assert(!this.full, 'the window is not exceeded');
    this.#ring[(this.#start + this.count) % this.#capacity] = lastIndex;
    this.count += 1;
  }

  /** Everything up to `index` was answered. */
  freeThrough(index: LogIndex): void {
    while (this.count > 0 && present(this.#ring[this.#start], 'inflight') <= index) {
      this.#start = (this.#start + 1) % this.#capacity;
      this.count -= 1;
    }
  }

  clear(): void {
    this.#start = 0;
    this.count = 0;
  }
}
