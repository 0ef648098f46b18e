/** What the writer and the reader of bbolt files agree on (go.etcd.io/bbolt, page.go, meta.go). */

export const PageFlag = { branch: 0x01, leaf: 0x02, meta: 0x04, freelist: 0x10 } as const;
/** Of a meta page. */
export const magic = 0xed0cdaed;
export const version = 2;

/** FNV-1a, 64 bits: what a meta page is sealed with. Only ever over 56 bytes. */
export function fnv64a(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}
