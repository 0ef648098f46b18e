/**
 * Options looked at when they are given. TypeScript refuses a name that nobody knows where it sees
 * a literal; JavaScript, spreads and variables get the same here, at the call, instead of an option
 * that has no effect.
 *
 * A shape names every option of a type with what its value must be; the compiler holds it to the
 * type, so an option can't be added and forgotten here. Calls without options pay nothing.
 */

import { invalidOption } from '../errors.js';
import { described } from './described.js';
import { didYouMean } from './did-you-mean.js';

/** Undefined if the value will do; else what would: "true or false". */
export type Check = (value: unknown) => string | undefined;

type KeysOf<O> = O extends unknown ? keyof O : never;

/** All options of a type. */
export type Shape<O> = { readonly [K in KeysOf<O>]-?: Check };

/** Throws INVALID_OPTION unless `given` has just such options; `where` names the call. */
export function checkOptions<O>(where: string, given: unknown, shape: Shape<O>): void {
  if (given === undefined) return;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalidOption(`${where}: the options must be an object, not ${described(given)}`);
  }
  const checks: Readonly<Record<string, Check>> = shape;
  for (const name of Object.keys(given)) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    if (check === undefined) throw unknownOption(where, name, Object.keys(checks));
    const value = (given as Readonly<Record<string, unknown>>)[name];
    if (value === undefined) continue;
    const expected = check(value);
    if (expected !== undefined) throw wrongValue(`${where}: ${name}`, expected, value);
  }
}

function unknownOption(where: string, name: string, known: readonly string[]) {
  const meant = didYouMean(name, known);
  const hint =
    meant === undefined
      ? `; there ${known.length === 1 ? 'is' : 'are'} ${known.join(', ')}`
      : `; did you mean ${JSON.stringify(meant)}?`;
  return invalidOption(`${where}: unknown option ${JSON.stringify(name)}${hint}`);
}

/** Throws INVALID_OPTION unless the value is one of those. */
export function checkOneOf(what: string, value: unknown, known: readonly string[]): void {
  const expected = oneOf(...known)(value);
  if (expected !== undefined) throw wrongValue(what, expected, value);
}

function wrongValue(what: string, expected: string, value: unknown) {
  const secret = expected.startsWith(secretMark);
  const must = secret ? expected.slice(secretMark.length) : expected;
  return invalidOption(`${what} must be ${must}${secret ? '' : `, not ${described(value)}`}`);
}

/** Before what is expected of a value that must not be quoted. */
const secretMark = 'secret:';

/** Something that is looked at elsewhere. */
export const anything: Check = () => undefined;

export const flag: Check = (value) => (typeof value === 'boolean' ? undefined : 'true or false');

export const aText: Check = (value) => (typeof value === 'string' ? undefined : 'text');

export const aFunction: Check = (value) => (typeof value === 'function' ? undefined : 'a function');

export const anObject: Check = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? undefined : 'an object';

/** What is not quoted. */
export const aSecretObject: Check = (value) =>
  anObject(value) === undefined ? undefined : `${secretMark}an object`;

export const aList: Check = (value) => (Array.isArray(value) ? undefined : 'an array');

export const aBigint: Check = (value) =>
  typeof value === 'bigint' ? undefined : 'a bigint, like 7n';

export const aSignal: Check = (value) =>
  value instanceof AbortSignal
    ? undefined
    : value instanceof AbortController
      ? 'the signal of the controller (`controller.signal`)'
      : 'an AbortSignal';

/** A number of at least `min`; Infinity is one. */
export const atLeast =
  (min: number): Check =>
  (value) =>
    typeof value === 'number' && value >= min ? undefined : `a number of at least ${min}`;

/** A number above 0. */
export const positive: Check = (value) =>
  typeof value === 'number' && value > 0 ? undefined : 'a number above 0';

/** A safe integer of at least `min`. */
export const wholeNumber =
  (min: number): Check =>
  (value) => {
    if (Number.isSafeInteger(value) && Number(value) >= min) return undefined;
    const hint = typeof value === 'bigint' ? ' (a number, no bigint)' : '';
    return `a whole number of at least ${min}${hint}`;
  };

/** One of these words. */
export const oneOf =
  (...known: readonly string[]): Check =>
  (value) => {
    if (typeof value === 'string' && known.includes(value)) return undefined;
    const meant = typeof value === 'string' ? didYouMean(value, known) : undefined;
    const words = known
      .map((word) => `'${word}'`)
      .join(', ')
      .replace(/, ([^,]*)$/, ' or $1');
    return meant === undefined ? words : `${words} (did you mean '${meant}'?)`;
  };
