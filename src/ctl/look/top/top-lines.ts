/** The screen of `top`. */

import {
  bytesText,
  type Column,
  countText,
  idText,
  inColumns,
  membersText,
  type Paint,
  printable,
  secondsText,
  shareText,
} from '../../show/index.js';
import { type ClusterLook, leaderOf, type MemberLook, type PrefixCounts } from '../ask/index.js';
import { busiest, type MemberRates, ratesOf } from './rates.js';

/** Two looks, and what was counted beside them. */
export interface TopView {
  readonly now: ClusterLook;
  readonly before: ClusterLook | undefined;
  /** A text: why there is none. */
  readonly prefixes: PrefixCounts | string | undefined;
  /** Index of the column that members are sorted by. */
  readonly sortedBy: number;
  readonly prefixesBy: 'keys' | 'name';
}

interface Row extends MemberRates {
  readonly member: MemberLook;
  readonly isLeader: boolean;
}

interface SortableColumn extends Column<Row> {
  /** What it is sorted by, the largest first; a text: by its letters. */
  readonly order: (row: Row) => number | string;
}

const methodsShown = 8;

const rate = (value: number | undefined): string => {
  if (value === undefined) return '-';
  return value > 0 && value < 10 ? value.toFixed(1) : countText(value);
};
const time = (value: number | undefined): string =>
  value === undefined ? '-' : secondsText(value);

const columns: readonly SortableColumn[] = [
  {
    title: 'NAME',
    of: ({ member }) => printable(member.name === '' ? idText(member.id) : member.name),
    order: ({ member }) => member.name,
  },
  { title: 'ROLE', of: roleOf, order: roleOf },
  counted('PUT/S', ({ putsPerSecond }) => putsPerSecond, rate),
  counted('RANGE/S', ({ rangesPerSecond }) => rangesPerSecond, rate),
  counted('TXN/S', ({ txnsPerSecond }) => txnsPerSecond, rate, 6),
  counted('FSYNC P50', ({ fsync }) => fsync?.p50, time, 4),
  counted('P99', ({ fsync }) => fsync?.p99, time),
  counted('COMMIT P50', ({ commit }) => commit?.p50, time, 5),
  counted('P99', ({ commit }) => commit?.p99, time, 2),
  counted('LOOP P99', ({ loopLateSeconds }) => loopLateSeconds, time, 3),
  counted('WATCHERS', ({ watchers }) => watchers, rate, 1),
  counted(
    'DB',
    ({ dbBytes }) => dbBytes,
    (bytes) => (bytes === undefined ? '-' : bytesText(bytes)),
  ),
  counted(
    'SENT/S',
    ({ sentBytesPerSecond }) => sentBytesPerSecond,
    (bytes) => (bytes === undefined ? '-' : bytesText(bytes)),
    7,
  ),
];

/** So many columns can be sorted by. */
export const columnCount: number = columns.length;

function counted(
  title: string,
  order: (row: Row) => number | undefined,
  text: (value: number | undefined) => string,
  spare = 0,
): SortableColumn {
  return {
    ...{ title, right: true, spare },
    of: (row) => (row.member.status === undefined ? '' : text(order(row))),
    order: (row) => order(row) ?? -1,
  };
}

function roleOf({ member, isLeader }: Row): string {
  if (member.status === undefined) return 'silent';
  return isLeader ? 'leader' : member.isLearner ? 'learner' : 'follower';
}

/** Lines without their ends. */
export function topLines(view: TopView, paint: Paint, width: number): string[] {
  const { now, before } = view;
  const seconds = before === undefined ? 0 : (now.takenMs - before.takenMs) / 1_000;
  const [title = '', ...rows] = inColumns(marked(view.sortedBy), sortedRows(view, seconds), width);
  const took =
    before === undefined ? 'not known before the next look' : `in the last ${seconds.toFixed(1)} s`;
  return [
    `cluster ${idText(now.clusterId)}, ${membersText(now.members.length)}; rates are ${took}`,
    '',
    paint('head', title),
    ...rows,
    '',
    ...callLines(view, seconds, paint, width),
    '',
    ...prefixLines(view, paint, width),
  ];
}

