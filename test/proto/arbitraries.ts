/** Random messages of the hot services, as our data. */
import fc from 'fast-check';
import {
  type Compare,
  type CompareUnion,
  compareOf,
  type KeyValue,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  type TxnRequest,
  type WatchCreateRequest,
} from '../../src/proto/index.js';

const edges = [0, 1, -1, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32, -(2 ** 31), 2 ** 53 - 1];

export const safeInt = fc.oneof(
  fc.constantFrom(...edges, -(2 ** 53 - 1)),
  fc.integer(),
  fc.maxSafeInteger(),
);
export const signedId = fc.oneof(
  fc.constantFrom(0n, 1n, -1n, 2n ** 32n, 2n ** 63n - 1n, -(2n ** 63n)),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
);
export const unsignedId = fc.oneof(
  fc.constantFrom(0n, 1n, 2n ** 63n, 2n ** 64n - 1n),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
export const bytes = fc
  .oneof(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ minLength: 120, maxLength: 300 }))
  .map((array) => Buffer.from(array));
export const key = bytes.map((buffer) => buffer.toString('latin1'));
const enumValue = fc.integer({ min: -1, max: 5 });

export const rangeRequest: fc.Arbitrary<RangeRequest> = fc.record({
  key,
  rangeEnd: key,
  limit: safeInt,
  revision: safeInt,
  sortOrder: enumValue,
  sortTarget: enumValue,
  serializable: fc.boolean(),
  keysOnly: fc.boolean(),
  countOnly: fc.boolean(),
  minModRevision: safeInt,
  maxModRevision: safeInt,
  minCreateRevision: safeInt,
  maxCreateRevision: safeInt,
});

export const putRequest: fc.Arbitrary<PutRequest> = fc.record({
  key,
  value: bytes,
  lease: signedId,
  prevKv: fc.boolean(),
  ignoreValue: fc.boolean(),
  ignoreLease: fc.boolean(),
});

export const deleteRangeRequest = fc.record({ key, rangeEnd: key, prevKv: fc.boolean() });

const unionMember = fc.constantFrom<CompareUnion>(
  'none',
  'version',
  'createRevision',
  'modRevision',
  'value',
  'lease',
);

export const compare: fc.Arbitrary<Compare> = fc
  .record({
    common: fc.record({ result: enumValue, target: enumValue, key, rangeEnd: key }),
    targetUnion: unionMember,
    number: safeInt,
    value: bytes,
    lease: signedId,
  })
  .map(({ common, targetUnion, number, value, lease }) => {
    const fields = { ...common, targetUnion };
    if (targetUnion === 'none') return compareOf(fields);
    if (targetUnion === 'value') return compareOf({ ...fields, value });
    if (targetUnion === 'lease') return compareOf({ ...fields, lease });
    return compareOf({ ...fields, [targetUnion]: number });
  });

export const txnRequest: fc.Arbitrary<TxnRequest> = fc.letrec<{
  readonly txn: TxnRequest;
  readonly op: RequestOp;
}>((tie) => ({
  txn: fc.record({
    compare: fc.array(compare, { maxLength: 3 }),
    success: fc.array(tie('op'), { maxLength: 3 }),
    failure: fc.array(tie('op'), { maxLength: 3 }),
  }),
  op: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant<RequestOp>({ type: 'none' }),
    fc.record({ type: fc.constant('range' as const), request: rangeRequest }),
    fc.record({ type: fc.constant('put' as const), request: putRequest }),
    fc.record({ type: fc.constant('deleteRange' as const), request: deleteRangeRequest }),
    fc.record({ type: fc.constant('txn' as const), request: tie('txn') }),
  ),
})).txn;

export const watchCreate: fc.Arbitrary<WatchCreateRequest> = fc.record({
  key,
  rangeEnd: key,
  startRevision: safeInt,
  progressNotify: fc.boolean(),
  filters: fc.array(enumValue, { maxLength: 4 }),
  prevKv: fc.boolean(),
  watchId: safeInt,
  fragment: fc.boolean(),
});

export const keyValue: fc.Arbitrary<KeyValue> = fc.record({
  key,
  createRevision: safeInt,
  modRevision: safeInt,
  version: safeInt,
  value: bytes,
  lease: signedId,
});
