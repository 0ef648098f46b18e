/**
 * Decides how much of the applied log stays in Raft's memory. Entries are kept for members that
 * are behind, because catching up from entries is cheaper than from a snapshot: always the last
 * few thousand, and at the leader also what its active followers and the receivers of a snapshot
 * still need. Never more than `keepBytesMax`: a follower that is paused or far away must not
 * cost more memory the longer it stays.
 */

import { assert, type Clock, type LogIndex, logKeepBytesMax } from '../../common/index.js';
import type { Raft } from '../../raft/index.js';

export interface RaftLogTrimOptions {
  readonly raft: Pick<Raft, 'compact' | 'progress' | 'status'>;
  readonly clock: Clock;
  /** --snapshot-catchup-entries */
  readonly catchUpEntries: number;
  /** Of applied entries that are kept; {@link logKeepBytesMax} by default. */
  readonly keepBytesMax?: number | undefined;
  /** Compacting copies what stays, so it is done in lots of at least this many entries. */
  readonly lookEntries?: number | undefined;
}

const entriesPerLook = 1000;
/** Or of at least so many bytes. */
const bytesPerLook = 16 * 1024 * 1024;
/** What a snapshot begins at is kept for this long after it was sent. */
const sentMs = 30_000;

export class RaftLogTrim {
  readonly #o: RaftLogTrimOptions;
  /** Places in the log, and the bytes applied up to them; oldest first. */
  #looks: Array<{ readonly index: LogIndex; readonly bytes: number }>;
  #lastBytes = 0;
  /** Snapshots that are being sent, or were a moment ago: index, and until when it is kept. */
  readonly #sent = new Map<LogIndex, number>();

  constructor(options: RaftLogTrimOptions, applied: LogIndex) {
    this.#o = options;
    this.#looks = [{ index: applied, bytes: 0 }];
  }

  /** Called after entries were applied. */
  applied(index: LogIndex, bytesTotal: number): void {
    const last = this.#looks[this.#looks.length - 1];
    assert(index >= (last?.index ?? 0), 'entries are applied in order');
    const entries = index - (last?.index ?? 0);
    const lookEntries = this.#o.lookEntries ?? entriesPerLook;
    if (entries < lookEntries && bytesTotal - this.#lastBytes < bytesPerLook) return;
    this.#lastBytes = bytesTotal;
    this.#looks.push({ index, bytes: bytesTotal });
    const keepAfter = Math.max(this.#neededAfter(index), this.#affordableAfter(bytesTotal));
    if (keepAfter <= this.#o.raft.status().firstIndex) return;
    this.#o.raft.compact(keepAfter);
    this.#looks = this.#looks.filter((look) => look.index >= keepAfter);
  }

  /** A snapshot of `index` is leaving for another member, which will want the entries after it. */
  snapshotSent(index: LogIndex): void {
    this.#sent.set(index, this.#o.clock.nowMs() + sentMs);
  }

  #neededAfter(applied: LogIndex): LogIndex {
    const { raft, clock, catchUpEntries } = this.#o;
    const { configuration } = raft.status();
    const { voters, votersOutgoing, learners } = configuration;
    // Alone there is nobody who could be behind.
    if (voters.length + votersOutgoing.length + learners.length === 1) return applied;
    let after = applied - catchUpEntries;
    for (const { active, matchIndex, mode } of raft.progress()) {
      if (active && mode !== 'snapshot') after = Math.min(after, matchIndex);
    }
    const now = clock.nowMs();
    for (const [index, untilMs] of this.#sent) {
      if (untilMs < now) this.#sent.delete(index);
      else after = Math.min(after, index);
    }
    return after;
  }

  /** The oldest place whose entries still fit. */
  #affordableAfter(bytesTotal: number): LogIndex {
    let first = 0;
    const keepBytesMax = this.#o.keepBytesMax ?? logKeepBytesMax;
    while (first < this.#looks.length - 1) {
      if (bytesTotal - (this.#looks[first]?.bytes ?? 0) <= keepBytesMax) break;
      first++;
    }
    if (first > 0) this.#looks = this.#looks.slice(first);
    return first > 0 ? (this.#looks[0]?.index ?? 0) : 0;
  }
}
