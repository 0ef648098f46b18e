/** What is wrong, how bad that is, and what to do: one sentence each. */

import type { ClusterLook, MemberLook } from '../ask/index.js';

/** From what stops clients to what is only worth knowing; the order of the report. */
export const weights = ['critical', 'warning', 'note'] as const;

export type Weight = (typeof weights)[number];

export interface Finding {
  /** Stays the same from release to release: docs/look.md has a line for each. */
  readonly id: string;
  readonly weight: Weight;
  readonly what: string;
  readonly todo: string;
}

/** What the rules look at. */
export interface Evidence {
  readonly now: ClusterLook;
  /** An interval earlier: what grew in between is happening now. */
  readonly before: ClusterLook;
  /** Lines of logs that tell of something slow; empty if no log was given. */
  readonly slowLines: readonly SlowLine[];
}

/** A kind of slow thing in a log, and how often it stood there. */
export interface SlowLine {
  readonly message: string;
  readonly times: number;
  /** The last one, as it stood there. */
  readonly last: string;
}

/** Looks for one kind of thing; several findings if it is so at several members. */
export type Rule = (evidence: Evidence) => readonly Finding[];

/** `m1`, or where it is asked. */
export function nameOf({ name, id, endpoint }: MemberLook): string {
  if (name !== '') return name;
  return id === undefined ? endpoint : `member ${id.toString(16)}`;
}

/** `m1, m2` */
export function namesOf(members: readonly MemberLook[]): string {
  return members.map(nameOf).join(', ');
}

/** How much a counter grew between the looks; undefined: it is not told. */
export function growth({ before }: Evidence, member: MemberLook, name: string): number | undefined {
  const earlier = before.members.find(({ id }) => id === member.id)?.metrics?.value(name);
  const value = member.metrics?.value(name);
  if (value === undefined || earlier === undefined) return undefined;
  return value < earlier ? value : value - earlier;
}
