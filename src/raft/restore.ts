/**
 * What a member starts from: a new cluster, a member that joins one, or what a restart found
 * (thesis 3.8).
 */

import type { LogIndex, MemberId } from '../common/index.js';
import { changeConfiguration, configurationOf, emptyConfiguration } from './config-change.js';
import { decodeConfigChange } from './config-change-codec.js';
import { RaftLog } from './log.js';
import type { Configuration, RaftRestore } from './types.js';

/**
 * For each of the first members of a new cluster. All of them begin with the same snapshot of an
 * empty state machine at index 1, which holds the configuration; the first entry has index 2. So
 * a member that joins later, with nothing, can't replay the log without first getting a snapshot:
 * the log alone would not tell it who the first voters were.
 *
 * Must be used once in the life of a member. A member whose disk was wiped has forgotten votes and
 * entries that it promised to keep, and nothing in here can notice: the driver must give it a new
 * id. What Raft does notice is a leader that knows better: the heartbeat's commit index is then
 * beyond the end of the log, and a `LostLogError` stops the member.
 */
export function initialRestore(voters: readonly MemberId[]): RaftRestore {
  return {
    hardState: { term: 1, vote: 0n, commit: 1 },
    snapshot: { index: 1, term: 1, configuration: configurationOf(voters) },
    entries: [],
    applied: 1,
  };
}

/** For a member that joins a running cluster: it knows nothing until a leader finds it. */
export function joiningRestore(): RaftRestore {
  return {
    hardState: { term: 0, vote: 0n, commit: 0 },
    snapshot: { index: 0, term: 0, configuration: emptyConfiguration },
    entries: [],
    applied: 0,
  };
}

/**
 * The log as it was found.
 *
 * A configuration change proves that every change before it is committed, for a leader takes one
 * only when all earlier ones are applied. The commit index is raised accordingly, because a
 * member must not campaign in a configuration two changes behind: its majority need not overlap
 * with the present one. (While running, the leader's commit index comes with the later change.
 * After a crash that tore the last write only the entries may be left.)
 */
export function restoredLog(restore: RaftRestore): RaftLog {
  const log = new RaftLog(restore);
  let last: LogIndex = 0;
  for (const entry of restore.entries) {
    if (entry.type !== 'configChange') continue;
    if (last > 0) log.commitTo(last);
    last = entry.index;
  }
  return log;
}

/** The configuration as of `restore.applied`. */
export function restoredConfiguration(restore: RaftRestore): Configuration {
  if (restore.appliedConfiguration !== undefined) return restore.appliedConfiguration;
  let { configuration } = restore.snapshot;
  for (const entry of restore.entries) {
    if (entry.index > restore.applied || entry.type !== 'configChange') continue;
    const change = decodeConfigChange(entry.data);
    configuration = changeConfiguration(configuration, change) ?? configuration;
  }
  return configuration;
}
