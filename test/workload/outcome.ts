/** What a call came to, for the history. */

import { GrpcCode } from '../../src/common/index.js';
import type { History, Request, Response } from '../checkers/history.js';
import type { Outcome } from '../helpers/in-process-call.js';
import { fromWire } from './request-codec.js';

/** Codes of errors after which nothing has happened and nothing will. */
const definite: ReadonlySet<GrpcCode> = new Set<GrpcCode>([
  GrpcCode.INVALID_ARGUMENT,
  GrpcCode.OUT_OF_RANGE,
  GrpcCode.NOT_FOUND,
  GrpcCode.FAILED_PRECONDITION,
  GrpcCode.UNIMPLEMENTED,
  GrpcCode.PERMISSION_DENIED,
  GrpcCode.UNAUTHENTICATED,
]);

export function isDefinite(outcome: Outcome): boolean {
  return !outcome.ok && definite.has(outcome.code);
}

export function describeOutcome(outcome: Outcome | undefined): string {
  if (outcome === undefined) return 'no answer';
  return outcome.ok ? 'ok' : `${outcome.code} ${outcome.text}`;
}

/**
 * Records how operation `id` of the history ended: well, certainly without effect, or nobody knows.
 * `maySent` false: the request never left. Returns the answer if there is one that is no error.
 */
export function settleOperation(
  history: History,
  id: number,
  request: Request,
  outcome: (Outcome & { readonly maySent?: boolean }) | undefined,
  nowMs: number,
): Response | undefined {
  if (outcome?.ok === true) {
    const response = fromWire(request, outcome.message);
    history.succeed(id, nowMs, response);
    return response;
  }
  const text = describeOutcome(outcome);
  const isNothing = outcome !== undefined && (outcome.maySent === false || isDefinite(outcome));
  if (isNothing) history.fail(id, nowMs, text);
  else history.lose(id, text);
  return undefined;
}
