/** A role and what it may do, as etcdctl shows it. */

import { prefixEnd } from '../../client/raw/index.js';
import { keyToBytes } from '../../common/index.js';
import { type MessageOf, PermissionType, type ProtoPermission } from '../../proto/index.js';
import type { Answer } from '../connect/index.js';
import { goQuotedBytes, headerFields, headerOf, type Shown } from '../print/index.js';
import type { rpc } from './rpcs.js';

type RoleAnswer = Answer<MessageOf<typeof rpc.roleGet.response>>;

const { READ, WRITE, READWRITE } = PermissionType;

/** The end of a range that has none. */
export const openEnd = '\0';

/** The lines of `role get`. Keys are bytes, and stand there as they are. */
export function roleLines(
  name: string,
  { bytes, message }: RoleAnswer,
  hex: boolean,
): Pick<Shown, 'simple' | 'fields'> {
  const { perm } = message;
  const type = 'etcdserverpb.AuthRoleGetResponse';
  return {
    simple: () => Buffer.concat([Buffer.from(`Role ${name}\n`), keyToBytes(linesOf(name, perm))]),
    fields: () => headerFields(headerOf(bytes, type), hex) + perm.map(fieldsOf).join(''),
  };
}

/** One character a byte. */
function linesOf(name: string, permissions: readonly ProtoPermission[]): string {
  if (name === 'root' && permissions.length === 0) {
    const all = '\t[, <open ended>\n';
    return `KV Read:\n${all}KV Write:\n${all}`;
  }
  const of = (type: number): string =>
    permissions
      .filter((one) => one.type === type || one.type === READWRITE)
      .map(rangeLine)
      .join('');
  return `KV Read:\n${of(READ)}KV Write:\n${of(WRITE)}`;
}

function rangeLine({ key, rangeEnd }: ProtoPermission): string {
  if (rangeEnd === '') return `\t${key}\n`;
  const range = rangeEnd === openEnd ? `[${key}, <open ended>` : `[${key}, ${rangeEnd})`;
  const isPrefix = key !== '' && prefixEnd(key) === rangeEnd;
  return `\t${range}${isPrefix ? ` (prefix ${key})` : ''}\n`;
}

const typeNames = new Map<number, string>(
  Object.entries(PermissionType).map(([name, number]) => [number, name]),
);

function fieldsOf({ type, key, rangeEnd }: ProtoPermission): string {
  return [
    // etcdctl has two blanks here.
    `"PermType" :  ${typeNames.get(type) ?? type}\n`,
    `"Key" : ${goQuotedBytes(keyToBytes(key))}\n`,
    `"RangeEnd" : ${goQuotedBytes(keyToBytes(rangeEnd))}\n`,
  ].join('');
}
