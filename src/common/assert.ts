/**
 * Assertions that stay on in production. A broken invariant means that memory no longer says what
 * the protocol promised, so the only safe answer is to stop: `InvariantError` is never caught and
 * carried on with; the process reports it and exits with `invariantExitCode`.
 */

/** Exit status of a process that found its own state to be wrong (sysexits EX_SOFTWARE). */
export const invariantExitCode = 70;

/** A condition that the code relies on does not hold. Fatal by design. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Throws {@link InvariantError} when `condition` is false. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** The default branch of a switch over a discriminated union; a compile error if one is missed. */
export function assertNever(value: never, what: string): never {
  throw new InvariantError(`${what}: unexpected ${JSON.stringify(value)}`);
}

/**
 * Narrows away `undefined` for a value that must be there; throws {@link InvariantError} if not.
 */
export function present<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new InvariantError(`${what} is missing`);
  return value;
}
