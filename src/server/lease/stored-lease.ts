/**
 * How a lease is stored: a meta record `lease/<16 hex digits of the id>` of 13 bytes, written in
 * the batch of the entry that changed the lease. The keys are not in it: each key's own record
 * names its lease.
 *
 *     byte 0       format, 1
 *     bytes 1-6    granted TTL in seconds, big endian
 *     bytes 7-12   checkpointed remaining TTL in seconds, 0 for none, big endian
 */

import { assert, type LeaseId, leaseTtlSecondsMax, StorageError } from '../../common/index.js';

const recordFormat = 1;
const recordBytes = 13;
const idHexDigits = 16;

/** Meta records of leases start with this. */
export const leaseMetaPrefix = 'lease/';

/** What of a lease is replicated and stored. */
export interface LeaseRecord {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  /** 0: never checkpointed, or renewed since. */
  readonly remainingTtlSeconds: number;
}

/** Name of the meta record; the id is written as unsigned. */
export function leaseMetaName(id: LeaseId): string {
  return leaseMetaPrefix + BigInt.asUintN(64, id).toString(16).padStart(idHexDigits, '0');
}

export function encodeLeaseRecord(lease: LeaseRecord): Buffer {
  assert(lease.ttlSeconds > 0 && lease.ttlSeconds <= leaseTtlSecondsMax, 'a TTL is in its range');
  const bytes = Buffer.allocUnsafe(recordBytes);
  bytes[0] = recordFormat;
  bytes.writeUIntBE(lease.ttlSeconds, 1, 6);
  bytes.writeUIntBE(lease.remainingTtlSeconds, 7, 6);
  return bytes;
}

/** Throws StorageError for a record that this version can't read. */
export function decodeLeaseRecord(name: string, bytes: Uint8Array): LeaseRecord {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const hex = name.slice(leaseMetaPrefix.length);
  if (buffer.length !== recordBytes || buffer[0] !== recordFormat || !/^[0-9a-f]{16}$/.test(hex)) {
    throw new StorageError(`the stored lease ${hex} has an unknown form`, {
      path: 'member/kv',
      remedy: 'It was written by a newer kvorum: start this data directory with that version.',
    });
  }
  return {
    id: BigInt.asIntN(64, BigInt(`0x${hex}`)),
    ttlSeconds: buffer.readUIntBE(1, 6),
    remainingTtlSeconds: buffer.readUIntBE(7, 6),
  };
}
