/** The gateway of a real server, in the ways in which clients reach it. */

import { request as httpRequest } from 'node:http';
import { type ClientHttp2Session, connect as http2Connect } from 'node:http2';
import { connect as netConnect } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { freePort, useServer } from '../helpers/server.js';
import { type Certificates, describeWithOpenssl, makeCertificates, pem } from './certificates.js';
import { anyPeerPort, endProgramsAfterEach, serve, temporaryDirectory } from './program.js';

endProgramsAfterEach();

const b64 = (text: string): string => Buffer.from(text).toString('base64');

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** POST over HTTP/2. */
function post(session: ClientHttp2Session, path: string, body: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':method': 'POST', ':path': path });
    let status = 0;
    let text = '';
    stream.on('response', (headers) => {
      status = Number(headers[':status']);
    });
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      text += chunk;
    });
    stream.on('end', () => resolve({ status, body: text }));
    stream.on('error', reject);
    stream.end(body);
  });
}

describeWithOpenssl('the gateway over TLS', () => {
  let files: Certificates;

  beforeAll(() => {
    files = makeCertificates(temporaryDirectory());
  });

  async function secured(...more: readonly string[]): Promise<string> {
    const url = `https://127.0.0.1:${await freePort()}`;
    await serve([
      ...['--data-dir', join(temporaryDirectory(), 'data'), ...anyPeerPort],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--cert-file', files.server.cert, '--key-file', files.server.key, ...more],
    ]);
    return url;
  }

  it('answers plain requests over HTTP/2, streams in both directions included', async () => {
    const url = await secured();
    const session = http2Connect(url, { ca: pem(files.ca) });
    try {
      const put = await post(session, '/v3/kv/put', `{"key":"${b64('a')}","value":"${b64('1')}"}`);
      expect(put.status).toBe(200);
      const range = await post(session, '/v3/kv/range', `{"key":"${b64('a')}"}`);
      expect(JSON.parse(range.body)).toMatchObject({ kvs: [{ value: b64('1') }], count: '1' });
      // The body of the request goes on while answers come.
      const stream = session.request({ ':method': 'POST', ':path': '/v3/lease/keepalive' });
      stream.setEncoding('utf8');
      const lines: string[] = [];
      stream.write('{"ID":1}');
      await new Promise<void>((resolve) => {
        stream.on('data', (line: string) => {
          lines.push(line);
          if (lines.length === 1) stream.write('{"ID":"2"}');
          else stream.end();
        });
        stream.on('end', resolve);
      });
      const ids = lines.map((line) => (JSON.parse(line) as { result: { ID: string } }).result.ID);
      expect(ids).toEqual(['1', '2']);
    } finally {
      session.destroy();
    }
  });

  it('CVE-2018-16886 (L-50): a certificate names nobody, and who counts on it is told', async () => {
    const url = await secured('--client-cert-auth', '--trusted-ca-file', files.ca);
    const alice = { ca: pem(files.ca), cert: pem(files.client.cert), key: pem(files.client.key) };
    const session = http2Connect(url, alice);
    try {
      const steps: ReadonlyArray<readonly [string, object]> = [
        ['user/add', { name: 'root', password: 'pw' }],
        ['user/add', { name: 'alice', password: 'pw' }],
        ['role/add', { name: 'root' }],
        ['user/grant', { user: 'root', role: 'root' }],
        ['user/grant', { user: 'alice', role: 'root' }],
        ['enable', {}],
      ];
      for (const [path, body] of steps) {
        expect((await post(session, `/v3/auth/${path}`, JSON.stringify(body))).status).toBe(200);
      }
      expect(await post(session, '/v3/kv/range', `{"key":"${b64('a')}"}`)).toEqual({
        status: 400,
        body: expect.stringMatching(/^CommonName of client sending a request against gateway/),
      });
      expect((await post(session, '/version', '')).status).toBe(405);
    } finally {
      session.destroy();
    }
  });

  it('speaks WebSocket', async () => {
    const url = await secured();
    const socket = new WebSocket(`${url.replace('https', 'wss')}/v3/lease/keepalive`, {
      ca: pem(files.ca),
    });
    const heard = await new Promise<string>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('open', () => socket.send('{"ID":9}'));
      socket.on('message', (message: Buffer) => resolve(message.toString('utf8')));
    });
    socket.close();
    expect(JSON.parse(heard)).toMatchObject({ result: { ID: '9' } });
  });
});

