/** The real SignedTokens: JSON web tokens as etcd makes and reads them. Loaded when the first comes. */

import type { Clock, SignedTokens } from '../../common/index.js';
import type { JwtConfig } from '../options/index.js';

type Jose = typeof import('jose');

/** Of a token that does not say when it ends; etcd takes it, too. */
const never = Number.POSITIVE_INFINITY;

export function openSignedTokens(
  { method, signKey, ttlMs, verifyKey }: JwtConfig,
  clock: Pick<Clock, 'wallMs'>,
): SignedTokens {
  let loading: Promise<Jose> | undefined;
  const load = (): Promise<Jose> => {
    loading ??= import('jose');
    return loading;
  };
  const sign = async (key: NonNullable<typeof signKey>, claims: object): Promise<string> => {
    const { SignJWT } = await load();
    const exp = Math.floor((clock.wallMs() + ttlMs) / 1000);
    const header = { alg: method, typ: 'JWT' };
    return new SignJWT({ ...claims, exp }).setProtectedHeader(header).sign(key);
  };
  return {
    sign:
      signKey === undefined
        ? undefined
        : ({ revision, username }) => sign(signKey, { username, revision }),
    async verify(token) {
      const { jwtVerify } = await load();
      try {
        const currentDate = new Date(clock.wallMs());
        // One method and no other: a public key must never be taken for a secret.
        const options = { algorithms: [method], currentDate };
        const { payload } = await jwtVerify(token, verifyKey, options);
        const { exp, revision, username } = payload;
        if (typeof username !== 'string' || typeof revision !== 'number') return undefined;
        const claims = { username, revision: Math.floor(revision) };
        return { claims, expiresMs: exp === undefined ? never : exp * 1000 };
      } catch {
        // Whatever is wrong with it: the reason may quote it.
        return undefined;
      }
    },
  };
}
