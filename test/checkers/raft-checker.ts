/**
 * The properties of paper figure 3, from what members are seen to do: their status, what they put
 * into their logs, and what they apply. Works while the run goes on, so that a violation is found
 * at its moment and not at the end. Log matching and leader completeness need the log entries;
 * without them (the chaos run sees only status and applied entries) they are not checked.
 */

import { Report } from './report.js';

/** An entry by what makes it that one; `digest` stands for type and data. */
export interface SeenEntry {
  readonly index: number;
  readonly term: number;
  readonly digest: string;
}

export interface SeenStatus {
  readonly term: number;
  readonly isLeader: boolean;
  readonly commit: number;
  readonly applied: number;
}

interface MemberLog {
  /** From `first` on. */
  readonly terms: number[];
  first: number;
  term: number;
  durableTerm: number;
  commit: number;
  applied: number;
  /** Votes by term; a member that lost its disk gets a new id and so a new log. */
  readonly votes: Map<number, bigint>;
}

export class RaftChecker {
  readonly report = new Report();
  /** Committed entries, by index. */
  readonly applied = new Map<number, SeenEntry>();
  #appliedLast = 0;
  readonly #leaders = new Map<number, bigint>();
  readonly #entries = new Map<string, { readonly digest: string; readonly before: number }>();
  readonly #members = new Map<bigint, MemberLog>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Newest index that any member applied. */
  get appliedLast(): number {
    return this.#appliedLast;
  }

  get terms(): number {
    return this.#leaders.size;
  }

  leaderOf(term: number): bigint | undefined {
    return this.#leaders.get(term);
  }

