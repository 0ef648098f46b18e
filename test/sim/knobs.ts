/** What differs between seeds beside chance: sizes, times and limits, drawn from the seed. */

import type { NodeTuning } from '../../src/server/node/index.js';
import { defaultConfig, type ServerConfig } from '../../src/server/options/config.js';
import type { SimRandom } from '../../src/sim/index.js';

export interface Knobs {
  readonly size: number;
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly preVote: boolean;
  readonly snapshotCount: number;
  readonly snapshotCatchUpEntries: number;
  readonly compactionBatch: number;
  readonly flushIntervalMs: number;
  readonly leaseCheckpoints: boolean;
  readonly progressIntervalMs: number;
  readonly diskLatencyMsMax: number;
  readonly kvLatencyMsMax: number;
  /** Between members, one way. */
  readonly latencyMs: { readonly min: number; readonly max: number };
  /** Chances for each message, when no fault raises them. */
  readonly loss: number;
  readonly duplication: number;
  readonly clients: number;
  readonly watchers: number;
  readonly leaseHolders: number;
  /** Mean time between the calls of a client. */
  readonly thinkMs: number;
  readonly keys: number;
  /** Clients that try what a member stands, and how many keys theirs are. */
  readonly hostiles: number;
  readonly hostileKeys: number;
  /** With users, roles and permissions. */
  readonly auth: boolean;
  /** Clients of the Lock and Election services. */
  readonly lockers: number;
  /** Leaders promote learners by themselves. */
  readonly autoPromote: boolean;
  readonly tuning: NodeTuning;
}

export function drawKnobs(random: SimRandom, size?: number): Knobs {
  const heartbeatMs = random.pick([20, 30, 50, 100]);
  const latencyMin = random.pick([0.05, 0.2, 1]);
  return {
    size: size ?? random.pick([1, 3, 3, 3, 3, 5, 5, 7]),
    heartbeatMs,
    electionMs: heartbeatMs * random.pick([5, 10, 10]),
    preVote: random.chance(0.8),
    snapshotCount: random.pick([5, 20, 50, 100]),
    snapshotCatchUpEntries: random.pick([1, 5, 20, 100]),
    compactionBatch: random.pick([1, 10, 1000]),
    flushIntervalMs: random.pick([5, 50, 200]),
    leaseCheckpoints: random.chance(0.5),
    progressIntervalMs: random.pick([100, 500, 2000]),
    diskLatencyMsMax: random.pick([0.1, 0.5, 2]),
    kvLatencyMsMax: random.pick([0.2, 2, 20]),
    latencyMs: { min: latencyMin, max: latencyMin * random.pick([1.2, 3, 10]) },
    loss: random.pick([0, 0, 0.001, 0.02]),
    duplication: random.pick([0, 0, 0.01, 0.1]),
    clients: random.pick([3, 5, 8]),
    watchers: random.pick([2, 4]),
    leaseHolders: random.pick([1, 2]),
    thinkMs: heartbeatMs * random.pick([0.5, 1, 2]),
    keys: random.pick([2, 5, 10]),
    hostiles: random.pick([1, 1, 2]),
    hostileKeys: random.pick([1, 10, 100, 400]),
    auth: random.chance(1 / 3),
    lockers: random.pick([1, 2, 4]),
    tuning: {
      appendBytesMax: random.pick([64, 200, 1000, 1024 * 1024]),
      inflightAppendsMax: random.pick([1, 2, 8, 512]),
      applyBytesMax: random.pick([100, 1000, 1024 * 1024]),
      lookEntries: random.pick([1, 10, 50]),
      walSegmentBytes: random.pick([4096, 16_384, 64 * 1024 * 1024]),
      // Short, so that calls time out while the faults last.
      requestTimeoutBaseMs: heartbeatMs * random.pick([2, 10]),
    },
    autoPromote: random.chance(0.5),
  };
}

/** How long a member waits before it answers a call with a timeout, as server/node.ts has it. */
export function requestTimeoutMs({ electionMs, tuning }: Knobs): number {
  return tuning.requestTimeoutBaseMs + 2 * electionMs;
}

/** The configuration of a member with these knobs. */
export function configOf(
  knobs: Knobs,
  member: {
    readonly name: string;
    readonly peerUrl: string;
    readonly initialCluster: string;
    readonly isJoining: boolean;
    readonly isReader?: boolean;
  },
): ServerConfig {
  const { name, peerUrl, initialCluster, isJoining, isReader = false } = member;
  return {
    ...defaultConfig(
      ...['--name', name, '--data-dir', '/data'],
      ...['--listen-peer-urls', 'http://127.0.0.1:2380'],
      ...['--initial-advertise-peer-urls', peerUrl, '--initial-cluster', initialCluster],
      ...['--initial-cluster-state', isJoining ? 'existing' : 'new'],
    ),
    heartbeatMs: knobs.heartbeatMs,
    electionMs: knobs.electionMs,
    preVote: knobs.preVote,
    snapshotCount: knobs.snapshotCount,
    snapshotCatchUpEntries: knobs.snapshotCatchUpEntries,
    compactionBatch: knobs.compactionBatch,
    compactionSleepMs: 5,
    flushIntervalMs: knobs.flushIntervalMs,
    leaseCheckpoints: knobs.leaseCheckpoints,
    watchProgressIntervalMs: knobs.progressIntervalMs,
    clientCertAuth: knobs.auth,
    autoPromoteLearners: knobs.autoPromote,
    readOnlyMember: isReader,
    // One that only reads, one that is being added, and one whose addition nobody heard of.
    learnersMax: 3,
  };
}
