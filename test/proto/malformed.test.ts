/** What a hostile or broken client can send: only ProtoError may come out, and quickly (L-47). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as proto from '../../src/proto/index.js';
import * as arbitrary from './arbitraries.js';
import { decodeReference, encodeReference } from './reference.js';

const decoders: ReadonlyArray<(bytes: Buffer) => unknown> = [
  proto.decodeRangeRequest,
  proto.decodePutRequest,
  proto.decodeDeleteRangeRequest,
  proto.decodeTxnRequest,
  proto.decodeCompactionRequest,
  proto.decodeWatchRequest,
  proto.decodeLeaseGrantRequest,
  proto.decodeLeaseRevokeRequest,
  proto.decodeLeaseKeepAliveRequest,
  proto.decodeLeaseTimeToLiveRequest,
  proto.decodeLeaseCheckpoints,
  proto.decodeKeyValue,
  proto.decodeRangeResponse,
  proto.decodeRangeStreamResponse,
  proto.decodePutResponse,
  proto.decodeDeleteRangeResponse,
  proto.decodeTxnResponse,
  proto.decodeWatchResponse,
  proto.decodeLeaseGrantResponse,
  proto.decodeLeaseTimeToLiveResponse,
  proto.decodeLeaseLeasesResponse,
  proto.memberAddResponse.decode,
  proto.statusResponse.decode,
  proto.authUserAddRequest.decode,
  proto.authRoleGrantPermissionRequest.decode,
  proto.leaderResponse.decode,
  proto.healthListResponse.decode,
  proto.decodeReflectionRequest,
];

/** True if it decoded; a ProtoError is fine, anything else is the failure. */
function decodes(decode: (bytes: Buffer) => unknown, bytes: Buffer): boolean {
  try {
    decode(bytes);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(proto.ProtoError);
    return false;
  }
}

function varint(n: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, n);
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return [...bytes, Number(rest)];
}

/** `count` TxnRequests inside each other. */
function nestedTxn(count: number): Buffer {
  let inner = Buffer.alloc(0);
  for (let i = 0; i < count; i += 1) {
    const op = Buffer.concat([Buffer.of(0x22, ...varint(BigInt(inner.length))), inner]);
    inner = Buffer.concat([Buffer.of(0x12, ...varint(BigInt(op.length))), op]);
  }
  return inner;
}

