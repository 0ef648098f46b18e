/**
 * Looks into the members while they run: wraps a few methods of each node's Raft before it starts,
 * so that the checkers see every Ready, every durable write and every committed entry. Changes
 * nothing of what the node does.
 */

import { createHash } from 'node:crypto';
import type { Entry, HardState, Ready } from '../../src/raft/index.js';
import { entryOrigin, entrySequence } from '../../src/server/entry/index.js';
import { AppliedLog, type LoggedLeaseEnd } from '../checkers/applied-log.js';
import { RaftChecker, type SeenEntry } from '../checkers/raft-checker.js';
import type { SimProcess } from './machine.js';
import type { Trace } from './trace.js';

/** Proposals that get into a log sooner are not worth a record. */
const longMs = 100;

/** The snapshot that a cluster is founded with. */
const foundingIndex = 1;

/** A proposal that got into the log of a leader; times are those of the world. */
export interface SeenProposal {
  readonly what: string;
  readonly askedMs: number;
  readonly enteredMs: number;
}

/** When and by whom a lease was ended. */
export interface SeenLeaseEnd extends LoggedLeaseEnd {
  readonly atMs: number;
  readonly proposer: bigint | undefined;
}

export class Observer {
  readonly raft: RaftChecker;
  readonly log = new AppliedLog(foundingIndex);
  readonly leaseEnds = new Map<bigint, SeenLeaseEnd>();
  /** Those that took long. */
  readonly latecomers: SeenProposal[] = [];
  proposalsEntered = 0;
  readonly #nowMs: () => number;
  readonly #trace: Trace;
  readonly #origins = new Map<number, bigint>();
  /** To the checker a member is its data directory: one that lost it is another one. */
  readonly #memberIds = new Map<bigint, bigint>();
  /** When a member was asked for what is in no log yet, by origin and sequence. */
  readonly #asked = new Map<string, number>();
  readonly #digests = new WeakMap<Uint8Array, string>();
  snapshotsInstalled = 0;
  entriesApplied = 0;

  constructor(nowMs: () => number, trace: Trace) {
    this.#nowMs = nowMs;
    this.#trace = trace;
    this.raft = new RaftChecker(nowMs);
  }

  /** To be called when the node is open and has not started. */
  attach(process: SimProcess): void {
    const { node } = process;
    const { raft, incarnation: member } = node;
    this.#origins.set(node.proposals.origin, node.memberId);
    this.#memberIds.set(member, node.memberId);
    const status = raft.status();
    const terms: number[] = [];
    for (let at = status.firstIndex; at <= status.lastIndex; at += 1) terms.push(raft.termAt(at));
    this.raft.started(member, { ...status, isLeader: false }, status.firstIndex, terms);
    const writing = new Map<number, HardState>();
    const { ready, persisted, propose, step } = raft;
    let role = '';
    let seenTerm = -1;
    let seenCommit = -1;
    // The commit index only with a Ready: before it, the log may not be seen to be what it is.
    const look = (withReady: boolean): void => {
      const now = raft.status();
      const commit = withReady ? now.commit : Math.max(0, seenCommit);
      if (now.term === seenTerm && commit === seenCommit && now.role === role) return;
      if (now.role !== role || now.term !== seenTerm) {
        this.#trace.add(`${process.name} ${now.role} term ${now.term} leader ${now.leader}`);
      }
      seenTerm = now.term;
      seenCommit = commit;
      role = now.role;
      const { term, applied } = now;
      this.raft.observed(member, { term, commit, applied, isLeader: role === 'leader' });
    };
    raft.step = (message): void => {
      const { type, from, term } = message;
      this.#trace.add(`${process.name} gets ${type} of ${from} in ${term}`);
      if (message.type !== 'ForwardProposal') {
        step.call(raft, message);
        return;
      }
      const { lastIndex } = raft.status();
      step.call(raft, message);
      if (raft.status().lastIndex === lastIndex) return;
      for (const { data } of message.entries) this.#entered(process, data);
    };
    raft.propose = (data) => {
      const refusal = propose.call(raft, data);
      const isOwn = refusal === undefined && raft.leader === node.memberId;
      if (isOwn) for (const one of data) this.#entered(process, one);
      return refusal;
    };
    const { proposals } = node;
    const { add } = proposals;
    proposals.add = ((...args: Parameters<typeof add>) => {
      const pending = add.apply(proposals, args);
      this.#asked.set(`${proposals.origin} ${pending.sequence}`, this.#nowMs());
      return pending;
    }) as typeof add;
    raft.ready = (): Ready => {
      const result = ready.call(raft);
      if (result.hardState !== undefined) writing.set(result.sequence, result.hardState);
      if (result.snapshot !== undefined) {
        this.snapshotsInstalled += 1;
        this.#trace.add(`${process.name} installs ${result.snapshot.index}`);
        this.raft.installed(member, result.snapshot.index);
      }
      if (result.entries.length > 0) this.raft.appended(member, result.entries.map(this.#seen));
      // After what the log has become: what is committed now may have come with it.
      look(true);
      for (const entry of result.committedEntries) this.#committed(process, member, entry);
      return result;
    };
    raft.persisted = (sequence: number): void => {
      for (const [at, { term, vote }] of writing) {
        if (at > sequence) continue;
        writing.delete(at);
        this.raft.persisted(member, term, vote);
      }
      persisted.call(raft, sequence);
      look(false);
    };
  }

  /** Id of the member that led in that term; 0n: none is known. */
  leaderOf(term: number): bigint {
    return this.#memberIds.get(this.raft.leaderOf(term) ?? 0n) ?? 0n;
  }

  #entered(process: SimProcess, data: Uint8Array): void {
    const key = `${entryOrigin(data)} ${entrySequence(data)}`;
    const askedMs = this.#asked.get(key);
    if (askedMs === undefined) return;
    this.#asked.delete(key);
    this.proposalsEntered += 1;
    const enteredMs = this.#nowMs();
    if (enteredMs - askedMs < longMs) return;
    const what = `proposal ${key} of kind ${data[1]} at ${process.name}`;
    this.latecomers.push({ what, askedMs, enteredMs });
  }

  #committed(process: SimProcess, member: bigint, entry: Entry): void {
    this.entriesApplied += 1;
    const seen = this.#seen(entry);
    this.#trace.add(`${process.name} applies ${seen.index}/${seen.term} ${seen.digest}`);
    this.raft.appliedEntry(member, seen);
    if (entry.index !== this.log.lastIndex + 1) return;
    const before = this.log.leaseEnds.size;
    this.log.apply(entry);
    if (this.log.leaseEnds.size === before) return;
    const end = [...this.log.leaseEnds.values()].at(-1);
    if (end === undefined) return;
    const proposer = this.#origins.get(end.origin);
    this.leaseEnds.set(end.id, { ...end, atMs: this.#nowMs(), proposer });
  }

  readonly #seen = (entry: Entry): SeenEntry => {
    const { index, term, type, data } = entry;
    let digest = this.#digests.get(data);
    if (digest === undefined) {
      digest = createHash('sha1').update(type).update(data).digest('base64').slice(0, 12);
      this.#digests.set(data, digest);
    }
    return { index, term, digest };
  };
}
