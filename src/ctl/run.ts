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
  type GlobalValues,
  globalFlags,
  LineError,
  parseLine,
  usageText,
  withEnvironment,
} from './command/index.js';
import { commands } from './commands.js';
import { clientOf } from './connect/index.js';

/** True if `word` is a command of these: then the line is not one of the server. */
export function isCommand(word: string): boolean {
  return commands.some(({ name, aliases }) => name === word || aliases.includes(word));
}

/** Runs what `words` say; `program`: what it was called. Resolves with the exit status. */
export async function runCtl(
  words: readonly string[],
  io: CtlIo,
  program: string,
): Promise<ExitCode> {
  const known = commands.filter(({ beyondEtcdctl }) => program !== 'etcdctl' || !beyondEtcdctl);
  const { found, path, rest } = find(words, known, program);
  if (found === undefined) {
    const [word] = rest;
    if (word === undefined || word === '--help' || word === '-h') {
      await io.stdout(usageText(rootOf(known, program), program));
      return exit.ok;
    }
    const parent = path.join(' ');
    io.stderr(`Error: unknown command ${JSON.stringify(word)} for "${parent}"\n`);
    io.stderr(`Run '${parent} --help' for usage.\n`);
    return exit.error;
  }
  return await runCommand(found, path.join(' '), rest, io, program);
}

async function runCommand(
  found: Command,
  path: string,
  words: readonly string[],
  io: CtlIo,
  program: string,
): Promise<ExitCode> {
  let client: RawClient | undefined;
  try {
    const line = parseLine(words, { ...globalFlags, ...found.flags }, found);
    if (line.help || !found.runs) {
      const head = found.long === '' ? found.short : found.long;
      await io.stdout(`${head}\n\n${usageText(found, path)}`);
      return exit.ok;
    }
    const global = withEnvironment(line.flags as unknown as GlobalValues, line.isSet, io.env);
    const context: CommandContext = {
      ...{ io, program, global: global.values, isSet: global.isSet },
      pretty: io.terminal.out && global.values['write-out'] === 'simple' && program !== 'etcdctl',
      client: async () => {
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
    io.stderr(usageText(found, path));
    return exit.error;
  }
  if (error instanceof CommandError) {
    io.stderr(`Error: ${error.message}\n`);
    return error.exitCode;
  }
  if (isEtcdError(error)) {
    io.stderr(`Error: ${error.message}\n`);
    return exit.error;
  }
  throw error;
}

/** The command that `words` begin with, and what follows it. */
function find(words: readonly string[], known: readonly Command[], program: string) {
  const rest = [...words];
  const path = [program];
  let list = known;
  let found: Command | undefined;
  // Global flags may stand before the command.
  for (let at = 0; at < rest.length; ) {
    const word = rest[at] as string;
    if (word === '--') break;
    if (word.startsWith('-') && word.length > 1) {
      at += takesNext(word) ? 2 : 1;
      continue;
    }
    const next = list.find(({ name, aliases }) => name === word || aliases.includes(word));
    if (next === undefined) {
      if (found === undefined) return { found, path, rest: [word] };
      break;
    }
    found = next;
    path.push(next.name);
    rest.splice(at, 1);
    if (next.commands.length === 0) break;
    list = next.commands;
  }
  return { found, path, rest };
}

/** A flag before the command whose value is the next word. */
function takesNext(word: string): boolean {
  if (word.includes('=')) return false;
  const declared = Object.entries(globalFlags).find(([name, flag]) =>
    word.startsWith('--')
      ? name === word.slice(2)
      : 'short' in flag && word === `-${String(flag.short)}`,
  );
  return declared !== undefined && declared[1].kind !== 'bool';
}

function rootOf(known: readonly Command[], program: string): Command {
  return {
    ...{ name: program, aliases: [], usage: '', short: '', long: '', group: '', flags: {} },
    ...{ commands: known, beyondEtcdctl: false, flagsFirst: false, runs: false },
    run: () => Promise.resolve(exit.ok),
  };
}
