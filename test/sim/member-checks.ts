/**
 * What changes of the members promise: no promotion costs the quorum, whoever only reads never
 * votes, and answers nothing that would have to ask the others.
 */

import { decodeRangeRequest } from '../../src/proto/index.js';
import type { ConfigChange } from '../../src/raft/index.js';
import type { Report } from '../checkers/report.js';
import type { Outcome } from '../helpers/in-process-call.js';
import type { SimMachine, SimProcess } from './machine.js';

/** Election timeouts after which nobody takes one that ended for one that is there. */
const goneElections = 10;

export interface MemberChecksOptions {
  readonly report: Report;
  readonly electionMs: number;
  readonly nowMs: () => number;
}

export class MemberChecks {
  readonly #o: MemberChecksOptions;
  readonly #machines = new Map<bigint, SimMachine>();

  constructor(options: MemberChecksOptions) {
    this.#o = options;
  }

  /** Its node is open: looks at what it proposes as a leader. */
  opened(process: SimProcess): void {
    const { raft, memberId } = process.node;
    this.#machines.set(memberId, process.machine);
    const { proposeConfigChange } = raft;
    raft.proposeConfigChange = (change) => {
      const { lastIndex } = raft.status();
      const refusal = proposeConfigChange.call(raft, change);
      if (raft.status().lastIndex > lastIndex) this.#entered(process, change);
      return refusal;
    };
  }

  /** A leader has put it into its log. */
  #entered(process: SimProcess, { steps }: ConfigChange): void {
    const { voters, learners } = process.node.raft.status().configuration;
    const { report, nowMs } = this.#o;
    for (const { type, member } of steps) {
      if (type !== 'addVoter' || !learners.includes(member)) continue;
      const name = this.#machines.get(member)?.name ?? String(member);
      const rule = 'members: whoever only reads never votes';
      report.check(rule, !this.#isReader(member), () => `${name} promoted`, nowMs());
      const after = [...voters, member];
      const there = after.filter((id) => this.#isThere(id));
      const needed = Math.floor(after.length / 2) + 1;
      report.check(
        'members: a promotion keeps the quorum',
        there.length >= needed,
        () => `${name}: of ${after.length} voters ${there.length} were there`,
        nowMs(),
      );
    }
  }

  /** It runs, or did a moment ago: its end may not have been noticed. */
  #isThere(member: bigint): boolean {
    const { electionMs, nowMs } = this.#o;
    const machine = this.#machines.get(member);
    if (machine === undefined) return false;
    return machine.process !== undefined || nowMs() - machine.endedMs < goneElections * electionMs;
  }

  #isReader(member: bigint): boolean {
    return this.#machines.get(member)?.config?.readOnlyMember === true;
  }

  /** The learners that the cluster should have promoted by itself, if all who vote are there. */
  leftBehind(leader: SimProcess): string[] {
    const { voters, learners } = leader.node.raft.status().configuration;
    const areThere = voters.every((id) => {
      const machine = this.#machines.get(id);
      return machine?.process?.serving === true && machine.damaged === undefined;
    });
    if (!areThere) return [];
    const machines = learners.map((id) => this.#machines.get(id));
    return machines.flatMap((machine) => {
      const isReady = machine?.process?.serving === true && machine.damaged === undefined;
      return isReady && machine.config?.readOnlyMember === false ? [machine.name] : [];
    });
  }
}

/** All that a member answers that only reads, beside Status and what any learner answers. */
const readerAnswers =
  /\.(KV\/Range(Stream)?|Cluster\/MemberList|Maintenance\/(Status|Snapshot|HashKV)|Auth\/Authenticate)$/;

/** A call was answered well. */
export function judgeReader(
  report: Report,
  process: SimProcess,
  method: string,
  request: Buffer,
  outcome: Outcome,
): void {
  if (!outcome.ok || process.machine.config?.readOnlyMember !== true) return;
  const isAllowed = readerAnswers.test(method);
  const isOld = !method.includes('/Range') || decodeRangeRequest(request).serializable;
  const what = () => `${process.name} answered ${method}`;
  report.check('members: whoever only reads says what it has', isAllowed && isOld, what);
}
