/** Which keys a line means: one, `key range_end`, `--prefix` or `--from-key`. */

import { prefixEnd } from '../../client/raw/index.js';
import type { KeyString } from '../../common/index.js';
import { CommandError, exit } from '../command/index.js';

/** An argument as a key: each character is a byte. */
export function keyOf(argument: string): KeyString {
  return Buffer.from(argument).toString('latin1');
}

/** As requests have it; '\0' ends with the last key. */
export interface Keys {
  readonly key: KeyString;
  readonly rangeEnd: KeyString;
}

interface RangeFlags {
  readonly prefix: boolean;
  readonly 'from-key': boolean;
}

/** Throws CommandError for flags that contradict each other. */
export function checkRangeFlags(flags: RangeFlags): void {
  if (!flags.prefix || !flags['from-key']) return;
  throw badArguments('`--prefix` and `--from-key` cannot be set at the same time, choose one');
}

/** The keys of one or two arguments. Throws CommandError. */
export function keysOf([key = '', end]: readonly KeyString[], flags: RangeFlags): Keys {
  const open = flags.prefix || flags['from-key'];
  if (end !== undefined && open) {
    throw badArguments(
      'too many arguments, only accept one argument when `--prefix` or `--from-key` is set',
    );
  }
  if (!open) return { key, rangeEnd: end ?? '' };
  if (key === '') return { key: '\0', rangeEnd: '\0' };
  return { key, rangeEnd: flags.prefix ? prefixEnd(key) : '\0' };
}

/** How commands end that were called with other arguments than they take. */
export function badArguments(message: string): CommandError {
  return new CommandError(message, exit.badArguments);
}