describe('malformed input', () => {
  test('random bytes never do more than throw ProtoError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (array) => {
        for (const decode of decoders) decodes(decode, Buffer.from(array));
      }),
      { numRuns: 500 },
    );
  });

  test('mutated and cut messages never do more than throw ProtoError', () => {
    const message = fc.oneof(
      arbitrary.txnRequest.map(proto.encodeTxnRequest),
      arbitrary.watchCreate.map(proto.encodeWatchCreateRequest),
      arbitrary.keyValue.map(proto.encodeKeyValue),
    );
    const change = fc.record({ at: fc.nat(), to: fc.nat({ max: 255 }) });
    fc.assert(
      fc.property(message, fc.array(change, { maxLength: 4 }), fc.nat(), (bytes, changes, cut) => {
        for (const { at, to } of changes) if (bytes.length > 0) bytes[at % bytes.length] = to;
        for (const decode of decoders) {
          decodes(decode, bytes);
          decodes(decode, bytes.subarray(0, cut % (bytes.length + 1)));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('accepts the same mutated txns as protobufjs, and reads the same from them', () => {
    const change = fc.record({ at: fc.nat(), to: fc.nat({ max: 255 }) });
    let accepted = 0;
    fc.assert(
      fc.property(arbitrary.putRequest, change, (request, { at, to }) => {
        const bytes = proto.encodePutRequest(request);
        if (bytes.length > 0) bytes[at % bytes.length] = to;
        let decoded: proto.PutRequest;
        try {
          decoded = proto.decodePutRequest(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(proto.ProtoError);
          return;
        }
        accepted += 1;
        const expected = decodeReference('etcdserverpb.PutRequest', bytes);
        expect(decoded).toEqual({
          key: expected.key,
          value: Buffer.from(String(expected.value), 'latin1'),
          lease: expected.lease,
          prevKv: expected.prev_kv,
          ignoreValue: expected.ignore_value,
          ignoreLease: expected.ignore_lease,
        });
      }),
      { numRuns: 500 },
    );
    expect(accepted).toBeGreaterThan(0);
  });

  test.each([
    ['truncated varint', [0x18, 0x80]],
    ['varint of 11 bytes', [0x18, ...Array<number>(10).fill(0x80), 0]],
    ['varint above 64 bits', [0x18, ...Array<number>(9).fill(0xff), 2]],
    ['length behind the end', [0x0a, 5, 1, 2]],
    ['length of 2^63', [0x0a, ...varint(1n << 63n)]],
    ['negative length', [0x0a, ...varint(-1n)]],
    ['field number 0', [0x00, 1]],
    ['field number above 2^29-1', [...varint(1n << 32n), 1]],
    ['wire type 6', [0x0e, 1]],
    ['wire type 7', [0x0f, 1]],
    ['end of a group that was not started', [0x7c]],
    ['group that does not end', [0x7b, 0x08, 1]],
    ['group that ends with another number', [0x7b, 0x08, 1, 0x74]],
    ['truncated fixed64', [0x79, 1, 2, 3]],
    ['truncated fixed32', [0x7d, 1, 2, 3]],
  ])('rejects a %s', (_what, bytes) => {
    expect(() => proto.decodePutRequest(Buffer.from(bytes))).toThrow(proto.ProtoError);
  });

  test('skips unknown fields of every kind, and known numbers with another wire type', () => {
    const unknown = [
      [0x78, ...varint(-1n)],
      [0x79, 1, 2, 3, 4, 5, 6, 7, 8],
      [0x7a, 2, 9, 9],
      [0x7b, 0x0a, 1, 1, 0x7b, 0x08, 1, 0x7c, 0x7c],
      [0x7d, 1, 2, 3, 4],
      [...varint(((1n << 29n) - 1n) << 3n), 1],
      [0x08, 7], // `key` as a varint
    ].flat();
    const bytes = Buffer.from([...unknown, 0x0a, 1, 0x6b, ...unknown]);
    expect(proto.decodePutRequest(bytes).key).toBe('k');
  });

  test('reads varints padded to ten bytes', () => {
    const padded = [0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00];
    expect(proto.decodeCompactionRequest(Buffer.from([0x08, ...padded])).revision).toBe(1);
    expect(proto.decodeCompactionRequest(Buffer.from([0x88, 0x80, 0, 5])).revision).toBe(5);
  });

  test('accepts the allowed nesting of txns, rejects more, and 10 000 without overflow', () => {
    const levels = proto.nestingMax / 2;
    expect(decodes(proto.decodeTxnRequest, nestedTxn(levels))).toBe(true);
    expect(decodes(proto.decodeTxnRequest, nestedTxn(levels + 1))).toBe(false);
    expect(decodes(proto.decodeTxnRequest, nestedTxn(10_000))).toBe(false);
    const groups = Buffer.alloc(100_000, 0x7b);
    expect(decodes(proto.decodePutRequest, groups)).toBe(false);
  });

  test('merging a member that comes again and again takes linear time', () => {
    const compares = Buffer.alloc(200_000, Buffer.of(0x0a, 0));
    const first = Buffer.concat([Buffer.of(0x22, ...varint(BigInt(compares.length))), compares]);
    const op = Buffer.concat([first, Buffer.alloc(1_000_000, Buffer.of(0x22, 0))]);
    const bytes = Buffer.concat([Buffer.of(0x12, ...varint(BigInt(op.length))), op]);
    const [only] = proto.decodeTxnRequest(bytes).success;
    expect(only?.type === 'txn' && only.request.compare.length).toBe(100_000);
  });
});

describe('merging', () => {
  test('the last scalar wins, in messages and in oneofs', () => {
    const compare = [0x20, 5, 0x3a, 1, 0x61, 0x30, 9];
    const bytes = Buffer.from([0x0a, compare.length, ...compare]);
    expect(proto.decodeTxnRequest(bytes).compare).toEqual([
      proto.compareOf({ targetUnion: 'modRevision', modRevision: 9 }),
    ]);
    expect(proto.decodePutRequest(Buffer.from([0x0a, 1, 0x61, 0x0a, 1, 0x62])).key).toBe('b');
  });

  test('a union member with a zero value is set', () => {
    const [compare] = proto.decodeTxnRequest(Buffer.from([0x0a, 2, 0x40, 0])).compare;
    expect(compare?.targetUnion).toBe('lease');
  });

  test('concatenated messages are merged as by protobufjs', () => {
    const put = encodeReference('etcdserverpb.RequestOp', { request_put: { lease: 5 } });
    const put2 = encodeReference('etcdserverpb.RequestOp', {
      request_put: { key: Buffer.from('k') },
    });
    const range = encodeReference('etcdserverpb.RequestOp', { request_range: { limit: 3 } });
    const op = (...parts: Buffer[]): proto.RequestOp | undefined => {
      const body = Buffer.concat(parts);
      return proto.decodeTxnRequest(Buffer.concat([Buffer.of(0x12, body.length), body])).success[0];
    };
    expect(op(put, put2)).toMatchObject({ type: 'put', request: { key: 'k', lease: 5n } });
    expect(op(put, range)).toMatchObject({ type: 'range', request: { limit: 3 } });
    expect(op(put, range, put2)).toMatchObject({ type: 'put', request: { lease: 0n } });
  });

  test('watch filters may be packed, single or both', () => {
    const create = [0x2a, 2, 0, 1, 0x28, 1];
    const bytes = Buffer.from([0x0a, create.length, ...create]);
    expect(proto.decodeWatchRequest(bytes)).toMatchObject({ filters: [0, 1, 1] });
  });
});

describe('64-bit numbers', () => {
  const max = 2 ** 53 - 1;
  test.each([
    [2n ** 53n - 1n, max],
    [2n ** 53n, max],
    [2n ** 53n + 1n, max],
    [2n ** 63n - 1n, max],
    [-1n, -1],
    [-(2n ** 53n) + 1n, -max],
    [-(2n ** 53n), -max],
    [-(2n ** 53n) - 1n, -max],
    [-(2n ** 63n), -max],
    [2n ** 32n, 2 ** 32],
    [-(2n ** 32n), -(2 ** 32)],
  ])('int64 %s saturates to %s', (wireValue, expected) => {
    const bytes = Buffer.from([0x08, ...varint(wireValue)]);
    expect(proto.decodeCompactionRequest(bytes).revision).toBe(expected);
    const cold = proto.hashKvRequest.decode(bytes);
    expect(cold.revision).toBe(expected);
  });

  test('ids keep all 64 bits, signed for leases and unsigned for members', () => {
    for (const id of [0n, 1n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
      const bytes = Buffer.from([0x08, ...varint(id)]);
      expect(proto.decodeLeaseRevokeRequest(bytes).id).toBe(id);
      expect(proto.memberRemoveRequest.decode(bytes).id).toBe(BigInt.asUintN(64, id));
    }
  });

  test('only safe integers can be encoded', () => {
    for (const revision of [0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
      expect(() => proto.encodeCompactionRequest({ revision, physical: false })).toThrow();
    }
  });
});

test('strings must be UTF-8, as in Go', () => {
  const name = Buffer.from([0x0a, 2, 0xc3, 0x28]);
  expect(() => proto.authUserGetRequest.decode(name)).toThrow(proto.ProtoError);
  expect(() => proto.decodeWatchResponse(Buffer.from([0x32, 1, 0xff]))).toThrow(proto.ProtoError);
});
