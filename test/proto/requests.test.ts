/** Hand-written request codecs against protobufjs on the same .proto files. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as proto from '../../src/proto/index.js';
import * as arbitrary from './arbitraries.js';
import { encodeReference } from './reference.js';
import { wire, wireTxn } from './wire-names.js';

/** Encoders give the reference's bytes, and decoders give back what was encoded. */
function agrees<T extends object>(
  name: string,
  values: fc.Arbitrary<T>,
  encode: (value: T) => Buffer,
  decode: (bytes: Buffer) => T,
  toWire: (value: T) => object = wire,
): void {
  test(`${name}: same bytes as protobufjs, and back`, () => {
    fc.assert(
      fc.property(values, (value) => {
        const expected = encodeReference(`etcdserverpb.${name}`, toWire(value));
        expect(encode(value).toString('hex')).toBe(expected.toString('hex'));
        expect(decode(expected)).toEqual(value);
      }),
      { numRuns: 300 },
    );
  });
}

describe('requests', () => {
  agrees(
    'RangeRequest',
    arbitrary.rangeRequest,
    proto.encodeRangeRequest,
    proto.decodeRangeRequest,
  );
  test('a request for a range has nothing but its keys, unless more is said', () => {
    expect(proto.encodeRangeRequest(proto.rangeOf('a'))).toEqual(Buffer.from([0x0a, 1, 0x61]));
    const bytes = proto.encodeRangeRequest(proto.rangeOf('a', 'b'));
    expect(bytes).toEqual(Buffer.from([0x0a, 1, 0x61, 0x12, 1, 0x62]));
    expect(proto.decodeRangeRequest(bytes)).toEqual(proto.rangeOf('a', 'b'));
    expect(proto.rangeOf('a')).not.toBe(proto.rangeOf('a'));
  });
  agrees('PutRequest', arbitrary.putRequest, proto.encodePutRequest, proto.decodePutRequest);
  agrees(
    'DeleteRangeRequest',
    arbitrary.deleteRangeRequest,
    proto.encodeDeleteRangeRequest,
    proto.decodeDeleteRangeRequest,
  );
  agrees(
    'TxnRequest',
    arbitrary.txnRequest,
    proto.encodeTxnRequest,
    proto.decodeTxnRequest,
    wireTxn,
  );
  agrees(
    'CompactionRequest',
    fc.record({ revision: arbitrary.safeInt, physical: fc.boolean() }),
    proto.encodeCompactionRequest,
    proto.decodeCompactionRequest,
  );
  agrees(
    'WatchRequest',
    arbitrary.watchCreate.map((create) => ({ type: 'create' as const, ...create })),
    proto.encodeWatchCreateRequest,
    (bytes) => {
      const request = proto.decodeWatchRequest(bytes);
      if (request.type !== 'create') throw new Error(request.type);
      return request;
    },
    ({ type: _type, ...create }) => ({ create_request: wire(create) }),
  );
  agrees(
    'LeaseGrantRequest',
    fc.record({ ttlSeconds: arbitrary.safeInt, id: arbitrary.signedId }),
    proto.encodeLeaseGrantRequest,
    proto.decodeLeaseGrantRequest,
    ({ ttlSeconds, id }) => ({ TTL: ttlSeconds, ID: id }),
  );
  agrees(
    'LeaseTimeToLiveRequest',
    fc.record({ id: arbitrary.signedId, keys: fc.boolean() }),
    proto.encodeLeaseTimeToLiveRequest,
    proto.decodeLeaseTimeToLiveRequest,
    ({ id, keys }) => ({ ID: id, keys }),
  );
  agrees(
    'LeaseRevokeRequest',
    fc.record({ id: arbitrary.signedId }),
    proto.encodeLeaseRevokeRequest,
    proto.decodeLeaseRevokeRequest,
    ({ id }) => ({ ID: id }),
  );
  agrees(
    'LeaseKeepAliveRequest',
    fc.record({ id: arbitrary.signedId }),
    proto.encodeLeaseKeepAliveRequest,
    proto.decodeLeaseKeepAliveRequest,
    ({ id }) => ({ ID: id }),
  );

  test('watch cancel and progress requests', () => {
    fc.assert(
      fc.property(arbitrary.safeInt, (watchId) => {
        const bytes = encodeReference('etcdserverpb.WatchRequest', {
          cancel_request: { watch_id: watchId },
        });
        expect(proto.encodeWatchCancelRequest(watchId)).toEqual(bytes);
        expect(proto.decodeWatchRequest(bytes)).toEqual({ type: 'cancel', watchId });
      }),
    );
    expect(proto.decodeWatchRequest(proto.encodeWatchProgressRequest())).toEqual({
      type: 'progress',
    });
    expect(proto.decodeWatchRequest(Buffer.alloc(0))).toEqual({ type: 'none' });
  });

  test('lease checkpoints', () => {
    const checkpoint = fc.record({
      id: arbitrary.signedId,
      remainingTtlSeconds: arbitrary.safeInt,
    });
    fc.assert(
      fc.property(fc.array(checkpoint, { maxLength: 4 }), (checkpoints) => {
        const bytes = encodeReference('etcdserverpb.LeaseCheckpointRequest', {
          checkpoints: checkpoints.map((each) => ({
            ID: each.id,
            remaining_TTL: each.remainingTtlSeconds,
          })),
        });
        expect(proto.encodeLeaseCheckpoints(checkpoints)).toEqual(bytes);
        expect(proto.decodeLeaseCheckpoints(bytes)).toEqual(checkpoints);
      }),
    );
  });
});
