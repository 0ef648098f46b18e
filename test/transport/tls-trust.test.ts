/**
 * Whom a TLS end believes: whoever a certificate of the CA file vouches for, be it a root, an
 * issuing authority or the certificate itself, as Go's crypto/x509 does.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Listener, TlsOptions } from '../../src/common/index.js';
import { nodeNetwork } from '../../src/server/platform/network-node.js';
import { Authority, type CertificateFiles, describeWithOpenssl } from '../e2e/certificates.js';

const dir = mkdtempSync(join(tmpdir(), 'kvorum-trust-'));
const listeners: Listener[] = [];
afterEach(() => Promise.all(listeners.splice(0).map((listener) => listener.close())));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const read = (...paths: readonly string[]): string =>
  paths.map((path) => readFileSync(path, 'utf8')).join('');

describeWithOpenssl('trust anchors', () => {
  let root: Authority;
  let policy: Authority;
  let issuing: Authority;
  let other: Authority;
  let server: CertificateFiles;
  let client: CertificateFiles;
  let expired: CertificateFiles;
  let stranger: CertificateFiles;

  beforeAll(() => {
    root = new Authority(join(dir, 'root'), 'root');
    policy = new Authority(join(dir, 'policy'), 'policy', root);
    issuing = new Authority(join(dir, 'issuing'), 'issuing', policy);
    other = new Authority(join(dir, 'other'), 'other');
    server = issuing.issue('localhost', 'serverAuth');
    client = issuing.issue('alice', 'clientAuth');
    expired = issuing.issue('bygone', 'clientAuth', ['20200101000000Z', '20200201000000Z']);
    stranger = other.issue('mallory', 'clientAuth');
  }, 60_000);

  /** What the certificate file holds besides the certificate itself, in two orders. */
  const chains = () => ({
    'no chain': [],
    'a chain from the bottom': [issuing.cert, policy.cert],
    'a chain from the top': [root.cert, policy.cert, issuing.cert],
  });

  /** CA files, each with a chain that leads to one of them. */
  const cases = (): ReadonlyArray<readonly [string, string, keyof ReturnType<typeof chains>]> => [
    ['the root', read(root.cert), 'a chain from the bottom'],
    ['the root', read(root.cert), 'a chain from the top'],
    ['an authority between', read(policy.cert), 'a chain from the bottom'],
    ['an authority between', read(policy.cert), 'a chain from the top'],
    ['the issuing authority', read(issuing.cert), 'no chain'],
    ['the issuing authority', read(issuing.cert), 'a chain from the top'],
    ['several, the right one last', read(other.cert, issuing.cert), 'no chain'],
    ['several, the right one first', read(issuing.cert, other.cert), 'a chain from the bottom'],
    ['all of the chain', read(issuing.cert, root.cert, policy.cert), 'no chain'],
  ];

  const withChain = (leaf: CertificateFiles, chain: keyof ReturnType<typeof chains>) => ({
    cert: read(leaf.cert, ...chains()[chain]),
    key: read(leaf.key),
  });

  async function listen(tls: TlsOptions, names: string[]): Promise<Listener> {
    const address = { host: '127.0.0.1', port: 0 };
    const listener = await nodeNetwork.listen(address, tls, (stream) => {
      names.push(stream.identity.commonName);
      stream.setHandler({ onData() {}, onEnd() {}, onDrain() {}, onClose() {} });
      stream.end();
    });
    listeners.push(listener);
    return listener;
  }

  /** The names that a listener with this CA file saw when `tls` was presented to it. */
  async function admitted(ca: string, tls: { cert: string; key: string }): Promise<string[]> {
    const names: string[] = [];
    const own = { cert: read(server.cert), key: read(server.key) };
    const { address } = await listen({ ...own, ca, requireClientCertificate: true }, names);
    if (!('port' in address)) throw new Error('not a TCP address');
    await new Promise<void>((resolve) => {
      const socket = tlsConnect({ ...address, ...tls, rejectUnauthorized: false });
      socket.on('error', () => {}).on('close', () => resolve());
      socket.resume();
    });
    return names;
  }

  test('a listener admits whoever a certificate of its CA file vouches for', async () => {
    for (const [anchor, ca, chain] of cases()) {
      expect(await admitted(ca, withChain(client, chain)), `${anchor}, ${chain}`).toEqual([
        'alice',
      ]);
    }
  });

  test('a listener admits a certificate that is in the CA file itself', async () => {
    expect(await admitted(read(client.cert), withChain(client, 'no chain'))).toEqual(['alice']);
  });

  test('a listener refuses others, whatever the anchor', async () => {
    for (const ca of [read(root.cert), read(issuing.cert, other.cert), read(client.cert)]) {
      const bygone = withChain(expired, 'a chain from the bottom');
      expect(await admitted(ca, bygone), 'expired').toEqual([]);
      expect(await admitted(read(expired.cert), bygone), 'expired and pinned').toEqual([]);
      // A server's certificate proves nothing about a client.
      const misused = withChain(server, 'a chain from the bottom');
      expect(await admitted(ca, misused), 'a server certificate').toEqual([]);
    }
    const foreign = { cert: read(stranger.cert, other.cert), key: read(stranger.key) };
    expect(await admitted(read(issuing.cert), foreign)).toEqual([]);
    expect(await admitted(read(server.cert), withChain(client, 'no chain'))).toEqual([]);
    // The anchor is below: it says nothing about what its own issuer signed.
    const sibling = policy.issue('sibling', 'clientAuth');
    const presented = { cert: read(sibling.cert, policy.cert), key: read(sibling.key) };
    expect(await admitted(read(issuing.cert), presented)).toEqual([]);
    expect(await admitted(read(policy.cert), presented)).toEqual(['sibling']);
  });

  test('a dialler accepts whoever a certificate of its CA file vouches for', async () => {
    for (const [anchor, ca, chain] of cases()) {
      const { address } = await listen(withChain(server, chain), []);
      const stream = await nodeNetwork.connect(address, { ca }, 5_000).catch(String);
      expect(typeof stream, `${anchor}, ${chain}: ${stream}`).toBe('object');
    }
    const { address } = await listen(withChain(server, 'no chain'), []);
    await nodeNetwork.connect(address, { ca: read(server.cert) }, 5_000);
    const wary = nodeNetwork.connect(address, { ca: read(other.cert) }, 5_000);
    await expect(wary).rejects.toThrow();
    const old = issuing.issue('localhost-old', 'serverAuth', [
      '20200101000000Z',
      '20200201000000Z',
    ]);
    const stale = await listen(withChain(old, 'no chain'), []);
    const late = nodeNetwork.connect(stale.address, { ca: read(issuing.cert) }, 5_000);
    await expect(late).rejects.toThrow('expired');
  });
});
