/** What code of the client looks like: views, transactions, and what is owned. */

import {
  bare,
  initOf,
  methodOf,
  type Node,
  type RuleContext,
  receiverOf,
  variableOf,
} from './syntax.js';

/** Methods of a view that give another view. */
const narrowing: ReadonlySet<string> = new Set(['namespace', 'as', 'typed']);
const stages: ReadonlySet<string> = new Set(['if', 'then', 'else']);
/** Methods that give something owned, with a fence. */
const acquiring: ReadonlySet<string> = new Set([
  ...['acquire', 'tryAcquire', 'campaign', 'enter', 'read', 'write', 'tryRead', 'tryWrite'],
]);

/** A view of the store: `kv`, `client.kv`, `userKv`, `client.kv.namespace('x').as(text)`. */
export function isView(context: RuleContext, given: Node | undefined): boolean {
  const node = bare(given);
  if (node === undefined) return false;
  if (node.type === 'MemberExpression') return node.property?.name === 'kv';
  if (narrowing.has(methodOf(node) ?? '')) return isView(context, receiverOf(node));
  if (node.type !== 'Identifier' || node.name === undefined) return false;
  if (/^kv$|Kv$/.test(node.name)) return true;
  const init = initOf(variableOf(context, node));
  return init !== undefined && init !== node && isView(context, init);
}

/** The calls of a transaction, from `txn()` on; undefined: it is none. */
export function txnChain(given: Node | undefined): readonly Node[] | undefined {
  const node = bare(given);
  const name = methodOf(node);
  if (node === undefined || name === undefined) return undefined;
  if (name === 'txn') return [node];
  if (!stages.has(name) && name !== 'commit' && name !== 'asOp') return undefined;
  const before = txnChain(receiverOf(node));
  return before === undefined ? undefined : [...before, node];
}

/** Whether the transaction of the chain has been sent, or made part of another. */
export function isUsed(chain: readonly Node[]): boolean {
  return chain.some((call) => ['commit', 'asOp'].includes(methodOf(call) ?? ''));
}

/** True for `await lock.acquire(session)` and its like. */
export function isAcquiring(init: Node | undefined): boolean {
  const node = bare(init);
  return (
    node !== undefined && acquiring.has(methodOf(node) ?? '') && (node.arguments ?? []).length > 0
  );
}