function marked(sortedBy: number): SortableColumn[] {
  return columns.map((column, i) =>
    i === sortedBy ? { ...column, title: `${column.title}*` } : column,
  );
}

function sortedRows({ now, before, sortedBy }: TopView, seconds: number): Row[] {
  const leader = leaderOf(now);
  const rows = now.members.map((member): Row => {
    const earlier = before?.members.find(({ id }) => id === member.id);
    const isLeader = member.id !== undefined && member.id === leader;
    return { member, isLeader, ...ratesOf(member, earlier, seconds) };
  });
  const order = columns[sortedBy]?.order ?? (() => '');
  return rows.sort((one, other) => {
    const a = order(one);
    const b = order(other);
    if (typeof a === 'number' && typeof b === 'number') return b - a;
    return String(a) < String(b) ? -1 : 1;
  });
}

function callLines(
  { now, before }: TopView,
  seconds: number,
  paint: Paint,
  width: number,
): string[] {
  const earlier = before?.members ?? [];
  const methods = busiest(now.members, earlier, seconds, 'grpc_server_started_total', [
    'grpc_service',
    'grpc_method',
  ]);
  const kinds = busiest(now.members, earlier, seconds, 'etcd_server_client_requests_total', [
    'client_api_version',
  ]);
  const [title = '', ...rows] = inColumns(
    [
      { title: 'METHOD', of: ({ name }) => name.replace(/^\S*?([^.\s]+) /, '$1.') },
      { title: 'CALLS/S', of: ({ perSecond }) => rate(perSecond), right: true },
    ],
    methods.slice(0, methodsShown),
    width,
  );
  const apis = kinds.map(({ name, perSecond }) => `${name || 'unknown'} ${rate(perSecond)}/s`);
  const clients =
    apis.length === 0 ? 'no calls' : `by the version that they tell: ${apis.join(', ')}`;
  return [
    paint('head', title),
    ...(rows.length === 0 ? ['(no calls)'] : rows),
    `clients: ${printable(clients)}`,
    paint('dim', 'which client calls most is in no metric'),
  ];
}

function prefixLines(view: TopView, paint: Paint, width: number): string[] {
  const { prefixes, prefixesBy } = view;
  if (prefixes === undefined) return ['prefixes: not counted yet'];
  if (typeof prefixes === 'string') return [`prefixes: ${printable(prefixes)}`];
  const { keys, otherKeys, isPartial } = prefixes;
  const list = [...prefixes.prefixes].slice(0, 20);
  if (prefixesBy === 'name') list.sort((a, b) => (a.prefix < b.prefix ? -1 : 1));
  const [title = '', ...rows] = inColumns(
    [
      {
        title: 'PREFIX',
        of: ({ prefix }) => (prefix === '' ? '(keys without one)' : printable(utf8(prefix))),
      },
      { title: 'KEYS', of: (one) => countText(one.keys), right: true },
      {
        title: 'OF ALL',
        of: (one) => (keys === 0 ? '-' : shareText(one.keys / keys)),
        right: true,
      },
    ],
    list,
    width,
  );
  const rest = isPartial
    ? `; ${countText(otherKeys)} were not looked at, or are of small ones`
    : '';
  return [paint('head', title), ...rows, `${countText(keys)} keys${rest}`];
}

function utf8(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('utf8');
}

/** `top -w json` */
export function topJson(view: TopView) {
  const { now, before, prefixes } = view;
  const seconds = before === undefined ? 0 : (now.takenMs - before.takenMs) / 1_000;
  const earlier = before?.members ?? [];
  return {
    takenAt: new Date(now.takenMs).toISOString(),
    seconds,
    members: sortedRows({ ...view, sortedBy: 0 }, seconds).map((row) => {
      const { member, isLeader, ...rates } = row;
      return { id: member.id, name: member.name, role: roleOf({ ...row, isLeader }), ...rates };
    }),
    methods: busiest(now.members, earlier, seconds, 'grpc_server_started_total', [
      'grpc_service',
      'grpc_method',
    ]),
    prefixes:
      typeof prefixes === 'object'
        ? {
            ...prefixes,
            prefixes: prefixes.prefixes.map((one) => ({ ...one, prefix: utf8(one.prefix) })),
          }
        : { error: prefixes },
  };
}
