/** Who a client is, looked at before anything is sent. No error quotes a secret. */

import { invalidOption } from '../errors.js';
import { isHeaderText } from './metadata.js';
import type { Credentials } from './types.js';

/** A password or a token, or what gives it. */
export type Secret = string | (() => string | Promise<string>);

/** Throws INVALID_OPTION. */
export function checkCredentials(credentials: Credentials | undefined): void {
  if (credentials === undefined) return;
  const { user, password, token, ifAuthOff } = credentials;
  if (token !== undefined) {
    if (user !== undefined || password !== undefined) {
      throw invalidOption('credentials are a user and a password, or a token, not both');
    }
    if (typeof token !== 'function' && !isHeaderText(token)) {
      throw invalidOption('credentials.token must be printable ASCII, not empty, or a function');
    }
    return;
  }
  if (typeof user !== 'string' || user === '') {
    throw invalidOption('credentials.user must be a name');
  }
  if (typeof password !== 'string' && typeof password !== 'function') {
    throw invalidOption('credentials.password must be text or a function');
  }
  if (ifAuthOff !== undefined && ifAuthOff !== 'proceed' && ifAuthOff !== 'fail') {
    throw invalidOption("credentials.ifAuthOff must be 'proceed' or 'fail'");
  }
}
