/** The keys that templates are rendered from: those of some prefixes, as they are now. */

import type { KeyString } from '../../../common/index.js';
import { CommandError } from '../../command/index.js';
import { renderBytesMax, renderKeysMax } from '../limits.js';

/** Keys with their values. Throws CommandError when it gets too large. */
export class Keys {
  readonly #values = new Map<KeyString, Buffer>();
  #bytes = 0;
  /** In order; undefined: not sorted since the last change. */
  #sorted: readonly KeyString[] | undefined;

  set(key: KeyString, value: Buffer): void {
    const before = this.#values.get(key);
    if (before === undefined) this.#sorted = undefined;
    this.#values.set(key, value);
    this.#bytes += value.length - (before?.length ?? -key.length);
    if (this.#values.size > renderKeysMax || this.#bytes > renderBytesMax) {
      const most = `${renderKeysMax} keys of ${renderBytesMax} bytes`;
      throw new CommandError(`more than ${most} below the prefixes; ask for longer ones`);
    }
  }

  delete(key: KeyString): void {
    const before = this.#values.get(key);
    if (before === undefined) return;
    this.#values.delete(key);
    this.#bytes -= before.length + key.length;
    this.#sorted = undefined;
  }

  get(key: KeyString): Buffer | undefined {
    return this.#values.get(key);
  }

  /** The keys with this prefix, in order. */
  below(prefix: KeyString): readonly KeyString[] {
    this.#sorted ??= [...this.#values.keys()].sort();
    const sorted = this.#sorted;
    let from = 0;
    for (let end = sorted.length; from < end; ) {
      const middle = Math.floor((from + end) / 2);
      if ((sorted[middle] as KeyString) < prefix) from = middle + 1;
      else end = middle;
    }
    let to = from;
    while (to < sorted.length && sorted[to]?.startsWith(prefix)) to += 1;
    return sorted.slice(from, to);
  }
}
