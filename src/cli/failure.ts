/** Why the process ends: one readable line for a person, and the exit status for a script. */

import { EtcdError, InvariantError, invariantExitCode, StorageError } from '../common/index.js';
import { MemberRemovedError, UsageError } from '../server/index.js';

export interface Failure {
  readonly message: string;
  readonly exitCode: number;
  /** True if it is a bug of ours: the stack is worth printing. */
  readonly isBug: boolean;
}

/** A failure of the environment or the disk: not how it was asked for, and not a bug. */
const runtimeExitCode = 1;

const hints: ReadonlyMap<string, string> = new Map([
  [
    'EADDRINUSE',
    'is another etcd or kvorum running? See --listen-client-urls and --listen-peer-urls',
  ],
  ['EACCES', 'this user may not'],
  ['EADDRNOTAVAIL', 'this machine does not have that address'],
  ['ENOSPC', 'the disk is full'],
  ['EROFS', 'the file system is read-only'],
  ['EMFILE', 'too many open files; raise the limit with ulimit -n'],
]);

/** What to print and how to exit for anything thrown. */
export function failureOf(error: unknown): Failure {
  if (error instanceof UsageError) {
    return { message: error.message, exitCode: error.exitCode, isBug: false };
  }
  // What was asked for: a supervisor should not start it again.
  if (error instanceof MemberRemovedError) {
    return { message: error.message, exitCode: 0, isBug: false };
  }
  if (error instanceof InvariantError) {
    const message = `invariant violated: ${error.message}`;
    return { message, exitCode: invariantExitCode, isBug: true };
  }
  if (error instanceof StorageError || error instanceof EtcdError) {
    return { message: oneLine(error.message), exitCode: runtimeExitCode, isBug: false };
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const message = oneLine(error instanceof Error ? error.message : String(error));
  const hint = hints.get(code);
  const text = hint === undefined ? message : `${message}: ${hint}`;
  // A system error has an errno code; anything else that gets here nobody foresaw.
  const expected = /^E[A-Z]+$/.test(code);
  return { message: text, exitCode: runtimeExitCode, isBug: !expected };
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ');
}
