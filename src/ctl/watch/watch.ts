/** `watch`: shows what happens to keys, until it is interrupted. */

import type { RawClient } from '../../client/raw/index.js';
import {
  type CommandContext,
  CommandError,
  command,
  type ExitCode,
  exit,
  LineError,
  parseLine,
  type ValuesOf,
} from '../command/index.js';
import { Lines, QuoteError, wordsOf } from '../text/index.js';
import { Watch } from '../watching/index.js';
import {
  type EnvironmentKeys,
  environmentKeys,
  watchFlags,
  watchLine,
  watchRequest,
} from './request.js';
import { show } from './show.js';

/** As a shell says of a program that SIGINT has ended. */
const interruptedStatus = 130;

export const watchCommand = command({
  name: 'watch',
  usage: '[options] [key or prefix] [range_end] [--] [exec-command arg1 arg2 ...]',
  short: 'Shows what happens to keys',
  long: [
    'Shows what happens to keys, until it is interrupted.',
    '',
    "What follows '--' is run for each event, with ETCD_WATCH_REVISION, ETCD_WATCH_EVENT_TYPE,",
    'ETCD_WATCH_KEY and ETCD_WATCH_VALUE in its environment, the latter three in quotes.',
    'ETCDCTL_WATCH_KEY and ETCDCTL_WATCH_RANGE_END stand for the arguments.',
  ].join('\n'),
  group: 'Key-value commands',
  flags: watchFlags,
  async run(context, args, flags) {
    const { io } = context;
    const environment = environmentKeys(io.env);
    if (flags.interactive) return await interactively(context, environment);
    const line = watchLine(args, context.dashAt, environment);
    const client = await context.client();
    const watch = new Watch(client, watchRequest(line.keys, flags), io.interrupted);
    const status = await show(context, watch, line.program);
    if (io.interrupted.aborted) return interruptedStatus;
    if (status !== exit.ok) return status;
    throw new CommandError('watch is canceled by the server', exit.interrupted);
  },
});

/** Watches of one `watch -i`. */
interface Running {
  readonly context: CommandContext;
  readonly client: RawClient;
  readonly environment: EnvironmentKeys;
  readonly watches: Watch[];
  /** Called with how to end, if a program did not end well. */
  readonly failed: (status: ExitCode) => void;
}

/** Reads lines of stdin to their end, which is an error, as in etcdctl. */
async function interactively(
  context: CommandContext,
  environment: EnvironmentKeys,
): Promise<ExitCode> {
  const client = await context.client();
  const { io } = context;
  const lines = new Lines(io.stdin);
  const ended = new Promise<ExitCode>((resolve) => {
    const running = { context, client, environment, watches: [], failed: resolve };
    io.interrupted.addEventListener('abort', () => resolve(interruptedStatus), { once: true });
    readAll(lines, running).then(resolve, (error: unknown) => {
      resolve(Promise.reject<ExitCode>(error));
    });
  });
  return await ended;
}

async function readAll(lines: Lines, running: Running): Promise<never> {
  for (;;) {
    const line = await lines.next();
    if (line === undefined) {
      throw new CommandError('error reading watch request line: EOF', exit.invalidInput);
    }
    readLine(Buffer.from(line, 'latin1').toString('utf8'), running);
  }
}

/** One line of `watch -i`. Throws CommandError for one that ends the command. */
function readLine(line: string, running: Running): void {
  const { io } = running.context;
  const words = wordsOrWrong(line);
  const [name] = words;
  if (name === undefined) {
    io.stderr(`Invalid command: ${line} (watch and progress supported)\n`);
  } else if (name === 'progress') {
    for (const watch of running.watches) watch.requestProgress();
  } else if (name !== 'watch') {
    io.stderr(`Invalid command ${line} (only support watch)\n`);
  } else if (words.length < 2 && running.environment.key === '') {
    io.stderr(`Invalid command ${line} (command type or key is not provided)\n`);
  } else startWatch(words.slice(1), line, running);
}

function wordsOrWrong(line: string): string[] {
  try {
    return wordsOf(Buffer.from(line).toString('latin1')).map(textOf);
  } catch (error) {
    if (!(error instanceof QuoteError)) throw error;
    throw new CommandError(error.message, exit.invalidInput);
  }
}

function startWatch(words: readonly string[], line: string, running: Running): void {
  const { context, client, environment, watches, failed } = running;
  const parsed = parsedWords(words);
  const { keys, program } = watchLine(parsed.args, parsed.dashAt, environment);
  try {
    const request = watchRequest(keys, parsed.flags as ValuesOf<typeof watchFlags>);
    const watch = new Watch(client, request, context.io.interrupted);
    watches.push(watch);
    void show(context, watch, program).then(
      (status) => {
        watches.splice(watches.indexOf(watch), 1);
        if (status !== exit.ok) failed(status);
      },
      (error: unknown) => failed(Promise.reject(error) as unknown as ExitCode),
    );
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    context.io.stderr(`Invalid command ${line} (${error.message})\n`);
  }
}

function parsedWords(words: readonly string[]): ReturnType<typeof parseLine> {
  try {
    return parseLine(words, watchFlags);
  } catch (error) {
    if (!(error instanceof LineError)) throw error;
    throw new CommandError(error.message, exit.badArguments);
  }
}

function textOf(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
