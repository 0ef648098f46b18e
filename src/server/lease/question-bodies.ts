/**
 * What members ask their leader about leases: bodies of the questions 'leaseRenew' (many at once)
 * and 'leaseTimeToLive'. Ids travel as 8 bytes each, big endian.
 */

import { Packr } from 'msgpackr';
import { keyFromBytes, keyToBytes, type LeaseId } from '../../common/index.js';
import type { LeaseInfo } from './lessor.js';

const codec = new Packr({ useRecords: false, moreTypes: false });
const idBytes = 8;

/**
 * In place of a TTL: the lease has expired or its checkpoint must be taken back first, so the
 * answer has to wait. Asked for it alone, the leader waits.
 */
export const renewalWaits = -1;

export function encodeRenewRequest(ids: readonly LeaseId[]): Buffer {
  const bytes = Buffer.allocUnsafe(idBytes * ids.length);
  for (const [i, id] of ids.entries()) bytes.writeBigInt64BE(id, idBytes * i);
  return codec.pack({ ids: bytes });
}

export function decodeRenewRequest(body: Uint8Array): LeaseId[] {
  const { ids } = codec.unpack(body) as { ids: unknown };
  if (!Buffer.isBuffer(ids)) throw new TypeError('not ids of leases');
  const result: LeaseId[] = [];
  for (let at = 0; at + idBytes <= ids.length; at += idBytes) result.push(ids.readBigInt64BE(at));
  return result;
}

/** TTLs in the order of the ids: 0: no such lease; or {@link renewalWaits}. */
export function encodeRenewAnswer(ttlSeconds: readonly number[]): Buffer {
  return codec.pack({ ttls: ttlSeconds });
}

export function decodeRenewAnswer(body: Uint8Array): readonly number[] {
  return (codec.unpack(body) as { ttls: number[] }).ttls;
}

export interface TimeToLiveQuestion {
  readonly id: LeaseId;
  readonly keys: boolean;
}

export function encodeTimeToLiveRequest({ id, keys }: TimeToLiveQuestion): Buffer {
  const bytes = Buffer.allocUnsafe(idBytes);
  bytes.writeBigInt64BE(id);
  return codec.pack({ id: bytes, keys });
}

export function decodeTimeToLiveRequest(body: Uint8Array): TimeToLiveQuestion {
  const { id, keys } = codec.unpack(body) as { id: Buffer; keys: boolean };
  return { id: id.readBigInt64BE(), keys };
}

/** Undefined: there is no such lease. */
export function encodeTimeToLiveAnswer(info: LeaseInfo | undefined): Buffer {
  if (info === undefined) return codec.pack({ found: false });
  const { ttlSeconds: ttl, grantedTtlSeconds: granted } = info;
  return codec.pack({ found: true, ttl, granted, keys: info.keys.map(keyToBytes) });
}

export function decodeTimeToLiveAnswer(body: Uint8Array): LeaseInfo | undefined {
  const answer = codec.unpack(body) as
    | { found: false }
    | { found: true; ttl: number; granted: number; keys: Buffer[] };
  if (!answer.found) return undefined;
  return {
    ttlSeconds: answer.ttl,
    grantedTtlSeconds: answer.granted,
    keys: answer.keys.map(keyFromBytes),
  };
}
