/** What a replacement has to do, from what there is: nothing else is remembered between two runs. */

import { idToHex } from '../../common/index.js';
import type { Member } from './calls.js';
import { withUrls } from './learner.js';
import { nameOf } from './quorum.js';

export interface ReplacementGoal {
  /** Whom to replace. */
  readonly old: bigint;
  /** Of the one that takes its place. */
  readonly peerUrls: readonly string[];
  /** Said by whoever knows that an earlier run has removed `old` already. */
  readonly isRemoved: boolean;
}

export type ReplacementStep = 'add' | 'start' | 'promote' | 'remove';

export interface ReplacementPlan {
  /** Undefined: it has been removed. */
  readonly old: Member | undefined;
  /** Undefined: it has not been added. */
  readonly fresh: Member | undefined;
  /** The new one has a peer URL of the old one. */
  readonly isInPlace: boolean;
  /** In order. */
  readonly steps: readonly ReplacementStep[];
  /** Line by line, for a person. */
  readonly text: readonly string[];
}

/**
 * The plan, or why there is none. `answers`: the old one does.
 *
 * One that votes and is there goes last: until then no vote is missing. One that is down only makes
 * the number larger that has to agree, and members refuse to add anybody beside it; a learner holds
 * the place that its successor needs; and two can't have one address: these go first.
 */
export function planReplacement(
  members: readonly Member[],
  { old: id, peerUrls, isRemoved }: ReplacementGoal,
  answers: boolean,
): ReplacementPlan | string {
  const old = members.find((member) => member.id === id);
  const taken = withUrls(members, peerUrls);
  const isInPlace = old !== undefined && taken === old;
  const fresh = isInPlace ? undefined : taken;
  if (old === undefined && fresh === undefined && !isRemoved) {
    return (
      `${idToHex(id)} is no member, and there is none with ${peerUrls.join(',')}. ` +
      'If an earlier run has removed it, go on with --removed'
    );
  }
  const goesFirst = old !== undefined && (isInPlace || old.isLearner || !answers);
  const votes = old === undefined || !old.isLearner;
  const steps: ReplacementStep[] = [];
  if (goesFirst) steps.push('remove');
  if (fresh === undefined) steps.push('add');
  if (fresh === undefined || fresh.name === '') steps.push('start');
  if (votes && (fresh === undefined || fresh.isLearner)) steps.push('promote');
  if (old !== undefined && !goesFirst) steps.push('remove');
  const oldName = old === undefined ? idToHex(id) : nameOf(old);
  const freshName = fresh === undefined ? 'the new member' : nameOf(fresh);
  const lines: Readonly<Record<ReplacementStep, string>> = {
    add: `add a member with the peer URL ${peerUrls.join(',')} as a learner, without a vote`,
    start: `wait until ${freshName} has been started, and has caught up`,
    promote: `promote ${freshName}: from then on it votes`,
    remove: `remove ${oldName} from the cluster, for good`,
  };
  const text = steps.map((step, i) => `  ${i + 1}. ${lines[step]}`);
  if (fresh?.isLearner === false) text.unshift(`  ${freshName} is there, and votes already`);
  if (old !== undefined && !answers) text.unshift(`  ${oldName} does not answer`);
  return { old, fresh, isInPlace, steps, text };
}
