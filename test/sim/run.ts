/**
 * One run: faults while so many events fire, then everything heals, and what is left must be what
 * every promise says. The result tells what happened, and how much of it.
 */

import { writeFileSync } from 'node:fs';
import {
  decodeRangeResponse,
  encodeRangeRequest,
  hashKvRequest,
  hashKvResponse,
} from '../../src/proto/index.js';
import type { Metrics } from '../../src/server/metrics/metrics.js';
import { SimRandom } from '../../src/sim/index.js';
import { checkAnswers } from '../checkers/auth-checker.js';
import { putRequest } from '../checkers/history.js';
import { checkLeases } from '../checkers/lease-checker.js';
import { checkLinearizable } from '../checkers/linearizability.js';
import { checkLocks } from '../checkers/lock-checker.js';
import { checkAppendLists, checkHashes, type MemberHash } from '../checkers/oracles.js';
import type { Violation } from '../checkers/report.js';
import { checkRevisions } from '../checkers/revision-checker.js';
import { kvsDifference } from '../checkers/truth.js';
import { checkWatches } from '../checkers/watch-checker.js';
import type { Outcome } from '../helpers/in-process-call.js';
import { kvOf } from '../workload/request-codec.js';
import { inflict } from './faults.js';
import { type Knobs, requestTimeoutMs } from './knobs.js';
import { callMsMax, callWithin, KvClient } from './kv-client.js';
import { lockPrefix } from './lock-client.js';
import type { SimProcess } from './machine.js';
import { Pace } from './pace.js';
import { drawSchedule, type Fault, type FaultKind } from './schedule.js';
import { World } from './world.js';

export interface RunOptions {
  readonly seed: number;
  readonly steps: number;
  readonly size?: number;
  /** Instead of what the seed draws. */
  readonly knobs?: Partial<Knobs>;
  readonly keepTrace?: boolean;
  /** Instead of what the seed says; for the shrinker. */
  readonly schedule?: readonly Fault[];
  readonly faults?: number;
  /** See ScheduleOptions. */
  readonly frequent?: readonly FaultKind[];
  /** File for the trace of all members' Raft, written when the run is over. */
  readonly raftTrace?: string;
}

export interface RunResult {
  readonly seed: number;
  readonly size: number;
  readonly digest: string;
  readonly violations: readonly Violation[];
  readonly schedule: readonly Fault[];
  readonly faults: ReadonlyMap<FaultKind, number>;
  readonly checks: ReadonlyMap<string, number>;
  readonly counts: Readonly<Record<string, number>>;
  readonly simulatedMs: number;
  readonly lines: readonly string[];
}

/** Share of the steps in which faults begin; the rest is for the cluster to show what it does. */
const faultShare = 0.8;
/** A fault that is not possible, at a machine that is down, say, is tried again after so many. */
const retrySteps = 400;
/** Simulated time that a healed cluster has to agree. */
const settleMsMax = 60_000;
/** And that its leases have to end. */
const leasesMsMax = 20_000;
/** Events between looks at what only polling tells. */
const stepsPerLook = 20;

export async function run(options: RunOptions): Promise<RunResult> {
  const { seed, steps } = options;
  const world = new World(options);
  const { knobs, trace } = world;
  const chance = new SimRandom(seed * 7 + 1);
  const schedule =
    options.schedule ??
    drawSchedule(new SimRandom(seed * 31 + 7), {
      size: knobs.size,
      steps: Math.floor(steps * faultShare),
      count: options.faults ?? 32,
      frequent: options.frequent,
    });
  const faults = new Map<FaultKind, number>();
  const pace = new Pace(world);
  world.begin();
  const waiting = [...schedule];
  try {
    while (world.clock.eventsFired < steps) {
      const fired = world.clock.eventsFired;
      while (waiting[0] !== undefined && waiting[0].step <= fired) {
        const fault = waiting.shift() as Fault;
        const what = inflict(world, fault);
        if (what === undefined) {
          postpone(waiting, { ...fault, step: fired + retrySteps });
          continue;
        }
        trace.add(`FAULT ${fault.kind}: ${what}`);
        faults.set(fault.kind, (faults.get(fault.kind) ?? 0) + 1);
      }
      await world.clock.runEvents(stepsPerLook);
      world.checkHalts(chance);
      pace.look();
      if (world.report.violationCount > 0) break;
    }
    await heal(world, pace);
    await judge(world);
  } catch (error) {
    world.broke('run', error);
  }
  if (options.raftTrace !== undefined) writeFileSync(options.raftTrace, world.raftLines.join(''));
  return resultOf(world, schedule, faults);
}

