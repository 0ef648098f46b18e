/** Answers of the KV service, as etcdctl shows them; and for people. */

import {
  type DeleteRangeResponse,
  decodeDeleteRangeResponse,
  decodePutResponse,
  decodeRangeResponse,
  decodeTxnResponse,
  type PutResponse,
  type RangeResponse,
  type ResponseOp,
} from '../../proto/index.js';
import { fieldLine, headerFields, headerOf, type Paint, type Shown } from '../print/index.js';
import { type KvStyle, keyValueFields, keyValueLines } from './key-value.js';
import { prettyKeyValue } from './pretty.js';

const types = {
  range: 'etcdserverpb.RangeResponse',
  put: 'etcdserverpb.PutResponse',
  deleteRange: 'etcdserverpb.DeleteRangeResponse',
  txn: 'etcdserverpb.TxnResponse',
} as const;

/** Of `get`, and of what else shows keys: locks and elections. */
export function rangeShown(bytes: Buffer, style: KvStyle): Shown {
  const response = decodeRangeResponse(bytes);
  return {
    ...{ type: types.range, bytes },
    simple: () => rangeLines(response, style),
    pretty: (paint) =>
      style.valueOnly === true || style.hex
        ? rangeLines(response, style)
        : prettyRange(response, paint),
    fields: () =>
      headerFields(headerOf(bytes, types.range), style.hex) + rangeFields(response, style.hex),
  };
}

/** Of `put`. */
export function putShown(bytes: Buffer, style: KvStyle): Shown {
  const response = decodePutResponse(bytes);
  return {
    ...{ type: types.put, bytes },
    simple: () => putLines(response, style),
    pretty: (paint) => prettyPut(response, paint),
    fields: () =>
      headerFields(headerOf(bytes, types.put), style.hex) + putFields(response, style.hex),
  };
}

/** Of `del`. */
export function deleteShown(bytes: Buffer, style: KvStyle): Shown {
  const response = decodeDeleteRangeResponse(bytes);
  return {
    ...{ type: types.deleteRange, bytes },
    simple: () => deleteLines(response, style),
    pretty: (paint) => prettyDelete(response, paint),
    fields: () =>
      headerFields(headerOf(bytes, types.deleteRange), style.hex) +
      deleteFields(response, style.hex),
  };
}

/** Of `txn`. */
export function txnShown(bytes: Buffer, style: KvStyle): Shown {
  const { succeeded, responses } = decodeTxnResponse(bytes);
  return {
    ...{ type: types.txn, bytes },
    simple: () =>
      Buffer.concat([
        Buffer.from(succeeded ? 'SUCCESS\n' : 'FAILURE\n'),
        ...responses.flatMap((one) => [Buffer.from('\n'), opLines(one, style)]),
      ]),
    pretty: (paint) =>
      [
        succeeded ? `${paint.green('SUCCESS')}\n` : `${paint.yellow('FAILURE')}\n`,
        ...responses.map((one) => `\n${prettyOp(one, paint)}`),
      ].join(''),
    fields: () =>
      [
        headerFields(headerOf(bytes, types.txn), style.hex),
        fieldLine('Succeeded', succeeded),
        ...responses.map((one) => opFields(one, style.hex)),
      ].join(''),
  };
}

function rangeLines({ kvs }: RangeResponse, style: KvStyle): Buffer {
  return Buffer.concat(kvs.map((kv) => keyValueLines(kv, style)));
}

function putLines({ prevKv }: PutResponse, style: KvStyle): Buffer {
  const before = prevKv === undefined ? [] : [keyValueLines(prevKv, style)];
  return Buffer.concat([Buffer.from('OK\n'), ...before]);
}

function deleteLines({ deleted, prevKvs }: DeleteRangeResponse, style: KvStyle): Buffer {
  const before = prevKvs.map((kv) => keyValueLines(kv, style));
  return Buffer.concat([Buffer.from(`${deleted}\n`), ...before]);
}

function opLines(op: ResponseOp, style: KvStyle): Buffer {
  switch (op.type) {
    case 'range':
      return rangeLines(op.response, style);
    case 'put':
      return putLines(op.response, style);
    case 'deleteRange':
      return deleteLines(op.response, style);
    default:
      return Buffer.from(`unexpected response ${op.type}\n`);
  }
}

function rangeFields({ kvs, more, count }: RangeResponse, hex: boolean): string {
  const lines = kvs.map((kv) => keyValueFields('', kv, hex)).join('');
  return lines + fieldLine('More', more) + fieldLine('Count', count);
}

function putFields({ prevKv }: PutResponse, hex: boolean): string {
  return prevKv === undefined ? '' : keyValueFields('Prev', prevKv, hex);
}

function deleteFields({ deleted, prevKvs }: DeleteRangeResponse, hex: boolean): string {
  const lines = prevKvs.map((kv) => keyValueFields('Prev', kv, hex));
  return fieldLine('Deleted', deleted) + lines.join('');
}

/** Within a txn headers have a revision only. */
function opFields(op: ResponseOp, hex: boolean): string {
  switch (op.type) {
    case 'range':
      return innerHeader(op.response, hex) + rangeFields(op.response, hex);
    case 'put':
      return innerHeader(op.response, hex) + putFields(op.response, hex);
    case 'deleteRange':
      return innerHeader(op.response, hex) + deleteFields(op.response, hex);
    default:
      return fieldLine('Unknown', op.type);
  }
}

function innerHeader({ header }: Pick<PutResponse, 'header'>, hex: boolean): string {
  if (header === undefined) return headerFields(undefined, hex);
  const { clusterId, memberId, revision, raftTerm } = header;
  return headerFields(
    {
      ...{ cluster_id: clusterId, member_id: memberId },
      ...{ revision: BigInt(revision), raft_term: BigInt(raftTerm) },
    },
    hex,
  );
}

function prettyRange({ kvs, more, count }: RangeResponse, paint: Paint): string {
  if (kvs.length === 0) return `${paint.dim(count === 0 ? '(no keys)' : `(${count} keys)`)}\n`;
  const lines = kvs.map((kv) => prettyKeyValue(kv, paint)).join('');
  if (!more) return lines;
  return `${lines}${paint.dim(`(${kvs.length} of ${count} keys)`)}\n`;
}

function prettyPut({ prevKv, header }: PutResponse, paint: Paint): string {
  const revision = header === undefined ? '' : paint.dim(` (revision ${header.revision})`);
  const before = prevKv === undefined ? '' : prettyKeyValue(prevKv, paint);
  return `${paint.green('OK')}${revision}\n${before}`;
}

function prettyDelete({ deleted, prevKvs }: DeleteRangeResponse, paint: Paint): string {
  const text = `${deleted} ${deleted === 1 ? 'key' : 'keys'} deleted`;
  const before = prevKvs.map((kv) => prettyKeyValue(kv, paint)).join('');
  return `${deleted === 0 ? paint.yellow(text) : text}\n${before}`;
}

function prettyOp(op: ResponseOp, paint: Paint): string {
  switch (op.type) {
    case 'range':
      return prettyRange(op.response, paint);
    case 'put':
      return prettyPut(op.response, paint);
    case 'deleteRange':
      return prettyDelete(op.response, paint);
    default:
      return `${op.type}\n`;
  }
}
