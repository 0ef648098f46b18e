/**
 * Keys in memory are latin1 strings: one byte a character, and V8 compares them code unit by code
 * unit, which is exactly the byte order etcd sorts by (measured in docs/adr when it matters).
 */

/** A key as a latin1 string, one character for each byte. */
export type KeyString = string;

/** The key bytes as a {@link KeyString}; copies, so `bytes` may be reused afterwards. */
export function keyFromBytes(bytes: Uint8Array): KeyString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** The bytes of a {@link KeyString} in a new buffer. */
export function keyToBytes(key: KeyString): Buffer {
  return Buffer.from(key, 'latin1');
}

/** An empty buffer to share; it has no bytes, so nobody can change it. */
export const emptyBytes: Buffer = Buffer.alloc(0);

/** Lower-case hex without padding, the way etcd prints member, cluster and lease ids. */
export function idToHex(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16);
}
