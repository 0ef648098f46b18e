/** The Election service, all but Observe (C-7.5). */

import type { LeaseId } from '../../common/index.js';
import {
  campaignRequest,
  campaignResponse,
  leaderRequest,
  leaderResponse,
  type ProtoLeaderKey,
  proclaimRequest,
  proclaimResponse,
  resignRequest,
  resignResponse,
} from '../../proto/index.js';
import type { MethodHandler } from '../../transport/index.js';
import type { Host } from '../feature/index.js';
import { headerAt } from '../rpc/index.js';
import { Candidate, type Lines, ownerOf } from './candidate.js';
import { createdAt, deleteOp, putOp, type RecipeCalls } from './recipe-calls.js';
import { recipeError } from './recipe-error.js';
import type { Recipe, RunningCalls } from './running-calls.js';

export function electionMethods(
  host: Host,
  running: RunningCalls,
  lines: Lines,
): Array<readonly [string, MethodHandler]> {
  return [
    running.method('/v3electionpb.Election/Campaign', campaignRecipe(host, lines)),
    running.method('/v3electionpb.Election/Proclaim', async (bytes, call, calls) => {
      const { leader, value } = proclaimRequest.decode(bytes);
      const revision = await proclaim(calls, present(leader), value);
      call.reply(proclaimResponse.encode({}, headerAt(host, revision)));
    }),
    running.method('/v3electionpb.Election/Leader', async (bytes, call, calls) => {
      const { name } = leaderRequest.decode(bytes);
      const { header, kvs } = await calls.range(ownerOf(name));
      const [kv] = kvs;
      if (kv === undefined) throw recipeError('noLeader');
      call.reply(leaderResponse.encode({ kv }, headerAt(host, header?.revision ?? 0)));
    }),
    running.method('/v3electionpb.Election/Resign', async (bytes, call, calls) => {
      const { key, rev } = present(resignRequest.decode(bytes).leader);
      const compare = [createdAt(key, rev)];
      // Whether it led makes no difference to the answer.
      const done = await calls.txn({ compare, success: [deleteOp(key)], failure: [] });
      call.reply(resignResponse.encode({}, headerAt(host, done.header?.revision ?? 0)));
    }),
  ];
}

function campaignRecipe(host: Host, lines: Lines): Recipe {
  return async (bytes, call, calls) => {
    const { lease, name, value } = campaignRequest.decode(bytes);
    const candidate = await Candidate.of(calls, lines, name, lease);
    try {
      const revision = await win(candidate, value);
      calls.signal.throwIfAborted();
      const { key, lease: id, revision: rev } = candidate;
      const leader = { name, key, rev, lease: id };
      call.reply(campaignResponse.encode({ leader }, headerAt(host, revision)));
    } catch (error) {
      // After a failure of another kind the client may campaign again, from the same place.
      if (calls.signal.aborted) candidate.withdraw();
      else candidate.withdrawUnknown();
      throw error;
    }
  };
}

/** Resolves with the revision of the transaction with which the winner entered. */
async function win(candidate: Candidate, value: Buffer): Promise<number> {
  const entered = await candidate.enter(value);
  const { before, owns, revision } = entered;
  if (before !== undefined && !before.equals(value)) {
    if ((await candidate.propose(value)) === undefined) throw recipeError('notLeader');
  }
  if (owns) return revision;
  await candidate.wait();
  // etcd elects candidates that have gone meanwhile, too. Then two think that they lead.
  if ((await candidate.stillThere()) === undefined) throw recipeError('notLeader');
  return revision;
}

/** Resolves with the revision of the change. */
async function proclaim(
  calls: RecipeCalls,
  { key, lease: asked, rev }: ProtoLeaderKey,
  value: Buffer,
): Promise<number> {
  // As etcd, which makes a session of the lease: 0 gets a new one.
  const lease: LeaseId = asked === 0n ? await calls.grantSession() : asked;
  const { header, succeeded } = await calls.txn({
    compare: [createdAt(key, rev)],
    success: [putOp(key, value, lease)],
    failure: [],
  });
  if (!succeeded) throw recipeError('notLeader');
  return header?.revision ?? 0;
}

function present(leader: ProtoLeaderKey | undefined): ProtoLeaderKey {
  if (leader === undefined) throw recipeError('leaderMissing');
  return leader;
}
