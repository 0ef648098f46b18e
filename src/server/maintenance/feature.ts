/** What keeps a cluster healthy: alarms, hashes and what they find, defragmentation, snapshots. */

import type { MemberId } from '../../common/index.js';
import { AlarmType } from '../../proto/index.js';
import { memberCaller } from '../access/index.js';
import type { ClusterVersions } from '../cluster/index.js';
import type { Feature, Host } from '../feature/index.js';
import { type AlarmEntry, alarmName, raisedAlarm } from '../guard/index.js';
import type { Serving } from '../rpc/index.js';
import { CorruptionCheck } from './corruption-check.js';
import { maintenanceMethods } from './rpc.js';
import { snapshotMethod } from './snapshot.js';

export interface MaintenanceOptions {
  readonly versions: ClusterVersions;
  readonly serving: Serving;
}

/** `alarm`: how alarms enter the log; the guard of the space raises them as well. */
export function maintenanceFeature(
  host: Host,
  alarm: AlarmEntry,
  { serving, versions }: MaintenanceOptions,
): Feature {
  const { alarms, clock, config, disk, logger, memberId: self, membership, metrics } = host;
  const check = new CorruptionCheck({
    self,
    store: host.store,
    authState: host.authState,
    membership,
    peers: host.peers,
    isLeader: () => host.raft.leader === self,
    read: () => host.readBarrier(),
    raiseCorrupt: (member) => raiseCorrupt(host, alarm, member),
    clock,
    logger,
    dataDir: config.dataDir,
    timeoutMs: host.requestTimeoutMs,
    periodicMs: config.corruptCheckMs,
    compactHashMs: config.compactHashCheckMs,
  });
  const ports = { disk, clock, logger };
  return {
    name: 'maintenance',
    entries: [alarm],
    methods: [
      ...maintenanceMethods(host, { alarm, serving, versions }),
      snapshotMethod(host, { ports, config, metrics, versions }),
    ],
    questions: [['hashKv', (body) => check.answer(body)]],
    gauges: () => ({
      alarms: alarms.list(AlarmType.NONE).map(({ memberId, alarm: type }) => {
        return { memberId, name: alarmName(type) };
      }),
    }),
    async check() {
      if (config.initialCorruptCheck) await check.checkInitially();
    },
    serve: () => check.start(),
    retire: () => check.stop(),
  };
}

function raiseCorrupt(host: Host, entry: AlarmEntry, member: MemberId): void {
  const alarm = AlarmType.CORRUPT;
  if (host.alarms.list(alarm).some((one) => one.memberId === member)) return;
  const { request, data } = raisedAlarm(member, alarm, memberCaller(host.access));
  // If it gets lost, the next check raises it again.
  host.propose(entry, data, request, ignoreOutcome, undefined);
}

function ignoreOutcome(): void {}
