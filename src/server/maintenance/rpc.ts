/** The Maintenance service (C-6), without Snapshot and Downgrade. */

import {
  type Clock,
  EtcdError,
  etcdVersion,
  idToHex,
  type MemberId,
  storageVersion,
} from '../../common/index.js';
import {
  AlarmAction,
  AlarmType,
  alarmRequest,
  alarmResponse,
  defragmentResponse,
  hashKvRequest,
  hashKvResponse,
  hashResponse,
  moveLeaderRequest,
  moveLeaderResponse,
  statusResponse,
} from '../../proto/index.js';
import type { Raft } from '../../raft/index.js';
import type { MvccStore } from '../../storage/index.js';
import type { MethodHandler, ServerCall } from '../../transport/index.js';
import { EntryKind, newEntry } from '../feature/entry.js';
import type { Alarms } from '../guard/alarms.js';
import type { Membership } from '../membership/membership.js';
import type { Histogram } from '../metrics/histogram.js';
import type { Metrics } from '../metrics/metrics.js';
import type { AlarmResult } from '../node/apply.js';
import type { LeaderWatch } from '../node/leadership.js';
import type { NodeLoop } from '../node/loop.js';
import type { ServerConfig } from '../options/config.js';
import { failCall, headerAt, type RpcContext } from '../rpc/context.js';
import { type UnaryRpc, unaryMethod } from '../rpc/unary.js';
import { transferLeadership } from './leader-transfer.js';

/** The part of a member that the Maintenance service stands on. */
export interface MaintenanceNode {
  readonly memberId: MemberId;
  readonly config: Pick<ServerConfig, 'electionMs' | 'quotaBytes'>;
  readonly ports: { readonly clock: Clock };
  readonly store: MvccStore;
  readonly raft: Raft;
  readonly loop: NodeLoop;
  readonly membership: Membership;
  readonly alarms: Alarms;
  readonly leaderWatch: LeaderWatch;
  readonly metrics: Metrics;
}

export function maintenanceMethods(
  rpc: RpcContext,
  node: MaintenanceNode,
): Array<readonly [string, MethodHandler]> {
  const method = (name: string, handle: UnaryRpc): readonly [string, MethodHandler] =>
    unaryMethod(rpc, `/etcdserverpb.Maintenance/${name}`, handle);
  const hashes = new HashQueue(node.ports.clock);
  return [
    method('Status', (_bytes, call) => {
      call.reply(statusResponse.encode(statusOf(node), headerAt(rpc, rpc.store.revision)));
    }),
    method('Alarm', (bytes, call) => handleAlarm(rpc, node, bytes, call)),
    method('Hash', async (_bytes, call) => {
      const hash = await hashes.run(call, node.metrics.hash, () => rpc.store.hashAll());
      if (hash === undefined) return;
      call.reply(hashResponse.encode({ hash }, headerAt(rpc, rpc.store.revision)));
    }),
    method('HashKV', async (bytes, call) => {
      const { revision } = hashKvRequest.decode(bytes);
      let current = 0;
      const found = await hashes.run(call, node.metrics.hashRevision, () => {
        current = rpc.store.revision;
        return rpc.store.hashKv(revision);
      });
      if (found === undefined) return;
      call.reply(hashKvResponse.encode(found, headerAt(rpc, current)));
    }),
    method('Defragment', async (_bytes, call) => {
      const { metrics, ports } = node;
      const startMs = ports.clock.nowMs();
      metrics.defragmentsRunning++;
      try {
        await rpc.store.defragment();
      } finally {
        metrics.defragmentsRunning--;
        metrics.defragment.observe((ports.clock.nowMs() - startMs) / 1000);
      }
      // As etcd: without a header.
      call.reply(defragmentResponse.encode({}));
    }),
    method('MoveLeader', (bytes, call) => moveLeader(node, bytes, call)),
  ];
}

/**
 * One hash at a time: each reads the whole store, so that some hundred at once would hold as many
 * pages of it in memory and finish no earlier.
 */
