/**
 * The key that backups are encrypted with: 32 bytes in a file, which are used for nothing but to
 * make other keys of them (HKDF): one for each file, one for manifests, and a name that says which
 * key it is and tells nothing of it.
 */

import { createHmac, hkdfSync } from 'node:crypto';
import { StorageError } from '../common/index.js';

const keyBytes = 32;
const nameBytes = 8;

export interface BackupKey {
  /** 16 hexadecimal digits; the same for the same key. */
  readonly name: string;
  /** For one file. */
  fileKey(salt: Uint8Array): Buffer;
  /** Of a manifest. */
  sign(text: string): string;
}

/** Reads the bytes of a key file: 32 of them, or their 64 hexadecimal digits. Throws StorageError. */
export function parseKey(content: Uint8Array, path: string): BackupKey {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  const text = bytes.toString('latin1').trim();
  const isHex = text.length === 2 * keyBytes && /^[0-9a-f]*$/i.test(text);
  if (isHex) return keyOf(Buffer.from(text, 'hex'));
  if (bytes.length === keyBytes) return keyOf(Buffer.from(bytes));
  throw new StorageError('the key file has no key', {
    path,
    remedy:
      "It has 32 random bytes, or their 64 hexadecimal digits: 'head -c 32 /dev/urandom > FILE' makes one.",
  });
}

function keyOf(secret: Buffer): BackupKey {
  const derive = (salt: Uint8Array, purpose: string, bytes: number): Buffer =>
    Buffer.from(hkdfSync('sha256', secret, salt, `kvorum backup: ${purpose}`, bytes));
  const none = Buffer.alloc(0);
  const signing = derive(none, 'manifest', keyBytes);
  return {
    name: derive(none, 'name', nameBytes).toString('hex'),
    fileKey: (salt) => derive(salt, 'file', keyBytes),
    sign: (text) => createHmac('sha256', signing).update(text).digest('hex'),
  };
}
