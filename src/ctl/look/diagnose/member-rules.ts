/** Who is there, who votes, and whether they go along. */

import { countText } from '../../show/index.js';
import { lagOf, leaderOf, type MemberLook, quorumOf } from '../ask/index.js';
import { nameOf, namesOf, type Rule } from './finding.js';

/** Entries that a member may have less without anything being wrong: some seconds of writing. */
const lagMax = 5_000;
/** Elections since the start of a member that are no accident any more. */
const leaderChangesMax = 10;

const noLeader: Rule = ({ now }) => {
  // Who votes is not known without the list.
  if (now.listError !== undefined || leaderOf(now) !== undefined) return [];
  const { answering, needed } = quorumOf(now);
  const reason =
    answering < needed
      ? `${answering} voters answer, ${needed} are needed`
      : 'enough members answer, but they elect nobody';
  return [
    {
      id: 'no-leader',
      weight: 'critical',
      what: `The cluster has no leader: ${reason}. Writes and linearizable reads fail.`,
      todo:
        'Start the members that are down. If they are lost for good: docs/operations.md, ' +
        '"The majority is lost for good".',
    },
  ];
};

const memberDown: Rule = ({ now }) => {
  const { answering, needed } = quorumOf(now);
  return now.members
    .filter(({ status }) => status === undefined)
    .map((member) => {
      const isKnown = now.listError === undefined;
      const isBare = isKnown && !member.isLearner && answering <= needed;
      return {
        id: 'member-down',
        weight: isBare ? 'critical' : 'warning',
        what:
          `${nameOf(member)} does not answer: ${member.error ?? 'no answer'}.` +
          (isBare ? ' One more like it, and the cluster stops.' : ''),
        todo: 'Look at its process and its log; start it, or replace it if its disk is lost.',
      };
    });
};

const listUnknown: Rule = ({ now }) =>
  now.listError === undefined
    ? []
    : [
        {
          id: 'members-unknown',
          weight: 'critical',
          what: `No endpoint tells who the members are: ${now.listError}.`,
          todo: 'Give --endpoints of members that run, and the right certificates.',
        },
      ];

const singleMember: Rule = ({ now }) =>
  now.listError === undefined && quorumOf(now).voters === 1
    ? [
        {
          id: 'single-member',
          weight: 'note',
          what: 'There is one voter: when it is down, everything is, and its disk is the only copy.',
          todo: 'Grow to three members if that matters, or make backups often.',
        },
      ]
    : [];

const evenMembers: Rule = ({ now }) => {
  const { voters } = quorumOf(now);
  if (now.listError !== undefined || voters < 2 || voters % 2 === 1) return [];
  return [
    {
      id: 'even-members',
      weight: 'warning',
      what: `There are ${voters} voters: they bear the loss of no more than ${voters - 1} do.`,
      todo: 'Add a member, or remove one.',
    },
  ];
};

const versionsDiffer: Rule = ({ now }) => {
  const answering = now.members.filter(({ status }) => status !== undefined);
  const buildOf = ({ metrics }: MemberLook) =>
    metrics?.rows('kvorum_build_info')[0]?.labels.version;
  // Where one does not tell its own version, what it acts as is compared.
  const areBuilds = answering.every((member) => buildOf(member) !== undefined);
  const all = answering.map((member) => {
    const version = areBuilds ? `kvorum ${buildOf(member)}` : (member.status?.version ?? '');
    return { member, version };
  });
  const versions = [...new Set(all.map(({ version }) => version))].sort();
  if (versions.length < 2) return [];
  const texts = versions.map((version) => {
    const members = all.filter((one) => one.version === version).map(({ member }) => member);
    return `${version} at ${namesOf(members)}`;
  });
  return [
    {
      id: 'versions-differ',
      weight: 'warning',
      what: `Members run different versions: ${texts.join('; ')}.`,
      todo: 'End the upgrade: one member at a time, until all run the same.',
    },
  ];
};

const learnerForgotten: Rule = ({ now }) =>
  now.members
    .filter(
      (member) => member.isLearner && (lagOf(now, member) ?? Number.POSITIVE_INFINITY) < 1_000,
    )
    .map((member) => ({
      id: 'learner-forgotten',
      weight: 'note',
      what: `${nameOf(member)} is a learner that has caught up: it has all data, and no vote.`,
      todo: 'Promote it (member promote), or remove it if nobody waits for it.',
    }));

const memberBehind: Rule = ({ now }) =>
  now.members
    .filter((member) => (lagOf(now, member) ?? 0) > lagMax)
    .map((member) => ({
      id: 'member-behind',
      weight: 'warning',
      what: `${nameOf(member)} is ${countText(lagOf(now, member) ?? 0)} entries behind the leader.`,
      todo: 'Wait if it was just started; else look at its disk, its network and its load.',
    }));

const applyBehind: Rule = ({ now }) =>
  now.members.flatMap((member) => {
    const { raftIndex = 0, raftAppliedIndex = 0 } = member.status ?? {};
    if (raftIndex - raftAppliedIndex <= lagMax) return [];
    return [
      {
        id: 'apply-behind',
        weight: 'warning',
        what:
          `${nameOf(member)} has ${countText(raftIndex - raftAppliedIndex)} entries in its log that ` +
          'it has not applied.',
        todo: 'Its reads are as old as that: look at its load and its event loop.',
      },
    ];
  });

const leaderChanges: Rule = ({ now }) => {
  const changes = now.members.map((member) => {
    return { member, many: member.metrics?.value('etcd_server_leader_changes_seen_total') ?? 0 };
  });
  const most = changes.sort((a, b) => b.many - a.many)[0];
  if (most === undefined || most.many <= leaderChangesMax) return [];
  return [
    {
      id: 'leader-changes',
      weight: 'warning',
      what: `${nameOf(most.member)} has seen ${most.many} changes of leader since it began.`,
      todo: 'Each stops writes: look at the event loop, the disk and the network, in this order.',
    },
  ];
};

export const memberRules: readonly Rule[] = [
  ...[listUnknown, noLeader, memberDown, memberBehind, applyBehind, leaderChanges],
  ...[versionsDiffer, evenMembers, singleMember, learnerForgotten],
];
