/**
 * As etcdctl-compare.test.ts, with authentication: users, roles, permissions, who is refused what,
 * by password and by certificate. One member and three (through a follower), with and without TLS.
 *
 * KVORUM_TEST_TARGET=etcd compares two etcds.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { Authority, type CertificateFiles } from '../e2e/certificates.js';
import { EtcdctlSession } from '../helpers/etcdctl.js';
import { freePort, type ServerKind, type ServerOptions, ServerProcess } from '../helpers/server.js';
import { targetKind } from '../helpers/target.js';
import { reasonToSkip, slow, toolPath } from '../helpers/tools.js';
import { authScript } from './etcdctl/auth-steps.js';
import { ShownCluster } from './etcdctl/cluster.js';
import { compareStep, describePeers, nameOf, type Sessions } from './etcdctl/compare.js';

/** What a run compares. */
interface Setting {
  readonly title: string;
  readonly members: 1 | 3;
  readonly tls: boolean;
}

/** Each number of members and each kind of port; all pairs of them in the long version. */
const settings: readonly Setting[] = [
  { title: 'one member', members: 1, tls: false },
  { title: 'three members, TLS', members: 3, tls: true },
  ...(slow
    ? ([
        { title: 'one member, TLS', members: 1, tls: true },
        { title: 'three members', members: 3, tls: false },
      ] as const)
    : []),
];

/** A server or cluster, and the way to end it. */
interface Started {
  readonly session: EtcdctlSession;
  dispose(): Promise<void>;
}

describePeers('etcdctl and authentication', (peer) => {
  for (const { title, members, tls } of settings) {
    const why = tls ? reasonToSkip(['openssl']) : '';
    describe.skipIf(why !== '')(`${title}${why}`, () => {
      const dir = mkdtempSync(join(tmpdir(), 'kvorum-etcdctl-auth-'));
      const started: Started[] = [];
      let sessions: Sessions;

      beforeAll(async () => {
        const options = tls ? tlsOptions(dir) : { args: ['--bcrypt-cost', '4'] };
        const begin = members === 1 ? startOne : startThree;
        const etcdctl = toolPath(peer.etcdctl);
        const reference = { ...options, program: toolPath(peer.etcd) };
        started.push(await begin('etcd', etcdctl, reference));
        started.push(await begin(targetKind, etcdctl, options));
        const [first, second] = started.map(({ session }) => session);
        if (first === undefined || second === undefined) throw new Error('two were started');
        sessions = [first, second];
        for (const session of sessions) {
          session.introduce('alicecert', join(dir, 'ca', 'alice.pem'));
          session.introduce('alicekey', join(dir, 'ca', 'alice.key'));
        }
      });
      afterAll(async () => {
        await Promise.all(started.map((one) => one.dispose()));
        rmSync(dir, { recursive: true, force: true });
      });

      for (const chapter of authScript(tls)) {
        describe(chapter.title, () => {
          for (const [index, step] of chapter.steps.entries()) {
            it(`${index + 1}: ${nameOf(step)}`, () => compareStep(peer, sessions, step));
          }
        });
      }
    });
  }
});

/** Certificates below `dir`, and a server that asks for one. */
function tlsOptions(dir: string): ServerOptions {
  const ca = new Authority(join(dir, 'ca'), 'test authority');
  const server: CertificateFiles = ca.issue('localhost', 'bothAuth');
  const operator = ca.issue('operator', 'clientAuth');
  ca.issue('alice', 'clientAuth');
  return {
    clientTls: { ca: ca.cert, ...operator },
    args: [
      ...['--cert-file', server.cert, '--key-file', server.key],
      ...['--trusted-ca-file', ca.cert, '--client-cert-auth', '--bcrypt-cost', '4'],
    ],
  };
}

async function startOne(
  kind: ServerKind,
  etcdctl: string,
  options: ServerOptions,
): Promise<Started> {
  const ports = { client: await freePort(), peer: await freePort() };
  const server = new ServerProcess(kind, { ...options, ports });
  try {
    await server.start();
    const session = await EtcdctlSession.open(server, etcdctl);
    return { session, dispose: () => server.dispose() };
  } catch (error) {
    await server.dispose();
    throw error;
  }
}

function startThree(kind: ServerKind, etcdctl: string, options: ServerOptions): Promise<Started> {
  return ShownCluster.start(kind, etcdctl, options);
}
