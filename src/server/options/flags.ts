/**
 * From argv and environment to one text for each flag that was set: Go's flag syntax, etcd's
 * ETCD_* variables, and --config-file, which replaces both. What the values mean together is
 * checked by config.ts. Facts: C-10.
 */

import { InvariantError } from '../../common/index.js';
import { parseConfigFile } from './config-file.js';
import { type FlagValue, parseFlagValue } from './flag-value.js';
import { environmentName, flagByName, flagTable } from './flags-table.js';
import { removedFlagRemedy } from './removed-flags.js';
import { didYouMean, fileProblem, quote, UsageError, verifyExitCode } from './usage-error.js';

/** Reads a whole file for us, as bytes or as UTF-8; throws as node:fs does. */
export type ReadFile = (path: string) => string | Uint8Array;

/** What {@link ReadFile} read, as text. */
export function textOf(file: string | Uint8Array): string {
  return typeof file === 'string' ? file : Buffer.from(file).toString('utf8');
}

/** What {@link ReadFile} read, as bytes. */
export function bytesOf(file: string | Uint8Array): Uint8Array {
  return typeof file === 'string' ? Buffer.from(file) : file;
}

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What the command line asks for. */
export type CommandLine =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'run'; readonly flags: Flags };

/** The value of every flag: set, or its default. */
export class Flags {
  readonly #values: ReadonlyMap<string, FlagValue>;
  /** For a person: what has no effect, what was ignored. */
  readonly warnings: readonly string[];

  constructor(texts: ReadonlyMap<string, string>, warnings: readonly string[]) {
    const values = new Map<string, FlagValue>();
    for (const [name, text] of texts) {
      const spec = flagByName.get(name);
      if (spec !== undefined) values.set(name, parseFlagValue(spec, text));
    }
    this.#values = values;
    this.warnings = warnings;
  }

  /** True if it was given on the command line, in the environment or in the file. */
  isSet(name: string): boolean {
    return this.#values.has(name);
  }

  text(name: string): string {
    const value = this.#value(name);
    if (typeof value === 'string') return value;
    throw new InvariantError(`flag ${name} is not a text`);
  }

  number(name: string): number {
    const value = this.#value(name);
    if (typeof value === 'number') return value;
    throw new InvariantError(`flag ${name} is not a number`);
  }

  bool(name: string): boolean {
    const value = this.#value(name);
    if (typeof value === 'boolean') return value;
    throw new InvariantError(`flag ${name} is not a bool`);
  }

  list(name: string): readonly string[] {
    const value = this.#value(name);
    if (Array.isArray(value)) return value as readonly string[];
    throw new InvariantError(`flag ${name} is not a list`);
  }

  #value(name: string): FlagValue {
    const spec = flagByName.get(name);
    if (spec === undefined) throw new InvariantError(`no flag ${name}`);
    return this.#values.get(name) ?? parseFlagValue(spec, spec.default);
  }
}

/**
 * Parses `argv` (without node and script) and `env`; throws {@link UsageError}. `help` and `version`
 * alone are commands, too: etcd has no such words, but its clients do.
 */
export function parseCommandLine(
  argv: readonly string[],
  env: Environment,
  readFile: ReadFile,
): CommandLine {
  const [command] = argv;
  if (argv.length === 1 && (command === 'help' || command === 'version')) return { kind: command };
  const words = parseWords(argv);
  if (words.special !== undefined) return { kind: words.special };
  const environment = parseEnvironment(env);
  const file = words.texts.get('config-file') ?? environment.texts.get('config-file');
  if (file !== undefined && file !== '') {
    const settings = readConfigFile(file, readFile);
    const warnings = [...settings.warnings, ...replacedByFile(words.texts, environment.texts)];
    return run(settings.texts, warnings);
  }
  for (const name of words.texts.keys()) {
    if (environment.texts.has(name)) {
      throw new UsageError(
        `conflicting environment variable ${quote(environmentName(name))} is shadowed by ` +
          'corresponding command-line flag (either unset environment variable or disable flag)',
        verifyExitCode,
      );
    }
  }
  return run(new Map([...environment.texts, ...words.texts]), environment.warnings);
}

function run(texts: ReadonlyMap<string, string>, warnings: readonly string[]): CommandLine {
  const flags = new Flags(texts, [...warnings, ...withoutEffect(texts)]);
  return { kind: 'run', flags };
}

/** One warning for each flag that was set and does nothing; throws for those we must not drop. */
function withoutEffect(texts: ReadonlyMap<string, string>): string[] {
  const warnings: string[] = [];
  for (const spec of flagTable) {
    const text = texts.get(spec.name);
    if (text === undefined || spec.status === 'implemented') continue;
    const isDefault = spec.kind === 'bool' ? sameBool(text, spec.default) : text === spec.default;
    if (isDefault) continue;
    if (spec.status === 'refused') {
      throw new UsageError(
        spec.instead === ''
          ? `--${spec.name} is not supported yet, and starting without it would be less safe than ` +
              'what was asked for; remove it to start anyway'
          : `--${spec.name} is not supported: ${spec.instead}`,
      );
    }
    const why = spec.status === 'ignored' ? 'is ignored' : 'has no effect yet';
    warnings.push(`--${spec.name} ${why}: ${spec.help}`);
  }
  return warnings;
}

