/** Sockets in threads of their own (--io-threads): the same suite as without, and what is theirs. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import type {
  ByteStream,
  ByteStreamHandler,
  NetworkAddress,
  TlsOptions,
  TlsRefusal,
} from '../../src/common/index.js';
import { silentLogger } from '../../src/common/index.js';
import { nodeClock } from '../../src/server/platform/index.js';
import { threadedNetwork } from '../../src/server/platform/io-threads/index.js';
import { nodeNetwork } from '../../src/server/platform/network-node.js';
import { connectGrpc, createGrpcServer, type MethodHandler } from '../../src/transport/index.js';
import { networkConformance } from './network-conformance.js';
import { haveOpenssl, makeCertificates } from './support/certificates.js';

const entry = new URL(
  '../../dist/src/server/platform/io-threads/socket-thread.js',
  import.meta.url,
);
const one = threadedNetwork({ threads: 1, base: nodeNetwork, sharesPorts: false, entry });
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const canShare = major > 22 || (major === 22 && minor >= 12);
const why = canShare ? '' : ' (skipped: Node.js is older than 22.12)';
const three = threadedNetwork({ threads: 3, base: nodeNetwork, sharesPorts: false, entry });
const dir = mkdtempSync(join(tmpdir(), 'kvorum-io-'));

afterAll(() => {
  one.close();
  three.close();
  rmSync(dir, { recursive: true, force: true });
});

const loopback: NetworkAddress = { host: '127.0.0.1', port: 0 };
const real = {
  network: one,
  async until(done: () => boolean): Promise<void> {
    while (!done()) await turn();
  },
  wait: <T>(promise: Promise<T>): Promise<T> => promise,
};

networkConformance('TCP in a thread', async () => ({ ...real, address: loopback }));

let sockets = 0;
networkConformance('unix socket in a thread', async () => ({
  ...real,
  address: { path: join(dir, `socket-${sockets++}`) },
}));

if (canShare) {
  networkConformance('TCP in three threads', async () => ({
    ...real,
    network: three,
    address: loopback,
  }));
}

if (haveOpenssl) {
  const { ca, serverCert, serverKey } = makeCertificates();
  networkConformance('TLS in a thread', async () => ({
    ...real,
    address: loopback,
    serverTls: { cert: serverCert, key: serverKey },
    clientTls: { ca },
  }));
}

const silent: ByteStreamHandler = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };

/** What a stream brings, and whether it is over. */
function collect(stream: ByteStream) {
  const got = { bytes: 0, sum: 0, ended: false, closed: false };
  stream.setHandler({
    onData(chunk) {
      for (const byte of chunk) got.sum = (got.sum * 31 + byte) >>> 0;
      got.bytes += chunk.length;
    },
    onEnd: () => {
      got.ended = true;
    },
    onDrain() {},
    onClose: () => {
      got.closed = true;
    },
  });
  return got;
}

describe('flow control between the threads', () => {
  const piece = Buffer.from(Array.from({ length: 100_003 }, (_none, i) => (i * 7) & 0xff));
  const pieces = 200;
  const expected = (): number => {
    let sum = 0;
    for (let i = 0; i < pieces; i++) for (const byte of piece) sum = (sum * 31 + byte) >>> 0;
    return sum;
  };

  test('ten rings full of bytes come whole and in order, to a reader that stops', async () => {
    let server: ByteStream | undefined;
    let got: ReturnType<typeof collect> | undefined;
    const listener = await one.listen(loopback, undefined, (stream) => {
      server = stream;
      got = collect(stream);
      stream.pause();
    });
    const client = await nodeNetwork.connect(listener.address, undefined, 5_000);
    client.setHandler(silent);
    for (let i = 0; i < pieces; i++) client.write(piece);
    client.end();
    await real.until(() => server !== undefined);
    for (let i = 0; i < 50; i++) await turn();
    // Of what was sent before it stopped, it has got at most what was there already.
    const before = got?.bytes ?? 0;
    for (let i = 0; i < 50; i++) await turn();
    expect(got?.bytes).toBe(before);
    expect(client.backlogBytes()).toBeGreaterThan(0);
    server?.resume();
    await real.until(() => got?.ended === true);
    expect(got).toMatchObject({ bytes: pieces * piece.length, sum: expected() });
    client.destroy();
    await listener.close();
  });

  test('a writer is told when it is ahead, and when there is room again', async () => {
    let drains = 0;
    let server: ByteStream | undefined;
    const listener = await one.listen(loopback, undefined, (stream) => {
      server = stream;
      stream.setHandler({
        ...silent,
        onDrain() {
          drains += 1;
        },
      });
    });
    const client = await nodeNetwork.connect(listener.address, undefined, 5_000);
    const got = collect(client);
    client.pause();
    await real.until(() => server !== undefined);
    let room = true;
    let written = 0;
    for (; room; written += 1) room = server?.write(piece) ?? false;
    const most = server?.backlogBytes() ?? 0;
    expect(most).toBeGreaterThan(512 * 1024);
    for (; written < pieces; written += 1) server?.write(piece);
    for (let i = 0; i < 50; i++) await turn();
    expect(drains).toBe(0);
    client.resume();
    await real.until(() => drains > 0);
    server?.end();
    await real.until(() => got.ended);
    expect(got).toMatchObject({ bytes: pieces * piece.length, sum: expected() });
    client.destroy();
    await listener.close();
  });
});