/** Keeps the order of steps. */
function postpone(waiting: Fault[], fault: Fault): void {
  const at = waiting.findIndex(({ step }) => step > fault.step);
  waiting.splice(at < 0 ? waiting.length : at, 0, fault);
}

/** Mends everything and waits until all members agree. */
async function heal(world: World, pace: Pace): Promise<void> {
  const { trace, wire, knobs } = world;
  trace.add('HEAL');
  world.healed = true;
  world.stopping = true;
  wire.heal();
  for (const machine of world.machines) {
    machine.disk.clearFaults();
    machine.disk.slowDown(1);
    machine.disk.setCapacity(Number.POSITIVE_INFINITY);
    if (machine.disk.halted) machine.kill();
    if (machine.process?.frozen === true) machine.process.unfreeze();
    if (machine.process === undefined && machine.damaged === undefined) world.startNow(machine);
  }
  // Until all calls have ended one way or another.
  await world.clock.run(world.clock.nowMs() + knobs.electionMs * 6);
  const untilMs = world.clock.nowMs() + settleMsMax;
  const last = new KvClient(world, 1000, world.random.fork());
  let written = false;
  while (world.clock.nowMs() < untilMs) {
    world.checkHalts(world.random);
    if (!written && world.leader() !== undefined) {
      last.call(putRequest('k0', world.workload.value())).then((response) => {
        written ||= response !== undefined;
      });
    }
    await world.clock.run(world.clock.nowMs() + knobs.electionMs);
    pace.look();
    if (written && areEqual(world) && !world.members.busy) break;
  }
  const states = running(world).map(({ name, node }) => {
    const { role, term, commit, applied } = node.raft.status();
    return `${name} ${role} term ${term} commit ${commit} applied ${applied}`;
  });
  world.report.check(
    'liveness: a healed cluster agrees',
    written && areEqual(world),
    () => `after ${settleMsMax} ms: ${states.join('; ')}; written: ${written}`,
    world.clock.nowMs(),
  );
  await promoteAll(world, pace);
  // The newest leader gave all leases their full time again.
  const leasesUntilMs = world.clock.nowMs() + leasesMsMax;
  while (hasOpenLease(world) && world.clock.nowMs() < leasesUntilMs) {
    await world.clock.run(world.clock.nowMs() + knobs.electionMs);
  }
  // Watchers get what is left, wherever they are.
  for (const watcher of world.watchers) watcher.settle();
  // What it may still see is not for it to say: its watch may be refused for good.
  for (const { watcher } of world.guests) watcher.leave();
  await world.clock.run(world.clock.nowMs() + knobs.electionMs * 4);
}

/** Where leaders promote learners, none is left that has caught up, while all voters are there. */
async function promoteAll(world: World, pace: Pace): Promise<void> {
  const { clock, knobs, memberChecks, report } = world;
  if (!knobs.autoPromote) return;
  const left = (): string[] => {
    const leader = world.leader();
    return leader === undefined ? ['all, without a leader'] : memberChecks.leftBehind(leader);
  };
  const untilMs = clock.nowMs() + settleMsMax;
  while (left().length > 0 && clock.nowMs() < untilMs) {
    await clock.run(clock.nowMs() + knobs.electionMs);
    pace.look();
  }
  const rule = 'liveness: learners are promoted';
  report.check(rule, left().length === 0, () => left().join(), clock.nowMs());
}

function hasOpenLease({ leaseHolders, observer }: World): boolean {
  return leaseHolders.some(({ leases }) =>
    leases.some(({ id, renewals }) => renewals.length > 0 && !observer.leaseEnds.has(id)),
  );
}

function running(world: World): SimProcess[] {
  const found: SimProcess[] = [];
  for (const { process, retired } of world.machines) {
    if (!retired && process?.isOpen === true) found.push(process);
  }
  return found;
}