/** Go has twelve ways of writing the two. */
function sameBool(a: string, b: string): boolean {
  return isTrue(a) === isTrue(b);
}

function isTrue(text: string): boolean {
  return /^(1|t|true)$/i.test(text);
}

interface Words {
  readonly texts: Map<string, string>;
  special: 'help' | 'version' | undefined;
}

/** Go's flag.Parse: one or two dashes, `=` or the next word, stops at the first non-flag. */
function parseWords(argv: readonly string[]): Words {
  const words: Words = { texts: new Map(), special: undefined };
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? '';
    if (!/^-./.test(word) || word === '--') {
      const stray = word === '--' ? argv[i + 1] : word;
      if (stray === undefined) return words;
      throw strayArgument(stray, argv[i - 1]);
    }
    const body = word.replace(/^--?/, '');
    const equals = body.indexOf('=');
    const name = equals < 0 ? body : body.slice(0, equals);
    if (name === '' || name.startsWith('-')) throw usage(`bad flag syntax: ${quote(word)}`);
    const inline = equals < 0 ? undefined : body.slice(equals + 1);
    // As in Go, help ends the parsing where it stands, even before an error.
    if (name === 'help' || name === 'h') return { texts: words.texts, special: 'help' };
    if (name === 'version') {
      words.special = 'version';
      continue;
    }
    const spec = flagByName.get(name);
    if (spec === undefined) throw unknownFlag(name);
    if (inline !== undefined) words.texts.set(name, inline);
    else if (spec.kind === 'bool' || spec.kind === 'noop') words.texts.set(name, 'true');
    else {
      i += 1;
      const next = argv[i];
      if (next === undefined) throw usage(`flag needs an argument: --${name}`);
      words.texts.set(name, next);
    }
  }
  return words;
}

function usage(message: string): UsageError {
  return new UsageError(`${message}. See 'kvorum --help'.`);
}

function strayArgument(word: string, before: string | undefined): UsageError {
  const name = before?.replace(/^--?/, '') ?? '';
  const afterBool = before?.startsWith('-') === true && flagByName.get(name)?.kind === 'bool';
  const hint = afterBool ? ` (write --${name}=${word.slice(0, 10)})` : '';
  return new UsageError(
    `error verifying flags, ${quote(word)} is not a valid flag${hint}. See 'kvorum --help'.`,
    verifyExitCode,
  );
}

function unknownFlag(name: string): UsageError {
  const remedy = removedFlagRemedy(name, (other) => flagByName.has(other));
  if (remedy !== undefined) return new UsageError(`flag --${name} was removed. ${remedy}`);
  const near = didYouMean(name, flagByName.keys());
  const hint = near === undefined ? '' : `, did you mean --${near}?`;
  return usage(`flag provided but not defined: ${quote(`--${name}`)}${hint}`);
}

interface EnvironmentSettings {
  readonly texts: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

/** Values never appear in the warnings: a variable that we do not know may hold a secret. */
function parseEnvironment(env: Environment): EnvironmentSettings {
  const texts = new Map<string, string>();
  const known = new Map(flagTable.map((spec) => [environmentName(spec.name), spec.name]));
  const warnings: string[] = [];
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith('ETCD_') || value === undefined || value === '') continue;
    const name = known.get(variable);
    if (name !== undefined) texts.set(name, value);
    else if (variable === 'ETCD_VERSION')
      warnings.push('ETCD_VERSION cannot be set; it is ignored');
    else warnings.push(unknownVariable(variable, known.keys()));
  }
  return { texts, warnings };
}

function unknownVariable(variable: string, known: Iterable<string>): string {
  const flag = variable.slice('ETCD_'.length).toLowerCase().replaceAll('_', '-');
  const remedy = removedFlagRemedy(flag, (other) => flagByName.has(other));
  if (remedy !== undefined) return `${variable} is ignored. ${remedy}`;
  const lower = new Map([...known].map((name) => [name.toLowerCase(), name]));
  const near = lower.get(didYouMean(variable, lower.keys()) ?? '');
  const hint = near === undefined ? '' : `, did you mean ${near}?`;
  return `unrecognized environment variable ${quote(variable)} is ignored${hint}`;
}

function readConfigFile(path: string, readFile: ReadFile): ReturnType<typeof parseConfigFile> {
  let text: string;
  try {
    text = textOf(readFile(path));
  } catch (cause) {
    throw new UsageError(`--config-file ${quote(path)} can't be read: ${fileProblem(cause)}`);
  }
  return parseConfigFile(path, text);
}

function replacedByFile(
  words: ReadonlyMap<string, string>,
  environment: ReadonlyMap<string, string>,
): string[] {
  const flags = [...words.keys()].filter((name) => name !== 'config-file');
  const variables = [...environment.keys()].filter((name) => name !== 'config-file');
  const names = [...flags.map((name) => `--${name}`), ...variables.map(environmentName)];
  if (names.length === 0) return [];
  return [`ignored because of --config-file: ${names.join(', ')}`];
}
