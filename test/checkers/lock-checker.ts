/**
 * What locks and elections of the server promise (C-7), judged by the log: whoever was told that it
 * owns had the oldest key of the name, there, at a revision within its call. As create revisions
 * only grow, no two owners can be at one revision, and each is told apart from all before it.
 */

import { Report } from './report.js';
import type { Truth } from './truth.js';

/** An answer of Lock or Campaign that says "yours". */
export interface Grant {
  readonly kind: 'lock' | 'campaign';
  readonly name: string;
  readonly key: string;
  /** Create revision of the key, if the answer has it. */
  readonly create: number | undefined;
  /** Of the header. */
  readonly revision: number;
  readonly who: string;
  readonly returnMs: number;
}

export function checkLocks(grants: Iterable<Grant>, truth: Truth): Report {
  const report = new Report();
  for (const grant of grants) {
    const { kind, key, revision, returnMs, who } = grant;
    report.check(
      'lock: one owner at a time',
      owns(grant, truth),
      () => `${who} was given ${key} by ${kind} @${revision}; ${ownersOf(grant, truth)}`,
      returnMs,
    );
  }
  return report;
}

/** Lock: at the revision of its header; Campaign: then or later, for that is when it entered. */
function owns(grant: Grant, truth: Truth): boolean {
  const last = grant.kind === 'lock' ? grant.revision : truth.revision;
  for (let revision = grant.revision; revision <= last; revision += 1) {
    const owner = ownerAt(grant.name, truth, revision);
    if (owner?.key === grant.key)
      return grant.create === undefined || owner.create === grant.create;
  }
  return false;
}

function ownerAt(name: string, truth: Truth, revision: number) {
  const keys = truth.range(`${name}/`, `${name}0`, revision);
  return keys.reduce<(typeof keys)[number] | undefined>(
    (oldest, kv) => (oldest === undefined || kv.create < oldest.create ? kv : oldest),
    undefined,
  );
}

function ownersOf({ name, revision }: Grant, truth: Truth): string {
  const keys = truth.range(`${name}/`, `${name}0`, revision);
  return `there are ${keys.map(({ key, create }) => `${key}@${create}`).join(', ') || 'none'}`;
}
