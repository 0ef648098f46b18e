/**
 * What `--tls` and `--auth` add to a bench, to kvorum and etcd alike: mutual TLS on all ports, and
 * a user, known by the common name of its certificate, whose role has a hundred grants.
 */

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  authEnableRequest,
  authRoleAddRequest,
  authRoleGrantPermissionRequest,
  authUserAddRequest,
  authUserGrantRoleRequest,
  PermissionType,
} from '../src/proto/index.js';
import { Authority, hasOpenssl } from './authority.js';
import type { Identity } from './load/identity.js';
import { call, connect } from './load/pool.js';

export interface Security {
  /** Whom the load runs as. */
  readonly load: Identity;
  readonly root: Identity;
  /** Flags of each member. */
  readonly flags: Readonly<Record<string, string>>;
}

/** Makes the certificates below `dir`. Throws if there is no openssl program. */
export function makeSecurity(dir: string): Security {
  if (!hasOpenssl) throw new Error('--tls needs the openssl program');
  mkdirSync(dir, { recursive: true });
  const authority = new Authority(join(dir, 'authority'), 'authority of the bench');
  const member = authority.issue('member', 'bothAuth');
  const identity = (name: string): Identity => {
    const { cert, key } = authority.issue(name, 'clientAuth');
    const text = (path: string): string => readFileSync(path, 'utf8');
    return { ca: text(authority.cert), cert: text(cert), key: text(key) };
  };
  const flags: Record<string, string> = {};
  for (const port of ['', 'peer-']) {
    flags[`${port}cert-file`] = member.cert;
    flags[`${port}key-file`] = member.key;
    flags[`${port}trusted-ca-file`] = authority.cert;
    flags[`${port}client-cert-auth`] = 'true';
  }
  return { load: identity('load'), root: identity('root'), flags };
}

/** Grants beside the one that the load needs. */
const otherGrants = 99;

/** Users `root` and `load`, and auth on. Rejects if a call fails. */
export async function switchAuthOn(endpoint: string, { root }: Security): Promise<void> {
  const client = await connect(endpoint, 10_000, root);
  const ask = (name: string, request: Uint8Array): Promise<Buffer> =>
    call(client, `/etcdserverpb.Auth/${name}`, request);
  try {
    for (const name of ['root', 'load']) {
      await ask('UserAdd', authUserAddRequest.encode({ name, options: { noPassword: true } }));
      await ask('RoleAdd', authRoleAddRequest.encode({ name }));
      const grant = authUserGrantRoleRequest.encode({ user: name, role: name });
      await ask('UserGrantRole', grant);
    }
    const grant = (key: string, rangeEnd: string): Promise<Buffer> => {
      const perm = { key, rangeEnd, type: PermissionType.READWRITE };
      const request = authRoleGrantPermissionRequest.encode({ name: 'load', perm });
      return ask('RoleGrantPermission', request);
    };
    for (let i = 0; i < otherGrants; i += 1) await grant(`\x01other/${i}/`, `\x01other/${i}0`);
    await grant('\x02', '\0');
    await ask('AuthEnable', authEnableRequest.encode({}));
  } finally {
    client.destroy();
  }
}
