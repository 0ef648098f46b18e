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
import { clientOf } from './connect/index.js';
import { formatOf, goErrorText } from './print/index.js';

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
  const known = commands.filter(({ beyondEtcdctl }) => program !== 'etcdctl' || !beyondEtcdctl);
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

async function runCommand(
  found: Command,
  path: string,
  words: readonly string[],
  io: CtlIo,
  root: Command,
): Promise<ExitCode> {
  let client: RawClient | undefined;
  const program = root.name;
  try {
    const line = parseLine(words, { ...globalFlags, ...found.flags }, found);
    if (line.help || found.commands.length > 0) {
      await io.stdout(helpText(found, path));
      return exit.ok;
    }
    const global = withEnvironment(line.flags as unknown as GlobalValues, line.isSet, io.env);
    const context: CommandContext = {
      ...{ io, program, root, global: global.values, isSet: global.isSet, dashAt: line.dashAt },
      pretty: io.terminal.out && global.values['write-out'] === 'simple' && program !== 'etcdctl',
      client: async () => {
        // As etcdctl: what can't be printed is not asked for, but arguments are looked at first.
        formatOf(global.values);
        client ??= await clientOf(global.values, global.isSet, io);
        return client;
      },
    };
    return await found.run(context, line.args, line.flags, line.isSet);
  } catch (error) {
    return report(error, found, path, io);
  } finally {
    await client?.close();
  }
}

function report(error: unknown, found: Command, path: string, io: CtlIo): ExitCode {
  if (error instanceof LineError) {
    io.stderr(`Error: ${error.message}\n`);
    io.stderr(`${usageText(found, path)}\n`);
    return exit.error;
  }
  if (error instanceof CommandError) {
    io.stderr(`Error: ${error.message}\n`);
    return error.exitCode;
  }
  if (isEtcdError(error)) {
    // Who looks at a terminal is told more than what etcdctl says.
    const plain = !io.terminal.out || path.startsWith('etcdctl');
    io.stderr(`Error: ${plain ? goErrorText(error) : error.message}\n`);
    return exit.error;
  }
  throw error;
}

function rootOf(known: readonly Command[], program: string): Command {
  return {
    ...{ name: program, aliases: [], usage: '', long: '', group: '', flags: {} },
    short: 'Asks and changes a cluster of kvorum or etcd.',
    ...{ commands: known, beyondEtcdctl: false, flagsFirst: false },
    run: () => Promise.resolve(exit.ok),
  };
}
