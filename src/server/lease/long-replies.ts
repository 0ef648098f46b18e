/**
 * Answers about very many leases or keys, encoded in slices: a member may have a million of either,
 * and doing it in one go would hold up everybody.
 */

import { type Clock, type LeaseId, runSteps, Slice, type Steps } from '../../common/index.js';
import {
  type EncodedHeader,
  encodeLeaseLeasesResponse,
  encodeLeaseTimeToLiveResponse,
} from '../../proto/index.js';
import type { LeaseInfo, Lessor } from './lessor.js';

/** Leases or keys that are encoded between two looks at the clock. */
const pieceMax = 500;
const noLease = { id: 0n, ttlSeconds: 0, grantedTtlSeconds: 0 };

/** LeaseLeases: calls that come while a list is being made share the next one. */
export class LeaseListing {
  readonly #lessor: Pick<Lessor, 'leases' | 'has'>;
  readonly #clock: Clock;
  readonly #header: () => EncodedHeader;
  #running: Promise<unknown> | undefined;
  #next: Promise<Uint8Array[]> | undefined;

  constructor(lessor: Pick<Lessor, 'leases' | 'has'>, clock: Clock, header: () => EncodedHeader) {
    this.#lessor = lessor;
    this.#clock = clock;
    this.#header = header;
  }

  /** The encoded answer, which others may be sent as well; at once if there are few leases. */
  answer(): Uint8Array[] | Promise<Uint8Array[]> {
    if (this.#running === undefined) return this.#begin();
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.#begin();
    });
    return this.#next;
  }

  #begin(): Uint8Array[] | Promise<Uint8Array[]> {
    const made = runSteps(this.#make());
    if (!(made instanceof Promise)) return made;
    const running = made.finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  *#make(): Steps<Uint8Array[]> {
    const header = this.#header();
    const ids = yield* this.#lessor.leases();
    // Some may have gone while very many were sorted.
    const piece = (at: number): LeaseId[] =>
      ids.slice(at, at + pieceMax).filter((id) => this.#lessor.has(id));
    const parts = encodeLeaseLeasesResponse(header, piece(0));
    const slice = new Slice(this.#clock);
    for (let at = pieceMax; at < ids.length; at += pieceMax) {
      if (spent(slice)) yield slice.rest();
      // Repeated fields of a message may follow each other in any number of pieces.
      parts.push(...encodeLeaseLeasesResponse(undefined, piece(at)));
    }
    return parts;
  }
}

/** Around a key in an answer: tag and length. */
const aroundKeyBytes = 4;

/** What the answer to LeaseTimeToLive holds of keys. */
export function timeToLiveBytes(info: LeaseInfo | undefined): number {
  let bytes = 0;
  for (const key of info?.keys ?? []) bytes += key.length + aroundKeyBytes;
  return bytes;
}

/** The answer to LeaseTimeToLive, at once if it is short; info undefined: no such lease. */
export function timeToLiveAnswer(
  clock: Clock,
  header: EncodedHeader,
  id: LeaseId,
  info: LeaseInfo | undefined,
): Uint8Array[] | Promise<Uint8Array[]> {
  return runSteps(encodeInfo(clock, header, id, info));
}

function* encodeInfo(
  clock: Clock,
  header: EncodedHeader,
  id: LeaseId,
  info: LeaseInfo | undefined,
): Steps<Uint8Array[]> {
  const keys = info?.keys ?? [];
  const ttlSeconds = info?.ttlSeconds ?? -1;
  const grantedTtlSeconds = info?.grantedTtlSeconds ?? 0;
  const first = { id, ttlSeconds, grantedTtlSeconds, keys: keys.slice(0, pieceMax) };
  const parts = encodeLeaseTimeToLiveResponse(header, first);
  if (keys.length <= pieceMax) return parts;
  const slice = new Slice(clock);
  for (let at = pieceMax; at < keys.length; at += pieceMax) {
    if (spent(slice)) yield slice.rest();
    const more = { ...noLease, keys: keys.slice(at, at + pieceMax) };
    parts.push(...encodeLeaseTimeToLiveResponse(undefined, more));
  }
  return parts;
}

/** Counts a piece; true if the slice has taken its time. */
function spent(slice: Slice): boolean {
  for (let i = 0; i < pieceMax; i += 1) slice.next();
  return slice.isSpent;
}
