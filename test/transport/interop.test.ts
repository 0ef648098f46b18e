/**
 * Our halves against other implementations: @grpc/grpc-js both ways and node:http2, plain and over
 * TLS; HTTP/1.1 on the same port. Real sockets.
 */

import { request as httpRequest } from 'node:http';
import { connect as http2Connect } from 'node:http2';
import { createRequire } from 'node:module';
import { setImmediate as turn } from 'node:timers/promises';
import type * as Grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import type { TlsOptions } from '../../src/common/index.js';
import { nodeClock } from '../../src/server/platform/clock-node.js';
import { nodeNetwork } from '../../src/server/platform/network-node.js';
import { connectGrpc, type GrpcClient, type RpcStatus } from '../../src/transport/index.js';
import { haveOpenssl, makeCertificates } from './support/certificates.js';
import { hanging, startServer } from './support/servers.js';

const grpc = createRequire(import.meta.url)('@grpc/grpc-js') as typeof Grpc;
const same = (bytes: Buffer): Buffer => bytes;
const sizes = [0, 1, 100, 16_379, 16_380, 70_000, 1_500_000];

const cleanup: Array<() => unknown> = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

async function start(tls?: TlsOptions): Promise<number> {
  const { server, port } = await startServer({}, tls);
  cleanup.push(() => server.close());
  return port;
}

function call(client: Grpc.Client, method: string, message: Buffer, options = {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, reply?: Buffer): void => {
      if (error !== null || reply === undefined) reject(error ?? new Error('no reply'));
      else resolve(reply);
    };
    client.makeUnaryRequest(method, same, same, message, new grpc.Metadata(), options, done);
  });
}

function ours(
  client: GrpcClient,
  method: string,
  message: Uint8Array,
  timeoutMs = 100_000,
): Promise<{ status: RpcStatus; message: Buffer | undefined }> {
  return new Promise((resolve) => {
    client.unary(method, message, { timeoutMs }, (status, reply) =>
      resolve({ status, message: reply === undefined ? undefined : Buffer.from(reply) }),
    );
  });
}

function grpcJs(port: number, credentials = grpc.credentials.createInsecure()): Grpc.Client {
  const client = new grpc.Client(`localhost:${port}`, credentials);
  cleanup.push(() => client.close());
  return client;
}

async function bidi(client: Grpc.Client, count: number): Promise<number[]> {
  const got: number[] = [];
  const stream = client.makeBidiStreamRequest('/test.Echo/Bidi', same, same);
  const ended = new Promise<void>((resolve, reject) => {
    stream.on('data', (message: Buffer) => got.push(message.length));
    stream.on('error', reject);
    stream.on('end', resolve);
  });
  for (let i = 0; i < count; i++) stream.write(Buffer.alloc(i * 500));
  stream.end();
  await ended;
  return got;
}

