/** What is slow: disks, links, the event loop, clocks; and what has to wait for them. */

import { countText, secondsText } from '../../show/index.js';
import { quantile } from '../ask/index.js';
import { surelyOffMs } from '../status/index.js';
import { type Finding, growth, nameOf, type Rule } from './finding.js';

/** etcd's own advice: 10 ms for the log, 25 ms for the backend. */
const fsyncSecondsMax = 0.01;
const commitSecondsMax = 0.025;
/** Half of the time between heartbeats. */
const roundTripSecondsMax = 0.05;
const loopLateSecondsMax = 0.05;
const clockOffMsMax = 1_000;
const pendingMax = 100;
const openFilesShareMax = 0.8;

/** A rule for a histogram of each member: its p99 above a bound. */
function slowHistogram(
  name: string,
  secondsMax: number,
  finding: (who: string, p99: string, median: string) => Omit<Finding, 'weight'>,
): Rule {
  return ({ now }) =>
    now.members.flatMap((member) => {
      const histogram = member.metrics?.histogram(name);
      const p99 = histogram === undefined ? undefined : quantile(histogram, 0.99);
      if (histogram === undefined || p99 === undefined || p99 <= secondsMax) return [];
      const median = secondsText(quantile(histogram, 0.5) ?? 0);
      const weight = p99 > secondsMax * 10 ? 'warning' : 'note';
      return [{ ...finding(nameOf(member), secondsText(p99), median), weight } as const];
    });
}

const diskSlow = slowHistogram(
  'etcd_disk_wal_fsync_duration_seconds',
  fsyncSecondsMax,
  (who, p99, median) => ({
    id: 'disk-slow',
    what: `The disk of ${who} is slow: an fsync of the log takes ${median}, one in a hundred ${p99}.`,
    todo: 'Every write waits for it: a local SSD, a disk of its own for the log (--wal-dir).',
  }),
);

const commitSlow = slowHistogram(
  'etcd_disk_backend_commit_duration_seconds',
  commitSecondsMax,
  (who, p99, median) => ({
    id: 'commit-slow',
    what: `Commits to the database of ${who} take ${median}, one in a hundred ${p99}.`,
    todo: 'Nobody waits for one, but the disk has much to do: see who else writes to it.',
  }),
);

const peerSlow: Rule = ({ now }) =>
  now.members.flatMap((member) => {
    const name = 'etcd_network_peer_round_trip_time_seconds';
    const peers = new Set(
      member.metrics?.rows(`${name}_count`).map(({ labels }) => labels.To ?? ''),
    );
    return [...peers].flatMap((to): Finding[] => {
      const histogram = member.metrics?.histogram(name, { To: to });
      const median = histogram === undefined ? undefined : quantile(histogram, 0.5);
      if (median === undefined || median <= roundTripSecondsMax) return [];
      const there = now.members.find(({ id }) => id?.toString(16) === to.replace(/^0+/, ''));
      const whom = there === undefined ? to : nameOf(there);
      return [
        {
          id: 'peer-slow',
          weight: 'warning',
          what: `From ${nameOf(member)} to ${whom} and back takes ${secondsText(median)}.`,
          todo: 'Raise --heartbeat-interval to about that and --election-timeout to ten times it.',
        },
      ];
    });
  });

const loopLate: Rule = ({ now }) =>
  now.members.flatMap((member): Finding[] => {
    const late = member.metrics?.value('kvorum_event_loop_lag_seconds', { stat: 'p99' }) ?? 0;
    if (late <= loopLateSecondsMax) return [];
    return [
      {
        id: 'loop-late',
        weight: 'warning',
        what: `The event loop of ${nameOf(member)} is late by ${secondsText(late)}: everything waits for it.`,
        todo: 'docs/slow.md, "Is the event loop late?": load, large requests, or no processor.',
      },
    ];
  });

