/**
 * Random operations for the model-based test.
 *
 * Revisions are generated relative to the store, because the store of one run is as old as all
 * runs before it: 0 stays 0 (latest), n > 0 is n - 1 revisions back, -1 is one revision in the
 * future, -2 a negative revision. `resolve` turns them into real ones.
 */

import fc from 'fast-check';
import type {
  BranchOp,
  CompareOp,
  DeleteOp,
  PutOp,
  RangeOp,
  TxnOp,
  WatchOp,
} from './model-types.js';

/** One step of a run. */
export type Operation =
  | { readonly kind: 'range'; readonly request: RangeOp }
  | { readonly kind: 'put'; readonly request: PutOp }
  | { readonly kind: 'delete'; readonly request: DeleteOp }
  | { readonly kind: 'txn'; readonly request: TxnOp }
  | { readonly kind: 'compact'; readonly revision: number; readonly physical: boolean }
  | { readonly kind: 'grant'; readonly id: number; readonly ttl: number }
  | { readonly kind: 'revoke'; readonly id: number }
  | { readonly kind: 'time to live'; readonly id: number; readonly keys: boolean }
  | { readonly kind: 'keep alive'; readonly id: number }
  | { readonly kind: 'leases' }
  | { readonly kind: 'watch history'; readonly request: WatchOp }
  | { readonly kind: 'open watch'; readonly request: WatchOp };

// Few keys, so that operations meet; some that sort or end in unusual ways.
const keys = ['a', 'aa', 'ab', 'b', 'ba', 'c', 'a\0', '\0', '\xff', 'b\xff'] as const;
const key = fc.oneof(
  { weight: 60, arbitrary: fc.constantFrom(...keys) },
  { weight: 1, arbitrary: fc.constant('') },
);
const rangeEnd = fc.oneof(
  { weight: 4, arbitrary: fc.constant('') },
  { weight: 2, arbitrary: fc.constant('\0') },
  { weight: 4, arbitrary: fc.constantFrom('a', 'ab', 'b', 'c', 'd', 'b\xff') },
);
const value = fc.constantFrom('', '1', '2', '10', 'x\0y');
/** Small ids, so that grants, puts and revokes meet; -5 because negative ids are legal. */
export const leaseIds = [1, 2, 3, -5] as const;
const leaseId = fc.constantFrom(...leaseIds);
const maybeLease = fc.oneof(
  { weight: 5, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: leaseId },
);
const revision = fc.oneof(
  { weight: 8, arbitrary: fc.constant(0) },
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 12 }) },
  { weight: 1, arbitrary: fc.constantFrom(-1, -2) },
);
const filter = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 8 }) },
);
const limit = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 4 }) },
  { weight: 1, arbitrary: fc.constantFrom(-1, 100) },
);
const rarely = fc.oneof(
  { weight: 5, arbitrary: fc.constant(false) },
  { weight: 1, arbitrary: fc.constant(true) },
);

const plainRange: fc.Arbitrary<RangeOp> = fc.record({
  key,
  range_end: rangeEnd,
  limit,
  revision,
  sort_order: fc.integer({ min: 0, max: 2 }),
  serializable: fc.boolean(),
  keys_only: rarely,
  count_only: rarely,
  min_mod_revision: filter,
  max_mod_revision: filter,
  min_create_revision: filter,
  max_create_revision: filter,
});
const range: fc.Arbitrary<RangeOp> = fc
  .tuple(plainRange, fc.integer({ min: 0, max: 4 }))
  .map(([request, sort_target]) => ({ ...request, sort_target }));
const put: fc.Arbitrary<PutOp> = fc.record({
  key,
  value,
  lease: maybeLease,
  prev_kv: fc.boolean(),
  ignore_value: rarely,
  ignore_lease: rarely,
});
/** A put that is valid more often: most of a txn's puts must be. */
const plainPut: fc.Arbitrary<PutOp> = fc.record({ key, value, prev_kv: fc.boolean() });
const deleteRange: fc.Arbitrary<DeleteOp> = fc.record({
  key,
  range_end: rangeEnd,
  prev_kv: fc.boolean(),
});
// Inside a txn no range end that is below its key: etcd's duplicate check does not know \0.
const txnDelete: fc.Arbitrary<DeleteOp> = fc.record({
  key: fc.constantFrom(...keys),
  range_end: fc.constantFrom('', '', '\xff\xff'),
  prev_kv: fc.boolean(),
});
const compare: fc.Arbitrary<CompareOp> = fc
  .tuple(
    fc.integer({ min: 0, max: 4 }),
    fc.integer({ min: 0, max: 3 }),
    key,
    fc.constantFrom('', '', '', '\0', 'b', 'd'),
    fc.integer({ min: 0, max: 4 }),
    value,
  )
  .map(([target, result, of, range_end, number, text]) => {
    const base = { target, result, key: of, range_end };
    if (target === 0) return { ...base, version: number };
    if (target === 1) return { ...base, create_revision: number };
    if (target === 2) return { ...base, mod_revision: number };
    if (target === 3) return { ...base, value: text };
    return { ...base, lease: number };
  });

