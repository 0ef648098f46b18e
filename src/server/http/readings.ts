/** What the health checks and the gauges read from a node. */

import type { EtcdError } from '../../common/index.js';
import { AlarmType } from '../../proto/index.js';
import { pointQuery } from '../kv/apply.js';
import type { GaugeReadings } from '../metrics/metrics.js';
import type { Node } from '../node/node.js';
import { linearizableRead, type RpcContext } from '../rpc/context.js';
import type { HealthSource } from './health.js';

function alarmName(alarm: number): string {
  return alarm === AlarmType.NOSPACE ? 'NOSPACE' : alarm === AlarmType.CORRUPT ? 'CORRUPT' : '';
}

export function healthSource(rpc: RpcContext, node: Node): HealthSource {
  const { alarms, leaderWatch, membership, memberId, store } = node;
  /** As etcd's check: one key, keys only. */
  const read = async (): Promise<Error | undefined> => {
    try {
      await store.range({ ...pointQuery('health'), keysOnly: true, limit: 1 }, undefined);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  };
  return {
    leaderId: () => leaderWatch.leader,
    isLearner: () => membership.get(memberId)?.isLearner ?? false,
    alarms: () => alarms.list(AlarmType.NONE).map(({ alarm }) => alarmName(alarm)),
    linearizableRead: async () => {
      const error = await new Promise<EtcdError | undefined>((resolve) => {
        linearizableRead(rpc, (_context, wrong) => resolve(wrong), undefined, 0);
      });
      return error ?? (await read());
    },
    serializableRead: read,
  };
}

/** Totals that are counted elsewhere. */
function takeTotals({ lessor, metrics, proposals, store, watchHub }: Node): void {
  metrics.proposalsFailed = proposals.failedTotal;
  metrics.compactedKeys = store.compactedKeys;
  metrics.eventsTotal = watchHub.counters.eventsTotal;
  metrics.leasesGranted = lessor.counters.granted;
  metrics.leasesRevoked = lessor.counters.revoked;
  metrics.leasesRenewed = lessor.counters.renewed;
}

export function metricsReadings(node: Node): GaugeReadings {
  const { alarms, config, leaderWatch, membership, memberId, raft, store, watchHub } = node;
  const { counters } = watchHub;
  takeTotals(node);
  return {
    memberId,
    hasLeader: leaderWatch.hasLeader(),
    isLeader: leaderWatch.isLeader,
    isLearner: membership.get(memberId)?.isLearner ?? false,
    proposalsPending: node.proposals.size,
    committedIndex: raft.status().commit,
    appliedIndex: node.loop.appliedIndex,
    quotaBytes: config.quotaBytes,
    dbBytes: store.allocatedBytes,
    dbInUseBytes: store.inUseBytes,
    openReadTransactions: store.openReads,
    revision: store.revision,
    compactRevision: store.compactRevision,
    keys: store.keyCount,
    watchers: counters.watchers,
    watchStreams: counters.streams,
    slowWatchers: counters.slowWatchers,
    pendingEvents: counters.pendingEvents,
    authRevision: 1,
    clusterVersion: node.clusterVersion.version?.split('.', 2).join('.'),
    alarms: alarms
      .list(AlarmType.NONE)
      .map((alarm) => ({ memberId: alarm.memberId, name: alarmName(alarm.alarm) })),
  };
}
