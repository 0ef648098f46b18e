/** Raft as this server uses it. */

import type { MemberId } from '../../common/index.js';
import { Raft, type RaftRestore } from '../../raft/index.js';
import type { ServerConfig } from '../options/index.js';
import type { NodePorts } from './ports.js';

export function openRaft(
  config: ServerConfig,
  { clock, random, tuning, raftTracer: tracer }: NodePorts,
  id: MemberId,
  restore: RaftRestore,
  requestTimeoutMs: number,
): Raft {
  return new Raft(
    {
      id,
      electionTimeoutTicks: Math.max(2, Math.round(config.electionMs / config.heartbeatMs)),
      heartbeatTicks: 1,
      preVote: config.preVote,
      checkQuorum: true,
      // Together less than a link's queue holds: what finds no room there is sent again.
      appendBytesMax: 128 * 1024,
      inflightAppendsMax: 100,
      uncommittedBytesMax: 256 * 1024 * 1024,
      applyBytesMax: 16 * 1024 * 1024,
      ...tuning,
      randomU32: () => random.u32(),
      // Nothing that can still be answered in time was sent longer ago.
      forwardAge: { nowMs: () => clock.nowMs(), maxMs: requestTimeoutMs },
      tracer,
    },
    restore,
  );
}
