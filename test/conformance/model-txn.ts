/** Txn requests of the model: what is refused by shape, and which branches are taken. */

import { inRange, type State, select } from './model-range.js';
import {
  type BranchOp,
  type CompareOp,
  failures,
  type ModelKv,
  type PutOp,
  Refusal,
  type TxnOp,
} from './model-types.js';

/** The largest number of operations at one level, as etcd's --max-txn-ops. */
const opsMax = 128;

/** Refuses what etcd refuses before a txn is proposed (C-1.7.1 to C-1.7.3). */
export function checkShape(txn: TxnOp): void {
  checkLevel(txn, opsMax);
  checkDuplicates(txn.success ?? []);
  checkDuplicates(txn.failure ?? []);
}

/** Refuses what etcd refuses in a put before it is proposed. */
export function checkPut(put: PutOp): void {
  if (put.key === '') throw new Refusal(failures.emptyKey);
  if (put.ignore_value && put.value) throw new Refusal(failures.valueProvided);
  if (put.ignore_lease && put.lease) throw new Refusal(failures.leaseProvided);
}

function checkLevel(txn: TxnOp, budget: number): void {
  const { compare = [], success = [], failure = [] } = txn;
  const widest = Math.max(compare.length, success.length, failure.length);
  if (widest > budget) throw new Refusal(failures.tooManyOps);
  for (const one of compare) if (one.key === '') throw new Refusal(failures.emptyKey);
  for (const op of [...success, ...failure]) {
    const keyed = op.request_range ?? op.request_delete_range;
    if (keyed !== undefined) {
      if (keyed.key === '') throw new Refusal(failures.emptyKey);
    } else if (op.request_put !== undefined) checkPut(op.request_put);
    else if (op.request_txn !== undefined) checkLevel(op.request_txn, budget - widest);
    else throw new Refusal(failures.keyNotFound);
  }
}

interface Touched {
  readonly puts: ReadonlySet<string>;
  readonly deletes: readonly (readonly [key: string, rangeEnd: string | undefined])[];
}

/**
 * Refuses a key that is put twice, or put and deleted. Nested txns come before the puts of their
 * own level, and a later nested txn may delete what an earlier one put: etcd looks only back.
 */
function checkDuplicates(branch: readonly BranchOp[]): Touched {
  const puts = new Set<string>();
  const deletes = branch.flatMap(({ request_delete_range: op }) =>
    op === undefined ? [] : [[op.key, op.range_end] as const],
  );
  const add = (key: string, alreadyFine: ReadonlySet<string>) => {
    const twice = puts.has(key) && !alreadyFine.has(key);
    if (twice || deletes.some(([from, end]) => inRange(key, from, end))) {
      throw new Refusal(failures.duplicateKey);
    }
    puts.add(key);
  };
  const none: ReadonlySet<string> = new Set();
  for (const { request_txn: nested } of branch) {
    if (nested === undefined) continue;
    const then = checkDuplicates(nested.success ?? []);
    const otherwise = checkDuplicates(nested.failure ?? []);
    for (const key of then.puts) add(key, none);
    // The branches of one nested txn exclude each other.
    for (const key of otherwise.puts) add(key, then.puts);
    deletes.push(...then.deletes, ...otherwise.deletes);
  }
  for (const { request_put: put } of branch) if (put !== undefined) add(put.key, none);
  return { puts, deletes };
}

/** A txn with its branches decided: the ops to run, nested ones decided as well. */
export interface Decided {
  readonly succeeded: boolean;
  readonly ops: readonly (BranchOp | { readonly nested: Decided })[];
}

/** Decides the whole tree on the state before the txn. */
export function decide(txn: TxnOp, state: State): Decided {
  const succeeded = (txn.compare ?? []).every((one) => holds(one, state));
  const taken = (succeeded ? txn.success : txn.failure) ?? [];
  return {
    succeeded,
    ops: taken.map((op) =>
      op.request_txn === undefined ? op : { nested: decide(op.request_txn, state) },
    ),
  };
}

const missing: Omit<ModelKv, 'key'> = {
  create_revision: 0,
  mod_revision: 0,
  version: 0,
  value: '',
  lease: 0,
};

function holds(compare: CompareOp, state: State): boolean {
  const found = select(state, compare.key, compare.range_end);
  if (found.length > 0) return found.every((kv) => holdsFor(compare, kv));
  return compare.target !== 3 && holdsFor(compare, { ...missing, key: compare.key });
}

function holdsFor(compare: CompareOp, kv: ModelKv): boolean {
  const pairs: readonly (readonly [string | number, string | number])[] = [
    [kv.version, compare.version ?? 0],
    [kv.create_revision, compare.create_revision ?? 0],
    [kv.mod_revision, compare.mod_revision ?? 0],
    [kv.value, compare.value ?? ''],
    [kv.lease, compare.lease ?? 0],
  ];
  const [actual, wanted] = pairs[compare.target] ?? [0, 0];
  if (compare.result === 0) return actual === wanted;
  if (compare.result === 1) return actual > wanted;
  if (compare.result === 2) return actual < wanted;
  return actual !== wanted;
}
