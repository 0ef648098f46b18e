/**
 * What a unary call costs in the transport alone: a server that answers each request with the same
 * 25 bytes, in a process of its own, and our client with 100 connections x 10 calls in flight.
 *
 *     npx tsc -b && node dist/bench/transport-echo.js [seconds] [connections] [calls in flight]
 */

import { fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type NetworkAddress, silentLogger } from '../src/common/index.js';
import { nodeClock, nodeNetwork } from '../src/server/platform/index.js';
import {
  type CallOptions,
  connectGrpc,
  createGrpcServer,
  type GrpcClient,
  type MethodHandler,
} from '../src/transport/index.js';
import { commandLine, numberOf, wordsOf } from './arguments.js';

const method = '/etcdserverpb.KV/Put';
const reply = Buffer.from('0a170a0808001000180020000a0b1001180220031004200512', 'hex');
const request = Buffer.alloc(300, 0x61);

const usage = `usage: node dist/bench/transport-echo.js [seconds] [connections] [calls in flight]
       (5 100 10)
`;
/** The word that this program is started with a second time, as the server. */
const serverWord = 'server';
const words = commandLine(usage, (args) => wordsOf(args, 3));

if (words[0] === serverWord) await serve();
else await load();

async function serve(): Promise<void> {
  const methods = new Map<string, MethodHandler>([
    [method, { kind: 'unary', handle: (_request, call) => call.reply(reply) }],
  ]);
  const server = createGrpcServer({
    clock: nodeClock,
    network: nodeNetwork,
    logger: silentLogger,
    methods,
  });
  const listener = await server.listen({ host: '127.0.0.1', port: 0 }, undefined);
  process.on('message', () => process.send?.({ cpu: process.cpuUsage() }));
  process.send?.({ address: listener.address });
}

/** What the two processes tell each other. */
interface FromServer {
  readonly address?: NetworkAddress;
  readonly cpu?: NodeJS.CpuUsage;
}

interface Load {
  running: boolean;
  calls: number;
  failed: number;
}

async function load(): Promise<void> {
  const seconds = numberOf('seconds', words[0], 5);
  const connections = numberOf('connections', words[1], 100);
  const inFlight = numberOf('calls in flight', words[2], 10);
  const child = fork(fileURLToPath(import.meta.url), [serverWord]);
  const ask = (): Promise<FromServer> =>
    new Promise((resolve) => {
      child.once('message', (message) => resolve(message as FromServer));
    });
  const { address } = await ask();
  if (address === undefined) throw new Error('the server said nothing');
  const clients: GrpcClient[] = [];
  for (let i = 0; i < connections; i++) {
    clients.push(await connectGrpc({ clock: nodeClock, network: nodeNetwork, address }));
  }
  const state: Load = { running: true, calls: 0, failed: 0 };
  const options: CallOptions = { timeoutMs: 5_000 };
  for (const client of clients) {
    for (let i = 0; i < inFlight; i++) callForever(client, options, state);
  }
  await sleep(1_000); // until everything is compiled
  const serverCpu = async (): Promise<number> => {
    const answer = ask();
    child.send('cpu');
    const { cpu } = await answer;
    return cpu === undefined ? 0 : cpu.user + cpu.system;
  };
  const callsBefore = state.calls;
  const serverBefore = await serverCpu();
  const clientBefore = process.cpuUsage();
  const startMs = performance.now();
  await sleep(seconds * 1_000);
  const elapsedMs = performance.now() - startMs;
  const calls = state.calls - callsBefore;
  const client = process.cpuUsage(clientBefore);
  const server = (await serverCpu()) - serverBefore;
  state.running = false;
  console.log(
    `${Math.round((calls / elapsedMs) * 1_000)} calls/s, ${state.failed} failed; ` +
      `server ${(server / calls).toFixed(2)} us/call, ` +
      `client ${((client.user + client.system) / calls).toFixed(2)} us/call`,
  );
  for (const one of clients) one.destroy();
  child.kill();
}

function callForever(client: GrpcClient, options: CallOptions, state: Load): void {
  const again = (): void => {
    client.unary(method, request, options, (status) => {
      state.calls++;
      if (status.code !== 0) state.failed++;
      if (state.running) again();
    });
  };
  again();
}
