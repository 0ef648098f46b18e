import fc from 'fast-check';
import Long from 'long';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { crc32c } from '../../../src/common/crc32c.js';
import { decodeRecord, encodeRecord, recordValue } from '../../../src/storage/index.js';
import { recordSize } from '../../../src/storage/schema/key-value.js';

const reference = protobuf
  .parse(`syntax = "proto3";
    message KeyValue {
      bytes key = 1; int64 create_revision = 2; int64 mod_revision = 3;
      int64 version = 4; bytes value = 5; int64 lease = 6;
    }`)
  .root.lookupType('KeyValue');

const number = fc.oneof(
  fc.constantFrom(0, 1, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 35, Number.MAX_SAFE_INTEGER),
  fc.maxSafeNat(),
);
const fields = fc.record({
  key: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  createRevision: number,
  modRevision: number,
  version: number,
  value: fc.uint8Array({ maxLength: 400 }),
  lease: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
});

describe('the KeyValue record', () => {
  it('has the bytes that protobuf gives', () => {
    fc.assert(
      fc.property(fields, (kv) => {
        const encoded = encodeRecord(kv);
        const long = (n: number | bigint) => Long.fromString(n.toString());
        const expected = reference
          .encode({
            ...(kv.key === '' ? {} : { key: Buffer.from(kv.key, 'latin1') }),
            ...(kv.createRevision === 0 ? {} : { createRevision: long(kv.createRevision) }),
            ...(kv.modRevision === 0 ? {} : { modRevision: long(kv.modRevision) }),
            ...(kv.version === 0 ? {} : { version: long(kv.version) }),
            ...(kv.value.length === 0 ? {} : { value: kv.value }),
            ...(kv.lease === 0n ? {} : { lease: long(kv.lease) }),
          })
          .finish();
        expect(encoded.equals(expected)).toBe(true);
        const size = recordSize(
          kv.key.length,
          kv.createRevision,
          kv.modRevision,
          kv.version,
          kv.value.length,
          kv.lease,
        );
        expect(size).toBe(encoded.length);
        const back = decodeRecord(encoded);
        expect({ ...back, value: Buffer.from(back.value) }).toEqual({
          ...kv,
          value: Buffer.from(kv.value),
        });
        expect(Buffer.compare(recordValue(encoded), kv.value)).toBe(0);
      }),
      { numRuns: 1000 },
    );
  });

  it('has the bytes of a golden example', () => {
    const encoded = encodeRecord({
      key: 'foo',
      createRevision: 2,
      modRevision: 300,
      version: 4,
      value: Buffer.from('bar'),
      lease: -1n,
    });
    expect(encoded.toString('hex')).toBe(
      '0a03666f6f1002' + '18ac02' + '2004' + '2a03626172' + '30ffffffffffffffffff01',
    );
  });

  it('is refused when it is cut short or has a field that nobody wrote', () => {
    const encoded = encodeRecord({
      key: 'foo',
      createRevision: 2,
      modRevision: 2,
      version: 1,
      value: Buffer.from('bar'),
      lease: 0n,
    });
    expect(() => decodeRecord(encoded.subarray(0, -1))).toThrow('cut short');
    expect(() => decodeRecord(Buffer.from([0x3a, 0]))).toThrow('unknown field');
  });
});

describe('CRC-32C', () => {
  it('gives the check value of the standard and the vectors of RFC 3720', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
    expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
    expect(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i)))).toBe(0x46dd794e);
  });

  it('can be computed in pieces', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat({ max: 100 }), (bytes, cut) => {
        const at = Math.min(cut, bytes.length);
        const pieces = crc32c(bytes.subarray(at), crc32c(bytes.subarray(0, at)));
        expect(pieces).toBe(crc32c(bytes));
        expect(crc32c(bytes, crc32c(bytes, 0, 0, at), at)).toBe(crc32c(bytes));
      }),
    );
  });
});
