/** Fills the store before a load that reads. */

import { encodeTxnRequest, type RequestOp } from '../../src/proto/index.js';
import type { GrpcClient } from '../../src/transport/index.js';
import { keyOf, newValue, randomInts } from './keys.js';
import { call } from './pool.js';
import { methods } from './sources.js';
import type { LoadSpec } from './types.js';

const putsPerTxnMax = 100;
/**
 * Requests as large as people make them: etcd keeps its last ten thousand in memory, whatever their
 * size, and what is looked at later is the memory of a store with so many keys.
 */
const bytesPerTxnMax = 4096;
const txnsInFlight = 64;

/** Puts the keys 0 to `keyCount` - 1, up to a hundred a txn. */
export async function preload(pool: readonly GrpcClient[], spec: LoadSpec): Promise<void> {
  const random = randomInts(spec.seed);
  const fitting = Math.floor(bytesPerTxnMax / (spec.valueBytes + spec.keyBytes));
  const putsPerTxn = Math.max(1, Math.min(putsPerTxnMax, fitting));
  let nextKey = 0;
  const lane = async (connection: GrpcClient): Promise<void> => {
    while (nextKey < spec.keyCount) {
      const first = nextKey;
      nextKey = Math.min(spec.keyCount, first + putsPerTxn);
      const success: RequestOp[] = [];
      for (let i = first; i < nextKey; i += 1) {
        const key = keyOf(i, spec.keyBytes);
        const value = newValue(spec.valueBytes, random(2 ** 30));
        const flags = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
        success.push({ type: 'put', request: { key, value, ...flags } });
      }
      await call(connection, methods.txn, encodeTxnRequest({ compare: [], success, failure: [] }));
    }
  };
  const lanes = Array.from({ length: txnsInFlight }, (_none, i) =>
    lane(pool[i % pool.length] as GrpcClient),
  );
  await Promise.all(lanes);
}
