/**
 * `--force-new-cluster`: a member of a cluster that has lost its majority for good goes on alone,
 * as etcd's flag of that name does (facts: etcd server/etcdserver/bootstrap.go, and
 * CreateConfigChangeEnts in server/storage/util.go).
 *
 * Nobody is left to agree with, so the log decides: everything in it counts as committed, and
 * behind it come changes of the members, as if the cluster had agreed on them: this member is
 * promoted if it was a learner, then all others are removed. They go to the log with the commit
 * index, in one write: a crash leaves all of it or nothing, and any later start, with the flag
 * or without, applies them like every other entry. That is why nothing of the state machine is
 * touched here, and why the flag does nothing to a member that is alone.
 *
 * Unlike etcd, entries that are not known to be committed are kept. The commit index on disk is a
 * hint that lags (types.ts of raft): what it does not cover may well have been applied and
 * answered, here or by a leader that is gone, and to throw that away would lose acknowledged
 * writes. What was not committed had an unknown outcome for whoever asked for it. The one
 * exception is the removal of this very member, which nobody can want to come true now.
 */

import {
  assert,
  EtcdError,
  idToHex,
  type Logger,
  type LogIndex,
  type MemberId,
  StorageError,
} from '../../common/index.js';
import {
  type Configuration,
  changeConfiguration,
  decodeConfigChange,
  type Entry,
  encodeConfigChange,
  isJoint,
  membersOf,
  type RaftRestore,
} from '../../raft/index.js';
import type { MvccStore, Wal } from '../../storage/index.js';
import {
  EntryKind,
  entryBody,
  entryKind,
  newEntry,
  sequenceMax,
  stampEntry,
} from '../entry/index.js';
import {
  configChangeSteps,
  decodeMemberChange,
  decodeMemberUpdate,
  encodeMemberChange,
  type MemberChange,
  Membership,
} from '../membership/index.js';
import { type ServerConfig, UsageError, verifyExitCode } from '../options/index.js';

export interface ForceOptions {
  readonly store: Pick<MvccStore, 'applied' | 'metaEntries'>;
  readonly wal: Pick<Wal, 'append'>;
  /** As of what is applied. */
  readonly membership: Membership;
  readonly self: MemberId;
  readonly logger: Logger;
  /** For error messages. */
  readonly dataDir: string;
}

/** Who is in the cluster once the whole log has been applied. */
interface Outcome {
  readonly configuration: Configuration;
  /** The log counts up to here. */
  readonly last: LogIndex;
}

/**
 * Writes to the log what makes `self` the only member; resolves, once that is durable, with what
 * Raft is to start from. StorageError if the directory has no cluster to go on with.
 */
export async function forceNewCluster(
  options: ForceOptions,
  restore: RaftRestore,
): Promise<RaftRestore> {
  const { logger, self, wal } = options;
  const { configuration, last } = outcomeOf(options, restore);
  const others = membersOf(configuration).filter((id) => id !== self);
  if (others.length === 0) {
    logger.warn('--force-new-cluster: this member is the only one already; remove the flag', {
      memberId: idToHex(self),
    });
    return restore;
  }
  // A term that no leader of the others can have written these entries in.
  const term = restore.hardState.term + 1;
  const changes = changesFor(configuration, self);
  const entries = changes.map((change, i) => changeEntry(last + 1 + i, term, change));
  const hardState = { term, vote: self, commit: last + entries.length };
  await wal.append(hardState, entries, true);
  const { commit } = restore.hardState;
  logger.warn(
    '--force-new-cluster: this member goes on as the only one of its cluster. The others are ' +
      'removed for good and must never be started again; what only they had is lost. ' +
      'Remove the flag now, and add new members with empty data directories.',
    {
      memberId: idToHex(self),
      removed: others.map(idToHex),
      promoted: !configuration.voters.includes(self),
      // The others may have known better; see the head of this file.
      keptUncommitted: Math.max(0, last - Math.max(commit, restore.applied)),
      discarded: lastIndexOf(restore) - last,
    },
  );
  const kept = restore.entries.filter(({ index }) => index <= last);
  return { ...restore, hardState, entries: [...kept, ...entries] };
}

/**
 * For an empty data directory: what the flag is for can't be there, so it is the wrong directory,
 * unless the member would be alone anyway. Throws UsageError.
 */
