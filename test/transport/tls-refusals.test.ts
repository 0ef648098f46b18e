/** Handshakes that lead nowhere: what a listener tells of them, and that it waits for nobody. */

import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as netConnect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect as tlsConnect } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { ByteStream, Listener, TlsOptions, TlsRefusal } from '../../src/common/index.js';
import { nodeNetwork } from '../../src/server/platform/network-node.js';
import { Authority, type CertificateFiles, describeWithOpenssl } from '../e2e/certificates.js';

const dir = mkdtempSync(join(tmpdir(), 'kvorum-refusals-'));
const listeners: Listener[] = [];
afterEach(() => Promise.all(listeners.splice(0).map((listener) => listener.close())));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const read = (path: string): string => readFileSync(path, 'utf8');

describeWithOpenssl('refused handshakes', () => {
  let authority: Authority;
  let server: CertificateFiles;
  let client: CertificateFiles;
  let expired: CertificateFiles;
  let stranger: CertificateFiles;
  let serverTls: TlsOptions;

  beforeAll(() => {
    authority = new Authority(join(dir, 'ca'), 'authority');
    server = authority.issue('localhost', 'serverAuth');
    client = authority.issue('alice', 'clientAuth');
    expired = authority.issue('bygone', 'clientAuth', ['20200101000000Z', '20200201000000Z']);
    stranger = new Authority(join(dir, 'other'), 'other').issue('mallory', 'clientAuth');
    serverTls = {
      cert: read(server.cert),
      key: read(server.key),
      ca: read(authority.cert),
      requireClientCertificate: true,
    };
  }, 60_000);

  async function listen(more: Partial<TlsOptions>) {
    const refusals: TlsRefusal[] = [];
    const streams: ByteStream[] = [];
    const tls = {
      ...serverTls,
      onRefused: (refusal: TlsRefusal) => refusals.push(refusal),
      ...more,
    };
    const listener = await nodeNetwork.listen({ host: '127.0.0.1', port: 0 }, tls, (stream) => {
      streams.push(stream);
      stream.setHandler({ onData() {}, onEnd() {}, onDrain() {}, onClose() {} });
      stream.write(Buffer.from('hello'));
    });
    listeners.push(listener);
    const { address } = listener;
    if (!('port' in address)) throw new Error('not a TCP address');
    return { address, refusals, streams };
  }

  const present = (who: CertificateFiles): ConnectionOptions => ({
    ca: read(authority.cert),
    cert: read(who.cert),
    key: read(who.key),
  });

  /** What arrived until the other side closed, or said hello; and who we were. */
  function outcome(socket: Socket) {
    return new Promise<{ readonly got: string; readonly from: string }>((resolve) => {
      let got = '';
      let from = '';
      socket.once('connect', () => {
        from = `127.0.0.1:${socket.localPort}`;
      });
      socket.on('data', (data) => {
        got += data.toString('latin1');
        if (got === 'hello') socket.destroy();
      });
      socket.on('error', () => {}).once('close', () => resolve({ got, from }));
    });
  }

  test('are told with their kind, their address and why', async () => {
    const denial: TlsOptions['denial'] = ({ serials }) =>
      serials.length > 0 && current === 'revoked'
        ? { kind: 'revoked', reason: 'it is on the list' }
        : undefined;
    let current = '';
    const { address, refusals, streams } = await listen({ denial });
    const plain = (text: string) => () => {
      const socket = netConnect(address);
      socket.end(text);
      return socket;
    };
    const secure = (options: ConnectionOptions) => () => tlsConnect({ ...address, ...options });
    const trusting = { ca: read(authority.cert), servername: 'localhost' };
    const cases: ReadonlyArray<readonly [TlsRefusal['kind'], string, () => Socket, RegExp]> = [
      ['protocol', 'HTTP', plain('GET / HTTP/1.1\r\n\r\n'), /http request/],
      ['protocol', 'HTTP/2', plain('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), /version/],
      ['protocol', 'noise', plain('\x07'.repeat(64)), /version/],
      [
        'protocol',
        'a suite of no use',
        secure({ ...present(client), maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-SHA256' }),
        /no shared cipher/,
      ],
      [
        'protocol',
        'an old version',
        secure({ ...old, ...present(client) }),
        /unsupported protocol/,
      ],
      ['closed', 'nothing at all', plain(''), /closed/],
      ['closed', 'the begin of a record', plain('\x16\x03\x01\x02\x00'), /closed/],
      ['certificate', 'no certificate', secure(trusting), /did not return a certificate/],
      ['certificate', 'another authority', secure(present(stranger)), /VERIFY|ISSUER/],
      ['certificate', 'an expired certificate', secure(present(expired)), /CERT_HAS_EXPIRED/],
      ['certificate', 'a server as client', secure(present(server)), /PURPOSE/],
      ['revoked', 'a revoked certificate', secure(present(client)), /it is on the list/],
    ];
    for (const [kind, what, connect, reason] of cases) {
      current = kind;
      const { got, from } = await outcome(connect());
      expect(got, what).not.toBe('hello');
      for (let turns = 0; refusals.length === 0 && turns < 500; turns += 1) {
        await sleep(10);
      }
      expect(refusals, what).toHaveLength(1);
      expect(refusals.pop(), what).toMatchObject({
        kind,
        remoteAddress: from,
        serverName: what === 'no certificate' ? 'localhost' : '',
        reason: expect.stringMatching(reason),
      });
    }
    const reset = netConnect(address);
    const hasReset = outcome(reset);
    reset.once('connect', () => setTimeout(() => reset.resetAndDestroy(), 50));
    const { from } = await hasReset;
    for (let turns = 0; refusals.length === 0 && turns < 500; turns += 1) {
      await sleep(10);
    }
    expect(refusals.map(({ kind, remoteAddress }) => [kind, remoteAddress])).toEqual([
      ['reset', from],
    ]);
    expect(streams).toEqual([]);
    current = '';
    expect(await outcome(tlsConnect({ ...address, ...present(client) }))).toMatchObject({
      got: 'hello',
    });
    expect(refusals).toHaveLength(1);
  });

  const old: ConnectionOptions = {
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'ALL@SECLEVEL=0',
  };

  test('are told when the other side says nothing, after the time for a handshake', async () => {
    const { address, refusals } = await listen({});
    const { from } = await outcome(netConnect(address));
    expect(refusals).toEqual([
      {
        ...{ kind: 'timeout', remoteAddress: from, serverName: '' },
        ...{ reason: 'TLS handshake timeout', presented: undefined },
      },
    ]);
  }, 30_000);

  test('certificates that take a while hold nobody up for good', async () => {
    let ready: (tls: TlsOptions) => void = () => {};
    const waiting = new Promise<TlsOptions>((resolve) => {
      ready = resolve;
    });
    const renewed = authority.issue('localhost-renewed', 'serverAuth');
    const { address, refusals, streams } = await listen({ current: () => waiting });
    const early = tlsConnect({ ...address, ...present(client) });
    const hasEarly = outcome(early);
    const gone = netConnect(address);
    const isGone = outcome(gone);
    gone.end();
    const broken = netConnect(address, () => broken.resetAndDestroy());
    await outcome(broken);
    ready({ ...serverTls, cert: read(renewed.cert), key: read(renewed.key) });
    await new Promise((resolve) => early.once('secureConnect', resolve));
    expect(early.getPeerCertificate().subject.CN).toBe('localhost-renewed');
    expect((await hasEarly).got).toBe('hello');
    await isGone;
    for (let turns = 0; refusals.length < 2 && turns < 500; turns += 1) {
      await sleep(10);
    }
    // Node can't always tell a reset.
    expect(refusals.map(({ kind }) => kind.replace('reset', 'closed'))).toEqual([
      'closed',
      'closed',
    ]);
    expect(streams).toHaveLength(1);
  });

  test('a listener that verifies takes up no session again without verifying it', async () => {
    const { address } = await listen({});
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      let session: Buffer | undefined;
      for (const reused of [false, false]) {
        const options = { ...present(client), maxVersion, ...(session && { session }) };
        const socket = tlsConnect({ ...address, ...options });
        socket.on('session', (ticket: Buffer) => {
          session = ticket;
        });
        let isReused: boolean | undefined;
        socket.once('secureConnect', () => {
          isReused = socket.isSessionReused();
        });
        expect((await outcome(socket)).got).toBe('hello');
        expect(isReused).toBe(reused);
      }
    }
  });

  test('a dialler does not go to a server whose certificate is revoked', async () => {
    const { address } = await listen({ requireClientCertificate: false });
    const serial = new X509Certificate(read(server.cert)).serialNumber;
    const revoked = new Set<string>();
    const tls: TlsOptions = {
      ca: read(authority.cert),
      denial: ({ serials }) => {
        const reason = serials.find((presented) => revoked.has(presented));
        return reason === undefined ? undefined : { kind: 'revoked', reason };
      },
    };
    (await nodeNetwork.connect(address, tls, 5_000)).destroy();
    revoked.add(serial);
    await expect(nodeNetwork.connect(address, tls, 5_000)).rejects.toThrow(serial);
  });
});
