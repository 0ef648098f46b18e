/** What listens somewhere is asked by a socket of its own, whatever becomes of the client meanwhile. */

import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { probe } from '../../src/client/connection/network-node.js';

/** Takes connections and says nothing. */
let server: Server;
const sockets: Socket[] = [];
beforeAll(async () => {
  server = createServer((socket) => void sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

const asked = (signal: AbortSignal, tls: boolean) => {
  const { port } = server.address() as AddressInfo;
  const options = { timeoutMs: 100_000, signal, enough: () => false };
  return probe({ host: '127.0.0.1', port }, tls, Buffer.from('?'), options);
};

it.each([false, true])('nothing is asked for a client that is closed (TLS: %s)', async (tls) => {
  const answer = await asked(AbortSignal.abort(), tls);
  expect(answer).toEqual({ bytes: Buffer.alloc(0), secured: false });
  expect(sockets).toEqual([]);
});

it.each([false, true])('closing the client ends it (TLS: %s)', async (tls) => {
  const closing = new AbortController();
  const answer = asked(closing.signal, tls);
  closing.abort();
  expect((await answer).secured).toBe(false);
});
