/**
 * A run with `--secure`: mutual TLS everywhere, and auth on. Clients are who their certificates
 * say: `worker`, who may read and write all keys, and `root`.
 */

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Authority } from '../../bench/authority.js';
import type { TlsOptions } from '../../src/common/index.js';
import {
  authEnableRequest,
  authRoleAddRequest,
  authRoleGrantPermissionRequest,
  authUserAddRequest,
  authUserGrantRoleRequest,
  PermissionType,
} from '../../src/proto/index.js';

export interface Security {
  readonly worker: TlsOptions;
  readonly root: TlsOptions;
  /** Of every member: the flags that name its certificates. */
  readonly flags: readonly string[];
}

/** Makes all certificates below `dir`, with the openssl program. */
export function makeSecurity(dir: string): Security {
  mkdirSync(dir, { recursive: true });
  const authority = new Authority(join(dir, 'authority'), 'authority of the run');
  const member = authority.issue('member', 'bothAuth');
  const ca = readFileSync(authority.cert);
  const identity = (name: string): TlsOptions => {
    const { cert, key } = authority.issue(name, 'clientAuth');
    return { ca, cert: readFileSync(cert), key: readFileSync(key), serverName: 'localhost' };
  };
  const files = ['cert-file', member.cert, 'key-file', member.key];
  const [certFlag, cert, keyFlag, key] = files as [string, string, string, string];
  return {
    worker: identity('worker'),
    root: identity('root'),
    flags: ['', 'peer-'].flatMap((port) => [
      ...[`--${port}${certFlag}`, cert, `--${port}${keyFlag}`, key],
      ...[`--${port}trusted-ca-file`, authority.cert, `--${port}client-cert-auth`],
    ]),
  };
}

/** Makes one call as root; undefined: it did not succeed. */
export type AskAsRoot = (method: string, request: Uint8Array) => Promise<unknown>;

/** Users for the certificates, and auth on. Throws if one of the calls fails. */
export async function switchAuthOn(ask: AskAsRoot): Promise<void> {
  const must = async (name: string, request: Uint8Array): Promise<void> => {
    const answer = await ask(`/etcdserverpb.Auth/${name}`, request);
    if (answer === undefined) throw new Error(`${name} did not succeed`);
  };
  const everything = { key: '\0', rangeEnd: '\0', type: PermissionType.READWRITE };
  for (const name of ['root', 'worker']) {
    await must('UserAdd', authUserAddRequest.encode({ name, options: { noPassword: true } }));
  }
  for (const name of ['root', 'all']) await must('RoleAdd', authRoleAddRequest.encode({ name }));
  const grant = authRoleGrantPermissionRequest.encode({ name: 'all', perm: everything });
  await must('RoleGrantPermission', grant);
  for (const [user, role] of [
    ['root', 'root'],
    ['worker', 'all'],
  ] as const) {
    await must('UserGrantRole', authUserGrantRoleRequest.encode({ user, role }));
  }
  await must('AuthEnable', authEnableRequest.encode({}));
}