const branchOp = (nested: fc.Arbitrary<TxnOp> | undefined): fc.Arbitrary<BranchOp> =>
  fc.oneof(
    { weight: 4, arbitrary: plainPut.map((request_put) => ({ request_put })) },
    { weight: 1, arbitrary: put.map((request_put) => ({ request_put })) },
    { weight: 3, arbitrary: plainRange.map((request_range) => ({ request_range })) },
    {
      weight: 2,
      arbitrary: txnDelete.map((request_delete_range) => ({ request_delete_range })),
    },
    ...(nested === undefined
      ? []
      : [{ weight: 2, arbitrary: nested.map((request_txn) => ({ request_txn })) }]),
  );

const txnOf = (nested: fc.Arbitrary<TxnOp> | undefined): fc.Arbitrary<TxnOp> =>
  fc.record({
    compare: fc.array(compare, { maxLength: 2 }),
    success: fc.array(branchOp(nested), { maxLength: 3 }),
    failure: fc.array(branchOp(nested), { maxLength: 3 }),
  });
const txn = txnOf(txnOf(txnOf(undefined)));

const watch: fc.Arbitrary<WatchOp> = fc.record({
  key,
  range_end: fc.constantFrom('', '\0', '\0', 'b', 'd'),
  start_revision: fc.oneof(
    { weight: 10, arbitrary: fc.integer({ min: 1, max: 15 }) },
    { weight: 1, arbitrary: fc.constantFrom(-1, -2) },
  ),
  filters: fc.constantFrom<(readonly number[])[]>([], [], [], [0], [1], [0, 1]),
  prev_kv: fc.boolean(),
});

/** Any operation. */
export const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 8, arbitrary: range.map((request) => ({ kind: 'range' as const, request })) },
  { weight: 10, arbitrary: put.map((request) => ({ kind: 'put' as const, request })) },
  { weight: 4, arbitrary: deleteRange.map((request) => ({ kind: 'delete' as const, request })) },
  { weight: 10, arbitrary: txn.map((request) => ({ kind: 'txn' as const, request })) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('compact' as const),
      revision,
      physical: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('grant' as const),
      id: leaseId,
      ttl: fc.constantFrom(600, 600, 9_000_000_000, 9_000_000_001),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('revoke' as const), id: leaseId }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('time to live' as const),
      id: leaseId,
      keys: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('keep alive' as const), id: leaseId }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'leases' as const }) },
  { weight: 2, arbitrary: watch.map((request) => ({ kind: 'watch history' as const, request })) },
  { weight: 1, arbitrary: watch.map((request) => ({ kind: 'open watch' as const, request })) },
);

/** The operation with real revisions, given the store's current one. */
export function resolve(op: Operation, current: number): Operation {
  const at = (relative: number) => resolveRevision(relative, current);
  if (op.kind === 'range') return { ...op, request: resolveRange(op.request, at) };
  if (op.kind === 'txn') return { ...op, request: resolveTxn(op.request, at) };
  if (op.kind === 'compact') return { ...op, revision: at(op.revision) };
  if (op.kind === 'watch history') {
    return { ...op, request: { ...op.request, start_revision: at(op.request.start_revision) } };
  }
  return op;
}

function resolveRevision(relative: number, current: number): number {
  if (relative === 0) return 0;
  if (relative === -1) return current + 1;
  if (relative === -2) return -7;
  return Math.max(1, current - relative + 1);
}

function resolveRange(request: RangeOp, at: (relative: number) => number): RangeOp {
  return {
    ...request,
    revision: at(request.revision ?? 0),
    min_mod_revision: at(request.min_mod_revision ?? 0),
    max_mod_revision: at(request.max_mod_revision ?? 0),
    min_create_revision: at(request.min_create_revision ?? 0),
    max_create_revision: at(request.max_create_revision ?? 0),
  };
}

function resolveTxn(txnOp: TxnOp, at: (relative: number) => number): TxnOp {
  const branch = (ops: readonly BranchOp[] = []) =>
    ops.map((op) => {
      if (op.request_range) return { request_range: resolveRange(op.request_range, at) };
      if (op.request_txn) return { request_txn: resolveTxn(op.request_txn, at) };
      return op;
    });
  return {
    compare: (txnOp.compare ?? []).map((one) => ({
      ...one,
      ...(one.create_revision ? { create_revision: at(one.create_revision) } : {}),
      ...(one.mod_revision ? { mod_revision: at(one.mod_revision) } : {}),
    })),
    success: branch(txnOp.success),
    failure: branch(txnOp.failure),
  };
}
