/** Hashes of passwords as requests and entries carry them: in base64, as etcd's do. */

import { type KeyString, keyToBytes } from '../../common/index.js';

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Undefined: it is no base64, as Go reads it. */
export function decodeHash(text: string): KeyString | undefined {
  const joined = text.replaceAll(/[\r\n]/g, '');
  return base64.test(joined) ? Buffer.from(joined, 'base64').toString('latin1') : undefined;
}

export function encodeHash(hash: KeyString): string {
  return keyToBytes(hash).toString('base64');
}
