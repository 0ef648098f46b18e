/**
 * FoundationDB's Cycle: nodes in a ring that transactions permute. Whatever is done at once, there
 * is one ring through all of them, or a transaction was none.
 */

import {
  type Condition,
  getRequest,
  type Kv,
  type Op,
  type Request,
  type Response,
  txnRequest,
} from '../checkers/history.js';
import { checkRing } from '../checkers/oracles.js';
import type { Report } from '../checkers/report.js';

export const ringSize = 5;
export const ringPrefix = 'ring/';
export const ringEnd = 'ring0';
/** Reads all of it. */
export const ringGet = getRequest(ringPrefix, { end: ringEnd });

export function ringKey(at: number): string {
  return `${ringPrefix}${at}`;
}

/**
 * a>b>c>d becomes a>c>b>d, if nobody touched a, b and c meanwhile; `drawAt` says which one a is.
 * Undefined if the ring is not there yet.
 */
export function turnRing(
  whole: Response | undefined,
  drawAt: () => number,
  value: () => string,
): Request | undefined {
  const [result] = whole?.results ?? [];
  const nodes = new Map((result?.type === 'get' ? result.kvs : []).map((kv) => [kv.key, kv]));
  if (nodes.size !== ringSize) return undefined;
  const next = (at: number): number => nextOf(nodes.get(ringKey(at)));
  const a = drawAt();
  const b = next(a);
  const c = next(b);
  const d = next(c);
  const point = (from: number, to: number): Op => {
    return { type: 'put', key: ringKey(from), value: `${to}#${value()}`, lease: 0n };
  };
  const conditions = [a, b, c].map((at) => unchanged(ringKey(at), nodes.get(ringKey(at))));
  return txnRequest(conditions, [point(a, c), point(c, b), point(b, d)]);
}

/** Checks what a read of the whole ring has found. */
export function judgeRing(kvs: readonly Kv[]): Report {
  const at = (kv: Kv): number => Number(kv.key.slice(ringPrefix.length));
  return checkRing(new Map(kvs.map((kv) => [at(kv), nextOf(kv)])), ringSize);
}

function nextOf(kv: Kv | undefined): number {
  return Number(kv?.value.split('#')[0]);
}

/** Holds while nobody has written the key since it was read as `kv`. */
export function unchanged(key: string, kv: Kv | undefined): Condition {
  const valueThen = kv?.value ?? null;
  return { target: 'mod', key, result: '=', number: kv?.mod ?? 0, valueThen };
}
