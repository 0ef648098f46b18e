/** `endpoint status`: how far each member is, and how big. */

import { bytesText, command, exit } from '../command/index.js';
import {
  fieldLine,
  headerFields,
  headerOf,
  messageFields,
  messageJson,
  print,
  type Shown,
} from '../print/index.js';
import { listShown } from './list-shown.js';
import { hexId } from './member-id.js';
import { status } from './rpcs.js';
import { askEach, clusterFlag, type Said, targetsOf } from './targets.js';

const type = 'etcdserverpb.StatusResponse';

type MemberSaid = Said<ReturnType<typeof status.response.decode>>;

export const endpointStatus = command({
  name: 'status',
  short: 'Shows how far the endpoints are, and how big',
  long:
    'Shows how far the endpoints are, and how big. In the format simple a line is: endpoint, id,\n' +
    'version, version of the storage, size, size in use, share that is not in use, quota, whether it\n' +
    'leads, whether it is a learner, term, index, applied index, errors, target of a downgrade,\n' +
    'whether one is under way.',
  flags: { cluster: clusterFlag },
  async run(context, _args, flags) {
    const endpoints = await targetsOf(context, flags.cluster);
    const { said, failure } = await askEach(context, endpoints, 'status', status, {});
    await print(context, shownStatus(said, context.global.hex));
    return failure === undefined ? exit.ok : exit.error;
  },
});

const columns = [
  ...['endpoint', 'ID', 'version', 'storage version', 'db size', 'in use'],
  ...['percentage not in use', 'quota', 'is leader', 'is learner', 'raft term', 'raft index'],
  ...['raft applied index', 'errors', 'downgrade target version', 'downgrade enabled'],
];

function shownStatus(said: readonly MemberSaid[], hex: boolean): Shown {
  return listShown({
    header: columns,
    rows: said.map(rowOf),
    json: said.map(({ endpoint, bytes }) => ({
      Endpoint: endpoint,
      Status: messageJson(bytes, type),
    })),
    fields: () => said.map((one) => fieldsOf(one, hex)).join(''),
  });
}

function rowOf({ endpoint, message }: MemberSaid): string[] {
  const { header, downgradeInfo: downgrade, dbSizeBytes, dbSizeInUseBytes } = message;
  const used = dbSizeBytes === 0 ? 0 : Math.floor((dbSizeInUseBytes * 100) / dbSizeBytes);
  const id = header?.memberId ?? 0n;
  return [
    ...[endpoint, hexId(id), message.version, message.storageVersion],
    ...[bytesText(dbSizeBytes), bytesText(dbSizeInUseBytes), `${100 - used}%`],
    ...[bytesText(message.dbSizeQuotaBytes), String(message.leader === id)],
    ...[String(message.isLearner), String(message.raftTerm), String(message.raftIndex)],
    ...[String(message.raftAppliedIndex), message.errors.join(', ')],
    ...[downgrade?.targetVersion ?? '', String(downgrade?.enabled ?? false)],
  ];
}

function fieldsOf({ endpoint, message, bytes }: MemberSaid, hex: boolean): string {
  const value = messageFields(bytes, type);
  return [
    headerFields(headerOf(bytes, type), hex),
    fieldLine('Version', message.version),
    fieldLine('StorageVersion', message.storageVersion),
    fieldLine('DBSize', value.dbSize ?? 0),
    fieldLine('DBSizeInUse', value.dbSizeInUse ?? 0),
    fieldLine('DBSizeQuota', value.dbSizeQuota ?? 0),
    fieldLine('Leader', message.leader),
    fieldLine('IsLearner', message.isLearner),
    fieldLine('RaftIndex', value.raftIndex ?? 0),
    fieldLine('RaftAppliedIndex', value.raftAppliedIndex ?? 0),
    `"Errors" : [${message.errors.join(' ')}]\n`,
    fieldLine('Endpoint', endpoint),
    fieldLine('DowngradeTargetVersion', message.downgradeInfo?.targetVersion ?? ''),
    fieldLine('DowngradeEnabled', message.downgradeInfo?.enabled ?? false),
    '\n',
  ].join('');
}
