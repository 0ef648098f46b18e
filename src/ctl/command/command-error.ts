/** How commands end, and the error by which they do. */

/** As etcdctl ends; scripts ask for it. */
export const exit = {
  ok: 0,
  error: 1,
  badConnection: 2,
  invalidInput: 3,
  badFeature: 4,
  interrupted: 5,
  io: 6,
  badArguments: 128,
} as const;

/** How a command ends. */
export type ExitCode = number;

/**
 * Ends the command with this message on stderr and this status. `cause`: the call that failed, for
 * a hint to people.
 */
export class CommandError extends Error {
  constructor(
    message: string,
    readonly exitCode: ExitCode = exit.error,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
