/** What a member says of those that it does not let in by TLS, on each port: log, metrics (L-51). */

import { request as httpsRequest } from 'node:https';
import { connect as netConnect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect as tlsConnect } from 'node:tls';
import { beforeAll, expect, it } from 'vitest';
import { freePort } from '../helpers/server.js';
import { Authority, type CertificateFiles, describeWithOpenssl, pem } from './certificates.js';
import { endProgramsAfterEach, type LogLine, serve, temporaryDirectory } from './program.js';

endProgramsAfterEach();

describeWithOpenssl('a member that refuses connections', () => {
  let ca: string;
  let crl: string;
  let member: CertificateFiles;
  let stranger: CertificateFiles;
  let revoked: CertificateFiles;

  beforeAll(() => {
    const authority = new Authority(join(temporaryDirectory(), 'ca'), 'authority');
    ca = authority.cert;
    member = authority.issue('member', 'bothAuth');
    revoked = authority.issue('revoked', 'clientAuth');
    authority.revoke(revoked.cert);
    crl = authority.crl();
    const other = new Authority(join(temporaryDirectory(), 'other'), 'other');
    stranger = other.issue('stranger', 'clientAuth');
  }, 60_000);

  /** Waits for the end of a connection; the address that it came from. */
  function ended(socket: Socket): Promise<string> {
    return new Promise((resolve) => {
      let from = '';
      socket.once('connect', () => {
        from = `127.0.0.1:${socket.localPort}`;
      });
      socket.resume().on('error', () => {});
      socket.once('close', () => resolve(from));
    });
  }

  function metricsOf(port: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const tls = { ca: pem(ca), cert: pem(member.cert), key: pem(member.key) };
      const options = { ...tls, host: '127.0.0.1', port, path: '/metrics', agent: false };
      const request = httpsRequest(options, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.once('end', () => resolve(body));
      });
      request.once('error', reject).end();
    });
  }

  async function refusalsOf(port: number): Promise<ReadonlyMap<string, number>> {
    const row = /^kvorum_tls_refusals_total\{endpoint="(\w+)",reason="(\w+)"\} (\d+)$/gm;
    const text = await metricsOf(port);
    return new Map([...text.matchAll(row)].map(([, at, why, n]) => [`${at} ${why}`, Number(n)]));
  }

  it('says on each port who it was and why, and does not let a flood fill the log', async () => {
    const peerPort = await freePort();
    const clientPort = await freePort();
    const clientUrl = `https://127.0.0.1:${clientPort}`;
    const peerUrl = `https://127.0.0.1:${peerPort}`;
    const program = await serve([
      ...['--data-dir', join(temporaryDirectory(), 'data'), '--name', 'a'],
      ...['--cert-file', member.cert, '--key-file', member.key, '--trusted-ca-file', ca],
      ...['--peer-cert-file', member.cert, '--peer-key-file', member.key],
      ...['--peer-trusted-ca-file', ca, '--client-crl-file', crl, '--peer-crl-file', crl],
      ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
      ...['--initial-cluster', `a=${peerUrl}`],
    ]);
    const lines = (endpoint: string): LogLine[] =>
      program.log.filter(({ msg }) => msg === `rejected connection on ${endpoint} endpoint`);
    const found = async (endpoint: string, from: string): Promise<LogLine> => {
      for (let tries = 0; tries < 300; tries += 1) {
        const line = lines(endpoint).find((fields) => fields['remote-addr'] === from);
        if (line !== undefined) return line;
        await sleep(50);
      }
      throw new Error(`no line about ${from}:\n${program.stderr}`);
    };
    const pairOf = ({ cert, key }: CertificateFiles): ConnectionOptions => ({
      cert: pem(cert),
      key: pem(key),
    });
    for (const [endpoint, port] of [
      ['client', clientPort],
      ['peer', peerPort],
    ] as const) {
      const at = { host: '127.0.0.1', port };
      const secure = (options: ConnectionOptions): Socket =>
        tlsConnect({ ...at, ca: pem(ca), servername: 'localhost', ...options });
      const plain = netConnect(at);
      plain.write('GET / HTTP/1.1\r\n\r\n');
      const silent = netConnect(at);
      const isSilent = ended(silent);
      expect(await found(endpoint, await ended(plain))).toMatchObject({
        level: 'warn',
        error: 'http request',
        'server-name': '',
      });
      const cases = [
        [pairOf(stranger), /VERIFY|ISSUER/],
        [pairOf(revoked), /^certificate serial \w+ is revoked$/],
      ] as const;
      for (const [options, error] of cases) {
        expect(await found(endpoint, await ended(secure(options)))).toMatchObject({
          level: 'warn',
          'server-name': 'localhost',
          error: expect.stringMatching(error),
        });
      }
      const nobody = ended(netConnect(at).end());
      expect(await found(endpoint, await isSilent)).toMatchObject({
        error: 'TLS handshake timeout',
      });
      const quiet = await nobody;
      expect(lines(endpoint).filter((line) => line['remote-addr'] === quiet)).toEqual([]);
    }
    const counts = await refusalsOf(clientPort);
    for (const endpoint of ['client', 'peer']) {
      for (const reason of ['protocol', 'certificate', 'revoked', 'timeout', 'closed']) {
        expect([endpoint, reason, counts.get(`${endpoint} ${reason}`)]).toEqual([
          endpoint,
          reason,
          1,
        ]);
      }
      expect(counts.get(`${endpoint} reset`)).toBe(0);
    }

    const startedMs = Date.now();
    const linesBefore = lines('client').length;
    const flood = 300;
    await Promise.all(
      Array.from({ length: flood }, () => {
        const socket = netConnect(clientPort, '127.0.0.1');
        socket.write('GET / HTTP/1.1\r\n\r\n');
        return ended(socket);
      }),
    );
    const after = await refusalsOf(clientPort);
    const seconds = (Date.now() - startedMs) / 1000;
    expect(after.get('client protocol')).toBe(1 + flood);
    expect(lines('client').length - linesBefore).toBeLessThanOrEqual(seconds + 2);
  }, 120_000);
});
