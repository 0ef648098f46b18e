/** Who a listener takes a client for, and which certificates it does not take where. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect as tlsConnect } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type {
  Listener,
  NetworkAddress,
  PeerIdentity,
  TlsOptions,
  TlsPresented,
  TlsRefusal,
} from '../../src/common/index.js';
import { nodeNetwork } from '../../src/server/platform/network-node.js';
import { Authority, type CertificateFiles, describeWithOpenssl } from '../e2e/certificates.js';

const dir = mkdtempSync(join(tmpdir(), 'kvorum-identity-'));
const listeners: Listener[] = [];
afterEach(() => Promise.all(listeners.splice(0).map((listener) => listener.close())));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const read = (path: string): string => readFileSync(path, 'utf8');

describeWithOpenssl('the client of a TLS listener', () => {
  let server: CertificateFiles;
  let serverTls: TlsOptions;
  let trusted: string;

  /** A certificate that signs itself, and is in the CA file of the listener. */
  function client(name: string, subject: string, alternative: string): CertificateFiles {
    const files = { cert: join(dir, `${name}.pem`), key: join(dir, `${name}.key`) };
    const config = join(dir, `${name}.cnf`);
    const names = alternative === '' ? '' : 'subjectAltName = @names\n';
    writeFileSync(
      config,
      `[req]\ndistinguished_name = dn\n[dn]\n[own]\nextendedKeyUsage = clientAuth\n${names}` +
        `[names]\n${alternative.replaceAll(' | ', '\n')}\n`,
    );
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', ...kind, '-config', config, '-extensions', 'own', '-subj', subject],
        ...['-keyout', files.key, '-out', files.cert],
      ],
      { stdio: 'pipe' },
    );
    trusted += read(files.cert);
    return files;
  }

  beforeAll(() => {
    const authority = new Authority(join(dir, 'ca'), 'authority');
    server = authority.issue('localhost', 'serverAuth');
    serverTls = { cert: read(server.cert), key: read(server.key) };
    trusted = read(authority.cert);
  }, 60_000);

  async function listen(more: Partial<TlsOptions>, where?: NetworkAddress) {
    const refusals: TlsRefusal[] = [];
    const identities: PeerIdentity[] = [];
    const tls = {
      ...serverTls,
      onRefused: (refusal: TlsRefusal) => refusals.push(refusal),
      ...more,
    };
    const at = where ?? { host: '127.0.0.1', port: 0 };
    const listener = await nodeNetwork.listen(at, tls, (stream) => {
      identities.push(stream.identity);
      let got = '';
      stream.setHandler({
        onData(chunk) {
          got += chunk.toString();
          if (got === 'hello') stream.write(Buffer.from('welcome'));
        },
        onEnd() {},
        onDrain() {},
        onClose() {},
      });
    });
    listeners.push(listener);
    return { address: listener.address as { host: string; port: number }, refusals, identities };
  }

  /** Says hello; what comes back. */
  function greet(socket: Socket): Promise<string> {
    return new Promise((resolve) => {
      let got = '';
      socket.on('data', (data) => {
        got += data.toString();
        if (got === 'welcome') socket.destroy();
      });
      socket.on('error', () => {}).once('close', () => resolve(got));
      socket.write('hello');
    });
  }

  const as = (who: CertificateFiles, more: ConnectionOptions = {}): ConnectionOptions => ({
    ca: trusted,
    cert: read(who.cert),
    key: read(who.key),
    ...more,
  });

  async function told(refusals: readonly TlsRefusal[]): Promise<TlsRefusal | undefined> {
    for (let turns = 0; refusals.length === 0 && turns < 500; turns += 1) await sleep(10);
    return refusals[0];
  }

  test('is the last common name of a certificate that was verified, as for Go', async () => {
    const twice = client('twice', '/CN=first/O=o/CN=second', '');
    const nameless = client('nameless', '/O=o', '');
    const verifying = await listen({ ca: trusted, requireClientCertificate: true });
    for (const who of [twice, nameless]) {
      expect(await greet(tlsConnect({ ...verifying.address, ...as(who) }))).toBe('welcome');
    }
    expect(verifying.identities).toEqual([
      { commonName: 'second', certificateVerified: true },
      { commonName: '', certificateVerified: true },
    ]);
  });

  test('is nobody where no certificate is asked for', async () => {
    const own = client('own', '/CN=root', '');
    const trusting = await listen({ ca: trusted, alsoPlain: true });
    expect(await greet(tlsConnect({ ...trusting.address, ...as(own) }))).toBe('welcome');
    const plain = await nodeNetwork.connect(trusting.address, undefined, 5_000);
    plain.setHandler({ onData() {}, onEnd() {}, onDrain() {}, onClose() {} });
    plain.write(Buffer.from('hello'));
    for (let turns = 0; trusting.identities.length < 2 && turns < 500; turns += 1) await sleep(10);
    plain.destroy();
    const nobody = { commonName: '', certificateVerified: false };
    expect(trusting.identities).toEqual([nobody, nobody]);
  });

  test('is asked anew with a session of before, so that it may have been revoked since', async () => {
    const who = client('later', '/CN=later', '');
    let isRevoked = false;
    const { address, identities, refusals } = await listen({
      ca: trusted,
      requireClientCertificate: true,
      denial: () => (isRevoked ? { kind: 'revoked', reason: 'by now' } : undefined),
    });
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      isRevoked = false;
      const sessions: Buffer[] = [];
      const first = tlsConnect({ ...address, ...as(who, { maxVersion }) });
      first.on('session', (session: Buffer) => sessions.push(session));
      expect(await greet(first)).toBe('welcome');
      const admitted = identities.length;
      isRevoked = true;
      for (const session of sessions) {
        const again = tlsConnect({ ...address, ...as(who, { maxVersion, session }) });
        expect(await greet(again)).toBe('');
      }
      // TLS 1.3 has no session to take up; the one of TLS 1.2 is of no use.
      const fresh = tlsConnect({ ...address, ...as(who, { maxVersion }) });
      expect(await greet(fresh)).toBe('');
      expect(identities).toHaveLength(admitted);
    }
    expect(new Set(refusals.map(({ kind }) => kind))).toEqual(new Set(['revoked']));
  });

  test('has the names of its certificate and no others', async () => {
    const odd = client(
      'odd',
      '/CN=odd',
      'DNS.1 = a.example.com | DNS.2 = *.b.example.com | DNS.3 = evil, DNS:x.example.com | ' +
        'DNS.4 = "q\\", DNS:y.example.com | IP.1 = 10.0.0.1 | IP.2 = fe80::1 | ' +
        'URI.1 = spiffe://x, DNS:z.example.com | email.1 = a@example.com',
    );
    const seen: TlsPresented[] = [];
    const { address } = await listen({
      ca: trusted,
      requireClientCertificate: true,
      denial: (presented) => {
        seen.push(presented);
        return undefined;
      },
    });
    expect(await greet(tlsConnect({ ...address, ...as(odd) }))).toBe('welcome');
    const [presented] = seen;
    expect(presented?.hostNames).toEqual([
      'a.example.com',
      '*.b.example.com',
      'evil, DNS:x.example.com',
      expect.stringContaining('DNS:y.example.com'),
    ]);
    expect(presented?.addresses).toEqual(['10.0.0.1', 'FE80:0:0:0:0:0:0:1']);
    const isFor = (host: string): boolean => presented?.isFor(host) === true;
    for (const host of [
      ...['a.example.com', 'A.Example.com', 'a.example.com.', 'x.b.example.com'],
      ...['10.0.0.1', '::ffff:10.0.0.1', 'fe80::1', '[fe80::1]'],
    ]) {
      expect(isFor(host), host).toBe(true);
    }
    for (const host of [
      ...['b.example.com', 'x.y.b.example.com', 'x.example.com', 'y.example.com', 'z.example.com'],
      ...['odd', '10.0.0.2', 'fe80::2', ''],
    ]) {
      expect(isFor(host), host).toBe(false);
    }
  });

  test('is told the same of the server, however often it looks', async () => {
    const { address } = await listen({});
    const seen: TlsPresented[] = [];
    const tls: TlsOptions = {
      ca: trusted,
      denial: (presented) => {
        seen.push(presented);
        return undefined;
      },
    };
    const stream = await nodeNetwork.connect(address, tls, 5_000);
    stream.destroy();
    const { commonName, hostNames } = seen[0] ?? {};
    expect([commonName, hostNames]).toEqual(['localhost', ['localhost']]);
    expect(stream.identity).toEqual({ commonName: 'localhost', certificateVerified: true });
  });

  test('may be held to the address that it comes from', async () => {
    const byAddress = client('address', '/CN=m', 'IP.1 = 127.0.0.1');
    const byName = client('name', '/CN=m', 'DNS.1 = localhost');
    const anywhere = client('anywhere', '/CN=m', '');
    const elsewhere = client('elsewhere', '/CN=m', 'IP.1 = 10.9.9.9');
    const unknown = client('unknown', '/CN=m', 'DNS.1 = kvorum.invalid | IP.1 = 10.9.9.9');
    const held = { ca: trusted, requireClientCertificate: true, checkClientAddress: true };
    const { address, refusals } = await listen(held);
    for (const who of [byAddress, byName, anywhere]) {
      expect(await greet(tlsConnect({ ...address, ...as(who) }))).toBe('welcome');
    }
    expect(refusals).toEqual([]);
    const cases = [
      [elsewhere, /certificate is valid for 10\.9\.9\.9, not 127\.0\.0\.1/],
      [unknown, /"127\.0\.0\.1" does not match any of DNSNames \["kvorum\.invalid"\]/],
    ] as const;
    for (const [who, reason] of cases) {
      expect(await greet(tlsConnect({ ...address, ...as(who) }))).toBe('');
      expect(await told(refusals)).toMatchObject({
        kind: 'certificate',
        remoteAddress: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
        reason: expect.stringMatching(reason),
        presented: { addresses: ['10.9.9.9'] },
      });
      refusals.length = 0;
    }
    // Without the flag everybody of the authority is welcome, and a unix socket has no address.
    const free = await listen({ ca: trusted, requireClientCertificate: true });
    expect(await greet(tlsConnect({ ...free.address, ...as(elsewhere) }))).toBe('welcome');
    const path = join(dir, 's');
    await listen(held, { path });
    const onUnix = tlsConnect({ path, servername: 'localhost', ...as(elsewhere) });
    expect(await greet(onUnix)).toBe('welcome');
  });
});