export function checkForcedFounding(config: ServerConfig, logger: Logger): void {
  const { dataDir, initialCluster, initialClusterState } = config;
  if (initialCluster.size > 1 || initialClusterState === 'existing') {
    throw new UsageError(
      `--force-new-cluster: there is no cluster in ${dataDir} to go on with, it is empty; ` +
        'give the data directory of a member that survived (or its --wal-dir, too)',
      verifyExitCode,
    );
  }
  logger.warn('--force-new-cluster has no effect on an empty data directory', { dataDir });
}

/**
 * True if changes of the members are to be applied that are known to be committed. A member must
 * not talk to others before it has: they may be no members any more.
 */
export function hasCommittedChanges({ applied, entries, hardState }: RaftRestore): boolean {
  return entries.some(
    ({ index, type }) => type === 'configChange' && index > applied && index <= hardState.commit,
  );
}

function lastIndexOf({ entries, snapshot }: RaftRestore): LogIndex {
  return entries[entries.length - 1]?.index ?? snapshot.index;
}

/** Goes through what is not applied yet, as it will be applied. */
function outcomeOf(options: ForceOptions, restore: RaftRestore): Outcome {
  const { self, store } = options;
  if (options.membership.isRemoved(self)) throw removedBefore(options, store.applied.index);
  const membership = new Membership();
  membership.restore(store, options.membership.list());
  let { configuration } = store.applied;
  let last = restore.applied;
  for (const entry of restore.entries) {
    if (entry.index <= restore.applied) continue;
    if (entry.type === 'configChange') {
      const next = afterChange(entry, membership, configuration, self);
      if (next === 'selfRemoved') {
        if (entry.index <= restore.hardState.commit) throw removedBefore(options, entry.index);
        break;
      }
      configuration = next;
    } else if (entry.type === 'normal') {
      update(entry, membership);
    }
    last = entry.index;
  }
  if (membership.get(self) === undefined || !membersOf(configuration).includes(self)) {
    throw new StorageError('this member has not received the data of its cluster yet', {
      path: options.dataDir,
      remedy: 'Force a new cluster on another member, or restore a snapshot with kvorum restore.',
    });
  }
  assert(!isJoint(configuration), 'members change one at a time');
  const ids = membersOf(configuration);
  assert(
    ids.join() ===
      membership
        .list()
        .map(({ id }) => id)
        .join(),
    'Raft has the same members',
  );
  return { configuration, last };
}

/** As node/config-change.ts does it, on copies. */
function afterChange(
  entry: Entry,
  membership: Membership,
  configuration: Configuration,
  self: MemberId,
): Configuration | 'selfRemoved' {
  const change = decodeConfigChange(entry.data);
  const next = changeConfiguration(configuration, change);
  if (change.steps.length === 0) return next ?? configuration;
  const memberChange = decodeMemberChange(entryBody(change.context));
  if (next === undefined || membership.refusal(memberChange) !== undefined) return configuration;
  if (memberChange.type === 'remove' && memberChange.id === self) return 'selfRemoved';
  membership.applyChange(nowhere, memberChange);
  return next;
}

/** Whether a member can be added depends on the peer URLs of the others. */
function update(entry: Entry, membership: Membership): void {
  if (entryKind(entry.data, entry.index) !== EntryKind.memberUpdate) return;
  try {
    membership.applyUpdate(nowhere, decodeMemberUpdate(entryBody(entry.data)));
  } catch (error) {
    // Refused here, as it will be when it is applied.
    if (!(error instanceof EtcdError)) throw error;
  }
}

/** Where the copies write their records. */
const nowhere = { setMeta(): void {} };

/** In an order in which there is always a voter. */
function changesFor(configuration: Configuration, self: MemberId): MemberChange[] {
  const changes: MemberChange[] = [];
  if (!configuration.voters.includes(self)) changes.push({ type: 'promote', id: self });
  for (const id of membersOf(configuration)) if (id !== self) changes.push({ type: 'remove', id });
  return changes;
}

function changeEntry(index: LogIndex, term: number, change: MemberChange): Entry {
  const context = newEntry(EntryKind.memberChange, encodeMemberChange(change));
  // Nobody waits for it: no process ever has this origin and sequence.
  stampEntry(context, 0, sequenceMax);
  const steps = configChangeSteps(change);
  const data = encodeConfigChange({ steps, transition: 'auto', context });
  return { index, term, type: 'configChange', data };
}

function removedBefore({ dataDir, self }: ForceOptions, index: LogIndex): StorageError {
  return new StorageError(
    `member ${idToHex(self)} was removed from its cluster, which is in its log up to entry ` +
      `${index}; its id can't be used again`,
    {
      path: dataDir,
      remedy: 'Force a new cluster on another member, or restore a snapshot with kvorum restore.',
    },
  );
}
