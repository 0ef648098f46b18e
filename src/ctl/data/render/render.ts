/** `render`: files from templates, kept up to date with the keys below some prefixes. */

import { isEtcdError } from '../../../client/index.js';
import { onAbort } from '../../../common/index.js';
import { type CommandContext, CommandError, command, exit, flag } from '../../command/index.js';
import { paintOf } from '../../print/index.js';
import { retryMsMax, retryMsMin } from '../limits.js';
import { Store } from '../store.js';
import { wantsJson } from '../text.js';
import { KeyWatch, readKeys } from './key-watch.js';
import type { Keys } from './keys.js';
import { type Outcome, PairOutput } from './pair-output.js';
import { type Pair, pairOf, readPairs } from './pairs.js';

export const renderCommand = command({
  name: 'render',
  usage: '[options] <template> <out>',
  short: 'Keeps a file as a template and the keys below a prefix say',
  long:
    'Keeps a file as a template (in the Liquid language) and the keys below a prefix say. The file is\n' +
    'replaced as a whole, and only if the template renders and the --check command ends well; the\n' +
    '--reload command runs when it has changed. Both have the path of the file in $FILE.',
  group: 'Key-value commands',
  beyondEtcdctl: true,
  flags: {
    prefix: flag.strings([], 'the keys that the template sees; may be given several times'),
    check: flag.string('', 'a command that says by its exit status whether the new file will do'),
    reload: flag.string('', 'a command that makes use of the new file'),
    once: flag.bool(false, 'render once and end'),
    calm: flag.duration(1_000, 'render when nothing has changed for so long'),
    mode: flag.string('0644', 'of a file that is not there yet'),
    'reload-at-start': flag.bool(false, 'run --reload at the start, too, if nothing has changed'),
    config: flag.string('', 'a JSON file of several pairs, instead of the arguments'),
  },
  async run(context, args, flags) {
    const json = wantsJson(context);
    const pairs = await pairsOf(context, args, flags);
    const outputs = pairs.map((pair) => {
      return new PairOutput(context.io, pair, flags['reload-at-start']);
    });
    const run = new RenderRun(context, outputs, json, flags.calm);
    return flags.once ? await run.once() : await run.follow();
  },
});

interface PairFlags {
  readonly prefix: readonly string[];
  readonly check: string;
  readonly reload: string;
  readonly mode: string;
  readonly config: string;
}

async function pairsOf(
  { io }: CommandContext,
  args: readonly string[],
  { prefix, check, reload, mode, config }: PairFlags,
): Promise<readonly Pair[]> {
  if (config !== '') {
    if (args.length === 0) return await readPairs(io, config);
    throw new CommandError('--config names the templates: there are no arguments then');
  }
  const [template, out] = args;
  if (template === undefined || out === undefined || args.length > 2) {
    throw new CommandError('render takes a template and the file that becomes of it');
  }
  return [pairOf({ template, out, prefixes: prefix, check, reload, mode })];
}

/** Renders until it is interrupted. */
class RenderRun {
  readonly #context: CommandContext;
  readonly #outputs: readonly PairOutput[];
  readonly #prefixes: readonly string[];
  readonly #json: boolean;
  readonly #calmMs: number;
  /** One after the other: attempts at the cluster, and rounds with a reload that failed. */
  #failures = 0;

  constructor(
    context: CommandContext,
    outputs: readonly PairOutput[],
    json: boolean,
    calmMs: number,
  ) {
    this.#context = context;
    this.#outputs = outputs;
    this.#prefixes = [...new Set(outputs.flatMap(({ pair }) => pair.prefixes))];
    this.#json = json;
    this.#calmMs = calmMs;
  }

  async once(): Promise<number> {
    const store = await Store.of(this.#context);
    const { keys, revision } = await readKeys(store, this.#prefixes);
    return (await this.#bring(keys, revision)) ? exit.ok : exit.error;
  }

  /** Ends well when it is interrupted: nothing is half done then. */
  async follow(): Promise<number> {
    const store = await Store.of(this.#context);
    while (!store.interrupted.aborted) {
      try {
        await this.#followOnce(store);
      } catch (error) {
        if (store.interrupted.aborted) break;
        if (!isEtcdError(error) && !(error instanceof CommandError)) throw error;
        const delayMs = this.#delayMs();
        const wait = `trying again in ${Math.ceil(delayMs / 1_000)} s`;
        this.#context.io.stderr(`${error.message}; the files stay as they are, ${wait}\n`);
        await this.#pause(delayMs);
      }
    }
    return exit.ok;
  }

  /** Until the watch ends. */
  async #followOnce(store: Store): Promise<void> {
    const { keys, revision } = await readKeys(store, this.#prefixes);
    const watch = new KeyWatch(store, this.#context.io.clock, keys, revision);
    try {
      await watch.open(this.#prefixes);
      for (;;) {
        await this.#bring(keys, watch.revision);
        // A reload that failed is tried again without waiting for a change: all is read anew.
        if (this.#outputs.some(({ owesReload }) => owesReload)) {
          throw new CommandError('a reload command failed');
        }
        this.#failures = 0;
        await watch.next(this.#calmMs);
      }
    } finally {
      watch.close();
    }
  }

  /** Brings all files up to date; false: not all of them are. */
  async #bring(keys: Keys, revision: number): Promise<boolean> {
    let allWell = true;
    for (const output of this.#outputs) {
      const outcome = await output.bring(keys);
      allWell = allWell && outcome.problem === undefined;
      await this.#tell(output.pair, outcome, revision);
    }
    return allWell;
  }

  async #tell({ template, out }: Pair, outcome: Outcome, revision: number): Promise<void> {
    const { io } = this.#context;
    if (this.#json) {
      await io.stdout(`${JSON.stringify({ template, out, revision, ...outcome })}\n`);
      return;
    }
    const { changed, reloaded, problem } = outcome;
    const paint = paintOf(this.#context);
    if (problem !== undefined) io.stderr(`${paint.red(out)}: ${problem}\n`);
    if (!changed && !reloaded) return;
    const what = `${changed ? 'written' : 'unchanged'}${reloaded ? ', reloaded' : ''}`;
    await io.stdout(`${paint.green(out)}: ${what} (revision ${revision})\n`);
  }

  #delayMs(): number {
    const delayMs = Math.min(retryMsMax, retryMsMin * 2 ** Math.min(this.#failures, 20));
    this.#failures += 1;
    return delayMs;
  }

  #pause(delayMs: number): Promise<void> {
    const { clock, interrupted } = this.#context.io;
    return new Promise((resolve) => {
      const timer = clock.after(delayMs, () => end());
      const takeBack = onAbort(interrupted, () => end());
      const end = (): void => {
        timer.cancel();
        takeBack();
        resolve();
      };
    });
  }
}