describe('grpc-js client, our server', () => {
  test('unary calls of any size, whole and in parts', async () => {
    const client = grpcJs(await start());
    for (const size of sizes) {
      const message = Buffer.alloc(size, 7);
      expect((await call(client, '/test.Echo/Unary', message)).equals(message)).toBe(true);
      expect((await call(client, '/test.Echo/Parts', message)).equals(message)).toBe(true);
    }
  });

  test('errors, with any text', async () => {
    const client = grpcJs(await start());
    const failed = call(client, '/test.Echo/Fail', Buffer.from('50% of Grüße\n'));
    await expect(failed).rejects.toMatchObject({ code: 11, details: '50% of Grüße\n' });
    const unknown = call(client, '/test.Echo/Nope', Buffer.alloc(0));
    await expect(unknown).rejects.toMatchObject({ code: 12 });
    const large = call(client, '/test.Echo/Unary', Buffer.alloc(5_000_000));
    await expect(large).rejects.toMatchObject({
      code: 8,
      details: 'grpc: received message larger than max (5000000 vs. 2097152)',
    });
  });

  test('streams in both directions', async () => {
    const client = grpcJs(await start());
    expect(await bidi(client, 100)).toEqual(Array.from({ length: 100 }, (_, i) => i * 500));
    const counted = client.makeServerStreamRequest('/test.Echo/Count', same, same, Buffer.alloc(9));
    const got: number[] = [];
    for await (const message of counted) got.push(message[0]);
    expect(got).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test('gzip requests', async () => {
    const port = await start();
    const client = new grpc.Client(`localhost:${port}`, grpc.credentials.createInsecure(), {
      'grpc.default_compression_algorithm': 2,
    });
    cleanup.push(() => client.close());
    const message = Buffer.from('text '.repeat(10_000));
    expect((await call(client, '/test.Echo/Unary', message)).equals(message)).toBe(true);
  });

  test('deadline and cancel', async () => {
    const client = grpcJs(await start());
    const late = call(client, '/test.Echo/Hang', Buffer.alloc(1), { deadline: Date.now() + 50 });
    await expect(late).rejects.toMatchObject({ code: 4 });
    hanging.length = 0;
    const stream = client.makeBidiStreamRequest('/test.Echo/HangStream', same, same);
    stream.on('error', () => {});
    while (hanging.length === 0) await turn();
    const [open] = hanging;
    stream.cancel();
    while (open?.cancelled === false) await turn();
    expect(open?.cancelled).toBe(true);
  });

  test.skipIf(!haveOpenssl)('over TLS with client certificates', async () => {
    const c = makeCertificates();
    const tls = { cert: c.serverCert, key: c.serverKey, ca: c.ca, requireClientCertificate: true };
    const port = await start(tls);
    const [ca, key, cert] = [c.ca, c.clientKey, c.clientCert].map((pem) => Buffer.from(pem));
    if (ca === undefined || key === undefined || cert === undefined) throw new Error('no PEM');
    const client = grpcJs(port, grpc.credentials.createSsl(ca, key, cert));
    for (const size of sizes) {
      const message = Buffer.alloc(size, 7);
      expect((await call(client, '/test.Echo/Unary', message)).equals(message)).toBe(true);
    }
    expect(await bidi(client, 50)).toHaveLength(50);
  });
});

describe('our client', () => {
  const definition = {
    unary: {
      path: '/test.Echo/Unary',
      requestStream: false,
      responseStream: false,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    },
    bidi: {
      path: '/test.Echo/Bidi',
      requestStream: true,
      responseStream: true,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    },
  };

  async function grpcJsServer(): Promise<number> {
    const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 });
    server.addService(definition, {
      unary: (c: Grpc.ServerUnaryCall<Buffer, Buffer>, done: Grpc.sendUnaryData<Buffer>) => {
        if (c.request.toString() === 'fail') done({ code: 5, details: 'not here: ü' });
        else done(null, c.request);
      },
      bidi: (c: Grpc.ServerDuplexStream<Buffer, Buffer>) => {
        c.on('data', (message: Buffer) => c.write(message));
        c.on('end', () => c.end());
      },
    });
    cleanup.push(() => server.forceShutdown());
    return new Promise((resolve, reject) => {
      const insecure = grpc.ServerCredentials.createInsecure();
      server.bindAsync('127.0.0.1:0', insecure, (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
  }

  async function connect(port: number, tls?: TlsOptions): Promise<GrpcClient> {
    const address = { host: '127.0.0.1', port };
    const client = await connectGrpc({ clock: nodeClock, network: nodeNetwork, address, tls });
    cleanup.push(() => client.destroy());
    return client;
  }

  test('calls a grpc-js server: unary, errors, streams', async () => {
    const client = await connect(await grpcJsServer());
    for (const size of sizes) {
      const { status, message } = await ours(client, '/test.Echo/Unary', Buffer.alloc(size, 3));
      expect([status.code, message?.length]).toEqual([0, size]);
    }
    const failed = await ours(client, '/test.Echo/Unary', Buffer.from('fail'));
    expect(failed.status).toEqual({ code: 5, message: 'not here: ü', maySent: true });
    const unknown = await ours(client, '/test.Echo/Nope', Buffer.alloc(0));
    expect(unknown.status.code).toBe(12);
    expect(await echoes(client, 100)).toEqual(Array.from({ length: 100 }, (_, i) => i * 500));
  });

  test('calls our server, many at once', async () => {
    const client = await connect(await start());
    const calls = Array.from({ length: 2_000 }, (_, i) =>
      ours(client, '/test.Echo/Unary', Buffer.alloc(i % 300, i & 0xff)),
    );
    for (const [i, { status, message }] of (await Promise.all(calls)).entries()) {
      expect([status.code, message?.length]).toEqual([0, i % 300]);
    }
    const late = await ours(client, '/test.Echo/Hang', Buffer.alloc(0), 30);
    expect(late.status).toMatchObject({ code: 4, message: 'context deadline exceeded' });
    expect(await echoes(client, 200)).toHaveLength(200);
    await client.close();
    expect(client.usable).toBe(false);
    const refused = await ours(client, '/test.Echo/Unary', Buffer.alloc(0));
    expect(refused.status).toMatchObject({ code: 14, maySent: false });
  });

  test.skipIf(!haveOpenssl)('over TLS', async () => {
    const c = makeCertificates();
    const port = await start({ cert: c.serverCert, key: c.serverKey });
    const client = await connect(port, { ca: c.ca });
    for (const size of sizes) {
      const { status, message } = await ours(client, '/test.Echo/Unary', Buffer.alloc(size, 3));
      expect([status.code, message?.length]).toEqual([0, size]);
    }
  });

  function echoes(client: GrpcClient, count: number): Promise<number[]> {
    const stream = client.stream('/test.Echo/Bidi', {});
    const got: number[] = [];
    return new Promise((resolve, reject) => {
      stream.onMessage = (message) => void got.push(message.length);
      stream.onStatus = (status) =>
        status.code === 0 ? resolve(got) : reject(new Error(status.message));
      for (let i = 0; i < count; i++) stream.send(Buffer.alloc(i * 500));
      stream.end();
    });
  }
});

describe('plain HTTP on the same port', () => {
  test('HTTP/1.1, one request after the other on a kept connection', async () => {
    const port = await start();
    for (const [method, body] of [
      ['GET', ''],
      ['POST', 'x'.repeat(100_000)],
    ] as const) {
      const text = await new Promise<string>((resolve, reject) => {
        const options = { port, host: '127.0.0.1', method, path: '/version?a=b' };
        const request = httpRequest(options, (response) => {
          let got = '';
          response.on('data', (chunk) => {
            got += chunk;
          });
          response.on('end', () => resolve(`${response.statusCode} ${got}`));
        });
        request.on('error', reject);
        request.end(body);
      });
      expect(text).toBe(`200 ${method} /version?a=b ${body.length}`);
    }
  });

  test('node:http2', async () => {
    const session = http2Connect(`http://127.0.0.1:${await start()}`);
    cleanup.push(() => session.destroy());
    for (let i = 0; i < 20; i++) {
      const stream = session.request({ ':path': `/n/${i}`, ':method': 'POST' });
      stream.end(Buffer.alloc(i * 1_000));
      let text = '';
      for await (const chunk of stream) text += chunk;
      expect(text).toBe(`POST /n/${i}? ${i * 1_000}`);
    }
  });

  test.skipIf(!haveOpenssl)('HTTP/1.1 and HTTP/2 by ALPN', async () => {
    const c = makeCertificates();
    const port = await start({ cert: c.serverCert, key: c.serverKey });
    const session = http2Connect(`https://127.0.0.1:${port}`, { ca: c.ca });
    cleanup.push(() => session.destroy());
    const stream = session.request({ ':path': '/two' });
    let text = '';
    for await (const chunk of stream) text += chunk;
    expect(text).toBe('GET /two? 0');
    const { request: httpsRequest } = await import('node:https');
    const one = await new Promise<string>((resolve, reject) => {
      const options = { port, host: '127.0.0.1', path: '/one', ca: c.ca };
      const request = httpsRequest(options, (response) => {
        let got = '';
        response.on('data', (chunk) => {
          got += chunk;
        });
        response.on('end', () => resolve(got));
      });
      request.on('error', reject);
      request.end();
    });
    expect(one).toBe('GET /one? 0');
  });
});
