/**
 * Cheap invariants of workloads made for them: a ring that transactions permute (FoundationDB's
 * Cycle), lists that are only appended to (every read is a prefix of the longest), and members that
 * must have the same hash of the same state.
 */

import { Report } from './report.js';

/**
 * A ring of `size` nodes, node i pointing to `next[i]`: one cycle through all of them, whatever
 * swaps have been done.
 */
export function checkRing(next: ReadonlyMap<number, number>, size: number): Report {
  const report = new Report();
  const seen = new Set<number>();
  let at: number | undefined = 0;
  while (at !== undefined && !seen.has(at) && seen.size <= size) {
    seen.add(at);
    at = next.get(at);
  }
  report.check(
    'oracle: cycle',
    seen.size === size && at === 0,
    () => `the ring of ${size} closes after ${seen.size} at ${at}: ${showRing(next)}`,
  );
  return report;
}

function showRing(next: ReadonlyMap<number, number>): string {
  return [...next].map(([from, to]) => `${from}>${to}`).join(' ');
}

/** A value of an append-only list, and how certain it is that it must be there at the end. */
export interface ListRead {
  readonly key: string;
  /** In order. */
  readonly items: readonly string[];
  readonly who: string;
}

/** Reads of one key are prefixes of each other, and what was acknowledged is in the longest. */
export function checkAppendLists(
  reads: Iterable<ListRead>,
  acknowledged: ReadonlyMap<string, readonly string[]>,
): Report {
  const report = new Report();
  const longest = new Map<string, ListRead>();
  const all: ListRead[] = [];
  for (const read of reads) {
    all.push(read);
    const known = longest.get(read.key);
    if (known === undefined || read.items.length > known.items.length) longest.set(read.key, read);
  }
  for (const read of all) {
    const whole = longest.get(read.key) ?? read;
    report.check(
      'oracle: append list',
      read.items.every((item, i) => item === whole.items[i]),
      () =>
        `${read.key} read by ${read.who} as ${read.items.join()}, by ${whole.who} as ${whole.items.join()}`,
    );
  }
  for (const [key, items] of acknowledged) {
    const there = new Set(longest.get(key)?.items ?? []);
    const missing = items.filter((item) => !there.has(item));
    report.check(
      'oracle: nothing acknowledged is lost',
      missing.length === 0,
      () => `${key} lacks ${missing.join()}`,
    );
    const found = longest.get(key)?.items ?? [];
    report.check(
      'oracle: nothing is there twice',
      new Set(found).size === found.length,
      () => `${key} is ${found.join()}`,
    );
  }
  return report;
}

/** Hash of one member's state at a revision and a compaction. */
export interface MemberHash {
  readonly member: string;
  readonly revision: number;
  readonly compactRevision: number;
  readonly hash: number;
}

/** Equal at equal revisions and compactions; at the end of a run all must be comparable. */
export function checkHashes(hashes: readonly MemberHash[], mustCompare: boolean): Report {
  const report = new Report();
  const known = new Map<string, MemberHash>();
  for (const hash of hashes) {
    const at = `${hash.revision}/${hash.compactRevision}`;
    const other = known.get(at);
    if (other === undefined) known.set(at, hash);
    else {
      report.check(
        'hash: equal on all members',
        other.hash === hash.hash,
        () => `${other.member} has ${other.hash}, ${hash.member} ${hash.hash} at ${at}`,
      );
    }
  }
  if (mustCompare) {
    report.check('hash: all members are at the same revision', known.size <= 1, () =>
      hashes.map(({ member, revision }) => `${member}: ${revision}`).join(', '),
    );
  }
  return report;
}
