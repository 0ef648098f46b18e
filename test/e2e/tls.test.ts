import { request as httpRequest } from 'node:http';
import { connect as http2Connect } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect as netConnect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as tlsConnect } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { beforeAll, describe, expect, it } from 'vitest';
import { exec } from '../helpers/exec.js';
import { asFailure, bytes, RawClient } from '../helpers/grpc.js';
import { freePort } from '../helpers/server.js';
import { describeWith, itWith, toolPath } from '../helpers/tools.js';
import {
  type CertificateFiles,
  type Certificates,
  describeWithOpenssl,
  makeCertificates,
  pem,
} from './certificates.js';
import {
  anyPeerPort,
  endProgramsAfterEach,
  type Program,
  run,
  serve,
  temporaryDirectory,
} from './program.js';

endProgramsAfterEach();

/** Flags of a server on these client URLs, with a directory of its own. */
function flags(urls: string, ...more: readonly string[]): string[] {
  const dataDir = join(temporaryDirectory(), 'data');
  const where = ['--listen-client-urls', urls, '--advertise-client-urls', urls];
  return ['--data-dir', dataDir, ...where, ...anyPeerPort, ...more];
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** GET by HTTP/1.1, with TLS if there are options for it, to `host:port` or a socket's path. */
function get(where: URL | string, path: string, tls?: object): Promise<Answer> {
  const to =
    typeof where === 'string' ? { socketPath: where } : { host: bare(where), port: where.port };
  return new Promise((resolve, reject) => {
    const options = { ...to, path, agent: false, ...tls };
    const request = tls === undefined ? httpRequest(options) : httpsRequest(options);
    request.once('error', reject);
    request.once('response', (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    request.end();
  });
}

function bare(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

function getHttp2(url: string, path: string, tls: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const session = http2Connect(url, tls);
    session.once('error', reject);
    const stream = session.request({ ':path': path });
    let status = 0;
    let body = '';
    stream.once('error', reject);
    stream.once('response', (headers) => {
      status = Number(headers[':status']);
    });
    stream.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    stream.once('end', () => {
      session.close();
      resolve({ status, body });
    });
    stream.end();
  });
}

function url(program: Program, index = 0): URL {
  return new URL(program.clientUrls[index] ?? '');
}

function secureClient(target: string, ca: string, client?: CertificateFiles): RawClient {
  const pair = client === undefined ? [] : ([pem(client.key), pem(client.cert)] as const);
  return new RawClient(target, {}, grpc.credentials.createSsl(pem(ca), ...pair));
}

/** Puts and reads a key back. */
async function putAndGet(client: RawClient): Promise<string> {
  try {
    await client.put({ key: bytes('k'), value: bytes('v') });
    const found = await client.range({ key: bytes('k') });
    return found.kvs[0]?.value.toString() ?? '';
  } finally {
    client.close();
  }
}

/** Resolves once the server has closed the connection. */
function closed(socket: Socket): Promise<void> {
  return new Promise<void>((resolve) => {
    socket.on('error', () => {});
    socket.resume().once('close', () => resolve());
  });
}

const healthy = { status: 200, body: '{"health":"true","reason":""}' };

describeWith(['kvorum'], 'listeners of a server process', () => {
  describe('without TLS', () => {
    it('serves on several client URLs at once, also localhost', () =>
      servesOn('http://127.0.0.1:0', 'http://localhost:0'));
    itWith(['ipv6'], 'also [::1]', {}, () => servesOn('http://127.0.0.1:0', 'http://[::1]:0'));

    async function servesOn(...urls: readonly string[]): Promise<void> {
      const server = await serve(flags(urls.join()));
      expect(server.clientUrls).toHaveLength(urls.length);
      for (const [index] of server.clientUrls.entries()) {
        expect(await get(url(server, index), '/health')).toEqual(healthy);
        expect(await putAndGet(new RawClient(server.endpoint(index)))).toBe('v');
      }
      expect(await server.stop()).toBe('SIGTERM');
    }

    it('serves gRPC and HTTP on a unix socket, and again after a crash left its file', async () => {
      const path = join(temporaryDirectory(), 's');
      const args = flags(`unix://${path}`);
      const first = await serve(args);
      await first.kill();
      const server = await serve(args);
      expect(await putAndGet(new RawClient(`unix:${path}`))).toBe('v');
      expect(await get(path, '/health')).toEqual(healthy);
      expect(await server.stop()).toBe('SIGTERM');
    });

    it('keeps HTTP off the client port if it has URLs of its own', async () => {
      const httpPort = await freePort();
      const http = `http://127.0.0.1:${httpPort}`;
      const server = await serve(flags('http://127.0.0.1:0', '--listen-client-http-urls', http));
      expect(await get(new URL(http), '/health')).toEqual(healthy);
      await expect(get(url(server), '/health')).rejects.toThrow();
      expect(await putAndGet(new RawClient(server.endpoint()))).toBe('v');
      const wrong = putAndGet(new RawClient(`127.0.0.1:${httpPort}`));
      await expect(wrong).rejects.toThrow(/UNIMPLEMENTED|UNAVAILABLE|unknown service/);
    });

    it('closes HTTP connections that never finish their request', async () => {
      const server = await serve(flags('http://127.0.0.1:0'));
      const port = Number(url(server).port);
      const ends = ['GET', 'GET /health HTTP/1.1\r\nHo'].map((text) => {
        const socket = netConnect(port, '127.0.0.1');
        socket.write(text);
        return closed(socket);
      });
      await Promise.all(ends);
      expect(await get(url(server), '/health')).toEqual(healthy);
    });

    it('serves only metrics and health on --listen-metrics-urls', async () => {
      const metrics = `http://127.0.0.1:${await freePort()}`;
      const server = await serve(flags('http://127.0.0.1:0', '--listen-metrics-urls', metrics));
      const at = new URL(metrics);
      expect((await get(at, '/metrics')).body).toContain('etcd_server_has_leader 1');
      expect(await get(at, '/health')).toEqual(healthy);
      expect((await get(at, '/readyz')).body).toBe('ok\n');
      expect((await get(at, '/version')).status).toBe(404);
      expect((await get(url(server), '/version')).status).toBe(200);
    });
  });

  describeWithOpenssl('with TLS', () => {
    let certs: Certificates;
    let withServer: string[];
    let mutual: string[];
    beforeAll(() => {
      certs = makeCertificates(temporaryDirectory());
      withServer = ['--cert-file', certs.server.cert, '--key-file', certs.server.key];
      mutual = [...withServer, '--client-cert-auth', '--trusted-ca-file', certs.ca];
    });

    it('serves gRPC, HTTP/1.1 and plain HTTP/2 on one https port', async () => {
      const server = await serve(flags('https://127.0.0.1:0', ...withServer));
      expect(server.clientUrls[0]).toMatch(/^https:/);
      const ca = pem(certs.ca);
      expect(await putAndGet(secureClient(server.endpoint(), certs.ca))).toBe('v');
      expect(await get(url(server), '/health', { ca })).toEqual(healthy);
      expect(await getHttp2(url(server).href, '/health', { ca })).toEqual(healthy);
      const version = await getHttp2(url(server).href, '/version', { ca });
      expect(JSON.parse(version.body)).toMatchObject({ etcdserver: '3.7.3' });
      expect(await server.stop()).toBe('SIGTERM');
    });

    itWith(['etcdctl'], 'works with etcdctl --cacert --cert --key', {}, async () => {
      const server = await serve(flags('https://127.0.0.1:0', ...mutual));
      const { cert, key } = certs.client;
      const who = ['--cacert', certs.ca, '--cert', cert, '--key', key];
      const common = ['--endpoints', server.clientUrls[0] ?? '', ...who];
      const put = await exec(toolPath('etcdctl'), [...common, 'put', 'a', 'b']);
      expect([put.code, put.stdout.toString()]).toEqual([0, 'OK\n']);
      const health = await exec(toolPath('etcdctl'), [...common, 'endpoint', 'health']);
      expect(health.stdout.toString() + health.stderr).toContain('is healthy');
    });

    it('lets in only clients with a good certificate', async () => {
      const server = await serve(flags('https://localhost:0', ...mutual));
      const attempt = (client?: CertificateFiles) =>
        putAndGet(secureClient(server.endpoint(), certs.ca, client)).catch(
          (error: unknown) => asFailure(error).code,
        );
      expect(await attempt(certs.client)).toBe('v');
      expect(await attempt(undefined)).toBe(grpc.status.UNAVAILABLE);
      expect(await attempt(certs.expired)).toBe(grpc.status.UNAVAILABLE);
      expect(await attempt(certs.stranger)).toBe(grpc.status.UNAVAILABLE);
      // Without a revocation list a revoked certificate is as good as another.
      expect(await attempt(certs.revoked)).toBe('v');
      const ca = pem(certs.ca);
      await expect(get(url(server), '/health', { ca })).rejects.toThrow();
      expect(await attempt(certs.client)).toBe('v');
    });

    it('asks for a certificate if there is only a --trusted-ca-file, as etcd does', async () => {
      const trusted = [...withServer, '--trusted-ca-file', certs.ca];
      const server = await serve(flags('https://127.0.0.1:0', ...trusted));
      const refused = putAndGet(secureClient(server.endpoint(), certs.ca));
      await expect(refused).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE });
      const client = secureClient(server.endpoint(), certs.ca, certs.client);
      expect(await putAndGet(client)).toBe('v');
    });

    it('refuses certificates on the revocation list', async () => {
      const crl = [...mutual, '--client-crl-file', certs.crl];
      const server = await serve(flags('https://127.0.0.1:0', ...crl));
      const good = secureClient(server.endpoint(), certs.ca, certs.client);
      expect(await putAndGet(good)).toBe('v');
      const revoked = putAndGet(secureClient(server.endpoint(), certs.ca, certs.revoked));
      await expect(revoked).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE });
    });

    it('is not trusted by a client with another authority', async () => {
      const server = await serve(flags('https://127.0.0.1:0', ...withServer));
      const wary = putAndGet(secureClient(server.endpoint(), certs.otherCa));
      await expect(wary).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE });
      expect(await putAndGet(secureClient(server.endpoint(), certs.ca))).toBe('v');
    });

    it.each([
      ['TLSv1.2', []],
      ['TLSv1.3', []],
      ['TLSv1.3', ['--tls-min-version', 'TLS1.3']],
      ['TLSv1.2', ['--tls-max-version', 'TLS1.2']],
    ] as const)('speaks %s with %j', async (version, extra) => {
      const server = await serve(flags('https://127.0.0.1:0', ...withServer, ...extra));
      const ca = pem(certs.ca);
      const only = { ca, minVersion: version, maxVersion: version };
      expect(await get(url(server), '/health', only)).toEqual(healthy);
      if (extra.length === 0) return;
      const other = version === 'TLSv1.2' ? 'TLSv1.3' : 'TLSv1.2';
      const refused = get(url(server), '/health', { ca, minVersion: other, maxVersion: other });
      await expect(refused).rejects.toThrow();
    });

    it('offers only the --cipher-suites asked for', async () => {
      const suites = ['--cipher-suites', 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'];
      const server = await serve(flags('https://127.0.0.1:0', ...withServer, ...suites));
      const only = { ca: pem(certs.ca), maxVersion: 'TLSv1.2' };
      const asked = { ...only, ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' };
      expect(await get(url(server), '/health', asked)).toEqual(healthy);
      const other = { ...only, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' };
      await expect(get(url(server), '/health', other)).rejects.toThrow();
    });

    it('serves unixs:// sockets, and http beside https', async () => {
      const path = join(temporaryDirectory(), 's');
      const urls = `unixs://${path},http://127.0.0.1:0,https://127.0.0.1:0`;
      const server = await serve(flags(urls, ...withServer));
      const ca = pem(certs.ca);
      expect(await get(path, '/health', { ca, servername: 'localhost' })).toEqual(healthy);
      const [http = '', https = ''] = server.clientUrls;
      expect(await get(new URL(http), '/health')).toEqual(healthy);
      expect(await get(new URL(https), '/health', { ca })).toEqual(healthy);
    });

    it('serves plain and TLS on one port, as etcd does', async () => {
      const at = `127.0.0.1:${await freePort()}`;
      const server = await serve(flags(`http://${at},https://${at}`, ...withServer));
      expect(server.clientUrls).toEqual([`http://${at}`, `https://${at}`]);
      const ca = pem(certs.ca);
      expect(await get(new URL(`http://${at}`), '/health')).toEqual(healthy);
      expect(await get(new URL(`https://${at}`), '/health', { ca })).toEqual(healthy);
      expect(await getHttp2(`https://${at}`, '/health', { ca })).toEqual(healthy);
      expect(await putAndGet(new RawClient(at))).toBe('v');
      expect(await putAndGet(secureClient(at, certs.ca))).toBe('v');
      const port = Number(at.split(':')[1]);
      const slow = netConnect(port, '127.0.0.1');
      const piecewise = netConnect(port, '127.0.0.1');
      for (const piece of ['G', 'ET /health HTTP/1.1\r\n', 'Host: a\r\n\r\n']) {
        piecewise.write(piece);
        await sleep(20);
      }
      await new Promise((resolve) => piecewise.once('data', resolve));
      piecewise.destroy();
      // One that never says anything is not kept for ever.
      await closed(slow);
      expect(await server.stop()).toBe('SIGTERM');
    }, 60_000);

    it('ignores --auto-tls beside certificates, as etcd does', async () => {
      const server = await serve(flags('https://127.0.0.1:0', ...withServer, '--auto-tls'));
      const warned = server.log.filter(({ level }) => level === 'warn').map(({ msg }) => msg);
      expect(warned).toContain('--auto-tls is ignored: certificate files are given');
      expect(await get(url(server), '/health', { ca: pem(certs.ca) })).toEqual(healthy);
    });

    it('closes connections that never finish their handshake (L-46)', async () => {
      const server = await serve(flags('https://127.0.0.1:0', ...withServer));
      const port = Number(url(server).port);
      const silent = netConnect(port, '127.0.0.1');
      const half = netConnect(port, '127.0.0.1');
      half.write(Buffer.from([0x16, 3, 1, 2, 0, 1]));
      // TLS is up, but no request ever comes.
      const ca = pem(certs.ca);
      const mute = tlsConnect({ port, host: '127.0.0.1', ca, ALPNProtocols: ['h2'] });
      await Promise.all([closed(silent), closed(half), closed(mute)]);
      expect(await get(url(server), '/health', { ca })).toEqual(healthy);
    });

    it('says in one line what is wrong with a certificate, and exits with 2', async () => {
      const broken = ['--cert-file', certs.server.cert, '--key-file', certs.client.key];
      const mismatched = run(flags('https://127.0.0.1:0', ...broken));
      expect(await mismatched.ended).toBe(2);
      expect(mismatched.stderr).toBe('kvorum: --key-file is not the key of --cert-file\n');
      const none = run(flags('https://127.0.0.1:0'));
      expect(await none.ended).not.toBe(0);
      expect(none.stderr).toMatch(/^kvorum: [^\n]*cert-file[^\n]*\n$/);
    });
  });
});
