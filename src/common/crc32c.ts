/**
 * CRC-32C (Castagnoli), the checksum of etcd's HashKV. Slicing-by-8: eight table look-ups for eight
 * bytes instead of one after the other, about five times faster than the plain table in V8.
 */

const polynomial = 0x82f63b78;

/** Eight tables of 256, one after the other: table k is the CRC of a byte followed by k zeros. */
const tables: Int32Array = buildTables();

/**
 * CRC-32C of `bytes[start, end)`, going on from `previous` (the result of an earlier call, or 0).
 * Returns an unsigned 32-bit number.
 */
export function crc32c(
  bytes: Uint8Array,
  previous = 0,
  start = 0,
  end: number = bytes.length,
): number {
  const t = tables;
  let crc = ~previous;
  let i = start;
  for (; i + 8 <= end; i += 8) {
    crc ^=
      at(bytes, i) | (at(bytes, i + 1) << 8) | (at(bytes, i + 2) << 16) | (at(bytes, i + 3) << 24);
    crc =
      look(t, 1792 + (crc & 0xff)) ^
      look(t, 1536 + ((crc >>> 8) & 0xff)) ^
      look(t, 1280 + ((crc >>> 16) & 0xff)) ^
      look(t, 1024 + (crc >>> 24)) ^
      look(t, 768 + at(bytes, i + 4)) ^
      look(t, 512 + at(bytes, i + 5)) ^
      look(t, 256 + at(bytes, i + 6)) ^
      look(t, at(bytes, i + 7));
  }
  for (; i < end; i += 1) crc = look(t, (crc ^ at(bytes, i)) & 0xff) ^ (crc >>> 8);
  return ~crc >>> 0;
}

function at(bytes: Uint8Array, i: number): number {
  return bytes[i] as number;
}

function look(table: Int32Array, i: number): number {
  return table[i] as number;
}

function buildTables(): Int32Array {
  const result = new Int32Array(8 * 256);
  for (let n = 0; n < 256; n += 1) {
    let c = n;
    for (let bit = 0; bit < 8; bit += 1) c = c & 1 ? (c >>> 1) ^ polynomial : c >>> 1;
    result[n] = c;
  }
  for (let n = 256; n < result.length; n += 1) {
    const c = look(result, n - 256);
    result[n] = look(result, c & 0xff) ^ (c >>> 8);
  }
  return result;
}
