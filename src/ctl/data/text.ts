/** Keys and values for people, and as the fields of JSON. */

import { isUtf8 } from 'node:buffer';
import { idToHex, type KeyString, keyToBytes } from '../../common/index.js';
import { type CommandContext, CommandError } from '../command/index.js';
import { formatOf, goQuotedBytes, unsupported } from '../print/index.js';
import { keyOf } from './span.js';

/** Nothing in it moves the cursor or is invisible. */
const plain = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u;

/** Bytes on a line: as they are, or in quotes with escapes if they would not be one plain text. */
export function bytesText(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  return isUtf8(bytes) && plain.test(text) ? text : goQuotedBytes(bytes);
}

/** A key on a line; see {@link bytesText}. */
export function keyText(key: KeyString): string {
  return bytesText(keyToBytes(key));
}

/** At most `columns` of it; a value may have megabytes. */
export function shortened(text: string, columns: number): string {
  const width = Math.max(8, columns);
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

/** `{ key: 'text' }`, or `{ keyBase64: '...' }` where the bytes are no UTF-8. */
export function textField(name: string, bytes: Uint8Array): Readonly<Record<string, string>> {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return isUtf8(bytes)
    ? { [name]: source.toString('utf8') }
    : { [`${name}Base64`]: source.toString('base64') };
}

/** The same of a key. */
export function keyField(name: string, key: KeyString): Readonly<Record<string, string>> {
  return textField(name, keyToBytes(key));
}

/** As etcd writes ids; nothing for none. */
export function leaseField(lease: bigint): { readonly lease?: string } {
  return lease === 0n ? {} : { lease: idToHex(lease) };
}

/** `1 key`, `1,234 keys`. */
export function counted(amount: number, what: string): string {
  const digits = String(amount).replace(/\B(?=(\d{3})+$)/g, ',');
  return `${digits} ${what}${amount === 1 ? '' : 's'}`;
}

/** True for JSON. Throws CommandError for formats that commands of ours do not have. */
export function wantsJson({ global }: CommandContext): boolean {
  const format = formatOf(global);
  if (format !== 'simple' && format !== 'json') throw unsupported(format);
  return format === 'json';
}

/** The only argument, which is a prefix; without it all keys. */
export function prefixOf(args: readonly string[], command: string): KeyString {
  if (args.length > 1) throw new CommandError(`${command} takes one prefix`);
  return keyOf(args[0] ?? '');
}

/** A revision given on the line. */
export function revisionOf(flag: string, value: bigint): number {
  if (value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw new CommandError(`--${flag} ${value} is no revision`);
}
