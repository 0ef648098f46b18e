/** Connections of our own client half to the servers under load. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { NetworkAddress } from '../../src/common/index.js';
import { encodePutRequest } from '../../src/proto/index.js';
import { nodeClock, nodeNetwork } from '../../src/server/platform/index.js';
import { connectGrpc, type GrpcClient } from '../../src/transport/index.js';
import { type Identity, tlsOf } from './identity.js';

const connectsAtOnce = 8;
const knockIntervalMs = 2;

/** `host:port`, with or without `http://`. */
export function parseEndpoint(endpoint: string): NetworkAddress {
  const url = new URL(endpoint.includes('://') ? endpoint : `http://${endpoint}`);
  return { host: url.hostname, port: Number(url.port || 2379) };
}

/** `identity`: by TLS, as whoever it names. */
export function connect(
  endpoint: string,
  timeoutMs = 10_000,
  identity?: Identity,
): Promise<GrpcClient> {
  return connectGrpc({
    clock: nodeClock,
    network: nodeNetwork,
    address: parseEndpoint(endpoint),
    connectTimeoutMs: timeoutMs,
    tls: tlsOf(identity),
  });
}

/** `count` connections, spread over the endpoints; a few are made at once. */
export async function connectAll(
  endpoints: readonly string[],
  count: number,
  identity?: Identity,
): Promise<GrpcClient[]> {
  const pool: GrpcClient[] = new Array(count);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let i = next; i < count; i = next) {
      next += 1;
      const endpoint = endpoints[i % endpoints.length] ?? '127.0.0.1:2379';
      pool[i] = await connect(endpoint, 10_000, identity);
    }
  };
  await Promise.all(Array.from({ length: connectsAtOnce }, lane));
  return pool;
}

/** Knocks until a put is answered, or `deadlineMs` of performance.now() is over: then rejects. */
export async function untilAnswered(
  endpoint: string,
  deadlineMs: number,
  identity: Identity | undefined,
  hasEnded: () => boolean = () => false,
): Promise<void> {
  const request = encodePutRequest({ key: 'ready', value: Buffer.from('1') });
  let last: unknown;
  while (performance.now() < deadlineMs && !hasEnded()) {
    try {
      const client = await connect(endpoint, 1000, identity);
      try {
        await call(client, '/etcdserverpb.KV/Put', request, 10_000);
        return;
      } finally {
        client.destroy();
      }
    } catch (error) {
      last = error;
    }
    await sleep(knockIntervalMs);
  }
  throw new Error(`${endpoint} does not answer (${String(last)})`);
}

/** One unary call; rejects with the gRPC status text. */
export function call(
  client: GrpcClient,
  method: string,
  request: Uint8Array,
  timeoutMs = 60_000,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.unary(method, request, { timeoutMs }, (status, message) => {
      if (message !== undefined) resolve(Buffer.from(message));
      else reject(new Error(`${method}: ${status.message} (code ${status.code})`));
    });
  });
}
