/**
 * Those who wait for the same thing, each in the lane of whoever it belongs to. Lanes take turns,
 * so that one with a thousand entries holds up no other for longer than one entry; within a lane it
 * is the order of arrival.
 */

import { assert, present } from '../common/index.js';

/** What is said of the entry whose turn it is. */
export type Verdict =
  /** It goes ahead. */
  | 'go'
  /** Its lane has to wait, others need not. */
  | 'pass'
  /** Nobody goes ahead: it keeps its turn. */
  | 'stop';

/** Entries by owner; each entry is in it once. */
export class FairLanes<Owner, Entry> {
  /** The lane whose turn it is comes first. */
  readonly #lanes = new Map<Owner, Set<Entry>>();
  #size = 0;

  /** Number of entries. */
  get size(): number {
    return this.#size;
  }

  add(owner: Owner, entry: Entry): void {
    const lane = this.#lanes.get(owner);
    if (lane === undefined) this.#lanes.set(owner, new Set([entry]));
    else lane.add(entry);
    this.#size += 1;
  }

  /** False: it was not in it (any more). */
  delete(owner: Owner, entry: Entry): boolean {
    const lane = this.#lanes.get(owner);
    if (lane?.delete(entry) !== true) return false;
    this.#size -= 1;
    if (lane.size === 0) this.#lanes.delete(owner);
    return true;
  }

  /** Of one owner, in the order of arrival. */
  of(owner: Owner): readonly Entry[] {
    return [...(this.#lanes.get(owner) ?? [])];
  }

  /** The next entry that may go ahead, taken out; undefined: none. */
  next(judge: (entry: Entry) => Verdict): Entry | undefined {
    for (let left = this.#lanes.size; left > 0; left -= 1) {
      const [owner, lane] = present(this.#lanes.entries().next().value, 'the lane in turn');
      const [entry] = lane;
      assert(entry !== undefined, 'a lane without entries is none');
      const verdict = judge(entry);
      if (verdict === 'stop') return undefined;
      // Behind the others.
      this.#lanes.delete(owner);
      this.#lanes.set(owner, lane);
      if (verdict === 'pass') continue;
      this.delete(owner, entry);
      return entry;
    }
    return undefined;
  }
}
