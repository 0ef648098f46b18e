/** The command lines of the programs that tests are. node:util reads them; this says what is wrong. */

import { type ParseArgsConfig, parseArgs } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;
type Values<T extends Options> = ReturnType<
  typeof parseArgs<{ options: T; strict: true }>
>['values'];

/** Throws with the usage if there is anything that `options` does not know. */
export function readCommandLine<T extends Options>(
  argv: readonly string[],
  options: T,
  usage: string,
): Values<T> {
  try {
    return parseArgs({ args: [...argv], options, strict: true }).values as Values<T>;
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  }
}

export interface NumberRule {
  readonly min: number;
  readonly whole?: boolean;
}

/** The number that `text` is, `otherwise` if the option was not given. Throws if it is no such one. */
export function numberOf(
  option: string,
  text: string | undefined,
  otherwise: number,
  { min, whole = false }: NumberRule,
): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  const isRight = text.trim() !== '' && value >= min && (!whole || Number.isSafeInteger(value));
  if (isRight) return value;
  const kind = whole ? 'a whole number' : 'a number';
  throw new Error(`--${option} must be ${kind} of at least ${min}, not ${JSON.stringify(text)}`);
}
