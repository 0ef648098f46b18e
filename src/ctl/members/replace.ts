/**
 * `member replace ID`: a new member takes the place of another. It is added as a learner, so it
 * can't hold up a quorum before it has the data; it is promoted once it has; only then the old one
 * goes, unless it is down (plan.ts).
 *
 * What is left to do is found out from the members each time, so that after a crash of this
 * command, of either member or of the leader it is run again.
 */

import { isEtcdError } from '../../client/index.js';
import { idToHex } from '../../common/index.js';
import { type CommandContext, CommandError, command, exit, flag } from '../command/index.js';
import { type ClusterCalls, clusterCalls, type Member } from './calls.js';
import {
  caughtUp,
  ensureMember,
  type LearnerSteps,
  promoted,
  started,
  votersNow,
} from './learner.js';
import { planReplacement, type ReplacementGoal, type ReplacementPlan } from './plan.js';
import { nameOf, quorumRefusal } from './quorum.js';
import { until } from './wait.js';

const waitMsDefault = 600_000;

/** A subcommand of `member`. */
export const replaceCommand = command({
  name: 'replace',
  usage: '<memberID> --peer-urls <URLs> [options]',
  short: 'Replaces a member: adds a new one, waits until it has caught up, removes the old one',
  long:
    'Adds a member as a learner, waits until it has been started and has caught up, promotes it, ' +
    'and removes the old one.\nWhat was interrupted goes on when it is run again.',
  group: 'Cluster maintenance commands',
  beyondEtcdctl: true,
  flags: {
    'peer-urls': flag.strings(
      [],
      'peer URLs of the new member; those of the old one if that is lost',
    ),
    removed: flag.bool(false, 'an earlier run has removed the old member already: go on'),
    yes: flag.bool(false, 'do it without asking'),
    wait: flag.duration(waitMsDefault, 'how long each step may take'),
  },
  async run(context, args, flags) {
    const goal = goalOf(args, flags['peer-urls'], flags.removed);
    const calls = clusterCalls(await context.client());
    return await replace(context, calls, goal, { isAgreed: flags.yes, waitMs: flags.wait });
  },
});

function goalOf(
  args: readonly string[],
  peerUrls: readonly string[],
  isRemoved: boolean,
): ReplacementGoal {
  const [id = '', ...more] = args;
  if (id === '' || more.length > 0) {
    throw new CommandError('member replace takes one member ID', exit.badArguments);
  }
  if (!/^[0-9a-fA-F]{1,16}$/.test(id)) {
    throw new CommandError(`bad member ID ${JSON.stringify(id)}: hexadecimal`, exit.badArguments);
  }
  if (peerUrls.length === 0) {
    throw new CommandError(
      '--peer-urls says where the new member will be for the others',
      exit.badArguments,
    );
  }
  return { old: BigInt(`0x${id}`), peerUrls: peerUrls.map((url) => url.trim()), isRemoved };
}

/** Says what it will do, asks, and does it; `calls`: to the cluster. */
export async function replace(
  context: CommandContext,
  calls: ClusterCalls,
  goal: ReplacementGoal,
  options: { readonly isAgreed: boolean; readonly waitMs: number },
): Promise<number> {
  const { io } = context;
  const members = await calls.members();
  const present = members.find(({ id }) => id === goal.old);
  const answers = present !== undefined && (await calls.status(present)) !== undefined;
  const plan = planReplacement(members, goal, answers);
  if (typeof plan === 'string') throw new CommandError(plan);
  const isJson = context.global['write-out'] === 'json';
  const say = (line: string) => (isJson ? io.stderr(`${line}\n`) : io.stdout(`${line}\n`));
  if (plan.steps.length > 0) {
    await say(`To replace ${plan.old === undefined ? idToHex(goal.old) : nameOf(plan.old)}:`);
    for (const line of plan.text) await say(line);
    await refuseWithoutQuorum(calls, plan);
    if (!options.isAgreed) await agreed(context);
  }
  const fresh = await work(calls, goal, plan, {
    calls,
    interrupted: io.interrupted,
    waitMs: options.waitMs,
    tell: onChange((line) => void say(line)),
  });
  if (isJson) {
    await io.stdout(`${JSON.stringify({ old: idToHex(goal.old), new: idToHex(fresh.id) })}\n`);
  } else await say(`${nameOf(fresh)} has taken the place of ${idToHex(goal.old)}`);
  return exit.ok;
}

