/** What a line of `watch` means: which keys, and the program to run for each event. */

import { prefixEnd } from '../../client/raw/index.js';
import type { KeyString } from '../../common/index.js';
import type { WatchCreateRequest } from '../../proto/index.js';
import { CommandError, type CtlIo, countOf, exit, flag, type ValuesOf } from '../command/index.js';

export const watchFlags = {
  interactive: flag.bool(false, 'read watches and "progress" from stdin', { short: 'i' }),
  prefix: flag.bool(false, 'all keys that begin with the key'),
  rev: flag.int64(0n, 'from that revision on; 0 for now'),
  'prev-kv': flag.bool(false, 'show what the key had before, too'),
  'progress-notify': flag.bool(false, 'show how far the server is, when nothing happens'),
} as const;

/** Keys of the environment that stand for arguments. */
export interface EnvironmentKeys {
  readonly key: string;
  readonly rangeEnd: string;
}

/** Throws CommandError for a range without its begin. */
export function environmentKeys(env: CtlIo['env']): EnvironmentKeys {
  const { ETCDCTL_WATCH_KEY: key = '', ETCDCTL_WATCH_RANGE_END: rangeEnd = '' } = env;
  if (key === '' && rangeEnd !== '') {
    const said = JSON.stringify(rangeEnd);
    throw badArguments(`ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END=${said}`);
  }
  return { key, rangeEnd };
}

/** What stood on a line. */
export interface WatchLine {
  readonly keys: readonly KeyString[];
  /** The program and its arguments; empty: none. */
  readonly program: readonly string[];
}

/** The parts of `args`, of which `dashAt` stand before `--`. Throws CommandError. */
export function watchLine(
  args: readonly string[],
  dashAt: number | undefined,
  environment: EnvironmentKeys,
): WatchLine {
  const before = args.slice(0, dashAt);
  const program = dashAt === undefined ? [] : args.slice(dashAt);
  if (dashAt !== undefined && program.length === 0) {
    throw badArguments('bad number of arguments (found separator --, but no commands)');
  }
  const { key, rangeEnd } = environment;
  if (key !== '' && before.length > 0) {
    throw badArguments('bad number of arguments (found conflicting environment key)');
  }
  const words = key === '' ? before : [key, ...(rangeEnd === '' ? [] : [rangeEnd])];
  return { keys: words.map(bytesOf), program };
}

function bytesOf(text: string): KeyString {
  return Buffer.from(text).toString('latin1');
}

/** The watch of `keys`. Throws CommandError. */
export function watchRequest(
  keys: readonly KeyString[],
  flags: ValuesOf<typeof watchFlags>,
): Partial<WatchCreateRequest> {
  const [key, end] = keys;
  if (key === undefined) throw badArguments('bad number of arguments');
  const one = keys.length === 2;
  if (one && flags.prefix) {
    throw badArguments('`range_end` and `--prefix` are mutually exclusive');
  }
  const all = flags.prefix && key === '';
  return {
    key: all ? '\0' : key,
    rangeEnd: flags.prefix ? (all ? '\0' : prefixEnd(key)) : one ? (end ?? '') : '',
    startRevision: Math.max(0, countOf(flags.rev)),
    prevKv: flags['prev-kv'],
    progressNotify: flags['progress-notify'],
  };
}

function badArguments(message: string): CommandError {
  return new CommandError(message, exit.badArguments);
}
