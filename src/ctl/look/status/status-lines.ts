/** The screen of `status`. */

import {
  bytesText,
  type Column,
  countText,
  daysUntil,
  dayText,
  idText,
  inColumns,
  type Paint,
  printable,
  shareText,
} from '../../show/index.js';
import {
  type ClusterLook,
  isHealthy,
  lagOf,
  leaderOf,
  type MemberLook,
  quorumOf,
} from '../ask/index.js';
import { clockText } from './clock-text.js';

/** Within this a certificate is told in colour. */
const soonDays = 30;

/** Lines without their ends, at most `width` wide where that can be. */
export function statusLines(look: ClusterLook, paint: Paint, width: number): string[] {
  const answered = look.members.filter(({ status }) => status !== undefined);
  const silent = look.members.filter(({ status }) => status === undefined);
  return [
    headLine(look, paint),
    '',
    ...(answered.length === 0 ? [] : memberTable(look, answered, paint, width)),
    ...silent.map((member) => silentLine(member, paint)),
    '',
    alarmLine(look, paint),
    ...errorLines(answered, paint),
    ...certificateLines(look, paint),
  ];
}

function headLine(look: ClusterLook, paint: Paint): string {
  const { voters, answering, needed } = quorumOf(look);
  const leader = leaderOf(look);
  const leading = look.members.find(({ id }) => id === leader && leader !== undefined);
  const learners = look.members.length - voters;
  const state = isHealthy(look)
    ? paint('good', 'healthy')
    : answering >= needed && leader !== undefined
      ? paint('doubtful', 'works, but not all is well')
      : paint('bad', 'does not work: no majority or no leader');
  const who = leader === undefined ? 'no leader' : `leader ${nameOf(leading) || idText(leader)}`;
  const counted = [
    `${answering} of ${voters} voters answer, ${needed} needed`,
    ...(learners > 0 ? [`${learners} learner${learners === 1 ? '' : 's'}`] : []),
    who,
    ...revisionOf(look),
  ];
  return `cluster ${idText(look.clusterId)}: ${state}; ${counted.join('; ')}`;
}

function revisionOf({ members }: ClusterLook): string[] {
  const revisions = members.flatMap(({ status }) => status?.header?.revision ?? []);
  return revisions.length === 0 ? [] : [`revision ${Math.max(...revisions)}`];
}

function memberTable(
  look: ClusterLook,
  members: readonly MemberLook[],
  paint: Paint,
  width: number,
): string[] {
  const leader = leaderOf(look);
  const metric = (name: string) => (member: MemberLook) => {
    const value = member.metrics?.value(name);
    return value === undefined ? '-' : countText(value);
  };
  const number =
    (of: (member: MemberLook) => number | undefined) =>
    (member: MemberLook): string => {
      const value = of(member);
      return value === undefined ? '-' : countText(value);
    };
  const columns: Array<Column<MemberLook>> = [
    { title: 'NAME', of: nameOf },
    { title: 'ID', of: ({ id }) => idText(id), spare: 3 },
    {
      title: 'ROLE',
      of: ({ id, isLearner }) => {
        if (id !== undefined && id === leader) return paint('good', 'leader');
        return isLearner ? paint('dim', 'learner') : 'follower';
      },
    },
    { title: 'VERSION', of: ({ status }) => status?.version ?? '-', spare: 5 },
    { title: 'TERM', of: number(({ status }) => status?.raftTerm), right: true, spare: 6 },
    { title: 'INDEX', of: number(({ status }) => status?.raftIndex), right: true, spare: 4 },
    { title: 'LAG', of: number((member) => lagOf(look, member)), right: true },
    {
      title: 'APPLIED',
      of: number(({ status }) => status?.raftAppliedIndex),
      right: true,
      spare: 7,
    },
    { title: 'DB', of: ({ status }) => bytesText(status?.dbSizeBytes ?? 0), right: true },
    {
      title: 'IN USE',
      of: ({ status }) => bytesText(status?.dbSizeInUseBytes ?? 0),
      right: true,
      spare: 8,
    },
    { title: 'OF QUOTA', of: (member) => quotaText(member, paint), right: true },
    { title: 'KEYS', of: metric('etcd_debugging_mvcc_keys_total'), right: true, spare: 2 },
    { title: 'WATCHERS', of: metric('etcd_debugging_mvcc_watcher_total'), right: true, spare: 9 },
    { title: 'CLOCK', of: ({ clock }) => clockText(clock), right: true, spare: 1 },
    { title: 'ENDPOINT', of: ({ endpoint }) => endpoint, spare: 10 },
  ];
  const [title = '', ...rows] = inColumns(columns, members, width);
  return [paint('head', title), ...rows];
}

function nameOf(member: MemberLook | undefined): string {
  if (member === undefined) return '';
  return member.name === '' ? '(no name)' : printable(member.name);
}

/** Of the quota as the member tells it, or as its metrics do. */
function quotaText({ status, metrics }: MemberLook, paint: Paint): string {
  const told = status?.dbSizeQuotaBytes ?? 0;
  const quota = told > 0 ? told : (metrics?.value('etcd_server_quota_backend_bytes') ?? 0);
  if (quota <= 0 || status === undefined || !Number.isFinite(quota)) return '-';
  const share = status.dbSizeInUseBytes / quota;
  const text = `${shareText(share)} of ${bytesText(quota)}`;
  return share > 0.8 ? paint('bad', text) : text;
}

function silentLine(member: MemberLook, paint: Paint): string {
  const where = member.endpoint === '' ? '' : ` at ${member.endpoint}`;
  const who = member.id === undefined ? '' : `${nameOf(member)} (${idText(member.id)})`;
  const why = printable(member.error ?? 'no answer');
  return paint('bad', `${who}${where} does not answer: ${why}`.trimStart());
}

function alarmLine({ alarms, members }: ClusterLook, paint: Paint): string {
  if (alarms === undefined) return 'alarms: not known, nobody told';
  if (alarms.length === 0) return 'alarms: none';
  const texts = alarms.map(({ memberId, type }) => {
    const member = members.find(({ id }) => id === memberId);
    return `${type} at ${member === undefined ? idText(memberId) : nameOf(member)}`;
  });
  return paint('bad', `alarms: ${texts.join(', ')}`);
}

/** What members say of themselves; alarms stand above. */
function errorLines(members: readonly MemberLook[], paint: Paint): string[] {
  return members.flatMap((member) =>
    (member.status?.errors ?? [])
      .filter((error) => !/alarm:/.test(error))
      .map((error) => paint('bad', `${nameOf(member)} says: ${printable(error)}`)),
  );
}

function certificateLines({ members, takenMs }: ClusterLook, paint: Paint): string[] {
  const shown = members.filter(({ certificate }) => certificate !== undefined);
  if (shown.length === 0) return ['certificates: none, clients come without TLS'];
  return shown.map((member) => {
    const { endsMs = 0, refusedFor } = member.certificate ?? {};
    const days = daysUntil(endsMs, takenMs);
    const when = days < 0 ? `ended ${dayText(endsMs)}` : `ends ${dayText(endsMs)}, in ${days} days`;
    const doubt = refusedFor === undefined ? '' : `; refused here: ${refusedFor}`;
    const text = `certificate of ${nameOf(member)} ${when}${doubt}`;
    if (days < 0 || refusedFor !== undefined) return paint('bad', text);
    return days < soonDays ? paint('doubtful', text) : text;
  });
}
