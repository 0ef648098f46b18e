/** The end of a run: everything is brought to rest, compared, killed once more, and compared again. */

import { setTimeout as sleep } from 'node:timers/promises';
import { decodeRangeResponse, encodeRangeRequest } from '../../src/proto/index.js';
import type { Operation } from '../checkers/history.js';
import { checkLeases, type LeaseEnd } from '../checkers/lease-checker.js';
import { checkLinearizable } from '../checkers/linearizability.js';
import { checkAppendLists, checkHashes, type MemberHash } from '../checkers/oracles.js';
import { checkRevisions } from '../checkers/revision-checker.js';
import { kvsDifference } from '../checkers/truth.js';
import type { HeldLease, LeaseHolder } from '../workload/lease-holder.js';
import { kvOf } from '../workload/request-codec.js';
import type { ChaosMember } from './member.js';
import type { WatchClient } from './watch-client.js';
import type { World } from './world.js';

const wholeTimeoutMs = 60_000;
const quietMs = 2000;
const leaseGoneMs = 20_000;

/** Waits until nothing changes any more: leases end by themselves. Resolves with the revision. */
export async function comeToRest(world: World): Promise<number> {
  const { cluster, report, truth } = world;
  const until = performance.now() + wholeTimeoutMs;
  let last = -1;
  for (;;) {
    const all = await Promise.all(cluster.members.map((member) => readAll(member, false)));
    const revisions = new Set(all.map((read) => read?.revision ?? -1));
    const [revision = -1] = revisions;
    const isSame = revisions.size === 1 && revision > 0 && revision === last && !hasLeases(world);
    if (isSame && truth.revision === revision) return revision;
    last = revisions.size === 1 ? revision : -1;
    if (performance.now() > until) {
      const list = all.map((read, i) => `${cluster.members[i]?.name} ${read?.revision}`).join(', ');
      report.violate('liveness: all come to rest', `${list}, seen ${truth.revision}`);
      return truth.revision;
    }
    await sleep(quietMs);
  }
}

/** Keys that will go with their leases. */
function hasLeases({ truth }: World): boolean {
  return truth.range('lease/', 'lease0', truth.revision).length > 0;
}

/** All members have what the truth says at `revision`, and the same hash of it. */
export async function compareMembers(world: World, revision: number): Promise<void> {
  const { cluster, report, truth } = world;
  const hashes: MemberHash[] = [];
  const right = truth.range('\0', '\0', revision);
  for (const member of cluster.members) {
    const read = await readAll(member, true);
    const what = read === undefined ? member.lastError : kvsDifference(right, read.kvs);
    report.check('end: every member has it all', what === undefined, () => {
      return `${member.name} at ${read?.revision}: ${what}`;
    });
    const answer = await member.hash(revision);
    if (answer === undefined) report.violate('end: hash', `${member.name}: ${member.lastError}`);
    else {
      const { hash, compactRevision } = answer;
      hashes.push({ member: member.name, revision, compactRevision, hash });
    }
  }
  // Members may be at different compactions for a moment; those that are not must agree.
  const isComparable = new Set(hashes.map(({ compactRevision }) => compactRevision)).size === 1;
  report.add(checkHashes(hashes, isComparable));
}

/** Everything that was acknowledged is still there when all have been killed at once. */
export async function killAllOnceMore(world: World, revision: number): Promise<void> {
  const { cluster, report } = world;
  await Promise.all(cluster.members.map((member) => member.kill()));
  cluster.revive();
  const isWhole = await cluster.healthy(wholeTimeoutMs);
  report.check('liveness: all start again', isWhole, () => 'after all had been killed');
  for (const member of cluster.members) {
    const read = await readAll(member, false);
    report.check('end: the revision is the same', read?.revision === revision, () => {
      return `${member.name}: ${read?.revision} instead of ${revision}, ${member.lastError}`;
    });
  }
  await compareMembers(world, revision);
}

