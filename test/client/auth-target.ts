/** Servers with auth on: root, and alice, who may read and write below `app/`. */

import { Etcd, type EtcdOptions } from '../../src/client/index.js';
import type { ServerKind } from '../helpers/server.js';
import type { TargetName, TargetOfTests } from './target.js';

/** Which servers have auth. */
export const authTargets: readonly TargetName[] = ['kvorum', 'etcd'];

/** The programs among them. */
export const authKinds: readonly ServerKind[] = ['etcd', 'kvorum'];

/** Those that give out and take JSON Web Tokens. */
export const jwtKinds: readonly ServerKind[] = ['etcd', 'kvorum'];

export const root = { user: 'root', password: 'secret' } as const;
export const alice = { user: 'alice', password: 'wonder' } as const;

/** Makes them and switches auth on; for a server that has none of them yet. */
export async function enableAuth(options: EtcdOptions): Promise<void> {
  await using client = new Etcd(options);
  const { auth } = client;
  await auth.addUser(root.user, root.password);
  await auth.addRole('root');
  await auth.grantRole('root', 'root');
  await auth.addRole('app');
  await auth.grantPermission('app', { kind: 'readwrite', range: { prefix: 'app/' } });
  await auth.addUser(alice.user, alice.password);
  await auth.grantRole('alice', 'app');
  await auth.enable();
}

/** Setting a password, even the same, ends all tokens of the user. */
export async function endTokensOfAlice(target: TargetOfTests): Promise<void> {
  await target.client({ credentials: root }).auth.changePassword(alice.user, alice.password);
}
