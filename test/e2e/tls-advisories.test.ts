/** etcd's advisories about TLS (L-46, L-51), on every listener of a member; tests have the ids. */

import { readFileSync } from 'node:fs';
import { connect as netConnect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as tlsConnect } from 'node:tls';
import { beforeAll, expect, it } from 'vitest';
import { freePort } from '../helpers/server.js';
import { slow } from '../helpers/tools.js';
import { Authority, type CertificateFiles, describeWithOpenssl, pem } from './certificates.js';
import { endProgramsAfterEach, type Program, serve, temporaryDirectory } from './program.js';

endProgramsAfterEach();

type Place = { readonly path: string } | { readonly host: string; readonly port: number };

describeWithOpenssl('on every listener', () => {
  let ca: string;
  let crl: string;
  let server: CertificateFiles;
  let good: CertificateFiles;
  let revoked: CertificateFiles;

  beforeAll(() => {
    const authority = new Authority(join(temporaryDirectory(), 'ca'), 'authority');
    ca = authority.cert;
    server = authority.issue('server', 'bothAuth');
    good = authority.issue('good', 'bothAuth');
    revoked = authority.issue('revoked', 'bothAuth');
    authority.revoke(revoked.cert);
    crl = authority.crl();
  }, 60_000);

  /** A member with one listener of each kind, and where they are. */
  async function everyListener() {
    const ports = await Promise.all(Array.from({ length: 4 }, () => freePort()));
    const [client, http, metrics, peer] = ports.map((port) => `https://127.0.0.1:${port}`);
    const dir = temporaryDirectory();
    const sockets = ['client', 'http', 'metrics'].map((name) => join(dir, name));
    const [onClient, onHttp, onMetrics] = sockets.map((path) => `unixs://${path}`);
    const tls = (prefix: string): string[] => [
      ...[`--${prefix}cert-file`, server.cert, `--${prefix}key-file`, server.key],
      ...[`--${prefix}trusted-ca-file`, ca],
    ];
    const program = await serve([
      ...['--data-dir', join(dir, 'data'), ...tls(''), ...tls('peer-'), '--name', 'a'],
      ...['--client-crl-file', crl, '--peer-crl-file', crl],
      ...['--listen-client-urls', `${client},${onClient}`, '--advertise-client-urls', `${client}`],
      ...['--listen-client-http-urls', `${http},${onHttp}`],
      ...['--listen-metrics-urls', `${metrics},${onMetrics}`],
      ...['--listen-peer-urls', `${peer}`, '--initial-advertise-peer-urls', `${peer}`],
      ...['--initial-cluster', `a=${peer}`],
    ]);
    const kinds = ['client', 'http', 'metrics', 'peer'];
    const places = new Map<string, Place>();
    for (const [i, port] of ports.entries()) {
      places.set(`${kinds[i]}`, { host: '127.0.0.1', port });
    }
    for (const [i, path] of sockets.entries()) places.set(`${kinds[i]} on a unix socket`, { path });
    return { program, places };
  }

  /** True if TLS leads somewhere: the listener answers an HTTP/2 preface. */
  function admits(place: Place, who: CertificateFiles): Promise<boolean> {
    return new Promise((resolve) => {
      const tls = { ca: pem(ca), cert: pem(who.cert), key: pem(who.key), servername: 'localhost' };
      const socket = tlsConnect({ ...place, ...tls, ALPNProtocols: ['h2'] }, () => {
        socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
      });
      socket.once('data', () => {
        resolve(true);
        socket.destroy();
      });
      socket.on('error', () => {}).once('close', () => resolve(false));
    });
  }

  it('GHSA-3wh4-j44w-pg92: a revoked certificate is refused', async () => {
    const { places, program } = await everyListener();
    expect(places.size).toBe(7);
    for (const [name, place] of places) {
      expect([name, await admits(place, good)]).toEqual([name, true]);
      expect([name, await admits(place, revoked)]).toEqual([name, false]);
    }
    await program.line('rejected connection on client endpoint');
    await program.line('rejected connection on peer endpoint');
  }, 60_000);

  const bytesOf = (program: Program): number => {
    const status = readFileSync(`/proc/${program.pid}/status`, 'utf8');
    return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN);
  };

  const title =
    'CVE-2026-73500 (GHSA-6vch-q96h-7gc3): handshakes that are never finished end in ten seconds';
  it(title, async () => {
    const { places, program } = await everyListener();
    // Half of them say nothing, half of them begin.
    const count = slow ? 5000 : 300;
    const before = bytesOf(program);
    const sockets: Socket[] = [];
    let closed = 0;
    for (const place of places.values()) {
      for (let i = 0; i < count; i += 1) {
        const socket = netConnect(place);
        if (i % 2 === 0) socket.write(Buffer.from([22, 3, 1, 2, 0, 1]));
        socket.on('error', () => {}).resume();
        socket.once('close', () => {
          closed += 1;
        });
        sockets.push(socket);
        if (i % 100 === 0) await sleep(5);
      }
    }
    const beganMs = Date.now();
    let most = before;
    while (closed < sockets.length && Date.now() - beganMs < 100_000) {
      most = Math.max(most, bytesOf(program));
      // Others are let in meanwhile.
      for (const place of places.values()) expect(await admits(place, good)).toBe(true);
      await sleep(200);
    }
    expect(closed).toBe(sockets.length);
    // What 1,000 handshakes of each listener hold at the most, and some for those that wait.
    expect(most - before).toBeLessThan(512 * 1024 * 1024);
    const { size } = places;
    expect(size).toBe(7);
    expect(await program.stop()).toBe('SIGTERM');
  }, 120_000);
});
