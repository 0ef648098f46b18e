/** The Maintenance service (C-6), without Snapshot, and Downgrade, which is the cluster's. */

import { type Clock, EtcdError, etcdVersion, idToHex, Lock, nobody } from '../../common/index.js';
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
import type { MethodHandler, ServerCall } from '../../transport/index.js';
import type { ClusterVersions } from '../cluster/index.js';
import { EntryKind, newEntry } from '../entry/index.js';
import type { Host } from '../feature/index.js';
import type { AlarmEntry, AlarmResult } from '../guard/index.js';
import type { Histogram } from '../metrics/index.js';
import { failCall, headerAt, type Serving, type UnaryRpc, unaryMethod } from '../rpc/index.js';
import { transferLeadership } from './leader-transfer.js';

export interface MaintenanceRpcOptions {
  readonly alarm: AlarmEntry;
  readonly serving: Serving;
  readonly versions: ClusterVersions;
}

export function maintenanceMethods(
  host: Host,
  { alarm, serving, versions }: MaintenanceRpcOptions,
): Array<readonly [string, MethodHandler]> {
  const method = (name: string, handle: UnaryRpc): readonly [string, MethodHandler] =>
    unaryMethod(host, `/etcdserverpb.Maintenance/${name}`, handle);
  const hashes = new HashQueue(host.clock);
  return [
    method('Status', (_bytes, call) => {
      const status = statusOf(host, versions);
      call.reply(statusResponse.encode(status, headerAt(host, host.store.revision)));
    }),
    method('Alarm', (bytes, call) => handleAlarm(host, alarm, bytes, call)),
    method('Hash', async (_bytes, call) => {
      const hash = await hashes.run(call, host.metrics.hash, () => host.store.hashAll());
      if (hash === undefined) return;
      call.reply(hashResponse.encode({ hash }, headerAt(host, host.store.revision)));
    }),
    method('HashKV', async (bytes, call) => {
      const { revision } = hashKvRequest.decode(bytes);
      let current = 0;
      const found = await hashes.run(call, host.metrics.hashRevision, () => {
        current = host.store.revision;
        return host.store.hashKv(revision);
      });
      if (found === undefined) return;
      call.reply(hashKvResponse.encode(found, headerAt(host, current)));
    }),
    method('Defragment', async (_bytes, call) => {
      const { clock, config, metrics } = host;
      const startMs = clock.nowMs();
      metrics.defragmentsRunning++;
      try {
        const defragment = () => host.store.defragment();
        await (config.notServingOnDefragment ? serving.pausedFor(defragment) : defragment());
      } finally {
        metrics.defragmentsRunning--;
        metrics.defragment.observe((clock.nowMs() - startMs) / 1000);
      }
      // As etcd: without a header.
      call.reply(defragmentResponse.encode({}));
    }),
    method('MoveLeader', (bytes, call) => moveLeader(host, bytes, call)),
  ];
}

/**
 * One hash at a time: each reads the whole store, so that some hundred at once would hold as many
 * pages of it in memory and finish no earlier.
 */
class HashQueue {
  readonly #clock: Clock;
  readonly #lock = new Lock();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Undefined: the call was over before its turn came. */
  run<T>(call: ServerCall, seconds: Histogram, hash: () => Promise<T>): Promise<T | undefined> {
    return this.#lock.run(async () => {
      if (call.cancelled) return undefined;
      const startMs = this.#clock.nowMs();
      const found = await hash();
      seconds.observe((this.#clock.nowMs() - startMs) / 1000);
      return found;
    });
  }
}

/** Of this member, as it is: also without a leader, and of a learner. */
function statusOf(host: Host, { downgradeTo, storage }: ClusterVersions) {
  const { raft, store, config, membership, memberId } = host;
  const { leader, term, commit } = raft.status();
  const errors = leader === 0n ? [new EtcdError('NO_LEADER').message] : [];
  for (const alarm of host.alarms.list(AlarmType.NONE)) {
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
    raftAppliedIndex: host.appliedIndex(),
    errors,
    dbSizeInUseBytes: store.inUseBytes,
    isLearner: membership.get(memberId)?.isLearner ?? false,
    storageVersion: storage,
    // As etcd without a quota: what is divided by it must not be 0.
    dbSizeQuotaBytes: Number.isFinite(config.quotaBytes) ? config.quotaBytes : -1,
    downgradeInfo: { enabled: downgradeTo !== undefined, targetVersion: downgradeTo ?? '' },
  };
}

function handleAlarm(host: Host, entry: AlarmEntry, bytes: Buffer, call: ServerCall): void {
  const request = alarmRequest.decode(bytes);
  const answer = (result: AlarmResult): void => {
    call.reply(alarmResponse.encode(result, headerAt(host, host.store.revision)));
  };
  const { access } = host;
  const { caller = nobody } = call;
  if (request.action === AlarmAction.GET) {
    const denied = access.isEnabled ? access.userRefusal(caller) : undefined;
    if (denied !== undefined) throw new EtcdError(denied);
    answer({ alarms: host.alarms.list(request.alarm) });
    return;
  }
  const respond = (
    _context: undefined,
    _request: typeof request,
    error: Error | undefined,
    result: AlarmResult | undefined,
  ): void => {
    if (result === undefined) failCall(host, call, error);
    else answer(result);
  };
  const data = newEntry(EntryKind.alarm, bytes, call.caller);
  host.propose(entry, data, request, respond, undefined);
  const { action, memberId, alarm } = request;
  host.logger.warn('alarm request', { action, alarm, member: idToHex(memberId) });
}

/** A transfer has one election timeout at Raft; then it is given up. */
const transferElections = 3;

async function moveLeader(host: Host, bytes: Buffer, call: ServerCall): Promise<void> {
  const { clock, config, leadership, membership, raft } = host;
  if (!leadership.isLeader) throw new EtcdError('NOT_LEADER');
  const { targetId } = moveLeaderRequest.decode(bytes);
  const target = membership.get(targetId);
  if (target === undefined || target.isLearner) throw new EtcdError('BAD_LEADER_TRANSFEREE');
  const options = { clock, raft, wake: () => host.wake() };
  const timeoutMs = transferElections * config.electionMs;
  const isMoved = await transferLeadership(options, targetId, timeoutMs, () => call.cancelled);
  if (!isMoved) throw new EtcdError('TIMEOUT_LEADER_TRANSFER');
  // As etcd: without a header.
  call.reply(moveLeaderResponse.encode({}));
}
