/** The lines of `txn`: `mod("key") > "0"`, and requests as on a line of their own. */

import type { KeyString } from '../../common/index.js';
import {
  type Compare,
  type CompareInput,
  CompareResult,
  CompareTarget,
  compareOf,
  type RequestOp,
} from '../../proto/index.js';
import {
  type Command,
  CommandError,
  type CtlIo,
  countOf,
  exit,
  LineError,
  parseGoInt,
  parseLine,
  usageText,
  type ValuesOf,
} from '../command/index.js';
import { goQuotedBytes } from '../print/index.js';
import { QuoteError, unquoted, wordsOf } from '../text/index.js';
import { delCommand, type delFlags, delRequest } from './del.js';
import { getCommand, type getFlags, getRequest } from './get.js';
import { putCommand, type putFlags, putRequest } from './put.js';

const results: Readonly<Record<string, number>> = {
  '=': CompareResult.EQUAL,
  '!=': CompareResult.NOT_EQUAL,
  '>': CompareResult.GREATER,
  '<': CompareResult.LESS,
};

/** The comparison that `line` says. Throws CommandError. */
export function compareOfLine(line: KeyString): Compare {
  const at = line.indexOf('(');
  if (at < 0) throw wrong(`malformed comparison: ${textOf(line)}`);
  const target = line.slice(0, at);
  const { key, operator, value, count } = partsOf(line.slice(at + 1));
  if (count < 3) {
    const got = `${textOf(target)}(${quoted(key)}) ${textOf(operator)} ${quoted(value)}`;
    throw wrong(`malformed comparison: ${textOf(line)}; got ${got}`);
  }
  const operand = operandOf(target, value, line);
  const result = Object.hasOwn(results, operator) ? results[operator] : undefined;
  // etcdctl breaks off with a stack trace here; we say what is wrong.
  if (result === undefined) {
    throw wrong(`malformed comparison: ${textOf(line)} (unknown operator ${textOf(operator)})`);
  }
  return compareOf({ key, result, ...operand });
}

interface Parts {
  readonly key: KeyString;
  readonly operator: KeyString;
  readonly value: KeyString;
  /** How many of them were there, from the first on. */
  readonly count: number;
}

/** As Go's Sscanf reads `%q) %s %q`: up to the first that is not there. */
function partsOf(text: KeyString): Parts {
  const none = { key: '', operator: '', value: '' };
  const key = scanQuoted(text);
  if (key === undefined) return { ...none, count: 0 };
  const operator = /^\)[ \t\r]+([^ \t\r\n]+)/.exec(key.rest);
  if (operator === null) return { ...none, key: key.text, count: 1 };
  const [all, name = ''] = operator;
  const value = scanQuoted(
    /^[ \t\r]+/.exec(key.rest.slice(all.length)) === null
      ? ''
      : key.rest.slice(all.length).trimStart(),
  );
  if (value === undefined) return { key: key.text, operator: name, value: '', count: 2 };
  return { key: key.text, operator: name, value: value.text, count: 3 };
}

function scanQuoted(
  text: KeyString,
): { readonly text: KeyString; readonly rest: KeyString } | undefined {
  const start = text.replace(/^[ \t\r]+/, '');
  const raw = /^`([^`]*)`/.exec(start);
  if (raw !== null) return { text: raw[1] ?? '', rest: start.slice(raw[0].length) };
  const match = /^"(?:[^"\\]|\\.)*"/s.exec(start);
  if (match === null) return undefined;
  try {
    return { text: unquoted(match[0]), rest: start.slice(match[0].length) };
  } catch (error) {
    if (error instanceof QuoteError) return undefined;
    throw error;
  }
}

function operandOf(target: KeyString, value: KeyString, line: KeyString): CompareInput {
  const number = (): bigint => {
    try {
      return parseGoInt(textOf(value), 10);
    } catch {
      throw wrong(`invalid txn compare request: ${textOf(line)}`);
    }
  };
  switch (target) {
    case 'ver':
    case 'version':
      return { target: CompareTarget.VERSION, targetUnion: 'version', version: countOf(number()) };
    case 'c':
    case 'create': {
      const createRevision = countOf(number());
      return { target: CompareTarget.CREATE, targetUnion: 'createRevision', createRevision };
    }
    case 'm':
    case 'mod': {
      const modRevision = countOf(number());
      return { target: CompareTarget.MOD, targetUnion: 'modRevision', modRevision };
    }
    case 'val':
    case 'value': {
      const bytes = Buffer.from(value, 'latin1');
      return { target: CompareTarget.VALUE, targetUnion: 'value', value: bytes };
    }
    case 'lease':
      return { target: CompareTarget.LEASE, targetUnion: 'lease', lease: number() };
    default:
      throw wrong(`malformed comparison: ${textOf(line)} (unknown target ${textOf(target)})`);
  }
}

const requests = [putCommand, getCommand, delCommand];

/** The request that `line` says. Rejects with CommandError. */
export async function requestOfLine(line: KeyString, io: CtlIo): Promise<RequestOp> {
  const words = wordsOrWrong(line);
  const [name = '', ...rest] = words;
  if (words.length < 2) throw wrong(`invalid txn compare request: ${textOf(line)}`);
  const exact = requests.find((one) => one.name === name);
  const begun = requests.filter((one) => name !== '' && one.name.startsWith(name));
  const found = exact ?? (begun.length === 1 ? begun[0] : undefined);
  const invalid = wrong(`invalid txn request: ${textOf(line)}`);
  if (found === undefined) throw invalid;
  const parsed = parsedOrWrong(found, rest, io, invalid);
  return await requestOf(found, parsed.args, parsed.flags, io);
}

function parsedOrWrong(
  found: Command,
  words: readonly KeyString[],
  io: CtlIo,
  invalid: CommandError,
): ReturnType<typeof parseLine> {
  try {
    const parsed = parseLine(words, found.flags);
    if (!parsed.help) return parsed;
  } catch (error) {
    if (!(error instanceof LineError)) throw error;
  }
  io.stderr(`${usageText(found, ` ${found.name}`)}\n`);
  throw invalid;
}

async function requestOf(
  found: Command,
  args: readonly KeyString[],
  flags: ReturnType<typeof parseLine>['flags'],
  io: CtlIo,
): Promise<RequestOp> {
  if (found === putCommand) {
    // Stdin is where the lines come from: nothing is left of it for a value.
    const none = async (): Promise<Buffer> => Buffer.alloc(0);
    const request = await putRequest(args, flags as ValuesOf<typeof putFlags>, none);
    return { type: 'put', request: request as Extract<RequestOp, { type: 'put' }>['request'] };
  }
  if (found === delCommand) {
    const request = await delRequest(args, flags as ValuesOf<typeof delFlags>, io);
    return {
      type: 'deleteRange',
      request: request as Extract<RequestOp, { type: 'deleteRange' }>['request'],
    };
  }
  const request = getRequest(args, flags as ValuesOf<typeof getFlags>);
  return { type: 'range', request: request as Extract<RequestOp, { type: 'range' }>['request'] };
}

function wordsOrWrong(line: KeyString): KeyString[] {
  try {
    return wordsOf(line);
  } catch (error) {
    if (error instanceof QuoteError) throw wrong(error.message);
    throw error;
  }
}

/** How the command ends. */
export function wrong(message: string): CommandError {
  return new CommandError(message, exit.invalidInput);
}

function quoted(bytes: KeyString): string {
  return goQuotedBytes(Buffer.from(bytes, 'latin1'));
}

function textOf(bytes: KeyString): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
