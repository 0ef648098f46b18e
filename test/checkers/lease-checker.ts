/**
 * What leases promise, judged from outside: none expires before its TTL after the last renewal that
 * was answered, its keys go with it in one revision, a renewal of one that is gone says so
 * (L-17), and only the leader of the term in which it was proposed may end one (L-16).
 */

import { Report } from './report.js';
import type { Commit, Truth } from './truth.js';

/** A grant or a keepalive that was answered with a TTL. */
export interface Renewal {
  readonly callMs: number;
  readonly returnMs: number;
  readonly ttlSeconds: number;
}

/** How a lease ended, from the log. */
export interface LeaseEnd {
  /** When a member first applied it. */
  readonly atMs: number;
  /** A client asked for it (or may have). */
  readonly isAsked: boolean;
  /** Of the revision that deleted its keys; 0: it had none. */
  readonly revision: number;
  /** Which member proposed it, and which one led in the term of the entry; undefined: unknown. */
  readonly proposer?: bigint;
  readonly leader?: bigint;
}

/** An answer to the question which keys it has. */
export interface Listing {
  /** It has seen this revision; and none after the second. */
  readonly fromRevision: number;
  readonly toRevision: number;
  readonly listed: readonly string[];
  /** Keys that its holder put on it. */
  readonly put: readonly string[];
}

/** All that is known of a lease. */
export interface LeaseRecord {
  readonly id: bigint;
  readonly renewals: Renewal[];
  /** Keepalives that answered TTL 0. */
  readonly goneCallsMs: number[];
  readonly listings: Listing[];
  end: LeaseEnd | undefined;
}

export interface LeaseInput {
  readonly leases: Iterable<LeaseRecord>;
  readonly truth: Truth;
  /** How fast the fastest clock of a member ran: a TTL passes that much sooner. */
  readonly clockRateMax: number;
  /** When the run ended; leases without a renewal for `goneAfterMs` and their TTL must be gone. */
  readonly endMs: number;
  readonly goneAfterMs: number;
}

export function checkLeases(input: LeaseInput): Report {
  const report = new Report();
  for (const lease of input.leases) {
    checkExpiry(input, lease, report);
    checkKeys(input, lease, report);
    for (const listing of lease.listings) checkListing(input, lease.id, listing, report);
  }
  return report;
}

function checkExpiry(input: LeaseInput, lease: LeaseRecord, report: Report): void {
  const { id, renewals, end, goneCallsMs } = lease;
  const last = renewals.at(-1);
  if (end === undefined) {
    const due = Math.max(
      0,
      ...renewals.map(({ returnMs, ttlSeconds }) => returnMs + ttlSeconds * 1000),
    );
    report.check(
      'lease: ends',
      last === undefined || due + input.goneAfterMs >= input.endMs,
      () => `lease ${id} should have ended at ${due}, it is ${input.endMs}`,
      input.endMs,
    );
    report.check(
      'lease: not gone before its end',
      goneCallsMs.length === 0,
      () => `a keepalive of ${id} says that it is gone, but nothing ended it`,
      goneCallsMs[0],
    );
    return;
  }
  for (const { callMs, returnMs, ttlSeconds } of renewals) {
    report.check(
      'lease: renewed only while it lives',
      callMs <= end.atMs,
      () => `lease ${id} ended at ${end.atMs}, renewed by a call from ${callMs} to ${returnMs}`,
      returnMs,
    );
    if (end.isAsked) continue;
    const earliest = callMs + (ttlSeconds * 1000) / input.clockRateMax;
    report.check(
      'lease: not before its TTL',
      end.atMs >= earliest || returnMs >= end.atMs,
      () => `lease ${id} (${ttlSeconds} s) renewed at ${callMs} ended at ${end.atMs}`,
      end.atMs,
    );
  }
  if (end.isAsked || end.proposer === undefined) return;
  report.check(
    'lease: ended by the leader of the term',
    end.proposer === end.leader,
    () => `lease ${id} was ended by ${end.proposer} in a term of ${end.leader}`,
    end.atMs,
  );
}

/** All keys that the lease had are deleted in the revision that ended it. */
function checkKeys({ truth }: LeaseInput, { id, end }: LeaseRecord, report: Report): void {
  if (end === undefined) return;
  const commit: Commit | undefined = end.revision > 0 ? truth.commit(end.revision) : undefined;
  const left = truth
    .range('\0', '\0', end.revision > 0 ? end.revision : truth.revision)
    .filter((kv) => kv.lease === id);
  report.check(
    'lease: its keys go with it',
    left.length === 0,
    () => `lease ${id} ended, its keys ${left.map(({ key }) => key).join()} are there`,
    end.atMs,
  );
  if (commit === undefined) return;
  const others = commit.changes.filter(
    ({ type, key }) => type !== 'delete' || truth.at(key, end.revision - 1)?.lease !== id,
  );
  report.check(
    'lease: only its keys go with it',
    others.length === 0,
    () => `the end of lease ${id} also changed ${others.map(({ key }) => key).join()}`,
    end.atMs,
  );
}

/** What was listed is what the lease had at one of the revisions that the answer may be of. */
function checkListing({ truth, endMs }: LeaseInput, id: bigint, at: Listing, report: Report): void {
  const keys = [...new Set([...at.put, ...at.listed])];
  const isListed = new Set(at.listed);
  let isSo = false;
  for (let revision = at.fromRevision; revision <= at.toRevision && !isSo; revision += 1) {
    isSo = keys.every((key) => (truth.at(key, revision)?.lease === id) === isListed.has(key));
  }
  report.check(
    'lease: lists the keys that it has',
    isSo,
    () => `lease ${id} listed '${at.listed}' between ${at.fromRevision} and ${at.toRevision}`,
    endMs,
  );
}
