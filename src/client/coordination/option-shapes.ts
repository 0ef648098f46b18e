/** What sessions and their options must be. */

import { callShape } from '../call/index.js';
import { invalidOption } from '../errors.js';
import { keepAliveShape } from '../lease/index.js';
import { described, positive, type Shape } from '../strict/index.js';
import type { SessionOptions } from './types.js';

export const sessionShape: Shape<SessionOptions> = {
  ...callShape,
  ...keepAliveShape,
  ttlSeconds: positive,
};

/** From JavaScript it may be the client. Throws INVALID_OPTION. */
export function checkSession(what: string, session: unknown): void {
  if (typeof session === 'object' && session !== null && 'work' in session) return;
  const given = described(session);
  throw invalidOption(`${what} takes a session, from openSession(client), not ${given}`);
}
