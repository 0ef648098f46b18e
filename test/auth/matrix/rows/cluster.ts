/** Rows of the Cluster, Maintenance and Health services. Nothing here ends the cluster of one. */

import { type Row, type Step, stream, unary } from '../row.js';

const Cluster = 'etcdserverpb.Cluster';
const Maintenance = 'etcdserverpb.Maintenance';
const Health = 'grpc.health.v1.Health';

/** Nobody's id. */
const ID = 1234;
const url = 'http://127.0.0.1:1';
const NOSPACE = 1;

const disarm: Step = (world) =>
  world.tryAsRoot(Maintenance, 'Alarm', { action: 2, memberID: ID, alarm: NOSPACE });

export const clusterRows: readonly Row[] = [
  unary(`${Cluster}/MemberAdd`, 'a URL that is taken', (_, { server }) => ({
    peerURLs: [server.peerUrl],
  })),
  unary(`${Cluster}/MemberRemove`, 'no such member', { ID }),
  unary(`${Cluster}/MemberUpdate`, 'no such member', { ID, peerURLs: [url] }),
  unary(`${Cluster}/MemberPromote`, 'no such member', { ID }),
  unary(`${Cluster}/MemberList`, 'as this member knows them', {}),
  unary(`${Cluster}/MemberList`, 'linearizable', { linearizable: true }),

  unary(`${Maintenance}/Alarm`, 'get', {}),
  unary(`${Maintenance}/Alarm`, 'get NOSPACE', { alarm: NOSPACE }),
  unary(
    `${Maintenance}/Alarm`,
    'activate NOSPACE',
    { action: 1, memberID: ID, alarm: NOSPACE },
    { after: disarm },
  ),
  unary(`${Maintenance}/Alarm`, 'deactivate NOSPACE', {
    action: 2,
    memberID: ID,
    alarm: NOSPACE,
  }),
  unary(`${Maintenance}/Status`, '', {}),
  unary(`${Maintenance}/Defragment`, '', {}),
  unary(`${Maintenance}/Hash`, '', {}),
  unary(`${Maintenance}/HashKV`, '', {}),
  stream(`${Maintenance}/Snapshot`, '', {}),
  unary(`${Maintenance}/MoveLeader`, 'to no such member', { targetID: ID }),
  unary(`${Maintenance}/Downgrade`, 'validate 3.1', { action: 0, version: '3.1.0' }),
  unary(`${Maintenance}/Downgrade`, 'enable 3.1', { action: 1, version: '3.1.0' }),
  unary(`${Maintenance}/Downgrade`, 'cancel', { action: 2 }),

  unary(`${Health}/Check`, '', {}),
  unary(`${Health}/List`, '', {}),
  stream(`${Health}/Watch`, '', {}),
];
