/**
 * Asks before something is done that can't be undone: says what, and does nothing unless somebody
 * at the terminal says yes, or `--yes` was given. A script without `--yes` is told so; it never
 * hangs on a question that nobody sees.
 */

import { CommandError, type CtlIo, exit, flag } from '../command/index.js';

/** `--yes` of a command that asks. */
export const yesFlag = flag.bool(false, 'do it without asking', { short: 'y' });

/**
 * Resolves if it is to be done. `what` says it in a sentence: 'This removes 12 keys.' Rejects with
 * CommandError if the answer is no, if it is interrupted, or if there is nobody to ask.
 */
export async function confirm(io: CtlIo, what: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!io.terminal.in) {
    throw new CommandError(`${what} Nothing was done: give --yes to do it without being asked`);
  }
  io.stderr(`${what}\nGo on? [y/N] `);
  const answer = await answerOf(io);
  if (answer === undefined) {
    io.stderr('\n');
    throw new CommandError('interrupted: nothing was done', exit.interrupted);
  }
  if (!/^\s*y(es)?\s*$/i.test(answer)) throw new CommandError('nothing was done');
}

/** The line that is typed; undefined: interrupted. The end of the input is an empty line. */
async function answerOf({ stdin, interrupted }: CtlIo): Promise<string | undefined> {
  let stop = (): void => undefined;
  const stopped = new Promise<undefined>((resolve) => {
    stop = () => resolve(undefined);
    if (interrupted.aborted) stop();
    interrupted.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([stopped, lineOf(stdin)]);
  } finally {
    interrupted.removeEventListener('abort', stop);
  }
}

async function lineOf(stdin: AsyncIterable<Uint8Array>): Promise<string> {
  let text = '';
  for await (const chunk of stdin) {
    text += Buffer.from(chunk).toString('utf8');
    const end = text.indexOf('\n');
    if (end >= 0) return text.slice(0, end);
  }
  return text;
}