describe('the gateway over HTTP/1.1', () => {
  const server = useServer('kvorum');

  it('is there unless it is switched off', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    await serve([
      ...['--data-dir', join(temporaryDirectory(), 'data'), ...anyPeerPort],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      '--enable-grpc-gateway=false',
    ]);
    const off = await fetch(`${url}/v3/kv/range`, { method: 'POST', body: '{}' });
    expect([off.status, await off.text()]).toEqual([404, '404 page not found\n']);
  });

  it('answers a client that would rather go on with HTTP/2, and keeps the connection', async () => {
    const [host, port] = server().endpoint.split(':');
    const body = `{"key":"${b64('h2c')}","value":"${b64('x'.repeat(100_000))}"}`;
    const head = [
      'POST /v3/kv/put HTTP/1.1',
      'Host: localhost',
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
      `Content-Length: ${body.length}`,
    ].join('\r\n');
    const socket = netConnect(Number(port), host);
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    for (let i = 1; i <= 12; i++) {
      socket.write(`${head}\r\n\r\n`);
      socket.write(body);
      await expect.poll(() => text.split('HTTP/1.1 200 OK').length - 1).toBe(i);
    }
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(Array(12).fill('HTTP/1.1 200'));
    socket.destroy();
  });

  it('streams a large answer in pieces', async () => {
    const base = `http://${server().endpoint}`;
    const value = b64('v'.repeat(1_000_000));
    for (let i = 0; i < 12; i++) {
      const body = `{"key":"${b64(`large/${i}`)}","value":"${value}"}`;
      expect((await fetch(`${base}/v3/kv/put`, { method: 'POST', body })).status).toBe(200);
    }
    const asked = {
      method: 'POST',
      body: `{"key":"${b64('large/')}","range_end":"${b64('large0')}"}`,
    };
    const answer = await fetch(`${base}/v3/kv/range`, asked);
    expect(answer.headers.get('content-length')).toBeNull();
    const { kvs } = (await answer.json()) as { kvs: Array<{ value: string }> };
    expect(kvs.map((kv) => kv.value === value)).toEqual(Array(12).fill(true));
  });

  it('ends a watch when its client goes away', async () => {
    const { endpoint } = server();
    const metric = async (): Promise<string | undefined> => {
      const text = await (await fetch(`http://${endpoint}/metrics`)).text();
      return /^etcd_debugging_mvcc_watch_stream_total (\d+)$/m.exec(text)?.[1];
    };
    const [hostname, port] = endpoint.split(':');
    const asked = httpRequest({ hostname, port, path: '/v3/watch', method: 'POST', agent: false });
    asked.on('error', () => {});
    asked.end(`{"create_request":{"key":"${b64('gone')}"}}`);
    await new Promise((resolve) => asked.on('response', resolve));
    await expect.poll(metric, { timeout: 10_000 }).toBe('1');
    asked.destroy();
    await expect.poll(metric, { timeout: 10_000 }).toBe('0');
  });

  it('a body that never ends costs no more than its bound', async () => {
    const [hostname, port] = server().endpoint.split(':');
    const answer = await new Promise<Answer>((resolve, reject) => {
      const asked = httpRequest({
        hostname,
        port,
        path: '/v3/kv/put',
        method: 'POST',
        agent: false,
      });
      asked.on('response', (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, body });
          clearInterval(timer);
          asked.destroy();
        });
      });
      asked.on('error', reject);
      asked.write('{"value":"');
      const timer = setInterval(() => asked.write('A'.repeat(1 << 20)), 10);
    });
    expect(answer.status).toBe(429);
    expect(answer.body).toContain('grpc: received message larger than max');
  });
});
