/**
 * A change as watchers see it. The encoded messages are made when somebody asks: most changes have
 * no watcher, and a view of a buffer costs more than the rest of the event. Until then the event
 * holds on to the chunks, so eviction does not matter to it.
 */

import type { KeyString, Revision } from '../../common/index.js';
import { encodeRecord } from '../schema/index.js';
import type { RecordPlace } from './record-arena.js';
import type { MvccEvent } from './types.js';

const noLease = 0n;
const noValue = new Uint8Array(0);

/** An event over records in the value log. */
export class LogEvent implements MvccEvent {
  readonly type: 'put' | 'delete';
  readonly key: KeyString;
  readonly modRevision: Revision;
  readonly sub: number;
  readonly isCreate: boolean;
  readonly #place: RecordPlace | undefined;
  readonly #previous: RecordPlace | null | undefined;
  #encoded: Uint8Array | undefined;
  #encodedPrevious: Uint8Array | undefined;

  /** `place` undefined: a delete. `previous` as {@link MvccEvent.prevKv}. */
  constructor(
    key: KeyString,
    modRevision: Revision,
    sub: number,
    isCreate: boolean,
    place: RecordPlace | undefined,
    previous: RecordPlace | null | undefined,
  ) {
    this.type = place === undefined ? 'delete' : 'put';
    this.key = key;
    this.modRevision = modRevision;
    this.sub = sub;
    this.isCreate = isCreate;
    this.#place = place;
    this.#previous = previous;
    this.#encoded = undefined;
    this.#encodedPrevious = undefined;
  }

  get kv(): Uint8Array {
    if (this.#encoded === undefined) {
      const place = this.#place;
      this.#encoded =
        place === undefined
          ? deletedKeyValue(this.key, this.modRevision)
          : place.chunk.subarray(place.start, place.end);
    }
    return this.#encoded;
  }

  get prevKv(): Uint8Array | null | undefined {
    const place = this.#previous;
    if (place === null || place === undefined) return place;
    this.#encodedPrevious ??= place.chunk.subarray(place.start, place.end);
    return this.#encodedPrevious;
  }
}

/** What a delete event carries: the key and the revision of the deletion. */
export function deletedKeyValue(key: KeyString, modRevision: Revision): Uint8Array {
  return encodeRecord({
    key,
    createRevision: 0,
    modRevision,
    version: 0,
    value: noValue,
    lease: noLease,
  });
}
