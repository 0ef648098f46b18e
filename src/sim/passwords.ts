/** Passwords without secrets: a cheap hash that every run computes alike, in its own time. */

import { type Clock, crc32c, type Passwords } from '../common/index.js';

/** As long as a real one takes, or so. */
const hashMs = 50;

/** What the hash begins with; no bcrypt hash does. */
const prefix = '$sim$';

/** Not for anything but simulations: the hash gives the password away. */
export function simPasswords(clock: Clock): Passwords {
  const later = <T>(value: T): Promise<T> =>
    new Promise((resolve) => clock.after(hashMs, () => resolve(value)));
  const hashOf = (password: string): string =>
    prefix + crc32c(Buffer.from(password)).toString(16).padStart(8, '0');
  return {
    hash: (password) => later(hashOf(password)),
    matches: (password, hash) => later(hashOf(password) === hash),
  };
}
