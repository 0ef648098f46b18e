/**
 * The dynamic table of RFC 7541 section 2.3.2 as a ring. Entries have an absolute number (how many
 * came before); an index on the wire counts back from the newest.
 */

import { assert } from '../common/index.js';
import { type HeaderField, staticTable } from './header-field.js';

const staticCount = staticTable.length;

/** First in, first out, bounded by the sum of the sizes of its entries. */
export class HeaderTable {
  #ring: Array<HeaderField | undefined>;
  readonly #mask: number;
  #oldest = 0;
  #bytes = 0;
  /** Entries ever inserted: also tells whether the table is still as it was. */
  inserted = 0;
  sizeMax: number;

  constructor(sizeMax: number) {
    // The smallest entry has 32 bytes.
    let slots = 1;
    while (slots < sizeMax / 32 + 1) slots *= 2;
    this.#ring = new Array(slots).fill(undefined);
    this.#mask = slots - 1;
    this.sizeMax = sizeMax;
  }

  /** Entries now in the table. */
  get count(): number {
    return this.inserted - this.#oldest;
  }

  /** Sum of the sizes of the entries, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Absolute number of the oldest entry. */
  get oldest(): number {
    return this.#oldest;
  }

  /** The field with this index on the wire, static or dynamic; undefined if there is none. */
  at(index: number): HeaderField | undefined {
    if (index <= staticCount) return staticTable[index - 1];
    const back = index - staticCount;
    if (back > this.inserted - this.#oldest) return undefined;
    return this.#ring[(this.inserted - back) & this.#mask];
  }

  /** The entry with an absolute number between `oldest` and `inserted`. */
  entry(absolute: number): HeaderField | undefined {
    return this.#ring[absolute & this.#mask];
  }

  /** The index on the wire of an absolute number. */
  wireIndex(absolute: number): number {
    return staticCount + this.inserted - absolute;
  }

  insert(field: HeaderField): void {
    this.#evict(this.sizeMax - field.size);
    if (field.size > this.sizeMax) return; // not an error: it empties the table (section 4.4)
    this.#ring[this.inserted & this.#mask] = field;
    this.inserted++;
    this.#bytes += field.size;
    assert(this.#bytes <= this.sizeMax, 'the entries fit the table');
    assert(this.inserted - this.#oldest <= this.#ring.length, 'the ring has room for them');
  }

  /** Must not exceed what the constructor was given. */
  resize(sizeMax: number): void {
    assert(sizeMax >= 0 && sizeMax / 32 < this.#ring.length, 'the ring was made for that size');
    this.sizeMax = sizeMax;
    this.#evict(sizeMax);
  }

  #evict(room: number): void {
    while (this.#bytes > room && this.#oldest < this.inserted) {
      const slot = this.#oldest & this.#mask;
      const entry = this.#ring[slot];
      assert(entry !== undefined, 'the table has the entries that it counts');
      this.#bytes -= entry.size;
      this.#ring[slot] = undefined;
      this.#oldest++;
    }
    assert(this.#bytes > 0 || this.#oldest === this.inserted, 'every entry has a size');
  }
}
