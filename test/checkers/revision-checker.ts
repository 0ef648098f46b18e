/**
 * Strict serializability by revisions (docs/simulation.md), in O(n log n).
 * Every answer names the revision at which it was given, so the order is known and only needs to be
 * checked: (a) it respects real time, (b) each read is what the store was at its revision, (c) each
 * write did what its conditions say to the revision before. Requests with an unknown outcome are
 * looked up by what they wrote.
 */

import { type CompactionLog, checkCompactions } from './compaction-checker.js';
import { describe, type History, isWrite, type Op, type Operation } from './history.js';
import { Report } from './report.js';
import {
  type Change,
  type Commit,
  difference,
  isInRange,
  isSameChange,
  type Truth,
} from './truth.js';

export interface RevisionInput {
  readonly history: History;
  readonly truth: Truth;
  /** Deletes that are nobody's request: revisions at which a lease ended. */
  readonly leaseRevisions: ReadonlySet<number>;
  /** Of keys that members write for their clients (locks), so that no request of these is it. */
  readonly unrecordedPrefix?: string;
  /** Revisions that clients saw elsewhere (a watch): later reads must not be older. */
  readonly seen?: readonly SeenRevision[];
  /**
   * So long after its call a write without an answer is in a log or never: then it comes before all
   * that are called later. Undefined: not known.
   */
  readonly lateMsMax?: number;
}

export interface SeenRevision {
  readonly atMs: number;
  readonly revision: number;
}

/** An operation with its place in the order. */
interface Placed {
  readonly operation: Operation;
  readonly revision: number;
  readonly isWrite: boolean;
}

export function checkRevisions(input: RevisionInput): Report {
  const report = new Report();
  const placed = new Map<number, Placed>();
  const writers = new Map<number, Operation>();
  for (const operation of input.history) {
    if (operation.outcome === 'ok') placeAnswered(input, report, operation, placed, writers);
  }
  placeUnanswered(input, report, placed, writers);
  checkOrder(input, report, placed);
  if (input.lateMsMax !== undefined) checkTimeouts(placed, input.lateMsMax, report);
  const log: CompactionLog = { history: input.history, truth: input.truth };
  checkCompactions(log, report);
  return report;
}

/** (b) and (c): the answer is what the store makes of the request at that revision. */
function placeAnswered(
  { truth }: RevisionInput,
  report: Report,
  operation: Operation,
  placed: Map<number, Placed>,
  writers: Map<number, Operation>,
): void {
  const { response, request } = operation;
  if (response === undefined) return;
  const { revision } = response;
  const at = operation.returnMs;
  const line = (): string => describe(operation);
  const exists = report.check(
    'revision: exists',
    revision >= 1 && revision <= truth.revision,
    () => `nothing was ever committed at that revision (newest ${truth.revision}): ${line()}`,
    at,
  );
  if (!exists) return;
  if (request.kind === 'compact') {
    placed.set(operation.id, { operation, revision, isWrite: false });
    return;
  }
  const write = isWrite(response);
  placed.set(operation.id, { operation, revision, isWrite: write });
  const effect = truth.effect(request, write ? revision - 1 : revision);
  const wrong = difference(effect, response);
  const rule = write ? 'revision: write' : readRule(operation);
  report.check(rule, wrong === undefined, () => `${wrong}: ${line()}`, at);
  if (!write) return;
  const other = writers.get(revision);
  report.check(
    'revision: unique',
    other === undefined,
    () => `two writes at one revision: ${other === undefined ? '' : describe(other)}; ${line()}`,
    at,
  );
  writers.set(revision, operation);
  const commit = truth.commit(revision);
  report.check(
    'revision: write is in the log',
    commit !== undefined && areSame(commit.changes, effect.changes),
    () => `the log has ${showCommit(commit)}: ${line()}`,
    at,
  );
}

function readRule({ request }: Operation): string {
  return request.serializable ? 'revision: serializable read' : 'revision: read';
}

function isBelow(prefix: string, { changes }: Commit): boolean {
  return changes.length > 0 && changes.every(({ key }) => key.startsWith(prefix));
}

