/**
 * No answer ever contained what its caller may not read: at no moment at which it can have been
 * made had he the right to ask for it. What had an effect has a place in the log, and is held
 * against the rights of that place by the log's own truth (applied-log.ts).
 */

import { type AuthModel, needsOfRequest } from './auth-model.js';
import type { Request } from './history.js';
import { Report } from './report.js';

/** An answer to somebody who may not do everything. */
export interface SeenAnswer {
  readonly user: string;
  readonly request: Request;
  /** Of the header. */
  readonly revision: number;
  /** States of users and roles that the log had when it was asked; 0 for a stale read. */
  readonly statesBefore: number;
}

export function checkAnswers(model: AuthModel, answers: readonly SeenAnswer[]): Report {
  const report = new Report();
  for (const { user, request, revision, statesBefore } of answers) {
    const from = Math.max(0, statesBefore - 1);
    report.check(
      'auth: nothing is shown to who may not read it',
      model.mayHaveShown(user, needsOfRequest(request), revision, from),
      () => `${user} at ${revision}: ${JSON.stringify(request, bigintText)}`,
    );
  }
  return report;
}

function bigintText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
