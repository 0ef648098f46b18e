/**
 * The real Passwords: bcrypt in native code, on the threads that Node has for files and names too
 * (auth/password-queue.ts bounds how many at once). Loaded when the first password is hashed.
 */

import type { Passwords } from '../../common/index.js';

/** Hashes are written as Go's library writes them, for etcd to read. */
const writtenAs = '$2a$';
/**
 * All of these name the same function. To the library the oldest one is a variant of its own, with
 * a bug for long passwords that Go's has not.
 */
const sameFunction = /^\$2[abxy]\$/;
const computedAs = '$2b$';

type Bcrypt = typeof import('bcrypt');
let loading: Promise<Bcrypt> | undefined;

export const nodePasswords: Passwords = {
  async hash(password, cost) {
    const { genSaltSync, hash } = await load();
    const made = await hash(password, genSaltSync(cost, 'b'));
    return writtenAs + made.slice(computedAs.length);
  },
  async matches(password, hash) {
    if (!sameFunction.test(hash)) return false;
    const { compare } = await load();
    try {
      return await compare(password, hash.replace(sameFunction, computedAs));
    } catch {
      return false;
    }
  },
};

function load(): Promise<Bcrypt> {
  loading ??= import('bcrypt').then((module) => module.default);
  return loading;
}
