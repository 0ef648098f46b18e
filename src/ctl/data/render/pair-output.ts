/**
 * Keeps one file as its template says. The file is replaced whole or not at all: what can't be
 * rendered, or does not pass its check, leaves the old one; a program that uses it is told only if
 * it has changed, and again if that failed.
 */

import { CommandError, type CtlIo } from '../../command/index.js';
import { fileBytesMax } from '../limits.js';
import type { Keys } from './keys.js';
import { type Pair, readWhole } from './pairs.js';
import { rendered } from './template.js';

/** What became of a file. */
export interface Outcome {
  readonly changed: boolean;
  readonly reloaded: boolean;
  /** Why the file is not as it should be, or why nobody was told; undefined: all is well. */
  readonly problem: string | undefined;
}

export class PairOutput {
  readonly pair: Pair;
  readonly #io: CtlIo;
  /** The file has changed and the program has not been told. */
  #owesReload: boolean;

  constructor(io: CtlIo, pair: Pair, owesReload: boolean) {
    this.#io = io;
    this.pair = pair;
    this.#owesReload = owesReload && pair.reload !== '';
  }

  /** Trying again may help, although no key has changed. */
  get owesReload(): boolean {
    return this.#owesReload;
  }

  /** Never rejects with what has to do with the file, the template or a program. */
  async bring(keys: Keys): Promise<Outcome> {
    let changed = false;
    try {
      changed = await this.#write(keys);
      if (changed && this.pair.reload !== '') this.#owesReload = true;
      const reloaded = this.#owesReload;
      if (reloaded) await this.#shell('reload', this.pair.reload, this.pair.out);
      this.#owesReload = false;
      return { changed, reloaded, problem: undefined };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return { changed, reloaded: false, problem: error.message };
    }
  }

  /** Resolves with whether the file is another one now. */
  async #write(keys: Keys): Promise<boolean> {
    const { template, out, prefixes, check, mode } = this.pair;
    const source = (await readWhole(this.#io, template)).toString('utf8');
    const text = Buffer.from(await rendered(source, template, { keys, prefixes }), 'utf8');
    if (text.length > fileBytesMax) throw new CommandError(`${out} would be too large`);
    if (await this.#isThere(text)) return false;
    const staged = await this.#io.stageFile(out, text, mode);
    let kept = false;
    try {
      if (check !== '') await this.#shell('check', check, staged.path);
      await staged.commit();
      kept = true;
    } finally {
      if (!kept) await staged.discard();
    }
    return true;
  }

  async #isThere(text: Buffer): Promise<boolean> {
    try {
      return text.equals(await this.#io.readFile(this.pair.out));
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ENOENT') return false;
      throw error;
    }
  }

  /** What the program prints goes to stderr: stdout is ours. */
  async #shell(what: string, command: string, file: string): Promise<void> {
    const words = ['sh', '-c', `exec 1>&2\n${command}`];
    const { problem } = await this.#io.execute(words, { FILE: file });
    if (problem === '') return;
    throw new CommandError(`the ${what} command failed: ${problem} (${command})`);
  }
}