class HashQueue {
  readonly #clock: Clock;
  #last: Promise<unknown> = Promise.resolve();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Undefined: the call was over before its turn came. */
  run<T>(call: ServerCall, seconds: Histogram, hash: () => Promise<T>): Promise<T | undefined> {
    const result = this.#last.then(async () => {
      if (call.cancelled) return undefined;
      const startMs = this.#clock.nowMs();
      const found = await hash();
      seconds.observe((this.#clock.nowMs() - startMs) / 1000);
      return found;
    });
    this.#last = result.catch(() => {});
    return result;
  }
}

/** Of this member, as it is: also without a leader, and of a learner. */
function statusOf(node: MaintenanceNode) {
  const { raft, store, config, membership, memberId } = node;
  const { leader, term, commit } = raft.status();
  const errors = leader === 0n ? [new EtcdError('NO_LEADER').message] : [];
  for (const alarm of node.alarms.list(AlarmType.NONE)) {
    const name = alarm.alarm === AlarmType.NOSPACE ? 'NOSPACE' : 'CORRUPT';
    // The text form of protobuf leaves out what is zero: an alarm that is about nobody in particular.
    const member = alarm.memberId === 0n ? '' : `memberID:${alarm.memberId} `;
    errors.push(`${member}alarm:${name}`);
  }
  return {
    version: etcdVersion,
    dbSizeBytes: store.allocatedBytes,
    leader,
    raftIndex: commit,
    raftTerm: term,
    raftAppliedIndex: node.loop.appliedIndex,
    errors,
    dbSizeInUseBytes: store.inUseBytes,
    isLearner: membership.get(memberId)?.isLearner ?? false,
    storageVersion,
    // As etcd without a quota: what is divided by it must not be 0.
    dbSizeQuotaBytes: Number.isFinite(config.quotaBytes) ? config.quotaBytes : -1,
    downgradeInfo: { enabled: false, targetVersion: '' },
  };
}

function handleAlarm(
  rpc: RpcContext,
  node: MaintenanceNode,
  bytes: Buffer,
  call: ServerCall,
): void {
  const data = newEntry(EntryKind.alarm, bytes);
  const request = alarmRequest.decode(data.subarray(data.length - bytes.length));
  const answer = (result: AlarmResult): void => {
    call.reply(alarmResponse.encode(result, headerAt(rpc, rpc.store.revision)));
  };
  if (request.action === AlarmAction.GET) {
    answer({ alarms: node.alarms.list(request.alarm) });
    return;
  }
  const respond = (
    _context: undefined,
    _request: typeof request,
    error: Error | undefined,
    result: AlarmResult | undefined,
  ): void => {
    if (result === undefined) failCall(rpc, call, error);
    else answer(result);
  };
  node.loop.propose(data, request, respond, undefined);
  const { action, memberId, alarm } = request;
  rpc.logger.warn('alarm request', { action, alarm, member: idToHex(memberId) });
}

/** A transfer has one election timeout at Raft; then it is given up. */
const transferElections = 3;

async function moveLeader(node: MaintenanceNode, bytes: Buffer, call: ServerCall): Promise<void> {
  const { leaderWatch, membership, raft, loop, ports, config } = node;
  if (!leaderWatch.isLeader) throw new EtcdError('NOT_LEADER');
  const { targetId } = moveLeaderRequest.decode(bytes);
  const target = membership.get(targetId);
  if (target === undefined || target.isLearner) throw new EtcdError('BAD_LEADER_TRANSFEREE');
  const options = { clock: ports.clock, raft, loop };
  const timeoutMs = transferElections * config.electionMs;
  const isMoved = await transferLeadership(options, targetId, timeoutMs, () => call.cancelled);
  if (!isMoved) throw new EtcdError('TIMEOUT_LEADER_TRANSFER');
  // As etcd: without a header.
  call.reply(moveLeaderResponse.encode({}));
}