describe('listeners in threads', () => {
  test('a port that is taken is refused, by name', async () => {
    const taken = await nodeNetwork.listen(loopback, undefined, () => {});
    await expect(one.listen(taken.address, undefined, () => {})).rejects.toThrow(/EADDRINUSE/);
    await taken.close();
  });

  test('a thread that ends by itself is told of, once', async () => {
    const broken = new URL('data:text/javascript,throw new Error("broken for the test")');
    const lost: unknown[] = [];
    await new Promise<void>((resolve) => {
      const network = threadedNetwork({
        threads: 1,
        base: nodeNetwork,
        sharesPorts: false,
        entry: broken,
        onLost(error) {
          lost.push(error);
          resolve();
        },
      });
      void network.listen(loopback, undefined, () => {});
    });
    for (let i = 0; i < 50; i++) await turn();
    expect(lost.map(String)).toEqual(['Error: broken for the test']);
  });

  test.skipIf(!canShare)(`threads share a port with nobody else${why}`, async () => {
    const listener = await three.listen(loopback, undefined, () => {});
    const other = threadedNetwork({ threads: 2, base: nodeNetwork, sharesPorts: false, entry });
    await expect(other.listen(listener.address, undefined, () => {})).rejects.toThrow(/EADDRINUSE/);
    other.close();
    await listener.close();
    // It is free as soon as all threads have let it go.
    const again = await nodeNetwork.listen(listener.address, undefined, () => {});
    await again.close();
  });

  test.skipIf(!canShare)(`all threads get connections${why}`, async () => {
    const methods = new Map<string, MethodHandler>([
      ['/a.B/Echo', { kind: 'unary', handle: (request, call) => call.reply(request) }],
    ]);
    const server = createGrpcServer({
      clock: nodeClock,
      network: three,
      logger: silentLogger,
      methods,
    });
    const { address } = await server.listen(loopback, undefined);
    const open = () => connectGrpc({ clock: nodeClock, network: nodeNetwork, address });
    const clients = await Promise.all(Array.from({ length: 60 }, open));
    const answers = await Promise.all(
      clients.map(
        (client, i) =>
          new Promise<string>((resolve) => {
            const request = Buffer.alloc(50_000 + i, i);
            client.unary('/a.B/Echo', request, {}, (status, message) => {
              resolve(message?.equals(request) === true ? 'ok' : status.message);
            });
          }),
      ),
    );
    expect(new Set(answers)).toEqual(new Set(['ok']));
    expect(server.connectionCount).toBe(60);
    const drained = server.drain();
    for (const client of clients) void client.close();
    await drained;
    expect(server.connectionCount).toBe(0);
  });
});

describe.skipIf(!haveOpenssl)('TLS in a thread', () => {
  const { ca, clientCert, clientKey, serverCert, serverKey, strangerCert } = makeCertificates();
  const clientTls: TlsOptions = { ca, cert: clientCert, key: clientKey };
  const serverTls: TlsOptions = {
    ca,
    cert: serverCert,
    key: serverKey,
    requireClientCertificate: true,
  };

  test('who the other side proved to be is known to the core', async () => {
    const seen: ByteStream[] = [];
    const listener = await one.listen(loopback, serverTls, (stream) => {
      stream.setHandler(silent);
      seen.push(stream);
    });
    const client = await nodeNetwork.connect(listener.address, clientTls, 5_000);
    client.setHandler(silent);
    await real.until(() => seen.length > 0);
    expect(seen[0]?.identity.certificateVerified).toBe(true);
    expect(seen[0]?.alpnProtocol).toBe('h2');
    expect(seen[0]?.remoteAddress).toMatch(/^127\.0\.0\.1:\d+$/);
    client.destroy();
    await listener.close();
  });

  test('the core says who is refused although believed, and hears of it', async () => {
    const refused: TlsRefusal[] = [];
    const asked: string[] = [];
    let isFor: boolean | undefined;
    const tls: TlsOptions = {
      ...serverTls,
      denial(presented) {
        asked.push(...presented.serials);
        isFor = presented.isFor('localhost');
        return { kind: 'revoked', reason: 'because of the test' };
      },
      onRefused: (refusal) => void refused.push(refusal),
    };
    const listener = await one.listen(loopback, tls, (stream) => stream.setHandler(silent));
    const client = await nodeNetwork.connect(listener.address, clientTls, 5_000).catch(() => {});
    client?.setHandler(silent);
    await real.until(() => refused.length > 0);
    expect(refused[0]).toMatchObject({ kind: 'revoked', reason: 'because of the test' });
    expect(asked.length).toBeGreaterThan(0);
    expect(isFor).toBeTypeOf('boolean');
    client?.destroy();
    await listener.close();
  });

  test('certificates that change count for the next handshake', async () => {
    let now: TlsOptions = serverTls;
    let asked = 0;
    const tls: TlsOptions = {
      ...serverTls,
      current: () => {
        asked += 1;
        return asked % 2 === 0 ? now : Promise.resolve(now);
      },
    };
    const refused: TlsRefusal[] = [];
    const listener = await one.listen(
      loopback,
      { ...tls, onRefused: (refusal) => void refused.push(refusal) },
      (stream) => stream.setHandler(silent),
    );
    const open = () => nodeNetwork.connect(listener.address, clientTls, 5_000);
    for (let i = 0; i < 3; i++) {
      const client = await open();
      client.setHandler(silent);
      client.destroy();
    }
    expect(asked).toBe(3);
    // From now on it believes another authority.
    now = { ...serverTls, ca: strangerCert };
    const client = await open().catch(() => undefined);
    client?.setHandler(silent);
    // Those that went at once may not have ended the handshake for the server.
    await real.until(() => refused.some(({ kind }) => kind === 'certificate'));
    client?.destroy();
    await listener.close();
  });
});
