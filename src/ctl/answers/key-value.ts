/** A key and its value as they are shown, in the formats that show them by themselves. */

import { type KeyString, keyToBytes } from '../../common/index.js';
import { fieldLine, idLine } from '../print/index.js';

/** Of a key-value: what the formats for people show. */
export interface KeyAndValue {
  readonly key: KeyString;
  readonly value: Buffer;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

/** How keys and values are shown. */
export interface KvStyle {
  /** Each byte as `\xNN`. */
  readonly hex: boolean;
  /** Without keys. */
  readonly valueOnly?: boolean;
}

const lineEnd = Buffer.from('\n');
const nothing = Buffer.alloc(0);

/** The key on a line, the value on the next; both as they are, or as `--hex` has them. */
export function keyValueLines(kv: KeyAndValue | undefined, style: KvStyle): Buffer {
  const key = kv === undefined ? nothing : keyToBytes(kv.key);
  const value = kv?.value ?? nothing;
  const shown = (bytes: Buffer): Buffer => (style.hex ? hexOf(bytes) : bytes);
  const first = style.valueOnly === true ? [] : [shown(key), lineEnd];
  return Buffer.concat([...first, shown(value), lineEnd]);
}

function hexOf(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('hex').replace(/../g, '\\x$&'));
}

/** The lines of fields; `prefix` is before each name. */
export function keyValueFields(prefix: string, kv: KeyAndValue | undefined, hex: boolean): string {
  return [
    fieldLine(`${prefix}Key`, kv === undefined ? '' : keyToBytes(kv.key)),
    fieldLine(`${prefix}CreateRevision`, kv?.createRevision ?? 0),
    fieldLine(`${prefix}ModRevision`, kv?.modRevision ?? 0),
    fieldLine(`${prefix}Version`, kv?.version ?? 0),
    fieldLine(`${prefix}Value`, kv?.value ?? ''),
    idLine(`${prefix}Lease`, kv?.lease ?? 0n, hex, 16),
  ].join('');
}
