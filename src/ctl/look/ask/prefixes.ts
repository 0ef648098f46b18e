/**
 * How many keys each prefix has, from few calls and in bounded memory. Keys come sorted, so a page
 * of them shows which prefix is next; the rest of a long one is counted by the server (which knows
 * it without a walk) and skipped.
 */

import { method, type RawClient } from '../../../client/raw/index.js';
import {
  decodeRangeResponse,
  encodeRangeRequest,
  type RangeRequest,
} from '../../../proto/index.js';
import { pageKeys, prefixCallsMax, prefixesMax } from './limits.js';

export interface PrefixOptions {
  readonly client: RawClient;
  /** One character: what keys are divided by. */
  readonly delimiter: string;
  /** So many parts of a key are its prefix; a delimiter that it begins with is none. */
  readonly depth: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly callsMax?: number;
}

export interface PrefixCount {
  /** As bytes in latin1; '' for keys without a delimiter. */
  readonly prefix: string;
  readonly keys: number;
}

export interface PrefixCounts {
  /** The largest first. */
  readonly prefixes: readonly PrefixCount[];
  /** Keys of prefixes that are not remembered, or were not reached. */
  readonly otherKeys: number;
  readonly keys: number;
  /** Not all was looked at: another one may be larger. */
  readonly isPartial: boolean;
}

/** Rejects with EtcdClientError: nobody answers, or the user may not read everything. */
export async function countPrefixes(options: PrefixOptions): Promise<PrefixCounts> {
  const ask = (request: Partial<RangeRequest>) => range(request, options);
  const { count: keys } = await ask({ key: '\0', rangeEnd: '\0', countOnly: true });
  const tally = new Tally();
  let cursor: string | undefined = '\0';
  for (
    let calls = options.callsMax ?? prefixCallsMax;
    calls > 0 && cursor !== undefined;
    calls -= 2
  ) {
    const page = await ask({ key: cursor, rangeEnd: '\0', limit: pageKeys, keysOnly: true });
    for (const { key } of page.kvs) tally.add(partOf(key, options).prefix, 1);
    const last = page.kvs.at(-1)?.key;
    if (!page.more || last === undefined) {
      cursor = undefined;
      break;
    }
    const { prefix, isWhole } = partOf(last, options);
    cursor = `${last}\0`;
    if (!isWhole) continue;
    const end = endOf(prefix);
    const { count } = await ask({ key: cursor, rangeEnd: end, countOnly: true });
    tally.add(prefix, count);
    cursor = end;
  }
  const prefixes = tally.sorted();
  const known = prefixes.reduce((sum, one) => sum + one.keys, 0);
  // Keys come and go while they are counted.
  const otherKeys = Math.max(0, keys - known);
  return { prefixes, otherKeys, keys, isPartial: cursor !== undefined || tally.hasForgotten };
}

async function range(request: Partial<RangeRequest>, options: PrefixOptions) {
  const { client, timeoutMs, signal } = options;
  // Any member will do, and none has to ask the leader: this is no question of a revision.
  const bytes = encodeRangeRequest({ ...request, serializable: true });
  return decodeRangeResponse(await client.call(method.range, 'read', bytes, { timeoutMs, signal }));
}

/** The prefix of a key, and whether it has all of its parts: then its keys are one range. */
export function partOf(
  key: string,
  { delimiter, depth }: Pick<PrefixOptions, 'delimiter' | 'depth'>,
): { readonly prefix: string; readonly isWhole: boolean } {
  let end = key.startsWith(delimiter) ? delimiter.length : 0;
  const first = end;
  for (let part = 0; part < depth; part += 1) {
    const at = key.indexOf(delimiter, end);
    if (at < 0) return { prefix: key.slice(0, end === first ? first : end), isWhole: false };
    end = at + delimiter.length;
  }
  return { prefix: key.slice(0, end), isWhole: true };
}

/** The first key behind all that begin with `prefix`, whose last character is a delimiter. */
function endOf(prefix: string): string {
  const last = prefix.length - 1;
  return `${prefix.slice(0, last)}${String.fromCharCode(prefix.charCodeAt(last) + 1)}`;
}

/** Counts of the largest; when there are too many the smaller half is forgotten. */
class Tally {
  readonly #keys = new Map<string, number>();
  hasForgotten = false;

  add(prefix: string, keys: number): void {
    this.#keys.set(prefix, (this.#keys.get(prefix) ?? 0) + keys);
    if (this.#keys.size < prefixesMax * 2) return;
    this.hasForgotten = true;
    for (const { prefix: small } of this.sorted().slice(prefixesMax)) {
      // The one that is being counted may still grow.
      if (small !== prefix) this.#keys.delete(small);
    }
  }

  sorted(): PrefixCount[] {
    const all = [...this.#keys].map(([prefix, keys]) => ({ prefix, keys }));
    return all.sort((a, b) => b.keys - a.keys || (a.prefix < b.prefix ? -1 : 1));
  }
}
