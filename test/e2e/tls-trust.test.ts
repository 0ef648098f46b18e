/** An issuing authority as the only trust anchor, on every door: clients, members, the SDK. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { Etcd } from '../../src/client/index.js';
import { freePort } from '../helpers/server.js';
import { Authority, type CertificateFiles, describeWithOpenssl, pem } from './certificates.js';
import { endProgramsAfterEach, serve, temporaryDirectory } from './program.js';

endProgramsAfterEach();

describeWithOpenssl('an issuing authority as trust anchor', () => {
  let other: Authority;
  let issuing: Authority;
  let member: CertificateFiles;
  let client: CertificateFiles;
  let stranger: CertificateFiles;
  /** Another authority first: what counts may stand anywhere in the file. */
  let ca: string;

  beforeAll(() => {
    const dir = temporaryDirectory();
    const root = new Authority(join(dir, 'root'), 'root');
    issuing = new Authority(join(dir, 'issuing'), 'issuing', root);
    other = new Authority(join(dir, 'other'), 'other');
    member = issuing.issue('member', 'bothAuth');
    client = issuing.issue('alice', 'clientAuth');
    stranger = root.issue('mallory', 'clientAuth');
    ca = join(dir, 'ca.pem');
    writeFileSync(ca, Buffer.concat([pem(other.cert), pem(issuing.cert)]));
  }, 60_000);

  it('lets members form a cluster, and clients of both transports in', async () => {
    const peerPorts = [await freePort(), await freePort()];
    const urls = peerPorts.map((port) => `https://127.0.0.1:${port}`);
    const peer = ['--peer-cert-file', member.cert, '--peer-key-file', member.key];
    const mutual = ['--cert-file', member.cert, '--key-file', member.key, '--trusted-ca-file', ca];
    const servers = await Promise.all(
      urls.map((url, i) =>
        serve([
          ...['--name', `n${i}`, '--data-dir', join(temporaryDirectory(), 'data')],
          ...['--listen-client-urls', 'https://127.0.0.1:0'],
          ...['--advertise-client-urls', 'https://127.0.0.1:0'],
          ...['--listen-peer-urls', url, '--initial-advertise-peer-urls', url],
          ...['--initial-cluster', `n0=${urls[0]},n1=${urls[1]}`],
          ...[...peer, '--peer-trusted-ca-file', ca, '--peer-client-cert-auth', ...mutual],
        ]),
      ),
    );
    const attempt = async (
      transport: 'native' | 'grpc-js',
      who: CertificateFiles,
      anchor: string,
    ): Promise<string | undefined> => {
      const etcd = new Etcd({
        // Since Node 26 grpc-js can't do TLS with an address.
        endpoints: servers.flatMap(({ clientUrls }) =>
          clientUrls.map((url) => url.replace('127.0.0.1', 'localhost')),
        ),
        tls: { ca: pem(anchor), cert: pem(who.cert), key: pem(who.key) },
        transport,
        retry: { attemptsMax: 2 },
        timeoutMs: 5_000,
      });
      try {
        await etcd.kv.put('k', transport);
        const found = await etcd.kv.get('k');
        return found?.value.toString();
      } catch {
        return undefined;
      } finally {
        await etcd.close();
      }
    };
    for (const transport of ['native', 'grpc-js'] as const) {
      expect(await attempt(transport, client, ca), transport).toBe(transport);
      expect(await attempt(transport, client, member.cert), `${transport}, pinned`).toBe(transport);
      expect(await attempt(transport, client, other.cert), `${transport}, other`).toBeUndefined();
      expect(await attempt(transport, stranger, ca), `${transport}, stranger`).toBeUndefined();
    }
  }, 90_000);
});
