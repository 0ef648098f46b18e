/**
 * A new member from its addition to its vote. Each function looks at what there is first, and does
 * only what is left: whoever was interrupted calls it again.
 */

import { isEtcdError } from '../../client/index.js';
import { idToHex } from '../../common/index.js';
import { CommandError } from '../command/index.js';
import type { ClusterCalls, Member } from './calls.js';
import { nameOf, quorumRefusal } from './quorum.js';
import { until, type Waiting } from './wait.js';

/** What the steps of a new member stand on. */
export interface LearnerSteps extends Waiting {
  readonly calls: ClusterCalls;
}

/** So many entries behind is caught up: what is under way while one asks. */
const lagMax = 1_000;

/** The member with one of these peer URLs. */
export function withUrls(
  members: readonly Member[],
  peerUrls: readonly string[],
): Member | undefined {
  return members.find((member) => member.peerUrls.some((url) => peerUrls.includes(url)));
}

/** The member with these peer URLs, added as a learner if there is none. */
export function ensureMember(steps: LearnerSteps, peerUrls: readonly string[]): Promise<Member> {
  const { calls, tell } = steps;
  return until(steps, 'adding the new member', async () => {
    // The answer to an addition that was done may have been lost.
    const found = withUrls(await calls.members(), peerUrls);
    if (found !== undefined) return found;
    try {
      const added = await calls.add(peerUrls);
      tell(`added ${idToHex(added.id)} as a learner`);
      return added;
    } catch (error) {
      if (!addedMeanwhile.some((reason) => isEtcdError(error, reason))) throw error;
      return undefined;
    }
  });
}

/**
 * By another one who adds it (`kvorum join` and `member replace` both do); the last is said of an
 * id that was given to these URLs, and removed, in the same second.
 */
const addedMeanwhile = ['MEMBER_EXISTS', 'PEER_URL_EXISTS', 'MEMBER_NOT_FOUND'] as const;

/** Resolves once the member has started and told the cluster its name. */
export async function started(steps: LearnerSteps, id: bigint): Promise<Member> {
  const member = await until(steps, `waiting for ${idToHex(id)} to start`, async () => {
    const found = present(await steps.calls.members(), id);
    return found.name === '' ? undefined : found;
  });
  steps.tell(`${nameOf(member)} has started`);
  return member;
}

/** Resolves once it has what the others have; at once if it can't be asked. */
export async function caughtUp(steps: LearnerSteps, member: Member): Promise<void> {
  const { calls, tell } = steps;
  await until(steps, `waiting for ${nameOf(member)} to catch up`, async () => {
    const members = await calls.members();
    const own = present(members, member.id);
    if (!own.isLearner) return true;
    const [goal, there] = await Promise.all([logEnd(calls, members), calls.status(own)]);
    if (there === undefined || goal === undefined) return true;
    const behind = goal - there.appliedIndex;
    if (behind <= lagMax) return true;
    tell(`${nameOf(own)} is ${behind} entries behind`);
    return undefined;
  });
}

/** Makes it vote, unless it does; who is in sync is for the leader to say. */
export async function promoted(steps: LearnerSteps, member: Member): Promise<void> {
  const { calls, tell } = steps;
  const name = nameOf(member);
  await until(steps, `promoting ${name}`, async () => {
    const members = await calls.members();
    if (!present(members, member.id).isLearner) return true;
    const now = await votersNow(calls, members);
    const refusal = quorumRefusal(now, { name: `to promote ${name}`, promotes: true });
    if (refusal !== undefined) throw new CommandError(refusal);
    try {
      await calls.promote(member.id);
    } catch (error) {
      // Somebody else was faster: the leader, or the member itself.
      if (!isEtcdError(error, 'MEMBER_NOT_LEARNER')) throw error;
    }
    return true;
  });
  tell(`${name} votes`);
}

/** Who votes, and who of them answers. */
export async function votersNow(calls: ClusterCalls, members: readonly Member[]) {
  const voters = members.filter(({ isLearner }) => !isLearner);
  const answers = await Promise.all(voters.map((voter) => calls.status(voter)));
  const leads = new Map(voters.map(({ id }, i) => [id, answers[i]?.leader] as const));
  const there = new Set(voters.filter((_, i) => answers[i] !== undefined).map(({ id }) => id));
  return { voters, there, leader: [...leads.values()].find((id) => id !== undefined && id !== 0n) };
}

function present(members: readonly Member[], id: bigint): Member {
  const found = members.find((member) => member.id === id);
  if (found === undefined) throw new CommandError(`${idToHex(id)} is no member any more`);
  return found;
}

/** How far the log of the cluster is, by what voters say. */
async function logEnd(
  calls: ClusterCalls,
  members: readonly Member[],
): Promise<number | undefined> {
  const voters = members.filter(({ isLearner }) => !isLearner);
  const answers = await Promise.all(voters.map((voter) => calls.status(voter)));
  const ends = answers.flatMap((answer) => (answer === undefined ? [] : [answer.raftIndex]));
  return ends.length === 0 ? undefined : Math.max(...ends);
}