  /**
   * The member starts (again) with this log: `terms[i]` is that of entry `firstIndex + i`. What was
   * not durable may be forgotten.
   */
  started(member: bigint, status: SeenStatus, firstIndex: number, terms: readonly number[]): void {
    const before = this.#members.get(member);
    const durableTerm = before?.durableTerm ?? 0;
    this.#check(
      'raft: a durable term is not forgotten',
      status.term >= durableTerm,
      () => `member ${hex(member)} was in term ${durableTerm}, it starts in ${status.term}`,
    );
    const votes = before?.votes ?? new Map<number, bigint>();
    this.#members.set(member, {
      terms: [...terms],
      first: firstIndex,
      term: status.term,
      durableTerm,
      commit: 0,
      applied: status.applied,
      votes,
    });
  }

  /** Entries went into the member's log, over what was there from the first one on. */
  appended(member: bigint, entries: readonly SeenEntry[]): void {
    const log = this.#member(member);
    for (const entry of entries) {
      const at = entry.index - log.first;
      if (at > log.terms.length) {
        // A snapshot took the place of what came before.
        log.first = entry.index;
        log.terms.length = 0;
      } else if (at < 0) {
        continue;
      } else {
        const old = log.terms[at];
        if (old !== undefined && old !== entry.term) {
          this.#check(
            'raft: never truncates what is committed',
            entry.index > log.commit,
            () => `${hex(member)} replaces ${entry.index}, committed up to ${log.commit}`,
          );
        }
        if (old !== entry.term) log.terms.length = at;
      }
      const before = log.terms[entry.index - log.first - 1] ?? -1;
      log.terms[entry.index - log.first] = entry.term;
      this.#matches(member, entry, before);
    }
  }

  /** Log matching (paper 5.3): index and term say which entry it is, and what comes before. */
  #matches(member: bigint, entry: SeenEntry, before: number): void {
    const key = `${entry.index}/${entry.term}`;
    const known = this.#entries.get(key);
    if (known === undefined || (known.before === -1 && before !== -1)) {
      if (known !== undefined && known.digest !== entry.digest) this.#differ(member, key);
      this.#entries.set(key, { digest: entry.digest, before });
      return;
    }
    const same = known.digest === entry.digest && (before === -1 || known.before === before);
    this.#check('raft: log matching', same, () => `${hex(member)} differs at or before ${key}`);
  }

  #differ(member: bigint, key: string): void {
    this.report.violate('raft: log matching', `${hex(member)} differs at ${key}`, this.#nowMs());
  }

  /** The member holds its term and vote (0n: none) for durable: one vote a term, for ever. */
  persisted(member: bigint, term: number, vote: bigint): void {
    const log = this.#member(member);
    log.durableTerm = Math.max(log.durableTerm, term);
    if (vote === 0n) return;
    const before = log.votes.get(term);
    this.#check(
      'raft: one vote a term',
      before === undefined || before === vote,
      () => `${hex(member)} votes for ${hex(vote)} and ${hex(before ?? 0n)} in term ${term}`,
    );
    log.votes.set(term, vote);
  }

  /** What the member says of itself now. Cheap if nothing changed. */
  observed(member: bigint, status: SeenStatus): void {
    const log = this.#member(member);
    const { term, commit, isLeader } = status;
    if (term < log.term || commit < log.commit) {
      this.#check(
        'raft: term and commit never go back',
        false,
        () => `${hex(member)}: term ${log.term} to ${term}, commit ${log.commit} to ${commit}`,
      );
    }
    log.term = term;
    log.commit = commit;
    if (!isLeader) return;
    const known = this.#leaders.get(term);
    if (known === member) return;
    this.#check(
      'raft: election safety',
      known === undefined,
      () => `${hex(known ?? 0n)} and ${hex(member)} both lead in term ${term}`,
    );
    this.#leaders.set(term, member);
    this.#isComplete(member, log, term);
  }

  /** Leader completeness (paper 5.4): what anybody applied is in the log of a new leader. */
  #isComplete(member: bigint, log: MemberLog, term: number): void {
    if (log.first === 0) return;
    let missing = 0;
    for (let index = log.first; index <= this.#appliedLast; index += 1) {
      const entry = this.applied.get(index);
      if (entry === undefined || entry.term > term) continue;
      if (log.terms[index - log.first] === entry.term) continue;
      missing = index;
      break;
    }
    this.#check(
      'raft: leader completeness',
      missing === 0,
      () => `${hex(member)} leads in term ${term} without the committed entry ${missing}`,
    );
  }

  /** The member applied an entry: state machine safety (paper 5.4.3). */
  appliedEntry(member: bigint, entry: SeenEntry): void {
    const log = this.#member(member);
    this.#check(
      'raft: applies in order',
      entry.index === log.applied + 1,
      () => `${hex(member)} applies ${entry.index} after ${log.applied}`,
    );
    log.applied = entry.index;
    const known = this.applied.get(entry.index);
    if (known === undefined) {
      this.applied.set(entry.index, entry);
      this.#appliedLast = Math.max(this.#appliedLast, entry.index);
      return;
    }
    this.#check(
      'raft: state machine safety',
      known.term === entry.term && known.digest === entry.digest,
      () =>
        `${hex(member)} applies another entry at ${entry.index}: term ${known.term}, ${entry.term}`,
    );
  }

  /** A snapshot took the member's state to `index`. */
  installed(member: bigint, index: number): void {
    const log = this.#member(member);
    this.#check(
      'raft: snapshots go forward',
      index >= log.applied,
      () => `${hex(member)} goes back from ${log.applied} to ${index}`,
    );
    log.applied = index;
    // It takes the place of the whole log: entries that agree with it would have been kept instead.
    log.first = index + 1;
    log.terms.length = 0;
  }

  #member(member: bigint): MemberLog {
    let log = this.#members.get(member);
    if (log === undefined) {
      log = newLog();
      this.#members.set(member, log);
    }
    return log;
  }

  #check(rule: string, ok: boolean, what: () => string): void {
    this.report.check(rule, ok, what, this.#nowMs());
  }
}

function newLog(): MemberLog {
  const votes = new Map<number, bigint>();
  return { terms: [], first: 1, term: 0, durableTerm: 0, commit: 0, applied: 0, votes };
}

function hex(member: bigint): string {
  return member.toString(16);
}