/** The watchers have all been told of everything. */
export async function completeWatches(
  world: World,
  watchers: readonly WatchClient[],
  revision: number,
): Promise<void> {
  await Promise.all(
    watchers.map(async (watcher, i) => {
      const isComplete = await watcher.complete(revision, wholeTimeoutMs);
      world.report.check('watch: all are told of the end', isComplete, () => `watcher ${i}`);
    }),
  );
}

export interface JudgeResult {
  readonly windows: number;
  readonly windowsLeftOut: number;
}

/** The checks that need the whole history. */
export function judge(world: World, holders: readonly LeaseHolder[], endMs: number): JudgeResult {
  const { history, truth, report, seen, leaseDeletesMs, workload } = world;
  const leaseRevisions = new Set(leaseDeletesMs.keys());
  report.add(checkRevisions({ history, truth, leaseRevisions, seen }));
  const linear = checkLinearizable(history, { doneByMs: doneBy(world) });
  report.add(linear.report);
  const lists = truth.range('list/', 'list0', truth.revision);
  const ends = lists.map(({ key, value }) => ({ key, items: value.split(','), who: 'the end' }));
  report.add(checkAppendLists([...workload.listReads, ...ends], workload.appended));
  const leases = holders.flatMap((holder) => holder.leases).filter((lease) => hasEnd(world, lease));
  report.add(checkLeases({ leases, truth, clockRateMax: 1, endMs, goneAfterMs: leaseGoneMs }));
  for (const member of world.cluster.members) {
    const { unasked, name } = member;
    report.check('process: none ends by itself', unasked.length === 0, () => {
      return `${name}: ${unasked.join(', ')} (see ${member.logFile})`;
    });
  }
  return { windows: linear.windows, windowsLeftOut: linear.leftOut };
}

/**
 * When an operation without an answer had been done: when what it wrote was seen. One whose value
 * never showed did nothing. Only deletes leave no trace by which they could be known.
 */
function doneBy({ truth, seenMs }: World): (operation: Operation) => number | undefined {
  const byValue = new Map<string, number>();
  for (const { revision, changes } of truth.commits) {
    for (const { type, value } of changes) {
      if (type === 'put') byValue.set(value, seenMs[revision - 2] ?? Number.POSITIVE_INFINITY);
    }
  }
  return ({ request }) => {
    const ops = [...request.success, ...request.failure];
    const values = ops.flatMap((op) => (op.type === 'put' ? [op.value] : []));
    if (values.length === 0) return Number.POSITIVE_INFINITY;
    for (const value of values) {
      const atMs = byValue.get(value);
      if (atMs !== undefined) return atMs;
    }
    return undefined;
  };
}

/** Finds when a lease ended, by its keys; false if it never had any that anybody saw. */
function hasEnd({ truth, leaseDeletesMs }: World, lease: HeldLease): boolean {
  let isSeen = false;
  for (const key of [`${lease.prefix}0`, `${lease.prefix}1`]) {
    for (const [revision, atMs] of leaseDeletesMs) {
      if (truth.at(key, revision - 1)?.lease !== lease.id) continue;
      if (truth.at(key, revision) !== undefined) continue;
      const end: LeaseEnd = { atMs, isAsked: lease.askedToEnd, revision };
      lease.end = end;
      return true;
    }
    isSeen ||= truth.at(key, truth.revision)?.lease === lease.id;
  }
  return isSeen;
}

/** Everything that a member has; linearizable unless `serializable`. */
async function readAll(member: ChaosMember, serializable: boolean) {
  const request = encodeRangeRequest({ key: '\0', rangeEnd: '\0', serializable });
  const bytes = await member.ask('/etcdserverpb.KV/Range', request, 10_000);
  if (bytes === undefined) return undefined;
  const { header, kvs } = decodeRangeResponse(bytes);
  return { revision: header?.revision ?? 0, kvs: kvs.map(kvOf) };
}
