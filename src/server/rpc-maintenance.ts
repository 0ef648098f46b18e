/** The Maintenance service (contract section 6), without Snapshot and Downgrade. */

import { type Clock, EtcdError, idToHex } from '../common/index.js';
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
} from '../proto/index.js';
import type { MethodHandler, ServerCall } from '../transport/index.js';
import type { AlarmResult } from './apply.js';
import { EntryKind, newEntry } from './entry.js';
import type { Histogram } from './metrics-histogram.js';
import type { Node } from './node.js';
import { failCall, headerAt, type RpcContext } from './rpc-context.js';
import { type UnaryRpc, unaryMethod } from './rpc-unary.js';
import { etcdVersion, storageVersion } from './versions.js';

export function maintenanceMethods(
  rpc: RpcContext,
  node: Node,
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
        return rpc.store.hashKv(Math.max(0, revision));
      });
      if (found === undefined) return;
      const { hash, compactRevision } = found;
      const hashRevision = revision > 0 ? revision : current;
      const reply = { hash, compactRevision, hashRevision };
      call.reply(hashKvResponse.encode(reply, headerAt(rpc, current)));
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

function statusOf(node: Node) {
  const { raft, store, config, membership, memberId } = node;
  const { leader, term, commit } = raft.status();
  const errors = leader === 0n ? [new EtcdError('NO_LEADER').message] : [];
  for (const alarm of node.alarms.list(AlarmType.NONE)) {
    const name = alarm.alarm === AlarmType.NOSPACE ? 'NOSPACE' : 'CORRUPT';
    errors.push(`memberID:${alarm.memberId} alarm:${name} `);
  }
  return {
    version: etcdVersion,
    dbSizeBytes: store.sizeBytes,
    leader,
    raftIndex: commit,
    raftTerm: term,
    raftAppliedIndex: node.loop.appliedIndex,
    errors,
    dbSizeInUseBytes: store.sizeBytes,
    isLearner: membership.get(memberId)?.isLearner ?? false,
    storageVersion,
    dbSizeQuotaBytes: Number.isFinite(config.quotaBytes) ? config.quotaBytes : 0,
    downgradeInfo: { enabled: false, targetVersion: '' },
  };
}

function handleAlarm(rpc: RpcContext, node: Node, bytes: Buffer, call: ServerCall): void {
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

/** How often a hand-over is looked at while it is under way. */
const moveLeaderCheckMs = 10;

async function moveLeader(node: Node, bytes: Buffer, call: ServerCall): Promise<void> {
  const { leaderWatch, membership, raft, ports, config } = node;
  if (!leaderWatch.isLeader) throw new EtcdError('NOT_LEADER');
  const { targetId } = moveLeaderRequest.decode(bytes);
  const target = membership.get(targetId);
  if (target === undefined || target.isLearner) throw new EtcdError('BAD_LEADER_TRANSFEREE');
  if (raft.leader !== targetId) raft.transferLeadership(targetId);
  node.loop.schedule();
  const untilMs = ports.clock.nowMs() + 3 * config.electionMs;
  while (raft.leader !== targetId) {
    if (ports.clock.nowMs() > untilMs) throw new EtcdError('TIMEOUT_LEADER_TRANSFER');
    await new Promise<void>((resolve) => ports.clock.after(moveLeaderCheckMs, resolve));
  }
  call.reply(moveLeaderResponse.encode({}));
}
