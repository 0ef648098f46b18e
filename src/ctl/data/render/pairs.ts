/** What is rendered: pairs of a template and a file, from the line or from a file of pairs. */

import { CommandError, type CtlIo } from '../../command/index.js';
import { fileBytesMax } from '../limits.js';
import { keyOf } from '../span.js';

/** A template and what becomes of it. */
export interface Pair {
  readonly template: string;
  readonly out: string;
  /** As keys: one character a byte. */
  readonly prefixes: readonly string[];
  /** Commands for the shell, with the new file in $FILE; '' for none. */
  readonly check: string;
  readonly reload: string;
  /** Of a file that is not there yet; one that is there keeps its own. */
  readonly mode: number;
}

/** The same as it is written. */
interface PairText {
  readonly template: string;
  readonly out: string;
  readonly prefixes: readonly string[];
  readonly check: string;
  readonly reload: string;
  readonly mode: string;
}

/** Throws CommandError for what can't be meant. */
export function pairOf(text: PairText, where = ''): Pair {
  const { template, out, prefixes, check, reload, mode } = text;
  const wrong = (what: string) => new CommandError(`${where}${what}`);
  if (template === '' || out === '') throw wrong('a pair has a template and an out');
  if (prefixes.length === 0) throw wrong("a pair needs a prefix; '' means all keys");
  if (!/^0?[0-7]{3}$/.test(mode)) throw wrong(`${mode} is no mode: 0644 is one`);
  const keys = prefixes.map(keyOf);
  return { template, out, prefixes: keys, check, reload, mode: Number.parseInt(mode, 8) };
}

/** The pairs of `{"pairs": [{"template", "out", "prefixes", "check", "reload", "mode"}]}`. */
export async function readPairs(io: CtlIo, path: string): Promise<readonly Pair[]> {
  const bytes = await readWhole(io, path);
  let content: unknown;
  try {
    content = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new CommandError(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const pairs = isObject(content) ? content.pairs : undefined;
  if (!Array.isArray(pairs) || pairs.length === 0) {
    throw new CommandError(`${path}: has no list of "pairs"`);
  }
  return pairs.map((one: unknown, i) => {
    const where = `${path}: pair ${i + 1}: `;
    if (!isObject(one)) throw new CommandError(`${where}is no object`);
    const unknown = Object.keys(one).find((name) => !known.includes(name));
    if (unknown !== undefined) throw new CommandError(`${where}knows no "${unknown}"`);
    const text = (name: string, otherwise: string): string => {
      const value = one[name] ?? otherwise;
      if (typeof value === 'string') return value;
      throw new CommandError(`${where}"${name}" must be a text`);
    };
    const { prefixes } = one;
    if (!Array.isArray(prefixes) || !prefixes.every((prefix) => typeof prefix === 'string')) {
      throw new CommandError(`${where}"prefixes" must be a list of texts`);
    }
    return pairOf(
      {
        ...{ template: text('template', ''), out: text('out', ''), prefixes },
        ...{ check: text('check', ''), reload: text('reload', ''), mode: text('mode', '0644') },
      },
      where,
    );
  });
}

const known = ['template', 'out', 'prefixes', 'check', 'reload', 'mode'];

/** A file that has a sensible size. Rejects with CommandError. */
export async function readWhole(io: Pick<CtlIo, 'readFile'>, path: string): Promise<Buffer> {
  let bytes: Uint8Array;
  try {
    bytes = await io.readFile(path);
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error));
  }
  if (bytes.length > fileBytesMax) throw new CommandError(`${path} is too large`);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
