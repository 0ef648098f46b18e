/**
 * What an error of the system means for an operator. It may be wrapped several times, and LevelDB
 * gives only its text, so the whole chain of causes is looked at. A full disk and a wrong owner are
 * no damage: the remedies here never send anybody to replace a member whose data are healthy.
 */

import { StorageError } from '../common/index.js';

/** In words: what is so, and what to do. */
export interface DiskFact {
  readonly code: string;
  readonly what: string;
  readonly remedy: string;
  /** As the system said it. */
  readonly message: string;
}

const again = 'then start again: what was acknowledged is there.';

/** By the code of the system; the texts as LevelDB passes them on. */
const facts: ReadonlyArray<{
  readonly codes: readonly string[];
  readonly text: RegExp;
  readonly what: string;
  readonly remedy: string;
}> = [
  {
    codes: ['ENOSPC'],
    text: /No space left on device/,
    what: 'the disk is full',
    remedy: `Free space on it, or make it larger; ${again}`,
  },
  {
    codes: ['EDQUOT'],
    text: /Disk quota exceeded/,
    what: "the user's quota on this disk is used up",
    remedy: `Raise the quota, or free space; ${again}`,
  },
  {
    codes: ['EFBIG'],
    text: /File too large/,
    what: 'a file may not become so large here',
    remedy: `Raise the limit of the size of files (ulimit -f), ${again}`,
  },
  {
    codes: ['EROFS'],
    text: /Read-only file system/,
    what: 'the file system is read-only',
    remedy:
      'Mount it for writing, and look why it is not (a disk with errors is), then start again.',
  },
  {
    codes: ['EACCES', 'EPERM'],
    text: /Permission denied|Operation not permitted/,
    what: 'this user may not read or write there',
    remedy: 'Give the directory and all in it to the user that runs kvorum, then start again.',
  },
  {
    codes: ['ENOTDIR'],
    text: /Not a directory/,
    what: 'a part of the path is a file, not a directory',
    remedy: 'Give the path of a directory.',
  },
  {
    codes: ['EMFILE', 'ENFILE'],
    text: /Too many open files/,
    what: 'too many files are open',
    remedy: `Raise the limit (ulimit -n), ${again}`,
  },
  {
    codes: ['EIO'],
    text: /Input\/output error/,
    what: 'the disk could not read or write',
    remedy:
      'Look for its errors in the log of the system; start again when it works. If it is lost, ' +
      'replace the member.',
  },
];

/** How far causes are followed. */
const causesMax = 8;

/** What the system said; undefined if `error` does not come from it. */
export function diskFact(error: unknown): DiskFact | undefined {
  let at = error;
  for (let i = 0; i < causesMax && at instanceof Error; i++, at = at.cause) {
    const code = errorCode(at);
    // Our own words may speak of anything.
    const { message } = at;
    const text = at instanceof StorageError ? '' : message;
    const fact = facts.find((each) => each.codes.includes(code) || each.text.test(text));
    if (fact === undefined) continue;
    return { code: fact.codes[0] ?? '', what: fact.what, remedy: fact.remedy, message };
  }
  return undefined;
}

/**
 * An error met while doing `what`, for the operator; a StorageError is passed on as it is. `remedy`
 * is that for what the system has no word for.
 */
export function diskFailure(
  what: string,
  path: string,
  cause: unknown,
  remedy = 'Check the disk and the permissions, then start again.',
): StorageError {
  if (cause instanceof StorageError) return cause;
  const fact = diskFact(cause);
  const message = fact?.message ?? rootMessage(cause);
  const because = message === '' ? '' : ` (${message})`;
  const whole = fact === undefined ? what : `${fact.what}: ${what}`;
  return new StorageError(`${whole}${because}`, { path, remedy: fact?.remedy ?? remedy, cause });
}

/** The words of the first cause. */
function rootMessage(error: unknown): string {
  let message = '';
  let at = error;
  for (let i = 0; i < causesMax && at instanceof Error; i++, at = at.cause) message = at.message;
  return message;
}

/** The `code` of a system error; '' if it has none. */
export function errorCode(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}
