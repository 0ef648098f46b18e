/**
 * Everything that a member needs for having others beside it, put together: what it asks of the
 * leader, what it answers to others, and who may ask.
 */

import {
  type Clock,
  etcdVersion,
  kvorumVersion,
  type Logger,
  type MemberId,
} from '../../common/index.js';
import { AlarmAction, AlarmType, alarmRequest } from '../../proto/index.js';
import type { Raft } from '../../raft/index.js';
import type { MvccStore } from '../../storage/index.js';
import { ClusterVersion } from '../cluster/cluster-version.js';
import { MemberAdmin } from '../cluster/member-admin.js';
import { PeerQuestions } from '../cluster/peer-questions.js';
import { EntryKind, newEntry } from '../feature/entry.js';
import { LeaderCalls } from '../feature/leader-questions.js';
import type { Alarms } from '../guard/alarms.js';
import { LeaseLeader } from '../lease/leader.js';
import type { Lessor } from '../lease/lessor.js';
import { CorruptionCheck } from '../maintenance/corruption-check.js';
import { PeerAdmission, removedElections } from '../membership/admission.js';
import type { Membership } from '../membership/membership.js';
import type { ServerConfig } from '../options/config.js';
import type { PeerTransport } from '../peers/types.js';
import type { NodeLoop } from './loop.js';
import type { ReadGate, ReadWaiter } from './read-gate.js';

export interface MemberPartsOptions {
  readonly config: ServerConfig;
  readonly clusterId: bigint;
  readonly memberId: MemberId;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly store: MvccStore;
  readonly raft: Raft;
  readonly loop: NodeLoop;
  readonly reads: ReadGate;
  readonly membership: Membership;
  readonly alarms: Alarms;
  readonly lessor: Lessor;
  /** Undefined: this member is alone and stays so. */
  readonly peers: PeerTransport | undefined;
  /** etcd's request timeout: 5 s and two elections. */
  readonly requestTimeoutMs: number;
}

export interface MemberParts {
  readonly peers: PeerTransport | undefined;
  /** For the handler of the links: `admit` and `call`. */
  readonly admission: PeerAdmission;
  readonly questions: PeerQuestions;
  readonly memberAdmin: MemberAdmin;
  readonly leaderCalls: LeaderCalls;
  readonly leaseLeader: LeaseLeader;
  readonly corruptionCheck: CorruptionCheck;
  readonly clusterVersion: ClusterVersion;
  readonly requestTimeoutMs: number;
  /** For one question to a leader that may be asked again. */
  readonly attemptMs: number;
}

/** So long a question to the leader may take before the leader is taken for frozen. */
const attemptMsMin = 1000;

export function memberParts(options: MemberPartsOptions): MemberParts {
  const { config, clusterId, memberId: self, clock, logger, store, raft, loop, reads } = options;
  const { membership, lessor, peers, requestTimeoutMs: timeoutMs } = options;
  const attemptMs = Math.max(attemptMsMin, config.electionMs);
  const leader = (): MemberId => raft.leader;
  const read = <Context>(run: ReadWaiter<Context>, context: Context): void => {
    reads.add(run, context);
    loop.schedule();
  };
  const readOnce = (): Promise<void> =>
    new Promise((resolve, reject) => {
      read((_context, error) => (error === undefined ? resolve() : reject(error)), undefined);
    });
  const leaderCalls = new LeaderCalls({ self, clock, leader, peers, timeoutMs, attemptMs });
  const leaseLeader = new LeaseLeader({ self, raft, lessor, read });
  const memberAdmin = new MemberAdmin({
    self,
    clock,
    logger,
    membership,
    raft,
    loop,
    leaderCalls,
    peers,
    read: readOnce,
    strictReconfigCheck: config.strictReconfigCheck,
    learnersMax: config.learnersMax,
    timeoutMs,
  });
  const corruptionCheck = new CorruptionCheck({
    self,
    store,
    membership,
    peers,
    isLeader: () => raft.leader === self,
    read: readOnce,
    raiseCorrupt: (member) => raiseCorrupt(options, member),
    clock,
    logger,
    dataDir: config.dataDir,
    timeoutMs,
    periodicMs: config.corruptCheckMs,
    compactHashMs: config.compactHashCheckMs,
  });
  const version = kvorumVersion;
  const graceMs = removedElections * config.electionMs;
  const admission = new PeerAdmission({ clusterId, self, version, membership, clock, graceMs });
  const questions = new PeerQuestions({
    clusterId,
    self,
    version,
    etcdVersion,
    membership,
    admission,
    memberAdmin,
    leaseLeader,
    corruptionCheck,
  });
  return {
    peers,
    admission,
    questions,
    memberAdmin,
    leaderCalls,
    leaseLeader,
    corruptionCheck,
    clusterVersion: new ClusterVersion({ self, etcdVersion, clock, logger, membership, peers }),
    requestTimeoutMs: timeoutMs,
    attemptMs,
  };
}

function raiseCorrupt({ alarms, loop }: MemberPartsOptions, memberId: MemberId): void {
  const alarm = AlarmType.CORRUPT;
  if (alarms.list(alarm).some((one) => one.memberId === memberId)) return;
  const request = { action: AlarmAction.ACTIVATE, memberId, alarm };
  // If it gets lost, the next check raises it again.
  const data = newEntry(EntryKind.alarm, alarmRequest.encode(request));
  loop.propose(data, request, ignoreOutcome, undefined);
}

function ignoreOutcome(): void {}