/** All members are there and have applied the same. */
function areEqual(world: World): boolean {
  const expected = world.machines.filter(
    ({ retired, damaged, config }) => !retired && damaged === undefined && config !== undefined,
  );
  const applied = new Set<number>();
  for (const { process } of expected) {
    if (process?.serving !== true) return false;
    applied.add(process.node.loop.appliedIndex);
  }
  return applied.size === 1 && applied.has(world.observer.raft.appliedLast);
}

/** Holds everything that was recorded against every promise. */
async function judge(world: World): Promise<void> {
  const { report, observer, history, workload } = world;
  const { truth } = observer.log;
  report.add(observer.raft.report);
  for (const watcher of world.watchers) watcher.finish(truth.revision);
  const watching = [...world.watchers, ...world.guests.map(({ watcher }) => watcher)];
  const watchers = watching.flatMap((client) => client.watchers);
  const compactedMax = Math.max(workload.compactedMax, observer.log.compactRevision);
  report.add(checkWatches({ truth, watchers, compactedMax }));
  const seen = world.watchers.flatMap((client) => client.seen);
  const { leaseRevisions } = observer.log;
  const lateMsMax = judgeTimeouts(world);
  const unrecordedPrefix = lockPrefix;
  report.add(checkRevisions({ history, truth, leaseRevisions, unrecordedPrefix, seen, lateMsMax }));
  report.add(checkLinearizable(history, { stepsMax: 20_000 }).report);
  const lists = truth.range('list/', 'list0', truth.revision).map(({ key, value }) => {
    return { key, items: value.split(','), who: 'the log' };
  });
  report.add(checkAppendLists([...workload.listReads, ...lists], workload.appended));
  judgeLeases(world);
  const answers = world.guests.flatMap((guest) => guest.answers);
  report.add(checkAnswers(observer.log.auth, answers));
  report.add(
    checkLocks(
      world.lockers.flatMap(({ grants }) => grants),
      truth,
    ),
  );
  const hashes: MemberHash[] = [];
  const { revision } = truth;
  for (const process of running(world)) {
    // A learner that nobody promoted yet does not answer.
    const { learners } = process.node.raft.status().configuration;
    if (!process.machine.isReader && learners.includes(process.node.memberId)) continue;
    if (process.serving) await judgeState(world, process, revision, hashes);
  }
  // Who restarted has no hash of a compaction at this very revision, and can't be compared then.
  report.add(checkHashes(hashes, compactedMax < revision));
}

/**
 * Twice the request timeout, by the slowest clock that there was, as docs/guarantees.md says; the
 * result counts from the call: a member that is stopped hears of it later.
 */
function judgeTimeouts({ observer, report, knobs, clockRateMin }: World): number {
  const lateMsMax = (2 * requestTimeoutMs(knobs)) / clockRateMin + 1;
  const rule = 'timeout: in the log in time or never';
  for (const { what, askedMs, enteredMs } of observer.latecomers) {
    const tookMs = enteredMs - askedMs;
    const show = (): string =>
      `${what} entered it ${tookMs.toFixed(0)} ms late, ${lateMsMax.toFixed(0)} is the most`;
    report.check(rule, tookMs <= lateMsMax, show, enteredMs);
  }
  return lateMsMax + callMsMax(knobs);
}

function judgeLeases(world: World): void {
  const { observer, report } = world;
  const leases = world.leaseHolders.flatMap((holder) => holder.leases);
  for (const lease of leases) {
    const end = observer.leaseEnds.get(lease.id);
    if (end === undefined) continue;
    const { atMs, revision, proposer } = end;
    const leader = observer.leaderOf(end.term);
    const isAsked = lease.askedToEnd;
    lease.end = {
      atMs,
      revision,
      isAsked,
      leader,
      ...(proposer === undefined ? {} : { proposer }),
    };
  }
  report.add(
    checkLeases({
      leases,
      truth: observer.log.truth,
      clockRateMax: world.clockRateMax,
      endMs: world.clock.nowMs(),
      // A new leader gives all leases their full time again, and slow clocks twice that.
      goneAfterMs: 10_000,
    }),
  );
}

