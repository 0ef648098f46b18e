/**
 * From the text of a flag to its value, by the rules of Go's flag, strconv and time packages, which
 * is what etcd's users type. Every failure names the flag, the value and what would be right.
 */

import type { FlagSpec } from './flag-spec.js';
import { hasControlCharacter, quote, UsageError } from './usage-error.js';

/** A flag's value: its kind decides which. Durations are milliseconds. */
export type FlagValue = string | boolean | number | readonly string[];

/** The longest text that any flag takes: the longest URL lists are far below it. */
export const flagTextCharactersMax = 65_536;

/** Reads the text of `spec`; throws {@link UsageError}. */
export function parseFlagValue(spec: FlagSpec, text: string): FlagValue {
  if (text.length > flagTextCharactersMax) {
    throw invalid(spec, text, `longer than ${flagTextCharactersMax} characters`);
  }
  if (spec.kind !== 'noop' && hasControlCharacter(text)) {
    throw invalid(spec, text, 'control characters are not allowed');
  }
  switch (spec.kind) {
    case 'bool':
      return parseBool(spec, text);
    case 'int':
      return inRange(spec, text, parseInteger(spec, text), '');
    case 'duration':
      return inRange(spec, text, parseDuration(spec, text), 'ms');
    case 'choice': {
      const value = spec.anyCase ? text.toLowerCase() : text;
      if (spec.choices.includes(value)) return value;
      throw invalid(spec, text, `must be ${spec.choices.map((c) => c || "''").join(' or ')}`);
    }
    case 'urls':
    case 'texts':
      return splitList(text);
    case 'text':
    case 'path':
    case 'noop':
      return text;
  }
}

/** A comma list without empty entries and without white space around them. */
export function splitList(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function invalid(spec: FlagSpec, text: string, why: string): UsageError {
  return new UsageError(`invalid value ${quote(text)} for flag --${spec.name}: ${why}`);
}

const trueTexts = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const falseTexts = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

/** strconv.ParseBool; undefined if `text` is none of its twelve. */
export function goBool(text: string): boolean | undefined {
  return trueTexts.has(text) ? true : falseTexts.has(text) ? false : undefined;
}

function parseBool(spec: FlagSpec, text: string): boolean {
  const value = goBool(text);
  if (value === undefined) throw invalid(spec, text, 'must be true or false');
  return value;
}

/** strconv.ParseInt with base 0: 12, -12, 0x1f, 0o17, 017, 0b11, 1_000. */
const integerText = /^[+-]?(0[xX](_?[\da-fA-F])+|0[bB](_?[01])+|0[oO]?(_?[0-7])+|0|[1-9](_?\d)*)$/;

function parseInteger(spec: FlagSpec, text: string): number {
  if (!integerText.test(text)) throw invalid(spec, text, 'must be a whole number');
  const negative = text.startsWith('-');
  let digits = text.replace(/^[+-]/, '').replaceAll('_', '');
  if (/^0\d/.test(digits)) digits = `0o${digits.slice(1)}`;
  const value = Number(BigInt(digits));
  return negative ? -value : value;
}

function inRange(spec: FlagSpec, text: string, value: number, unit: string): number {
  if (value >= spec.min && value <= spec.max) return value;
  const low = spec.min <= -Number.MAX_SAFE_INTEGER ? '' : `at least ${spec.min}${unit}`;
  const high = `at most ${spec.max}${unit}`;
  throw invalid(spec, text, `must be ${[low, high].filter((bound) => bound !== '').join(' and ')}`);
}

const unitMs: ReadonlyMap<string, number> = new Map([
  ['ns', 1e-6],
  ['us', 1e-3],
  ['µs', 1e-3],
  ['μs', 1e-3],
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/** Go's time.ParseDuration in milliseconds; undefined if `text` is not one. */
export function parseGoDuration(text: string): number | undefined {
  const match = /^([+-]?)(.*)$/.exec(text);
  const body = match?.[2] ?? '';
  if (body === '0') return 0;
  const parts = body.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/gy);
  let totalMs = 0;
  let length = 0;
  for (const [whole, number, unit] of parts) {
    totalMs += Number(number) * (unitMs.get(unit ?? '') ?? Number.NaN);
    length += whole.length;
  }
  if (length === 0 || length !== body.length) return undefined;
  return match?.[1] === '-' ? -totalMs : totalMs;
}

function parseDuration(spec: FlagSpec, text: string): number {
  const ms = parseGoDuration(text);
  if (ms !== undefined) return ms;
  throw invalid(spec, text, "must be a duration such as '500ms', '10s' or '1h30m'");
}
