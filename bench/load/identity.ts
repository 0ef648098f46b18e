/** Whom a load runs as, where the servers ask for certificates. */

import type { TlsOptions } from '../../src/common/index.js';

/** Texts of PEM files, so that they can be sent to the load process. */
export interface Identity {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** For connections of {@link connect}; undefined: without TLS. */
export function tlsOf(identity: Identity | undefined): TlsOptions | undefined {
  return identity === undefined ? undefined : { ...identity, serverName: 'localhost' };
}
