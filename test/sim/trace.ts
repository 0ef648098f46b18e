/**
 * Everything that happens in a run, as lines: their hash says whether two runs were the same, and
 * the last of them are what people read when a run fails.
 */

import { createHash } from 'node:crypto';

/** Lines are hashed in lots of this many. */
const lot = 256;

export class Trace {
  readonly #hash = createHash('sha256');
  readonly #nowMs: () => number;
  readonly #keeps: boolean;
  #waiting: string[] = [];
  /** All lines, if they are kept. */
  readonly lines: string[] = [];
  count = 0;

  constructor(nowMs: () => number, keeps: boolean) {
    this.#nowMs = nowMs;
    this.#keeps = keeps;
  }

  add(line: string): void {
    const stamped = `${this.#nowMs().toFixed(3)} ${line}`;
    this.count += 1;
    this.#waiting.push(stamped);
    if (this.#keeps) this.lines.push(stamped);
    if (this.#waiting.length >= lot) this.#flush();
  }

  /** SHA-256 of all lines; call once, at the end. */
  digest(): string {
    this.#flush();
    return this.#hash.digest('hex');
  }

  #flush(): void {
    if (this.#waiting.length === 0) return;
    this.#hash.update(`${this.#waiting.join('\n')}\n`);
    this.#waiting = [];
  }
}
