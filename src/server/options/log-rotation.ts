/** --enable-log-rotation and --log-rotation-config-json, as etcd reads them. */

import type { Flags } from './flags.js';
import { quote, UsageError } from './usage-error.js';

/** When a log file is put aside, and what becomes of those that were. */
export interface LogRotation {
  readonly sizeBytesMax: number;
  /** Days after which an old file is removed; 0: never. */
  readonly daysMax: number;
  /** Old files that are kept; 0: all. */
  readonly filesMax: number;
  /** Times in names are local ones. */
  readonly localTime: boolean;
  readonly compress: boolean;
}

const megabyte = 1024 * 1024;
const megabytesDefault = 100;
const numberMax = 1_000_000;

/** Undefined: log files grow for ever. Throws {@link UsageError}. */
export function readLogRotation(flags: Flags, outputs: readonly string[]): LogRotation | undefined {
  const files = outputs.filter((output) => output !== 'stderr' && output !== 'stdout');
  if (!flags.bool('enable-log-rotation')) return undefined;
  if (files.length !== 1) {
    throw new UsageError(
      '--log-outputs requires a single file path when --enable-log-rotation is set',
    );
  }
  const given = readSettings(flags.text('log-rotation-config-json'));
  return {
    sizeBytesMax: (wholeOf(given, 'maxsize') || megabytesDefault) * megabyte,
    daysMax: wholeOf(given, 'maxage'),
    filesMax: wholeOf(given, 'maxbackups'),
    localTime: boolOf(given, 'localtime'),
    compress: boolOf(given, 'compress'),
  };
}

function readSettings(text: string): ReadonlyMap<string, unknown> {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw invalid(`improperly formatted log rotation config: ${why}`);
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalid('must be an object of JSON');
  }
  // As Go's reader of JSON, which does not look at the case; what is unknown counts for nothing.
  return new Map(Object.entries(given).map(([name, value]) => [name.toLowerCase(), value]));
}

function wholeOf(given: ReadonlyMap<string, unknown>, name: string): number {
  const value = given.get(name) ?? 0;
  if (Number.isInteger(value) && Number(value) >= 0 && Number(value) <= numberMax) {
    return Number(value);
  }
  throw invalid(`${name} must be a whole number from 0 to ${numberMax}`);
}

function boolOf(given: ReadonlyMap<string, unknown>, name: string): boolean {
  const value = given.get(name) ?? false;
  if (typeof value === 'boolean') return value;
  throw invalid(`${name} must be true or false`);
}

function invalid(why: string): UsageError {
  return new UsageError(
    `invalid value for flag --log-rotation-config-json: ${quote(why).slice(1, -1)}`,
  );
}
