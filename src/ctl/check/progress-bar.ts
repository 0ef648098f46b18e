/** How far a long work is, on stderr: one line that is written over. */

import type { CtlIo } from '../command/index.js';

const barColumns = 40;

/** Nothing is shown unless somebody looks. */
export class ProgressBar {
  readonly #io: CtlIo;
  readonly #total: number;
  #shown = -1;

  constructor(io: CtlIo, total: number) {
    this.#io = io;
    this.#total = total;
  }

  /** `done` of the total. */
  show(done: number): void {
    if (!this.#io.terminal.out) return;
    const percent = Math.min(100, Math.floor((100 * done) / this.#total));
    if (percent === this.#shown) return;
    this.#shown = percent;
    const filled = Math.floor((percent * barColumns) / 100);
    const bar = '█'.repeat(filled) + '░'.repeat(barColumns - filled);
    this.#io.stderr(`\r${bar} ${String(percent).padStart(3)} %`);
  }

  /** Leaves the line. */
  end(): void {
    if (this.#shown >= 0) this.#io.stderr('\n');
  }
}
