/** Lines of stdin, one when it is asked for; what is behind the last line end is none. */

import type { KeyString } from '../../common/index.js';

/** Reads lines; each of their characters is a byte. */
export class Lines {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #rest = '';

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#pieces = source[Symbol.asyncIterator]();
  }

  /** The next line, without its end; undefined: there is none. */
  async next(): Promise<KeyString | undefined> {
    for (;;) {
      const end = this.#rest.indexOf('\n');
      if (end >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return line;
      }
      const { value, done } = await this.#pieces.next();
      if (done === true) return undefined;
      this.#rest += Buffer.from(value as Uint8Array).toString('latin1');
    }
  }
}
