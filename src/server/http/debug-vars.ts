/** /debug/vars, with the names that etcd and Go's expvar have, as far as they mean something here. */

import type { MemberId, ProcessFacts } from '../../common/index.js';
import { idToHex } from '../../common/index.js';
import type { Host } from '../feature/index.js';

/** Plain facts, no secrets. `facts`: undefined if the process is not this server's alone. */
export function debugVars(
  host: Pick<Host, 'raft'>,
  facts: ProcessFacts | undefined,
): Readonly<Record<string, unknown>> {
  const raft = { 'raft.status': raftStatus(host) };
  if (facts === undefined) return raft;
  const { commandLine, externalBytes, fileDescriptorsMax } = facts;
  const { heapBytes, heapUsedBytes, residentBytes } = facts;
  return {
    cmdline: commandLine,
    file_descriptor_limit: fileDescriptorsMax,
    memstats: {
      Alloc: heapUsedBytes,
      Sys: residentBytes,
      HeapAlloc: heapUsedBytes,
      HeapSys: heapBytes,
      HeapIdle: heapBytes - heapUsedBytes,
      HeapInuse: heapUsedBytes,
      OtherSys: externalBytes,
    },
    ...raft,
  };
}

const roles: Readonly<Record<string, string>> = {
  follower: 'StateFollower',
  preCandidate: 'StatePreCandidate',
  candidate: 'StateCandidate',
  leader: 'StateLeader',
};

const modes: Readonly<Record<string, string>> = {
  probe: 'StateProbe',
  replicate: 'StateReplicate',
  snapshot: 'StateSnapshot',
};

function raftStatus({ raft }: Pick<Host, 'raft'>) {
  const { applied, commit, id, lastIndex, leader, role, term } = raft.status();
  const own: [MemberId, unknown] = [
    id,
    { match: lastIndex, next: lastIndex + 1, state: modes.replicate },
  ];
  const others = raft.progress().map(({ matchIndex, member, mode, nextIndex }) => {
    const seen = { match: matchIndex, next: nextIndex, state: modes[mode] ?? mode };
    return [member, seen] as [MemberId, unknown];
  });
  // As in etcd: only a leader has them, and is one of them.
  const progress = role === 'leader' ? [own, ...others] : [];
  return {
    id: idToHex(id),
    term,
    commit,
    lead: idToHex(leader),
    raftState: roles[role] ?? role,
    applied,
    progress: Object.fromEntries(progress.map(([member, seen]) => [idToHex(member), seen])),
  };
}
