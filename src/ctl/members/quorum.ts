/**
 * Whether a step leaves a cluster that can agree: more than half of those who vote afterwards have
 * to be there. The server refuses such steps as well, in etcd's words; here is why, with names.
 */

import { idToHex } from '../../common/index.js';
import type { Member } from './calls.js';

export interface VotersNow {
  readonly voters: readonly Member[];
  /** Those of them that answer. */
  readonly there: ReadonlySet<bigint>;
}

/** What a step does to those who vote. */
export interface QuorumStep {
  /** What it is called in the reason: 'to remove 4579a26da22b3e9a'. */
  readonly name: string;
  /** A learner that answers, and votes from then on. */
  readonly promotes?: boolean;
  readonly removes?: bigint;
}

/** How many of `voters` have to agree. */
export function quorumOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** Why the step must not be taken; undefined: it may. */
export function quorumRefusal(
  { voters, there }: VotersNow,
  { name, promotes = false, removes }: QuorumStep,
): string | undefined {
  const added = promotes ? 1 : 0;
  const after = voters.filter(({ id }) => id !== removes);
  const count = after.length + added;
  const present = after.filter(({ id }) => there.has(id)).length + added;
  const needed = quorumOf(count);
  const missing = after.filter(({ id }) => !there.has(id)).map(nameOf);
  if (count === 0) return `refused ${name}: nobody would be left who votes`;
  if (present >= needed) return undefined;
  const isNow = !promotes && removes === undefined;
  return (
    `refused ${name}: ${isNow ? '' : 'afterwards '}${needed} of ${count} voters have to agree, and ` +
    `only ${present} ${isNow ? 'answer' : 'would be there'} (not ${missing.join(', ')})`
  );
}

/** For people: `m3 (4579a26da22b3e9a)`. */
export function nameOf({ id, name }: Member): string {
  return name === '' ? idToHex(id) : `${name} (${idToHex(id)})`;
}
