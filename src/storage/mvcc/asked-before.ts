/**
 * Which records were asked for lately and not kept: a table that forgets, of 256 KiB. What it says
 * is a hint, so that two records may take the same place in it, and one that was never asked for
 * may be taken for one that was.
 */

import type { Revision } from '../../common/index.js';

const places = 65_536;

/** Of single revisions. */
export class AskedBefore {
  #last: Uint32Array | undefined;

  /** True if it was asked before, and not too many others since. */
  ask(main: Revision, sub: number): boolean {
    this.#last ??= new Uint32Array(places);
    const name = (Math.imul(main % 0x1_0000_0000, 0x9e37_79b1) ^ Math.imul(sub, 0x85eb_ca6b)) >>> 0;
    const place = name >>> 16;
    if (this.#last[place] === name) {
      this.#last[place] = 0;
      return true;
    }
    this.#last[place] = name;
    return false;
  }
}
