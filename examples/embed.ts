/**
 * A server inside another program, in two ways: with files and sockets of its own, and entirely in
 * memory. How to run it: README.md beside this file.
 *
 * In a program of your own the imports are from 'kvorum'.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  createLogger,
  defaultConfig,
  memoryPorts,
  nodeClock,
  nodePorts,
  startServer,
} from '../src/index.js';
import * as codec from '../src/proto/index.js';
import { connectGrpc } from '../src/transport/index.js';

/** What the two examples found out. */
export interface Seen {
  readonly url: string;
  readonly value: string;
  readonly startMs: number;
}

/** Real ports, chosen by the system; any etcd client can connect to `url`. */
export async function withSockets(use: (url: string) => Promise<string>): Promise<Seen> {
  const dataDir = mkdtempSync(join(tmpdir(), 'kvorum-embed-'));
  const startedMs = performance.now();
  const url = 'http://127.0.0.1:0';
  const config = defaultConfig(
    ...['--data-dir', dataDir, '--listen-client-urls', url, '--advertise-client-urls', url],
  );
  const logger = createLogger({
    level: 'warn',
    format: 'console',
    outputs: ['stderr'],
    clock: nodeClock,
    openFile: () => 2,
  });
  const server = await startServer(config, nodePorts(config, logger));
  const startMs = performance.now() - startedMs;
  try {
    const [at = ''] = server.clientUrls;
    return { url: at, value: await use(at), startMs };
  } finally {
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** No files, no sockets: gRPC over a network that is only memory. */
export async function inMemory(): Promise<Seen> {
  // A server's timers keep no program alive; its sockets would, but here are none.
  const alive = setInterval(() => {}, 60_000);
  const startedMs = performance.now();
  const ports = memoryPorts();
  const url = 'http://localhost:2379';
  const config = defaultConfig('--data-dir', '/memory');
  const server = await startServer(config, ports);
  const startMs = performance.now() - startedMs;
  const { clock, network } = ports;
  const address = { host: '127.0.0.1', port: 2379 };
  const client = await connectGrpc({ clock, network, address });
  const call = (method: string, request: Uint8Array): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      client.unary(`/etcdserverpb.KV/${method}`, request, { timeoutMs: 5000 }, (status, reply) => {
        if (reply === undefined) reject(new Error(status.message));
        else resolve(Buffer.from(reply));
      });
    });
  try {
    const put = { key: 'greeting', value: Buffer.from('hello'), lease: 0n };
    const flags = { prevKv: false, ignoreValue: false, ignoreLease: false };
    await call('Put', codec.encodePutRequest({ ...put, ...flags }));
    const reply = await call('Range', codec.encodeRangeRequest({ key: 'greeting' }));
    const [first] = codec.decodeRangeResponse(reply).kvs;
    return { url, value: Buffer.from(first?.value ?? []).toString(), startMs };
  } finally {
    await client.close();
    await server.stop();
    clearInterval(alive);
  }
}

async function main(): Promise<void> {
  const health = async (url: string) => (await fetch(`${url}/health`)).text();
  const real = await withSockets(health);
  console.log(`with sockets: ${real.url} ${real.value} (${Math.round(real.startMs)} ms to start)`);
  const memory = await inMemory();
  console.log(`in memory: ${memory.value} (${Math.round(memory.startMs)} ms to start)`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
