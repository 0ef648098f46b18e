/**
 * Mutual TLS on all ports of a cluster, and auth, for measurements and for chaos: certificates, the
 * flags that name them, and users who are known by the common names of theirs.
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

export interface Security {
  /** Who reads and writes. */
  readonly worker: Identity;
  readonly root: Identity;
  /** Flags of each member. */
  readonly flags: Readonly<Record<string, string>>;
}

/** Makes the certificates below `dir`. Throws if there is no openssl program. */
export function makeSecurity(dir: string): Security {
  if (!hasOpenssl) throw new Error('certificates are made with the openssl program');
  mkdirSync(dir, { recursive: true });
  const authority = new Authority(join(dir, 'authority'), 'authority of a run');
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
  return { worker: identity('worker'), root: identity('root'), flags };
}

/** Makes a call as root; undefined, or a rejection: it did not succeed. */
export type AskAsRoot = (method: string, request: Uint8Array) => Promise<unknown>;

/** A range of keys, as in a request. */
type Span = readonly [key: string, rangeEnd: string];

/** Everything there is. */
export const everything: Span = ['\0', '\0'];

/** A hundred ranges, of which a load needs the last: what a permission costs should show. */
export const aHundredGrants: readonly Span[] = [
  ...Array.from({ length: 99 }, (_, i): Span => [`\x01other/${i}/`, `\x01other/${i}0`]),
  ['\x02', '\0'],
];

/** Users `root` and `worker`, who may read and write what is in `spans`, and auth on. */
export async function switchAuthOn(ask: AskAsRoot, spans: readonly Span[]): Promise<void> {
  const must = async (name: string, request: Uint8Array): Promise<void> => {
    const answer = await ask(`/etcdserverpb.Auth/${name}`, request);
    if (answer === undefined) throw new Error(`${name} did not succeed`);
  };
  for (const name of ['root', 'worker']) {
    await must('UserAdd', authUserAddRequest.encode({ name, options: { noPassword: true } }));
    await must('RoleAdd', authRoleAddRequest.encode({ name }));
    const grant = authUserGrantRoleRequest.encode({ user: name, role: name });
    await must('UserGrantRole', grant);
  }
  for (const [key, rangeEnd] of spans) {
    const perm = { key, rangeEnd, type: PermissionType.READWRITE };
    const request = authRoleGrantPermissionRequest.encode({ name: 'worker', perm });
    await must('RoleGrantPermission', request);
  }
  await must('AuthEnable', authEnableRequest.encode({}));
}
