/** From a command line to a command that runs, and from what goes wrong to a message and a status. */

import { isEtcdError } from '../client/index.js';
import type { RawClient } from '../client/raw/index.js';
import {
  type Command,
  type CommandContext,
  CommandError,
  type CtlIo,
  type ExitCode,
  exit,
  type Flag,
  findCommand,
  type GlobalValues,
  globalFlags,
  helpText,
  LineError,
  parseLine,
  suggestions,
  usageText,
  withEnvironment,
} from './command/index.js';
import { commands } from './commands.js';
import { clientOf, signedIn, withDiscovery } from './connect/index.js';
import { withContext } from './context/index.js';
import { failureText, hintOf, isForPeople } from './failure/index.js';
import { formatOf } from './print/index.js';

/** True if `words` begin with a command of these, or with a flag of theirs before one. */
export function isCommandLine(words: readonly string[]): boolean {
  const [first = ''] = words;
  if (!first.startsWith('-')) {
    return commands.some(({ name, aliases }) => name === first || aliases.includes(first));
  }
  const [name = ''] = first.replace(/^--?/, '').split('=');
  const known = Object.entries<Flag>(globalFlags).some(([flag, { short }]) => {
    return first.startsWith('--') ? flag === name : short === name.charAt(0);
  });
  return known && findCommand(words, commands, 'kvorum').command !== undefined;
}

/** Runs what `words` say; `program`: what it was called. Resolves with the exit status. */
export async function runCtl(
  words: readonly string[],
  io: CtlIo,
  program: string,
): Promise<ExitCode> {
  const known = program === 'etcdctl' ? ofEtcdctl(commands) : commands;
  const { command, path, rest, unknown } = findCommand(words, known, program);
  if (unknown !== undefined) return unknownCommand(unknown, known, io, program);
  const root = rootOf(known, program);
  return await runCommand(command ?? root, path.join(' '), rest, io, root);
}

function unknownCommand(
  word: string,
  known: readonly Command[],
  io: CtlIo,
  program: string,
): ExitCode {
  const meant = suggestions(word, known).map((name) => `\t${name}\n`);
  const did = meant.length === 0 ? '' : `\nDid you mean this?\n${meant.join('')}\n`;
  io.stderr(`Error: unknown command ${JSON.stringify(word)} for "${program}"\n${did}`);
  io.stderr(`Run '${program} --help' for usage.\n`);
  return exit.error;
}

/** Those that etcdctl has, too. */
function ofEtcdctl(list: readonly Command[]): readonly Command[] {
  return list
    .filter(({ beyondEtcdctl }) => !beyondEtcdctl)
    .map((one) => ({ ...one, commands: ofEtcdctl(one.commands) }));
}

async function runCommand(
  found: Command,
  path: string,
  words: readonly string[],
  io: CtlIo,
  root: Command,
): Promise<ExitCode> {
  const program = root.name;
  let client: Promise<RawClient> | undefined;
  let hasUser = false;
  try {
    const line = parseLine(words, { ...globalFlags, ...found.flags }, found);
    if (line.help || !found.runs) {
      await io.stdout(helpText(found, path));
      return exit.ok;
    }
    const values = line.flags as unknown as GlobalValues;
    const given = withEnvironment(values, line.isSet, io.env);
    const hasContext = program !== 'etcdctl' && !found.offline;
    const named = hasContext ? await withContext(given, io) : given;
    // Who asks no cluster needs no endpoints.
    const discovered = found.offline ? named.values : await withDiscovery(named.values, io);
    const global = { ...named, values: discovered };
    hasUser = global.values.user !== '' || global.values['auth-jwt-token'] !== '';
    const context: CommandContext = {
      ...{ io, program, root, global: global.values, isSet: global.isSet, dashAt: line.dashAt },
      pretty: io.terminal.out && global.values['write-out'] === 'simple' && program !== 'etcdctl',
      client: async () => {
        // As etcdctl: what can't be printed is not asked for, but arguments are looked at first.
        formatOf(global.values);
        client ??= connected(global, io, program);
        return await client;
      },
    };
    return await found.run(context, line.args, line.flags, line.isSet);
  } catch (error) {
    return report(error, { found, path, io, program, hasUser });
  } finally {
    await client?.then(
      (made) => made.close(),
      () => undefined,
    );
  }
}

/** The client of the flags, with a token if they have a user. */
async function connected(
  { values, isSet }: ReturnType<typeof withEnvironment>,
  io: CtlIo,
  program: string,
): Promise<RawClient> {
  return signedIn(await clientOf(values, isSet, io), values, { io, program });
}

interface Failed {
  readonly found: Command;
  readonly path: string;
  readonly io: CtlIo;
  readonly program: string;
  readonly hasUser: boolean;
}

function report(error: unknown, failed: Failed): ExitCode {
  const { found, path, io } = failed;
  if (error instanceof LineError) {
    io.stderr(`Error: ${error.message}\n`);
    io.stderr(`${usageText(found, path)}\n`);
    return exit.error;
  }
  if (error instanceof CommandError) {
    io.stderr(`Error: ${error.message}\n`);
    tellHint(error.cause, failed);
    return error.exitCode;
  }
  if (isEtcdError(error)) {
    io.stderr(`Error: ${failureText(error, failed)}\n`);
    tellHint(error, failed);
    return exit.error;
  }
  throw error;
}

function tellHint(error: unknown, failed: Failed): void {
  const hint = isForPeople(failed) ? hintOf(error, failed) : undefined;
  if (hint !== undefined) failed.io.stderr(`${hint}\n`);
}

function rootOf(known: readonly Command[], program: string): Command {
  return {
    ...{ name: program, aliases: [], usage: '', long: '', group: '', flags: {} },
    short: 'Asks and changes a cluster of kvorum or etcd.',
    ...{ commands: known, beyondEtcdctl: false, flagsFirst: false, offline: true, runs: false },
    run: () => Promise.resolve(exit.ok),
  };
}
