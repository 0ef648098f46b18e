/** Our data as the objects that protobufjs takes: names of the .proto files, oneofs by member. */
import type { Compare, KeyValue, RequestOp, TxnRequest } from '../../src/proto/index.js';

/** Snake-cases names and turns keys into bytes; values, numbers and ids stay as they are. */
export function wire(value: object): Record<string, unknown> {
  const into: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) into[snake(name)] = wireValue(field);
  return into;
}

export function wireTxn(txn: TxnRequest): object {
  return {
    compare: txn.compare.map(wireCompare),
    success: txn.success.map(wireOp),
    failure: txn.failure.map(wireOp),
  };
}

export function wireKeyValue(kv: KeyValue): object {
  return wire(kv);
}

function wireCompare(compare: Compare): object {
  const { targetUnion, version, createRevision, modRevision, value, lease, ...common } = compare;
  const members = { version, createRevision, modRevision, value, lease };
  if (targetUnion === 'none') return wire(common);
  return wire({ ...common, [targetUnion]: members[targetUnion] });
}

function wireOp(op: RequestOp): object {
  switch (op.type) {
    case 'range':
      return { request_range: wire(op.request) };
    case 'put':
      return { request_put: wire(op.request) };
    case 'deleteRange':
      return { request_delete_range: wire(op.request) };
    case 'txn':
      return { request_txn: wireTxn(op.request) };
    case 'none':
      return {};
  }
}

function wireValue(field: unknown): unknown {
  if (typeof field === 'string') return Buffer.from(field, 'latin1');
  return field;
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
