/**
 * Which command a line begins with, by the rules of cobra, which etcdctl has: global flags may
 * stand before it, and the beginning of a name is enough if no other begins so.
 */

import type { Command } from './command.js';
import type { Flag } from './flags.js';
import { globalFlags } from './global.js';

/** What was found. */
export interface Found {
  /** Undefined: `rest` begins with no command. */
  readonly command: Command | undefined;
  /** The names from the program on: `etcdctl lease grant`. */
  readonly path: readonly string[];
  /** The words that are left: of a command all but its names, else from the unknown one on. */
  readonly rest: readonly string[];
  /** What was taken for a command and is none. */
  readonly unknown: string | undefined;
}

/** Finds the command of `words` among `known`. */
export function findCommand(
  words: readonly string[],
  known: readonly Command[],
  program: string,
): Found {
  const rest = [...words];
  const path = [program];
  let list = known;
  let command: Command | undefined;
  for (let at = 0; at < rest.length; ) {
    const word = rest[at] as string;
    if (word === '--') break;
    if (word.startsWith('-') && word.length > 1) {
      at += takesNext(word, command) ? 2 : 1;
      continue;
    }
    const next = commandCalled(word, list);
    if (next === undefined) {
      const unknown = command === undefined ? word : undefined;
      return { command, path, rest, unknown };
    }
    command = next;
    path.push(next.name);
    rest.splice(at, 1);
    if (next.commands.length === 0) break;
    list = next.commands;
  }
  return { command, path, rest, unknown: undefined };
}

/** The command of that name, or the only one whose name begins so. */
export function commandCalled(word: string, list: readonly Command[]): Command | undefined {
  const exact = list.find(({ name, aliases }) => name === word || aliases.includes(word));
  if (exact !== undefined || word === '') return exact;
  const begun = list.filter(({ name, aliases }) => {
    return [name, ...aliases].some((one) => one.startsWith(word));
  });
  return begun.length === 1 ? begun[0] : undefined;
}

/** A flag before the command whose value is the next word; one that is not known takes it, too. */
function takesNext(word: string, command: Command | undefined): boolean {
  if (word.includes('=')) return false;
  const declared: Readonly<Record<string, Flag>> = { ...globalFlags, ...command?.flags };
  if (word.startsWith('--')) {
    const name = word.slice(2);
    return name !== 'help' && !standsAlone(declared[name]);
  }
  if (word.length > 2 || word === '-h') return false;
  const letter = word.slice(1);
  return !standsAlone(Object.values(declared).find(({ short }) => short === letter));
}

function standsAlone(flag: Flag | undefined): boolean {
  return flag?.kind === 'bool' || flag?.alone !== undefined;
}

/** Changes of letters within which a name is suggested. */
const distanceMax = 2;

/** What may have been meant. */
export function suggestions(word: string, known: readonly Command[]): readonly string[] {
  const typed = word.toLowerCase();
  return known
    .map(({ name }) => name)
    .filter((name) => name.startsWith(typed) || distance(typed, name) <= distanceMax);
}

/** Levenshtein's: letters to add, to leave out or to change. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
