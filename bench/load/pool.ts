/** Connections of our own client half to the servers under load. */

import type { NetworkAddress } from '../../src/common/index.js';
import { nodeClock, nodeNetwork } from '../../src/server/platform/index.js';
import { connectGrpc, type GrpcClient } from '../../src/transport/index.js';
import { type Identity, tlsOf } from './identity.js';

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

/** `count` connections, spread over the endpoints. */
export async function connectAll(
  endpoints: readonly string[],
  count: number,
  identity?: Identity,
): Promise<GrpcClient[]> {
  const pool: GrpcClient[] = [];
  for (let i = 0; i < count; i += 1) {
    const endpoint = endpoints[i % endpoints.length] ?? '127.0.0.1:2379';
    pool.push(await connect(endpoint, 10_000, identity));
  }
  return pool;
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