/** Finds what became of requests without an answer, by the values they wrote. */
function placeUnanswered(
  { history, truth, leaseRevisions, unrecordedPrefix }: RevisionInput,
  report: Report,
  placed: Map<number, Placed>,
  writers: Map<number, Operation>,
): void {
  const byValue = new Map<string, number>();
  const deleters: Operation[] = [];
  for (const operation of history) {
    const { success } = operation.request;
    let puts = false;
    for (const op of tokensOf(operation)) {
      puts = true;
      const other = byValue.get(op.value);
      if (other !== undefined && other !== operation.id) {
        throw new Error(`the workload wrote ${op.value} twice: #${other} and #${operation.id}`);
      }
      byValue.set(op.value, operation.id);
    }
    const isLost = operation.outcome === 'unknown' || operation.outcome === 'open';
    if (isLost && !puts && success.some((op) => op.type === 'delete')) deleters.push(operation);
  }
  const found = new Map<number, number>();
  for (const commit of truth.commits) {
    const { revision } = commit;
    if (writers.has(revision)) continue;
    if (unrecordedPrefix !== undefined && isBelow(unrecordedPrefix, commit)) continue;
    const token = commit.changes.find((change) => change.type === 'put');
    const id = token === undefined ? undefined : byValue.get(token.value);
    if (id === undefined) {
      const isKnown =
        token === undefined &&
        (leaseRevisions.has(revision) || deleters.some((by) => couldBe(by, commit)));
      report.check('log: asked for', isKnown, () => `nobody asked for ${showCommit(commit)}`);
      continue;
    }
    const operation = history.at(id);
    const before = found.get(id) ?? placed.get(id)?.revision;
    report.check(
      'log: at most once',
      before === undefined,
      () => `executed at ${before} and again at ${revision}: ${describe(operation)}`,
    );
    found.set(id, revision);
    report.check(
      'log: failed means nothing happened',
      operation.outcome !== 'failed',
      () => `executed at ${revision}: ${describe(operation)}`,
    );
    const { changes } = truth.effect(operation.request, revision - 1);
    report.check(
      'log: unknown write',
      areSame(commit.changes, changes),
      () => `the log has ${showCommit(commit)}: ${describe(operation)}`,
    );
    if (!placed.has(id)) placed.set(id, { operation, revision, isWrite: true });
  }
}

/** Puts whose values nobody else writes. */
function tokensOf({ request }: Operation): Array<Op & { readonly type: 'put' }> {
  const branches = [request.success, request.failure];
  return branches.flatMap((branch) => {
    const puts = branch.filter((op) => op.type === 'put');
    return request.isHostile ? puts.slice(0, 1) : puts;
  });
}

function couldBe(operation: Operation, commit: Commit): boolean {
  const ops = [...operation.request.success, ...operation.request.failure];
  return commit.changes.every((change) =>
    ops.some((op) => op.type === 'delete' && isInRange(change.key, op.key, op.end)),
  );
}

/**
 * (a): what returned before another was called comes before it. A sweep over time: `floor` is the
 * newest revision that anybody has been told. A stale read is only held to what exists.
 */
function checkOrder(input: RevisionInput, report: Report, placed: Map<number, Placed>): void {
  const calls = [...placed.values()].sort((a, b) => a.operation.callMs - b.operation.callMs);
  const told = [...placed.values()]
    .filter(({ operation }) => Number.isFinite(operation.returnMs))
    .map(({ operation, revision }) => ({ atMs: operation.returnMs, revision, id: operation.id }));
  for (const { atMs, revision } of input.seen ?? []) told.push({ atMs, revision, id: -1 });
  told.sort((a, b) => a.atMs - b.atMs);
  let next = 0;
  let floor = { revision: 0, id: -1 };
  for (const { operation, revision, isWrite } of calls) {
    for (; next < told.length; next += 1) {
      const before = told[next];
      if (before === undefined || before.atMs >= operation.callMs) break;
      if (before.revision > floor.revision) floor = before;
    }
    if (operation.request.serializable) continue;
    const rule = isWrite ? 'order: write' : 'order: read';
    const by = floor;
    report.check(
      rule,
      isWrite ? revision > by.revision : revision >= by.revision,
      () => {
        const what = by.id < 0 ? 'an event' : describe(input.history.at(by.id));
        return `revision ${revision} after ${by.revision} had been seen by ${what}: ${describe(operation)}`;
      },
      operation.callMs,
    );
  }
}

/** What may have waited somewhere when its call ended does not overwrite what came long after. */
function checkTimeouts(
  placed: ReadonlyMap<number, Placed>,
  lateMsMax: number,
  report: Report,
): void {
  const all = [...placed.values()].filter(({ isWrite }) => isWrite);
  const lost = all
    .filter(({ operation }) => operation.outcome !== 'ok')
    .sort((a, b) => a.operation.callMs - b.operation.callMs);
  const answered = all
    .filter(({ operation }) => operation.outcome === 'ok')
    .sort((a, b) => a.operation.callMs - b.operation.callMs);
  let next = 0;
  let newest: Placed | undefined;
  for (const { operation, revision } of answered) {
    for (; next < lost.length; next += 1) {
      const before = lost[next] as Placed;
      if (before.operation.callMs + lateMsMax >= operation.callMs) break;
      if (before.revision > (newest?.revision ?? 0)) newest = before;
    }
    if (newest === undefined) continue;
    const late = newest;
    report.check(
      'timeout: before later writes',
      late.revision < revision,
      () =>
        `done at ${late.revision}, more than ${lateMsMax.toFixed(0)} ms late: ${describe(late.operation)}; after ${describe(operation)}`,
      operation.callMs,
    );
  }
}

function areSame(a: readonly Change[], b: readonly Change[]): boolean {
  return a.length === b.length && a.every((change, i) => isSameChange(change, b[i] as Change));
}

function showCommit(commit: Commit | undefined): string {
  if (commit === undefined) return 'nothing';
  const changes = commit.changes.map(({ type, key, value }) => `${type} ${key} ${value}`);
  return `${changes.join('; ')} @${commit.revision}`;
}
