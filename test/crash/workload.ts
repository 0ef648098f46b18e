import {
  decodePutResponse,
  decodeRangeResponse,
  decodeTxnResponse,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
} from '../../src/proto/index.js';
import type { SimRandom } from '../../src/sim/index.js';
import type { SimProcess } from './sim-node.js';

/** A write that was answered. */
interface Acknowledged {
  readonly keys: readonly string[];
  readonly value: string;
  readonly revision: number;
}

/** What a crashed run leaves to be checked. */
export interface History {
  readonly acknowledged: Acknowledged[];
  /** Groups of keys that one transaction writes: all or none may be there. */
  readonly groups: string[][];
  revisionMax: number;
  attempted: number;
}

export function newHistory(): History {
  return { acknowledged: [], groups: [], revisionMax: 1, attempted: 0 };
}

/** One client that writes until its process dies; each write has keys of its own. */
export async function writeForever(
  process: SimProcess,
  random: SimRandom,
  history: History,
  writes: number,
): Promise<void> {
  for (let i = 0; i < writes; i++) {
    const n = history.attempted++;
    const value = `value-${n}-${'x'.repeat(random.below(400))}`;
    const kind = random.below(10);
    if (kind < 6) await put(process, history, `put/${n}`, value);
    else if (kind < 9) await putThree(process, history, n, value);
    else await compactOrDelete(process, random, history);
  }
}

async function put(
  process: SimProcess,
  history: History,
  key: string,
  value: string,
): Promise<void> {
  const outcome = await process.call(
    'KV/Put',
    encodePutRequest({ key, value: Buffer.from(value) }),
  );
  if (!outcome.ok) return;
  acknowledge(history, [key], value, decodePutResponse(outcome.message).header?.revision ?? 0);
}

async function putThree(
  process: SimProcess,
  history: History,
  n: number,
  value: string,
): Promise<void> {
  const keys = ['a', 'b', 'c'].map((part) => `txn/${n}/${part}`);
  history.groups.push(keys);
  const success = keys.map((key) => ({
    type: 'put' as const,
    request: {
      key,
      value: Buffer.from(value),
      lease: 0n,
      prevKv: false,
      ignoreValue: false,
      ignoreLease: false,
    },
  }));
  const outcome = await process.call(
    'KV/Txn',
    encodeTxnRequest({ compare: [], success, failure: [] }),
  );
  if (!outcome.ok) return;
  acknowledge(history, keys, value, decodeTxnResponse(outcome.message).header?.revision ?? 0);
}

/** Touches only keys that nobody checks, but makes the store move. */
async function compactOrDelete(
  process: SimProcess,
  random: SimRandom,
  history: History,
): Promise<void> {
  const revision = history.revisionMax - random.below(20);
  if (revision > 1 && random.below(2) === 0) {
    await process.call('KV/Compact', encodeCompactionRequest({ revision, physical: false }));
  } else {
    await process.call(
      'KV/Put',
      encodePutRequest({ key: 'scratch', value: Buffer.from(`${revision}`) }),
    );
    await process.call('KV/DeleteRange', encodeDeleteRangeRequest({ key: 'scratch' }));
  }
}

function acknowledge(
  history: History,
  keys: readonly string[],
  value: string,
  revision: number,
): void {
  history.acknowledged.push({ keys, value, revision });
  history.revisionMax = Math.max(history.revisionMax, revision);
}

/** What is wrong with the store, given what was answered before the crash. */
export async function violations(process: SimProcess, history: History): Promise<string[]> {
  const outcome = await process.call('KV/Range', encodeRangeRequest({ key: '\0', rangeEnd: '\0' }));
  if (!outcome.ok) return [`the store can't be read: ${outcome.text}`];
  const response = decodeRangeResponse(outcome.message);
  const found = new Map(response.kvs.map((kv) => [kv.key, kv]));
  const wrong: string[] = [];
  const revision = response.header?.revision ?? 0;
  if (revision < history.revisionMax) {
    wrong.push(`the revision went back from ${history.revisionMax} to ${revision}`);
  }
  for (const write of history.acknowledged) {
    for (const key of write.keys) {
      const kv = found.get(key);
      if (kv === undefined) wrong.push(`${key}, answered at ${write.revision}, is gone`);
      else if (kv.value.toString() !== write.value) wrong.push(`${key} has another value`);
      else if (kv.modRevision !== write.revision) {
        wrong.push(`${key} moved from revision ${write.revision} to ${kv.modRevision}`);
      }
    }
  }
  for (const keys of history.groups) {
    const there = keys.filter((key) => found.has(key));
    const revisions = new Set(there.map((key) => found.get(key)?.modRevision));
    if (there.length !== 0 && there.length !== keys.length) wrong.push(`half of ${keys[0]}`);
    if (revisions.size > 1) wrong.push(`${keys[0]} is spread over several revisions`);
  }
  return wrong;
}
