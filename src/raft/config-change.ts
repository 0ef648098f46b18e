/**
 * Arithmetic of membership (thesis chapter 4; joint consensus: paper section 6, thesis 4.3).
 *
 * A configuration takes effect when its entry is applied, not when it is appended. That is safe
 * because at most one change is ever unapplied at the leader: see leader.ts `mayChangeConfig`, and
 * restore.ts for what follows from it after a restart.
 */

import { compareMemberIds, type MemberId } from '../common/index.js';
import type { ConfigChange, ConfigChangeStep, Configuration } from './types.js';

/** The configuration of a member that knows nothing yet. */
export const emptyConfiguration: Configuration = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** Leaves the joint configuration; proposed by the leader itself if `autoLeave` is set. */
export const leaveJointChange: ConfigChange = {
  steps: [],
  transition: 'auto',
  context: new Uint8Array(0),
};

/** A configuration of voters only. */
export function configurationOf(voters: readonly MemberId[]): Configuration {
  return { ...emptyConfiguration, voters: sorted(new Set(voters)) };
}

/** Between two configurations: decisions need both majorities. */
export function isJoint(configuration: Configuration): boolean {
  return configuration.votersOutgoing.length > 0;
}

/** Has a vote in at least one of the majorities. */
export function isVoter(configuration: Configuration, member: MemberId): boolean {
  return configuration.voters.includes(member) || configuration.votersOutgoing.includes(member);
}

/** Everybody who receives the log, each once, in ascending order. */
export function membersOf(configuration: Configuration): MemberId[] {
  const { voters, votersOutgoing, learners } = configuration;
  return sorted(new Set([...voters, ...votersOutgoing, ...learners]));
}

/** Everybody with a vote, each once, in ascending order. */
export function votersOf(configuration: Configuration): MemberId[] {
  return sorted(new Set([...configuration.voters, ...configuration.votersOutgoing]));
}

/**
 * The configuration after `change`; undefined if the change is not possible from `current`: it
 * would leave no voter, begins a change inside a joint configuration, or leaves none.
 */
export function changeConfiguration(
  current: Configuration,
  change: ConfigChange,
): Configuration | undefined {
  const { steps } = change;
  if (steps.length === 0) return leaveJoint(current);
  if (isJoint(current)) return undefined;
  const joint = steps.length > 1 || change.transition !== 'auto';
  // With one step two successive majorities overlap (thesis 4.1); with more only through a joint
  // configuration.
  const outgoing = joint ? current.voters : [];
  const next = applySteps(current, steps, outgoing);
  if (next === undefined) return undefined;
  return { ...next, autoLeave: joint && change.transition !== 'jointExplicit' };
}

function leaveJoint(current: Configuration): Configuration | undefined {
  if (!isJoint(current)) return undefined;
  return {
    voters: current.voters,
    votersOutgoing: [],
    learners: sorted(new Set([...current.learners, ...current.learnersNext])),
    learnersNext: [],
    autoLeave: false,
  };
}

function applySteps(
  current: Configuration,
  steps: readonly ConfigChangeStep[],
  outgoing: readonly MemberId[],
): Configuration | undefined {
  const voters = new Set(current.voters);
  const learners = new Set(current.learners);
  const learnersNext = new Set<MemberId>();
  for (const { type, member } of steps) {
    if (member === 0n) return undefined;
    voters.delete(member);
    learners.delete(member);
    learnersNext.delete(member);
    if (type === 'addVoter') voters.add(member);
    else if (type === 'addLearner') {
      // One that still votes in the outgoing half can't be a learner at the same time.
      if (outgoing.includes(member)) learnersNext.add(member);
      else learners.add(member);
    }
  }
  if (voters.size === 0) return undefined;
  return {
    voters: sorted(voters),
    votersOutgoing: [...outgoing],
    learners: sorted(learners),
    learnersNext: sorted(learnersNext),
    autoLeave: false,
  };
}

function sorted(members: ReadonlySet<MemberId>): MemberId[] {
  return [...members].sort(compareMemberIds);
}