async function work(
  calls: ClusterCalls,
  { peerUrls, old: id }: ReplacementGoal,
  plan: ReplacementPlan,
  steps: LearnerSteps,
): Promise<Member> {
  let fresh = plan.fresh;
  for (const step of plan.steps) {
    if (step === 'remove') {
      if (fresh !== undefined) await leadsNoMore(calls, id, fresh.id);
      await removed(steps, id);
      continue;
    }
    fresh ??= await ensureMember(steps, peerUrls);
    if (step === 'start') fresh = await joined(steps, fresh, peerUrls);
    if (step === 'promote') {
      await caughtUp(steps, fresh);
      await promoted(steps, fresh);
    }
  }
  return fresh ?? (await ensureMember(steps, peerUrls));
}

async function joined(
  steps: LearnerSteps,
  fresh: Member,
  peerUrls: readonly string[],
): Promise<Member> {
  steps.tell(
    'start it on its machine: kvorum join URL-OF-A-MEMBER --name NAME --data-dir DIR ' +
      `--initial-advertise-peer-urls ${peerUrls.join(',')} ...`,
  );
  const member = await started(steps, fresh.id);
  await caughtUp(steps, member);
  return member;
}

/**
 * Before anything is done. Where those who answer can agree now, they can after each step, too: the
 * new member votes when it is there, one that is there goes when another has come, and one that is
 * down is missed by nobody. Who goes meanwhile is seen at each step.
 */
async function refuseWithoutQuorum(calls: ClusterCalls, plan: ReplacementPlan): Promise<void> {
  const { isInPlace, old } = plan;
  const refusal = quorumRefusal(await votersNow(calls, await calls.members()), {
    name: 'any change',
  });
  if (refusal !== undefined) throw new CommandError(refusal);
  if (old === undefined || !isInPlace || (await calls.status(old)) === undefined) return;
  throw new CommandError(
    `refused to replace ${nameOf(old)} by one with its own peer URL while it runs: stop it first, ` +
      'or give the new member another --peer-urls',
  );
}

/** Throws CommandError unless somebody says yes. */
async function agreed({ io }: CommandContext): Promise<void> {
  if (!io.terminal.in) {
    throw new CommandError('nothing was done: say --yes to do it', exit.invalidInput);
  }
  await io.stdout('Go on? [y/N] ');
  const decoder = new TextDecoder();
  let answer = '';
  for await (const piece of io.stdin) {
    answer += decoder.decode(piece, { stream: true });
    if (answer.includes('\n')) break;
  }
  if (/^y(es)?\s*$/i.test(answer.split('\n', 1)[0] ?? '')) return;
  throw new CommandError('nothing was done', exit.invalidInput);
}

/** Hands over first, so that the removal of the leader costs nobody an election. */
async function leadsNoMore(calls: ClusterCalls, id: bigint, to: bigint): Promise<void> {
  try {
    const members = await calls.members();
    const old = members.find((member) => member.id === id);
    const votes = members.find((member) => member.id === to)?.isLearner === false;
    if (old === undefined || !votes) return;
    if ((await calls.status(old))?.leader === id) await calls.moveLeader(old, to);
  } catch {
    // Without it there is an election, and that is all.
  }
}

async function removed(steps: LearnerSteps, id: bigint): Promise<void> {
  const { calls, tell } = steps;
  const name = idToHex(id);
  await until(steps, `removing ${name}`, async () => {
    const members = await calls.members();
    const old = members.find((member) => member.id === id);
    if (old === undefined) return true;
    if (!old.isLearner) {
      const now = await votersNow(calls, members);
      const refusal = quorumRefusal(now, { name: `to remove ${nameOf(old)}`, removes: id });
      if (refusal !== undefined) throw new CommandError(refusal);
    }
    try {
      await calls.remove(id);
    } catch (error) {
      if (!isEtcdError(error, 'MEMBER_NOT_FOUND')) throw error;
    }
    return true;
  });
  tell(`${name} has been removed`);
}

/** Tells a line only if it is not the one before. */
function onChange(tell: (line: string) => void): (line: string) => void {
  let last = '';
  return (line) => {
    if (line === last) return;
    last = line;
    tell(line);
  };
}
