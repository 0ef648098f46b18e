/** The report as text. */

import {
  bytesText,
  countText,
  idText,
  inColumns,
  type Meaning,
  membersText,
  type Paint,
  printable,
  secondsText,
} from '../../show/index.js';
import { type ClusterLook, lagOf, leaderOf, quantile } from '../ask/index.js';
import { clockText } from '../status/index.js';
import { type Finding, nameOf, type Weight, weights } from './finding.js';

const meanings: Readonly<Record<Weight, Meaning>> = {
  critical: 'bad',
  warning: 'doubtful',
  note: 'dim',
};

/** Lines without their ends: what is wrong, then the numbers. */
export function reportLines(
  now: ClusterLook,
  findings: readonly Finding[],
  paint: Paint,
  width: number,
): string[] {
  const counted = weights
    .map((weight) => [weight, findings.filter((one) => one.weight === weight).length] as const)
    .filter(([, many]) => many > 0)
    .map(([weight, many]) => `${many} ${weight}${weight !== 'critical' && many > 1 ? 's' : ''}`);
  const found = counted.length === 0 ? 'nothing is wrong that shows' : counted.join(', ');
  return [
    `cluster ${idText(now.clusterId)}, ${membersText(now.members.length)}: ${found}`,
    ...grouped(findings).flatMap(([{ id, weight, todo }, all]) => [
      '',
      ...all.map(({ what }) => `${paint(meanings[weight], weight)} ${id}: ${printable(what)}`),
      `  ${printable(todo)}`,
    ]),
    '',
    ...numberLines(now, paint, width),
  ];
}

/** What is so at several members is to be done once. */
function grouped(findings: readonly Finding[]): ReadonlyArray<readonly [Finding, Finding[]]> {
  const groups = new Map<string, [Finding, Finding[]]>();
  for (const finding of findings) {
    const { id, weight, todo } = finding;
    const known = groups.get(`${weight} ${id} ${todo}`);
    if (known !== undefined) known[1].push(finding);
    else groups.set(`${weight} ${id} ${todo}`, [finding, [finding]]);
  }
  return [...groups.values()];
}

function numberLines(now: ClusterLook, paint: Paint, width: number): string[] {
  const leader = leaderOf(now);
  const seconds = (name: string, share: number) => (member: ClusterLook['members'][number]) => {
    const histogram = member.metrics?.histogram(name);
    const value = histogram === undefined ? undefined : quantile(histogram, share);
    return value === undefined ? '-' : secondsText(value);
  };
  const gauge = (name: string) => (member: ClusterLook['members'][number]) => {
    const value = member.metrics?.value(name);
    return value === undefined ? '-' : countText(value);
  };
  const fsync = 'etcd_disk_wal_fsync_duration_seconds';
  const trip = 'etcd_network_peer_round_trip_time_seconds';
  const [title = '', ...rows] = inColumns(
    [
      { title: 'NAME', of: nameOf },
      {
        title: 'ROLE',
        of: ({ id, isLearner, status }) => {
          if (status === undefined) return 'silent';
          if (id !== undefined && id === leader) return 'leader';
          return isLearner ? 'learner' : 'follower';
        },
      },
      {
        title: 'LAG',
        of: (member) => {
          const lag = lagOf(now, member);
          return lag === undefined ? '-' : countText(lag);
        },
        right: true,
      },
      { title: 'FSYNC P50', of: seconds(fsync, 0.5), right: true },
      { title: 'P99', of: seconds(fsync, 0.99), right: true },
      { title: 'TO PEERS P50', of: seconds(trip, 0.5), right: true, spare: 1 },
      {
        title: 'LOOP P99',
        of: ({ metrics }) => {
          const late = metrics?.value('kvorum_event_loop_lag_seconds', { stat: 'p99' });
          return late === undefined ? '-' : secondsText(late);
        },
        right: true,
        spare: 2,
      },
      { title: 'CLOCK', of: ({ clock }) => clockText(clock), right: true, spare: 3 },
      { title: 'KEYS', of: gauge('etcd_debugging_mvcc_keys_total'), right: true },
      { title: 'REVISION', of: gauge('etcd_debugging_mvcc_current_revision'), right: true },
      {
        title: 'COMPACTED',
        of: gauge('etcd_debugging_mvcc_compact_revision'),
        right: true,
        spare: 4,
      },
      { title: 'DB', of: ({ status }) => bytesText(status?.dbSizeBytes ?? 0), right: true },
      {
        title: 'IN USE',
        of: ({ status }) => bytesText(status?.dbSizeInUseBytes ?? 0),
        right: true,
        spare: 5,
      },
    ],
    now.members,
    width,
  );
  return [paint('head', title), ...rows];
}
