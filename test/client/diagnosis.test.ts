/**
 * Endpoints that can't be right are said to be wrong, and why, at once: an HTTP/1 server, TLS where
 * there is none and none where there is, the port for peers, certificates that are refused.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttp, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { diagnose } from '../../src/client/connection/diagnosis.js';
import {
  type ClientEvent,
  Etcd,
  type EtcdOptions,
  type TransportName,
} from '../../src/client/index.js';
import { startNode, type TestNode } from '../../src/testing/index.js';
import { type Certificates, describeWithOpenssl, makeCertificates } from '../e2e/certificates.js';
import { startEtcd, startKvorum } from '../helpers/server.js';
import { describeWith } from '../helpers/tools.js';

const transports: readonly TransportName[] = ['native', 'grpc-js'];
/** No test ends by it: calls must fail long before. */
const patience = { timeoutMs: 300_000, connectTimeoutMs: 100_000 };

async function refusal(options: EtcdOptions): Promise<unknown> {
  await using client = new Etcd({ ...patience, ...options });
  return await client.kv.put('a', '1').catch((error: unknown) => error);
}

const hopeless = (message: RegExp) => ({
  name: 'EtcdClientError',
  reason: 'CONNECT_FAILED',
  code: 'FAILED_PRECONDITION',
  outcome: 'failed',
  message: expect.stringMatching(message),
});

async function portOf(server: Server | ReturnType<typeof createTls>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

describe('a server of another kind', () => {
  let web: Server;
  let port = 0;
  let node: TestNode;
  beforeAll(async () => {
    web = createHttp((_, response) => response.end('hello'));
    port = await portOf(web);
    node = await startNode();
  });
  afterAll(async () => {
    web.close();
    web.closeAllConnections();
    await node[Symbol.asyncDispose]();
  });

  it.each(transports)('HTTP/1 is told at once, also to watches: %s', async (transport) => {
    const endpoints = `127.0.0.1:${port}`;
    const error = hopeless(/is an HTTP\/1 server/);
    expect(await refusal({ endpoints, transport })).toMatchObject(error);
    const events: ClientEvent[] = [];
    const onEvent = (event: ClientEvent) => void events.push(event);
    await using client = new Etcd({ ...patience, endpoints, transport, onEvent });
    await expect(client.kv.watch({ key: 'a' }).next()).rejects.toMatchObject(error);
    await expect(client.connect()).rejects.toMatchObject(error);
    expect(events).toContainEqual(
      expect.objectContaining({ type: 'connectFailed', permanent: true }),
    );
  });

  it.each(transports)('one endpoint that is right is enough: %s', async (transport) => {
    const endpoints = [`127.0.0.1:${port}`, node.endpoint];
    await using client = new Etcd({ ...patience, endpoints, transport });
    for (let i = 0; i < 5; i += 1) await client.kv.put('a', String(i));
    expect((await client.kv.get('a'))?.value.toString()).toBe('4');
  });

  it.each(transports)('TLS to a server without: %s', async (transport) => {
    const endpoints = `https://${node.endpoint}`;
    expect(await refusal({ endpoints, transport })).toMatchObject(
      hopeless(/does not speak TLS: use http/),
    );
  });

  it.each(transports)('it is tried again by the next call: %s', async (transport) => {
    const late = createHttp((_, response) => response.end());
    const latePort = await portOf(late);
    await using client = new Etcd({ ...patience, endpoints: `127.0.0.1:${latePort}`, transport });
    const failed = { reason: 'CONNECT_FAILED' };
    await expect(client.kv.get('a')).rejects.toMatchObject(failed);
    await expect(client.kv.get('a')).rejects.toMatchObject(failed);
    late.closeAllConnections();
    await new Promise((resolve) => late.close(resolve));
  });
});

describeWith(['kvorum'], 'the port for peers: kvorum', () => peerPort(startKvorum));
describeWith(['etcd'], 'the port for peers: etcd', () => peerPort(startEtcd));

function peerPort(start: typeof startKvorum): void {
  it.each(transports)('is recognised over %s', async (transport) => {
    const server = await start();
    const error = await refusal({ endpoints: server.peerUrl, transport });
    await server.dispose();
    expect(error).toMatchObject({ outcome: 'failed', message: expect.stringMatching(/for peers/) });
  });
}

describeWithOpenssl('certificates', () => {
  let dir = '';
  let files: Certificates;
  let server: ReturnType<typeof createTls>;
  let port = 0;
  const read = (path: string): string => readFileSync(path, 'utf8');
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'kvorum-diagnosis-'));
    files = makeCertificates(dir);
    const { cert, key } = files.server;
    const options = { cert: read(cert), key: read(key), ALPNProtocols: ['h2'] };
    server = createTls({ ...options, ca: read(files.ca), requestCert: true }, (socket) => {
      socket.on('error', () => undefined);
      socket.resume();
    });
    server.on('tlsClientError', () => undefined);
    port = await portOf(server);
  });
  afterAll(() => {
    server.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it.each(transports)('no TLS to a server with: %s', async (transport) => {
    expect(await refusal({ endpoints: `127.0.0.1:${port}`, transport })).toMatchObject(
      hopeless(/speaks TLS: use https/),
    );
  });

  it.each(transports)('of an authority that is not known: %s', async (transport) => {
    const endpoints = `https://127.0.0.1:${port}`;
    expect(await refusal({ endpoints, transport })).toMatchObject(hopeless(/tls\.ca/));
    const other = { ca: read(files.otherCa) };
    expect(await refusal({ endpoints, transport, tls: other })).toMatchObject(hopeless(/tls\.ca/));
  });

  it.each(transports)('of another name: %s', async (transport) => {
    const tls = { ca: read(files.ca), serverName: 'etcd.example' };
    const endpoints = `https://127.0.0.1:${port}`;
    expect(await refusal({ endpoints, transport, tls })).toMatchObject(hopeless(/serverName/));
  });
});

it('a package that is not installed is named at once', async () => {
  const missing = Object.assign(new Error("Cannot find package '@grpc/grpc-js'"), {
    code: 'ERR_MODULE_NOT_FOUND',
  });
  const endpoint = { address: '127.0.0.1:1', host: '127.0.0.1', port: 1, secure: false };
  const options = {
    tls: undefined,
    signal: new AbortController().signal,
    wasConnected: false,
  } as Parameters<typeof diagnose>[2];
  expect(await diagnose(missing, endpoint as Parameters<typeof diagnose>[1], options)).toEqual({
    error: new Error("transport 'grpc-js' needs a package: npm install @grpc/grpc-js"),
    permanent: true,
  });
});
