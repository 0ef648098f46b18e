/**
 * The kinds of number that must not be mixed up. Revisions, terms and log indexes are safe integers
 * held in a `number`; identifiers use all 64 bits and are `bigint`.
 */

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]?: Name };

/** Raft term; 0 before the first election. */
export type Term = Brand<number, 'Term'>;
/** Position in the Raft log; the first entry has index 1. */
export type LogIndex = Brand<number, 'LogIndex'>;
/** The `main` part of an MVCC revision; an empty store is at revision 1. */
export type Revision = Brand<number, 'Revision'>;
/** Unsigned 64-bit member id; 0n means "no member". */
export type MemberId = Brand<bigint, 'MemberId'>;
/** Ascending, for `sort`. */
export function compareMemberIds(a: MemberId, b: MemberId): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Signed 64-bit lease id; 0n means "no lease". */
export type LeaseId = Brand<bigint, 'LeaseId'>;

/**
 * The largest integer a `number` holds exactly; larger wire values saturate to it, see int64.ts.
 */
export const safeIntegerMax = Number.MAX_SAFE_INTEGER;
