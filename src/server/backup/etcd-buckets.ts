/**
 * What is in the small buckets of an etcd snapshot, in our terms (etcd server/storage/schema, facts
 * only; transfer/image.ts writes the same). Each function answers undefined for bytes that are not
 * what they should be.
 */

import {
  type LeaseId,
  leaseTtlSecondsMax,
  type MemberId,
  type Revision,
} from '../../common/index.js';
import { AlarmType, alarmMember, ProtoError } from '../../proto/index.js';
import { type DowngradeState, majorMinorOf } from '../cluster/index.js';
import type { LeaseRecord } from '../lease/index.js';

/** A revision of the meta bucket: main u64, '_', sub u64. */
export function revisionOf(value: Buffer): Revision | undefined {
  if (value.length !== 17 || value[8] !== 0x5f) return undefined;
  const main = value.readBigUInt64BE(0);
  return main <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(main) : undefined;
}

/** leasepb.Lease: 1 ID, 2 TTL, 3 RemainingTTL, all int64; the key is the id once more. */
export function leaseOf(key: Buffer, value: Buffer): LeaseRecord | undefined {
  if (key.length !== 8) return undefined;
  const fields = new Map<number, bigint>();
  for (let at = 0; at < value.length; ) {
    const tag = value[at] ?? 0;
    const read = varintAt(value, at + 1);
    if (tag >= 0x80 || (tag & 7) !== 0 || read === undefined) return undefined;
    fields.set(tag >> 3, read.value);
    at = read.end;
  }
  const id: LeaseId = BigInt.asIntN(64, fields.get(1) ?? 0n);
  const ttlSeconds = Number(fields.get(2) ?? 0n);
  const remainingTtlSeconds = Number(fields.get(3) ?? 0n);
  if (id === 0n || id !== key.readBigInt64BE(0)) return undefined;
  if (ttlSeconds <= 0 || ttlSeconds > leaseTtlSecondsMax) return undefined;
  if (remainingTtlSeconds > leaseTtlSecondsMax) return undefined;
  return { id, ttlSeconds, remainingTtlSeconds };
}

/** The key of the alarm bucket is an etcdserverpb.AlarmMember. */
export function alarmOf(key: Buffer): { memberId: MemberId; alarm: number } | undefined {
  try {
    const { memberId, alarm } = alarmMember.decode(key);
    const isKnown = alarm === AlarmType.NOSPACE || alarm === AlarmType.CORRUPT;
    return isKnown ? { memberId, alarm } : undefined;
  } catch (error) {
    if (error instanceof ProtoError) return undefined;
    throw error;
  }
}

/**
 * The downgrade of the bucket `cluster`: its entries `downgrade` and `clusterVersion`. Undefined if
 * the bytes are no downgrade.
 */
export function downgradeOf(
  value: Buffer,
  clusterVersion: string | undefined,
): DowngradeState | undefined {
  let info: unknown;
  try {
    info = JSON.parse(value.toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof info !== 'object' || info === null) return undefined;
  const { enabled, 'target-version': target } = info as Readonly<Record<string, unknown>>;
  if (enabled !== true) return {};
  const targetVersion = typeof target === 'string' ? majorMinorOf(target) : undefined;
  if (targetVersion === undefined) return undefined;
  return clusterVersion === targetVersion ? { targetVersion, clusterVersion } : { targetVersion };
}

function varintAt(bytes: Buffer, start: number): { value: bigint; end: number } | undefined {
  let value = 0n;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) return undefined;
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return { value: BigInt.asUintN(64, value), end: start + i + 1 };
  }
  return undefined;
}