/** What a member has is what the log says, and has the hash that the others have. */
async function judgeState(
  world: World,
  process: SimProcess,
  revision: number,
  hashes: MemberHash[],
): Promise<void> {
  const { report, observer, clock } = world;
  const { truth } = observer.log;
  const all = encodeRangeRequest({ key: '\0', rangeEnd: '\0', serializable: true });
  const ask = (path: string, bytes: Buffer) => clock.runUntil(insist(world, process, path, bytes));
  const range = await ask('/etcdserverpb.KV/Range', all);
  if (range?.ok === true) {
    const { kvs, header } = decodeRangeResponse(range.message);
    // Leases go on ending.
    const expected = truth.range('\0', '\0', header?.revision ?? 0);
    const wrong = kvsDifference(expected, kvs.map(kvOf));
    report.check(
      'state: what the log says',
      wrong === undefined,
      () => `${process.name}: ${wrong}`,
    );
  } else report.violate('state: can be read', `${process.name}: ${range?.text}`);
  const request = hashKvRequest.encode({ revision });
  const path = '/etcdserverpb.Maintenance/HashKV';
  const outcome = await ask(path, request);
  if (outcome?.ok !== true) {
    report.violate('hash: can be had', `${process.name}: ${outcome?.text}`);
    return;
  }
  const { hash, compactRevision } = hashKvResponse.decode(outcome.message);
  hashes.push({ member: process.name, revision, compactRevision, hash });
}

/** A token may be none any more, and the next one old before it is used. */
async function insist(
  world: World,
  process: SimProcess,
  path: string,
  bytes: Buffer,
): Promise<Outcome | undefined> {
  let outcome: Outcome | undefined;
  for (let i = 0; i < 5 && outcome?.ok !== true; i += 1) {
    outcome = await callWithin(world, process, path, bytes, 10_000);
  }
  return outcome;
}

/** What came of leaders whose process had ended. */
function failoverCounts(world: World): Readonly<Record<string, number>> {
  const all = world.machines.flatMap(({ metrics }) => metrics);
  const sum = (of: (metrics: Metrics) => number): number =>
    all.reduce((total, metrics) => total + of(metrics), 0);
  return {
    leadersGone: sum(({ leadersGone }) => leadersGone),
    earlyCampaigns: sum(({ earlyCampaigns }) => earlyCampaigns),
    proposalsResent: sum(({ proposalsResent }) => proposalsResent),
  };
}

function resultOf(
  world: World,
  schedule: readonly Fault[],
  faults: ReadonlyMap<FaultKind, number>,
): RunResult {
  const { history, observer, report, wire, watchers, leaseHolders } = world;
  const { ok, failed, unknown, open } = history.counts;
  world.trace.add(`end ${report.violationCount}`);
  return {
    seed: world.seed,
    size: world.knobs.size,
    digest: world.trace.digest(),
    violations: report.violations,
    schedule,
    faults,
    checks: report.checks,
    counts: {
      events: world.clock.eventsFired,
      operations: history.size,
      ok,
      failed,
      unknown: unknown + open,
      revisions: observer.log.truth.revision - 1,
      entries: observer.raft.appliedLast,
      terms: observer.raft.terms,
      snapshots: observer.snapshotsInstalled,
      ...wire.counts,
      watchEvents: watchers.reduce((sum, { eventCount }) => sum + eventCount, 0),
      hostile: world.hostiles.reduce((sum, { count }) => sum + count, 0),
      grants: world.lockers.reduce((sum, { grants }) => sum + grants.length, 0),
      latecomers: observer.latecomers.length,
      proposals: observer.proposalsEntered,
      leases: leaseHolders.reduce((sum, { leases }) => sum + leases.length, 0),
      starts: world.machines.reduce((sum, { starts }) => sum + starts, 0),
      ...failoverCounts(world),
      excusedEnds: world.excusedEnds,
      authStates: observer.log.auth.states.length - 1,
      refusedAtApply: observer.log.refusedCallers,
      shown: world.guests.reduce((sum, { answers }) => sum + answers.length, 0),
      denied: world.guests.reduce((sum, { refused }) => sum + refused, 0),
      ...world.members.counts,
    },
    simulatedMs: world.clock.nowMs(),
    lines: world.trace.lines,
  };
}
