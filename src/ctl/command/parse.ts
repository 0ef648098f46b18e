/**
 * Reads a command line by the rules of Go's pflag and cobra: `--name value`, `--name=value`, `-n
 * value`, `-nvalue`, `--bool`, `--bool=false`, flags and arguments in any order, `--` before what
 * is not a flag. What is wrong is said in their words: scripts read them.
 */

import { parseDurationMs } from './duration.js';
import type { Flag, Flags, ValuesOf } from './flags.js';

/** What was read. */
export interface ParsedLine {
  readonly args: readonly string[];
  readonly flags: ValuesOf<Flags>;
  /** The names of the flags that stood there. */
  readonly isSet: ReadonlySet<string>;
  readonly help: boolean;
  /** How many of `args` stand before `--`; undefined: there is none. */
  readonly dashAt: number | undefined;
}

/** The line can't be read; the message is pflag's. */
export class LineError extends Error {}

/** Reads `words` by the flags `declared`. Throws LineError. */
export function parseLine(
  words: readonly string[],
  declared: Flags,
  options: { readonly flagsFirst?: boolean } = {},
): ParsedLine {
  const values = new Values(declared);
  const args: string[] = [];
  const rest = [...words];
  let dashAt: number | undefined;
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--') {
      dashAt = args.length;
      args.push(...rest.splice(0));
    } else if (word.startsWith('--')) {
      values.takeLong(word, rest);
    } else if (word.startsWith('-') && word.length > 1) {
      values.takeShort(word, rest);
    } else {
      args.push(word);
      if (options.flagsFirst === true) args.push(...rest.splice(0));
    }
  }
  return { args, flags: values.all(), isSet: values.isSet, help: values.help, dashAt };
}

/** The value of a flag from `text`, as after `--name=`. Throws LineError with pflag's reason. */
export function readFlag(name: string, declared: Flag, text: string, before: unknown): unknown {
  try {
    return readers[declared.kind](text, before);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const said = declared.short === undefined ? `--${name}` : `-${declared.short}, --${name}`;
    throw new LineError(`invalid argument ${goQuoted(text)} for "${said}" flag: ${reason}`);
  }
}

class Values {
  readonly isSet = new Set<string>();
  help = false;
  readonly #declared: Flags;
  readonly #values: Record<string, unknown> = {};

  constructor(declared: Flags) {
    this.#declared = declared;
    for (const [name, { byDefault }] of Object.entries(declared)) this.#values[name] = byDefault;
  }

  all(): ValuesOf<Flags> {
    return this.#values as ValuesOf<Flags>;
  }

  takeLong(word: string, rest: string[]): void {
    const at = word.indexOf('=');
    const name = at < 0 ? word.slice(2) : word.slice(2, at);
    const given = at < 0 ? undefined : word.slice(at + 1);
    if (name === '' || name.startsWith('-')) throw new LineError(`bad flag syntax: ${word}`);
    const declared = this.#of(name);
    if (declared !== undefined) {
      const text = given ?? alone(declared) ?? rest.shift();
      if (text === undefined) throw new LineError(`flag needs an argument: --${name}`);
      this.#set(name, declared, text);
    } else if (name === 'help') {
      this.help = given === undefined || readers.bool(given) === true;
    } else {
      throw new LineError(`unknown flag: --${name}`);
    }
  }

  takeShort(word: string, rest: string[]): void {
    let letters = word.slice(1);
    while (letters.length > 0) letters = this.#takeLetter(letters, rest);
  }

  /** Takes the first of `letters` with its value; returns the letters that are left. */
  #takeLetter(letters: string, rest: string[]): string {
    const letter = letters.charAt(0);
    const after = letters.slice(1);
    const found = Object.entries(this.#declared).find(([, { short }]) => short === letter);
    if (found === undefined) {
      if (letter !== 'h') throw new LineError(`unknown shorthand flag: '${letter}' in -${letters}`);
      this.help = true;
      return '';
    }
    const [name, declared] = found;
    const meaning = alone(declared);
    if (meaning !== undefined && !after.startsWith('=')) {
      this.#set(name, declared, meaning);
      return after;
    }
    const text = after === '' ? rest.shift() : after.replace(/^=/, '');
    if (text === undefined) {
      throw new LineError(`flag needs an argument: '${letter}' in -${letters}`);
    }
    this.#set(name, declared, text);
    return '';
  }

  #of(name: string): Flag | undefined {
    return Object.hasOwn(this.#declared, name) ? this.#declared[name] : undefined;
  }

  #set(name: string, declared: Flag, text: string): void {
    const before = this.isSet.has(name) ? this.#values[name] : undefined;
    this.#values[name] = readFlag(name, declared, text, before);
    this.isSet.add(name);
  }
}

/** What a flag means that stands there without a value; undefined: it needs one. */
function alone(declared: Flag): string | undefined {
  return declared.kind === 'bool' ? 'true' : declared.alone;
}

type Reader = (text: string, before?: unknown) => unknown;

const readers: Readonly<Record<Flag['kind'], Reader>> = {
  string: (text) => text,
  bool: (text) => {
    if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
    if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
    throw new Error(`strconv.ParseBool: parsing ${goQuoted(text)}: invalid syntax`);
  },
  strings: (text, before) => [
    ...((before as readonly string[] | undefined) ?? []),
    ...(text === '' ? [] : readCsv(text)),
  ],
  int64: (text) => integer(text, 'ParseInt', -(2n ** 63n), 2n ** 63n - 1n),
  uint64: (text) => integer(text, 'ParseUint', 0n, 2n ** 64n - 1n),
  int: (text) => Number(integer(text, 'ParseInt', -safe, safe)),
  duration: (text) => parseDurationMs(text),
};

const safe = BigInt(Number.MAX_SAFE_INTEGER);

/** strconv with base 0: a sign, a prefix of the base, underscores between digits. */
function integer(text: string, what: string, min: bigint, max: bigint): bigint {
  const match = /^([+-]?)(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]*|[1-9][0-9_]*)$/.exec(text);
  const [, sign = '', digits = ''] = match ?? [];
  const bad = match === null || /__|_$/.test(digits) || (sign !== '' && what === 'ParseUint');
  if (bad) throw new Error(`strconv.${what}: parsing ${goQuoted(text)}: invalid syntax`);
  const plain = digits.replaceAll('_', '').replace(/^0(?=[0-7])/, '0o');
  const value = sign === '-' ? -BigInt(plain) : BigInt(plain);
  if (value >= min && value <= max) return value;
  throw new Error(`strconv.${what}: parsing ${goQuoted(text)}: value out of range`);
}

/** One line of CSV, as encoding/csv reads it. */
function readCsv(text: string): string[] {
  const fields: string[] = [];
  const pattern = /(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g;
  for (const [, quoted, plain] of text.matchAll(pattern)) {
    fields.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'));
  }
  return fields;
}

/** As Go's %q of a text. */
export function goQuoted(text: string): string {
  return JSON.stringify(text);
}
