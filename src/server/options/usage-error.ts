/** What a person typed wrong, and the quoting that keeps their typing from breaking the message. */

/** Exit status of a start that failed because of how it was asked for, as Go's flag package. */
export const usageExitCode = 2;
/** etcd's status for a stray argument and for a flag shadowed by its environment variable. */
export const verifyExitCode = 1;

/** A command line, environment or config file that can't be used; the message says what to do. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly exitCode: number;

  constructor(message: string, exitCode: number = usageExitCode) {
    super(message);
    this.exitCode = exitCode;
  }
}

const shownCharactersMax = 120;
/** C0, DEL, C1, line separators and bidirectional overrides: they would garble a terminal. */
const unprintable =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** `value` in double quotes on one line, control characters escaped, cut when it is very long. */
export function quote(value: string): string {
  const cut = value.length > shownCharactersMax;
  const shown = cut ? value.slice(0, shownCharactersMax) : value;
  const escaped = shown
    .replace(/["\\]/g, '\\$&')
    .replace(unprintable, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return cut ? `"${escaped}..." (${value.length} characters)` : `"${escaped}"`;
}

/** True if `value` has a character that no name, path or URL can reasonably have. */
export function hasControlCharacter(value: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return /[\u0000-\u001f\u007f]/.test(value);
}

const fileProblems: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'no such file'],
  ['EACCES', 'permission denied'],
  ['EISDIR', 'it is a directory'],
  ['ENOTDIR', 'a part of the path is not a directory'],
  ['ENAMETOOLONG', 'the name is too long'],
]);

/** Why a file can't be read, without its path: the path may be as long as it likes. */
export function fileProblem(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return fileProblems.get(code) ?? (code || 'unreadable');
}

/** The nearest of `known` to a mistyped `word`, or undefined if nothing is near. */
export function didYouMean(word: string, known: Iterable<string>): string | undefined {
  if (word.length === 0 || word.length > 60) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 4)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
