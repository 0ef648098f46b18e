/** `--write-out=fields`: one `"Name" : value` a line. */

import { jsonMessage, type MessageValue, messageValue } from '../../proto/index.js';
import { goQuotedBytes } from './go-quote.js';

/** One line. Texts and bytes are quoted, other values are not. */
export function fieldLine(name: string, value: unknown): string {
  return `"${name}" : ${fieldText(value)}\n`;
}

function fieldText(value: unknown): string {
  if (typeof value === 'string') return goQuotedBytes(Buffer.from(value));
  return value instanceof Uint8Array ? goQuotedBytes(value) : String(value);
}

/** An id: with `--hex` as hexadecimal digits, `width` of them at least. */
export function idLine(name: string, id: bigint, hex: boolean, width = 0): string {
  const unsigned = BigInt.asUintN(64, id);
  return `"${name}" : ${hex ? unsigned.toString(16).padStart(width, '0') : id}\n`;
}

/** The lines of a header; of one that is not there, too. */
export function headerFields(header: MessageValue | undefined, hex: boolean): string {
  const { cluster_id: cluster, member_id: member, revision, raft_term: term } = header ?? {};
  const has = typeof revision === 'bigint' && revision > 0n;
  return [
    idLine('ClusterID', (cluster as bigint | undefined) ?? 0n, hex),
    idLine('MemberID', (member as bigint | undefined) ?? 0n, hex),
    has ? fieldLine('Revision', revision) : '',
    fieldLine('RaftTerm', term ?? 0n),
  ].join('');
}

/** A message as plain data, for the lines of its fields. */
export function messageFields(bytes: Uint8Array, type: string): MessageValue {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return messageValue(source, jsonMessage(type));
}

/** The header of a message that has one. */
export function headerOf(bytes: Uint8Array, type: string): MessageValue | undefined {
  return messageFields(bytes, type).header as MessageValue | undefined;
}