const clockOff: Rule = ({ now }) =>
  now.members
    .filter(({ clock }) => surelyOffMs(clock) > clockOffMsMax)
    .map((member) => ({
      id: 'clock-off',
      weight: 'warning',
      what:
        `The clock of ${nameOf(member)} differs from that of this machine by ` +
        `${secondsText(Math.abs(member.clock?.offsetMs ?? 0) / 1000)}.`,
      todo:
        'Have all machines keep time (NTP). Consensus and leases do not need it; ' +
        'certificates, tokens and logs do.',
    }));

const pending: Rule = ({ now }) =>
  now.members.flatMap((member): Finding[] => {
    const many = member.metrics?.value('etcd_server_proposals_pending') ?? 0;
    if (many <= pendingMax) return [];
    return [
      {
        id: 'proposals-pending',
        weight: 'warning',
        what: `${countText(many)} writes at ${nameOf(member)} wait for a majority.`,
        todo: 'The disk, the network or the event loop of the leader or of a majority is slow.',
      },
    ];
  });

/** Rules for counters that grow while we look. */
function growing(
  name: string,
  finding: (who: string, many: string) => Omit<Finding, 'weight'>,
): Rule {
  return (evidence) =>
    evidence.now.members.flatMap((member) => {
      const many = growth(evidence, member, name) ?? 0;
      if (many === 0) return [];
      return [{ ...finding(nameOf(member), countText(many)), weight: 'warning' } as const];
    });
}

const proposalsFail = growing('etcd_server_proposals_failed_total', (who, many) => ({
  id: 'proposals-fail',
  what: `${many} writes failed at ${who} while it was looked at.`,
  todo: 'They found no majority in time, or no leader: see the findings above.',
}));

const slowApplies = growing('etcd_server_slow_apply_total', (who, many) => ({
  id: 'slow-applies',
  what: `${who} applied ${many} entries slowly while it was looked at.`,
  todo: 'Large transactions, or an event loop that is late; its log names them.',
}));

const slowReadIndexes = growing('etcd_server_slow_read_indexes_total', (who, many) => ({
  id: 'slow-read-indexes',
  what: `${many} rounds of linearizable reads were slow at ${who} while it was looked at.`,
  todo: 'The leader could not confirm itself in time: its disk, network or event loop.',
}));

const peerFailures = growing('etcd_network_peer_sent_failures_total', (who, many) => ({
  id: 'peer-failures',
  what: `${who} could not send ${many} messages to other members while it was looked at.`,
  todo: 'Is a member down, or does something between them cut connections?',
}));

const slowWatchers: Rule = ({ now }) =>
  now.members.flatMap((member): Finding[] => {
    const many = member.metrics?.value('etcd_debugging_mvcc_slow_watcher_total') ?? 0;
    if (many === 0) return [];
    return [
      {
        id: 'slow-watchers',
        weight: 'note',
        what: `${countText(many)} watchers of ${nameOf(member)} are behind.`,
        todo: 'Their clients do not read, or began in the past: each costs reads of the store.',
      },
    ];
  });

const openFiles: Rule = ({ now }) =>
  now.members.flatMap((member): Finding[] => {
    const open = member.metrics?.value('process_open_fds') ?? 0;
    const max = member.metrics?.value('process_max_fds') ?? 0;
    if (max <= 0 || open / max < openFilesShareMax) return [];
    return [
      {
        id: 'files-near-limit',
        weight: 'warning',
        what: `${nameOf(member)} has ${countText(open)} of ${countText(max)} files and sockets open.`,
        todo: 'Raise the limit of open files (ulimit -n, LimitNOFILE), or find who connects so often.',
      },
    ];
  });

const slowLog: Rule = ({ slowLines }) =>
  slowLines.map(({ message, times, last }) => ({
    id: 'slow-log',
    weight: 'note',
    what: `The log says ${countText(times)} times: ${message}.`,
    todo: `The last one: ${last}`,
  }));

export const timeRules: readonly Rule[] = [
  ...[loopLate, diskSlow, peerSlow, pending, proposalsFail, slowApplies, slowReadIndexes],
  ...[peerFailures, commitSlow, clockOff, openFiles, slowWatchers, slowLog],
];
