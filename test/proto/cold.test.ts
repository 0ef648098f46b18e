/** The table-driven codecs over the generated code. */
import { describe, expect, test } from 'vitest';
import * as proto from '../../src/proto/index.js';
import { decodeReference, encodeReference } from './reference.js';

const header = { clusterId: 2n ** 64n - 1n, memberId: 3n, revision: 7, raftTerm: 2 };
const encodedHeader = new proto.HeaderEncoder(header.clusterId, header.memberId).header(7, 2);

describe('cold messages', () => {
  test('a member list round-trips, with the header spliced in front', () => {
    const members = [
      {
        id: 2n ** 64n - 2n,
        name: 'a',
        peerUrls: ['http://a:2380', 'http://b:2380'],
        clientUrls: [],
        isLearner: true,
      },
      { id: 5n, name: '', peerUrls: [], clientUrls: ['http://ü:2379'], isLearner: false },
    ];
    const bytes = proto.memberListResponse.encode({ members }, encodedHeader);
    expect(proto.memberListResponse.decode(bytes)).toEqual({ header, members });
    expect(decodeReference('etcdserverpb.MemberListResponse', bytes)).toMatchObject({
      header: { cluster_id: 2n ** 64n - 1n },
      members: [{ ID: 2n ** 64n - 2n, peerURLs: ['http://a:2380', 'http://b:2380'] }, { ID: 5n }],
    });
  });

  test('a status round-trips', () => {
    const status = {
      header,
      version: '3.7.0',
      dbSizeBytes: 2 ** 40,
      leader: 2n ** 63n,
      raftIndex: 10,
      raftTerm: 2,
      raftAppliedIndex: 9,
      errors: ['memberID:1 alarm:NOSPACE'],
      dbSizeInUseBytes: 2 ** 53 - 1,
      isLearner: false,
      storageVersion: '3.7',
      dbSizeQuotaBytes: -1,
      downgradeInfo: { enabled: true, targetVersion: '3.6.0' },
    };
    const bytes = proto.statusResponse.encode(status);
    expect(proto.statusResponse.decode(bytes)).toEqual(status);
    expect(proto.statusResponse.decode(Buffer.alloc(0)).downgradeInfo).toBeUndefined();
  });

  test('hashes are unsigned 32-bit', () => {
    const bytes = encodeReference('etcdserverpb.HashKVResponse', {
      hash: 0xfedcba98,
      compact_revision: -1,
      hash_revision: 12,
    });
    expect(proto.hashKvResponse.decode(bytes)).toEqual({
      header: undefined,
      hash: 0xfedcba98,
      compactRevision: -1,
      hashRevision: 12,
    });
    const again = proto.hashKvResponse.encode(proto.hashKvResponse.decode(bytes));
    expect(again).toEqual(bytes);
  });

  test('permissions, passwords and options', () => {
    const request = {
      name: 'role',
      perm: { type: proto.PermissionType.READWRITE, key: '\xff\x00', rangeEnd: '\x00' },
    };
    const bytes = proto.authRoleGrantPermissionRequest.encode(request);
    expect(proto.authRoleGrantPermissionRequest.decode(bytes)).toEqual(request);
    const user = proto.authUserAddRequest.encode({ name: 'ü', options: { noPassword: true } });
    expect(proto.authUserAddRequest.decode(user)).toEqual({
      name: 'ü',
      password: '',
      hashedPassword: '',
      options: { noPassword: true },
    });
    expect(proto.authUserAddRequest.decode(Buffer.alloc(0)).options).toBeUndefined();
  });

  test('snapshot chunks, leader keys and health', () => {
    const blob = Buffer.alloc(40_000, 3);
    const chunk = proto.snapshotResponse.encode({ remainingBytes: 5, blob, version: '3.7' });
    expect(proto.snapshotResponse.decode(chunk)).toEqual({
      header: undefined,
      remainingBytes: 5,
      blob,
      version: '3.7',
    });
    const leader = { name: 'n', key: 'n/1', rev: 4, lease: -5n };
    const campaign = proto.campaignResponse.encode({ leader }, encodedHeader);
    expect(proto.campaignResponse.decode(campaign)).toEqual({ header, leader });
    const statuses = new Map([['', { status: proto.ServingStatus.SERVING }]]);
    const list = proto.healthListResponse.encode({ statuses });
    expect(proto.healthListResponse.decode(list).statuses).toEqual(statuses);
  });

  test('the generated code and the hot codec read the same KeyValue', () => {
    const kv = {
      key: 'k\xff',
      createRevision: 1,
      modRevision: 2 ** 53 - 1,
      version: 3,
      value: Buffer.from('v'),
      lease: -(2n ** 63n),
    };
    expect(proto.keyValue.encode(kv)).toEqual(proto.encodeKeyValue(kv));
    expect(proto.keyValue.decode(proto.encodeKeyValue(kv))).toEqual(kv);
  });
});
