/** Who a client is, looked at before anything is sent. No error quotes a secret. */

import { invalidOption } from '../errors.js';
import { anything, checkOptions, oneOf, type Shape } from '../strict/index.js';
import { isHeaderText } from './metadata.js';
import type { Credentials } from './types.js';

/** A password or a token, or what gives it. */
export type Secret = string | (() => string | Promise<string>);

/** Only the names: values may be secrets. */
const shape: Shape<Credentials> = {
  user: anything,
  password: anything,
  token: anything,
  ifAuthOff: oneOf('proceed', 'fail'),
};

/** Throws INVALID_OPTION. */
export function checkCredentials(credentials: Credentials | undefined): void {
  if (credentials === undefined) return;
  checkOptions('credentials', credentials, shape);
  const { user, password, token } = credentials;
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
}
