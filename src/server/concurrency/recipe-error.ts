/** How calls of the Lock and Election services fail. */

import { errorTable, GrpcCode } from '../../common/index.js';

/** Ends a call of these services with `code` and its message. */
export class RecipeError extends Error {
  override readonly name = 'RecipeError';
  readonly code: GrpcCode;

  constructor(code: GrpcCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** What only these services say, in the words of etcd's recipes. */
export const recipeTexts = {
  sessionExpired: 'mutex: session is expired',
  notLeader: 'election: not leader',
  noLeader: 'election: no leader',
  leaderMissing: '"leader" field must be provided',
} as const;

/** As etcd: what its recipes say themselves has no code. */
export function recipeError(text: keyof typeof recipeTexts): RecipeError {
  return new RecipeError(GrpcCode.UNKNOWN, recipeTexts[text]);
}

const etcdTexts: ReadonlySet<string> = new Set(
  Object.values(errorTable)
    .filter(([code]) => code !== GrpcCode.CANCELLED && code !== GrpcCode.DEADLINE_EXCEEDED)
    .map(([, text]) => text),
);

/**
 * The error of a call that these services made. etcd's go through a client inside of the server,
 * which makes errors of its own of etcd's texts: their code is lost on the way (C-8.2), others stay
 * what they are.
 */
export function innerError(code: GrpcCode, message: string): RecipeError {
  return new RecipeError(etcdTexts.has(message) ? GrpcCode.UNKNOWN : code, message);
}

const statusText = /^rpc error: code = \w+ desc = (.*)$/s;

/** The error of a watch that was refused, or ended by the server. */
export function watchError(cancelReason: string): RecipeError {
  const [, text = cancelReason] = statusText.exec(cancelReason) ?? [];
  return new RecipeError(GrpcCode.UNKNOWN, text);
}
