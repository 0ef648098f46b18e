/** Spliced replies against protobufjs on the same .proto files. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as proto from '../../src/proto/index.js';
import * as arbitrary from './arbitraries.js';
import { encodeReference } from './reference.js';
import { wireKeyValue } from './wire-names.js';

const header = fc.record({
  clusterId: arbitrary.unsignedId,
  memberId: arbitrary.unsignedId,
  revision: arbitrary.safeInt.filter((n) => n >= 0),
  raftTerm: arbitrary.safeInt.filter((n) => n >= 0),
});
type Header = proto.ResponseHeader;

const encodedHeader = (h: Header): Buffer =>
  new proto.HeaderEncoder(h.clusterId, h.memberId).header(h.revision, h.raftTerm);
const wireHeader = (h: Header): object => ({
  cluster_id: h.clusterId,
  member_id: h.memberId,
  revision: h.revision,
  raft_term: h.raftTerm,
});
const hex = (parts: readonly Uint8Array[]): string => Buffer.concat(parts).toString('hex');
const referenceHex = (name: string, value: object): string =>
  encodeReference(`etcdserverpb.${name}`, value).toString('hex');
const keyValues = fc.array(arbitrary.keyValue, { maxLength: 5 });
const encodedKeyValues = (kvs: readonly proto.KeyValue[]): Buffer[] =>
  kvs.map(proto.encodeKeyValue);

describe('replies', () => {
  test('KeyValue: same bytes as protobufjs, and back', () => {
    fc.assert(
      fc.property(arbitrary.keyValue, (kv) => {
        const expected = encodeReference('mvccpb.KeyValue', wireKeyValue(kv));
        expect(proto.encodeKeyValue(kv)).toEqual(expected);
        expect(proto.decodeKeyValue(expected)).toEqual(kv);
      }),
    );
  });

  test('HeaderEncoder answers for each revision and term it is asked for', () => {
    const encoder = new proto.HeaderEncoder(2n ** 64n - 1n, 1n);
    for (const [revision, raftTerm] of [
      [5, 2],
      [5, 2],
      [6, 2],
      [6, 3],
      [0, 3],
      [0, 0],
    ] as const) {
      const decoded = proto.decodeOnlyHeader(encoder.header(revision, raftTerm));
      expect(decoded).toEqual({
        clusterId: 2n ** 64n - 1n,
        memberId: 1n,
        revision,
        raftTerm,
      });
    }
  });

  test('RangeResponse and RangeStreamResponse', () => {
    fc.assert(
      fc.property(header, keyValues, fc.boolean(), fc.nat(), (h, kvs, more, count) => {
        const result = { kvs: encodedKeyValues(kvs), more, count };
        const response = { header: wireHeader(h), kvs: kvs.map(wireKeyValue), more, count };
        const parts = proto.encodeRangeResponse(encodedHeader(h), result);
        expect(hex(parts)).toBe(referenceHex('RangeResponse', response));
        expect(proto.rangeResponseBytes(encodedHeader(h), result)).toBe(hex(parts).length / 2);
        expect(proto.decodeRangeResponse(Buffer.concat(parts))).toEqual({
          header: h,
          kvs,
          more,
          count,
        });
        const chunk = proto.encodeRangeStreamResponse(encodedHeader(h), result);
        expect(hex(chunk)).toBe(referenceHex('RangeStreamResponse', { range_response: response }));
        expect(proto.decodeRangeStreamResponse(Buffer.concat(chunk)).kvs).toEqual(kvs);
      }),
    );
  });

  test('big values are passed on by reference, long lists in pieces', () => {
    const big = proto.encodeKeyValue({
      key: 'big',
      createRevision: 2,
      modRevision: 2,
      version: 1,
      value: Buffer.alloc(100_000, 7),
      lease: 0n,
    });
    const small = proto.encodeKeyValue({ ...proto.decodeKeyValue(big), value: Buffer.alloc(300) });
    for (const kvs of [[big], [small, big, small], Array.from({ length: 2000 }, () => small)]) {
      const result = { kvs, more: true, count: kvs.length };
      const head = new proto.HeaderEncoder(1n, 2n).header(9, 3);
      const parts = proto.encodeRangeResponse(head, result);
      expect(parts.includes(big)).toBe(kvs.includes(big));
      const decoded = proto.decodeRangeResponse(Buffer.concat(parts));
      expect(hex(decoded.kvs.map(proto.encodeKeyValue))).toBe(hex(kvs));
      expect(decoded.header?.revision).toBe(9);
      expect(proto.rangeResponseBytes(head, result)).toBe(Buffer.concat(parts).length);
    }
  });

  test('PutResponse and DeleteRangeResponse', () => {
    fc.assert(
      fc.property(header, keyValues, fc.nat(), (h, kvs, deleted) => {
        const [first] = kvs;
        const put = proto.encodePutResponse(
          encodedHeader(h),
          first === undefined ? undefined : proto.encodeKeyValue(first),
        );
        const prev = first === undefined ? {} : { prev_kv: wireKeyValue(first) };
        expect(put.toString('hex')).toBe(
          referenceHex('PutResponse', { header: wireHeader(h), ...prev }),
        );
        expect(proto.decodePutResponse(put)).toEqual({ header: h, prevKv: first });
        const parts = proto.encodeDeleteRangeResponse(
          encodedHeader(h),
          deleted,
          encodedKeyValues(kvs),
        );
        expect(hex(parts)).toBe(
          referenceHex('DeleteRangeResponse', {
            header: wireHeader(h),
            deleted,
            prev_kvs: kvs.map(wireKeyValue),
          }),
        );
        expect(proto.decodeDeleteRangeResponse(Buffer.concat(parts)).prevKvs).toEqual(kvs);
      }),
    );
  });

  test('TxnResponse: nested headers have just the revision, a nested txn an empty one', () => {
    fc.assert(
      fc.property(header, keyValues, fc.boolean(), fc.nat(), (h, kvs, flag, revision) => {
        const encoded = encodedKeyValues(kvs);
        const inner: proto.ResponseOpResult[] = [
          { type: 'range', revision, kvs: encoded, more: flag, count: kvs.length },
          { type: 'put', revision, prevKv: encoded[0] },
          { type: 'deleteRange', revision, deleted: kvs.length, prevKvs: encoded },
        ];
        const wireInner = [
          {
            response_range: {
              header: { revision },
              kvs: kvs.map(wireKeyValue),
              more: flag,
              count: kvs.length,
            },
          },
          {
            response_put: {
              header: { revision },
              ...(kvs[0] === undefined ? {} : { prev_kv: wireKeyValue(kvs[0]) }),
            },
          },
          {
            response_delete_range: {
              header: { revision },
              deleted: kvs.length,
              prev_kvs: kvs.map(wireKeyValue),
            },
          },
        ];
        const parts = proto.encodeTxnResponse({
          header: encodedHeader(h),
          succeeded: flag,
          responses: [...inner, { type: 'txn', succeeded: !flag, responses: inner }],
        });
        const expected = {
          header: wireHeader(h),
          succeeded: flag,
          responses: [
            ...wireInner,
            { response_txn: { header: {}, succeeded: !flag, responses: wireInner } },
          ],
        };
        expect(hex(parts)).toBe(referenceHex('TxnResponse', expected));
        const decoded = proto.decodeTxnResponse(Buffer.concat(parts));
        const last = decoded.responses[3];
        expect(decoded.header).toEqual(h);
        expect(last?.type === 'txn' && last.response.responses.length).toBe(3);
        expect(decoded.responses[0]).toMatchObject({
          type: 'range',
          response: { kvs, header: { clusterId: 0n, revision } },
        });
      }),
    );
  });

  test('WatchResponse: shared events behind the fields of each watcher', () => {
    const fields = fc.record({
      watchId: arbitrary.safeInt,
      created: fc.boolean(),
      canceled: fc.boolean(),
      compactRevision: fc.nat(),
      cancelReason: fc.string({ unit: 'binary' }),
      fragment: fc.boolean(),
    });
    const events = fc.array(
      fc.record({
        deleted: fc.boolean(),
        kv: arbitrary.keyValue,
        prevKv: fc.option(arbitrary.keyValue, { nil: undefined }),
      }),
      { maxLength: 4 },
    );
    fc.assert(
      fc.property(header, fields, events, (h, f, list) => {
        const encoded = list.map(({ deleted, kv, prevKv }) =>
          proto.encodeEvent(
            deleted ? 'delete' : 'put',
            proto.encodeKeyValue(kv),
            prevKv === undefined ? undefined : proto.encodeKeyValue(prevKv),
          ),
        );
        const parts = proto.encodeWatchResponse({ header: encodedHeader(h), ...f }, encoded);
        const expected = {
          header: wireHeader(h),
          watch_id: f.watchId,
          created: f.created,
          canceled: f.canceled,
          compact_revision: f.compactRevision,
          cancel_reason: f.cancelReason,
          fragment: f.fragment,
          events: list.map(({ deleted, kv, prevKv }) => ({
            type: deleted ? 1 : 0,
            kv: wireKeyValue(kv),
            ...(prevKv === undefined ? {} : { prev_kv: wireKeyValue(prevKv) }),
          })),
        };
        expect(hex(parts)).toBe(referenceHex('WatchResponse', expected));
        expect(proto.decodeWatchResponse(Buffer.concat(parts))).toEqual({
          header: h,
          ...f,
          events: list.map(({ deleted, kv, prevKv }) => ({ type: deleted ? 1 : 0, kv, prevKv })),
        });
      }),
    );
  });

  test('lease replies', () => {
    const keys = fc.array(arbitrary.key, { maxLength: 5 });
    const ttl = arbitrary.safeInt;
    fc.assert(
      fc.property(header, arbitrary.signedId, ttl, keys, (h, id, ttlSeconds, list) => {
        const head = encodedHeader(h);
        const grant = proto.encodeLeaseGrantResponse(head, id, ttlSeconds);
        const common = { header: wireHeader(h), ID: id, TTL: ttlSeconds };
        expect(grant.toString('hex')).toBe(referenceHex('LeaseGrantResponse', common));
        const decoded = { header: h, id, ttlSeconds };
        expect(proto.decodeLeaseGrantResponse(grant)).toEqual({ ...decoded, error: '' });
        const alive = proto.encodeLeaseKeepAliveResponse(head, id, ttlSeconds);
        expect(alive.toString('hex')).toBe(referenceHex('LeaseKeepAliveResponse', common));
        expect(proto.decodeLeaseKeepAliveResponse(alive)).toEqual(decoded);
        const lease = { id, ttlSeconds, grantedTtlSeconds: 60, keys: list };
        const left = proto.encodeLeaseTimeToLiveResponse(head, lease);
        expect(hex(left)).toBe(
          referenceHex('LeaseTimeToLiveResponse', {
            ...common,
            grantedTTL: 60,
            keys: list.map((key) => Buffer.from(key, 'latin1')),
          }),
        );
        expect(proto.decodeLeaseTimeToLiveResponse(Buffer.concat(left))).toEqual({
          header: h,
          ...lease,
        });
        const leases = proto.encodeLeaseLeasesResponse(head, [id, 1n]);
        expect(hex(leases)).toBe(
          referenceHex('LeaseLeasesResponse', {
            header: wireHeader(h),
            leases: [{ ID: id }, { ID: 1n }],
          }),
        );
        expect(proto.decodeLeaseLeasesResponse(Buffer.concat(leases)).leases).toEqual([id, 1n]);
      }),
    );
  });

  test('an encoder that throws half-way leaves nothing behind', () => {
    const bad = { key: 'x', value: Buffer.from('abc'), limit: 0.5 };
    expect(() => proto.encodeRangeRequest(bad)).toThrow();
    expect(proto.encodeRangeRequest({ key: 'y' })).toEqual(Buffer.from([0x0a, 1, 0x79]));
  });
});
