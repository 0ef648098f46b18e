/** What all clients of a run share beside the history: values, the ring, lists, compactions. */

import { type Op, type Request, txnRequest } from '../checkers/history.js';
import type { ListRead } from '../checkers/oracles.js';
import { ringKey, ringSize } from './ring.js';

export class Workload {
  /** What was read of the lists that only grow, and what is known to be in them, by key. */
  readonly listReads: ListRead[] = [];
  readonly appended = new Map<string, string[]>();
  /** Newest revision that anybody asked to compact at. */
  compactedMax = 0;
  /** Of all that were answered. */
  newestRevision = 1;
  #lastValue = 0;
  #ringIsAsked = false;

  /** One that nobody else writes. */
  value(): string {
    this.#lastValue += 1;
    return `v${this.#lastValue}`;
  }

  /** The transaction that lays the ring, once. */
  layRing(): Request | undefined {
    if (this.#ringIsAsked) return undefined;
    this.#ringIsAsked = true;
    const puts = Array.from({ length: ringSize }, (_, at): Op => {
      const value = `${(at + 1) % ringSize}#${this.value()}`;
      return { type: 'put', key: ringKey(at), value, lease: 0n };
    });
    return txnRequest([{ target: 'create', key: ringKey(0), result: '=', number: 0 }], puts, [
      { type: 'get', key: ringKey(0), end: '', revision: 0 },
    ]);
  }
}
