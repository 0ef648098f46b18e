/**
 * A member for the experiment, in a process of its own: with sockets in its one thread, as the
 * product has it, or in `socketThreads` others that share a port.
 */

import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { silentLogger, type TlsOptions } from '../../../src/common/index.js';
import { buildConfig, nodeClock, nodePorts, parseCommandLine } from '../../../src/server/index.js';
import { allMethods } from '../../../src/server/member.js';
import { Metrics } from '../../../src/server/metrics/index.js';
import {
  DoorbellButton,
  makeDoorbell,
  Sleeper,
} from '../../../src/server/platform/io-threads/doorbell.js';
import { makeRing } from '../../../src/server/platform/io-threads/ring.js';
import { callObserver } from '../../../src/server/rpc/index.js';
import { startServer } from '../../../src/server/server.js';
import { SendRoom, transportLimitsDefault } from '../../../src/transport/index.js';
import { type CoreShared, SocketsLink } from './core.js';
import type { SocketsOrder } from './sockets.js';

/** What the process is sent to begin. */
export interface MemberOrder {
  readonly flags: readonly string[];
  /** 0: none but the one. */
  readonly socketThreads: number;
  /** Paths. */
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string } | undefined;
}

/** What it says when clients can come. */
export interface MemberReady {
  readonly endpoint: string;
  /** Linux's numbers of the threads with sockets. */
  readonly threads: readonly number[];
}

/** What it counted since it was last asked. */
export interface MemberCounts {
  readonly records: number;
  /** Turns of the core that had records. */
  readonly turns: number;
  /** Times that the core woke a thread with sockets. */
  readonly rung: number;
}

const ringBytes = 8 * 1024 * 1024;

process.once('message', (order: MemberOrder) => {
  start(order).then(
    (ready) => process.send?.(ready),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
      process.exit(1);
    },
  );
});

async function start({ flags, socketThreads, tls }: MemberOrder): Promise<MemberReady> {
  const line = parseCommandLine(flags, {}, readFile);
  if (line.kind !== 'run') throw new Error('not a command line that runs');
  const config = buildConfig(line.flags, readFile);
  const ports = nodePorts(config, silentLogger);
  const server = await startServer(config, ports);
  const [url = ''] = server.clientUrls;
  if (socketThreads === 0) {
    process.on('message', () => process.send?.({ records: 0, turns: 0, rung: 0 }));
    return { endpoint: new URL(url).host, threads: [] };
  }
  const metrics = new Metrics();
  const { slowRequestMs } = config;
  const methods = [...allMethods(server.node, metrics)];
  const shared: CoreShared = {
    methods,
    observe: callObserver({ metrics, clock: nodeClock, logger: silentLogger, slowRequestMs }),
    room: new SendRoom(nodeClock, transportLimitsDefault),
  };
  const coreBell = makeDoorbell();
  const links: SocketsLink[] = [];
  const bells: DoorbellButton[] = [];
  const threads: number[] = [];
  let port = 0;
  for (let i = 0; i < socketThreads; i += 1) {
    const [toCore, toSockets] = [makeRing(ringBytes), makeRing(ringBytes)];
    const socketsBell = makeDoorbell();
    const bell = new DoorbellButton(socketsBell);
    const order: SocketsOrder = {
      port,
      tls: tls === undefined ? undefined : tlsOf(tls),
      methods: methods.map(([name, { kind }]) => [name, kind]),
      toCore,
      toSockets,
      coreBell,
      socketsBell,
    };
    const worker = new Worker(new URL('./sockets.js', import.meta.url), { workerData: order });
    const hello = await new Promise<{ address: { port: number }; thread: number }>(
      (resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      },
    );
    port = hello.address.port;
    threads.push(hello.thread);
    bells.push(bell);
    links.push(new SocketsLink(shared, toCore, toSockets, bell));
  }
  new Sleeper(coreBell, () => links.map((link) => link.work()).includes(true));
  process.on('message', () => process.send?.(countsOf(links, bells)));
  return { endpoint: `127.0.0.1:${port}`, threads };
}

function countsOf(links: readonly SocketsLink[], bells: readonly DoorbellButton[]): MemberCounts {
  const counts = { records: 0, turns: 0, rung: 0 };
  for (const link of links) {
    counts.records += link.records;
    counts.turns += link.turns;
    link.records = 0;
    link.turns = 0;
  }
  for (const bell of bells) {
    counts.rung += bell.rung;
    bell.rung = 0;
  }
  return counts;
}

function tlsOf({ cert, key, ca }: NonNullable<MemberOrder['tls']>): TlsOptions {
  return {
    cert: readFileSync(cert),
    key: readFileSync(key),
    ca: readFileSync(ca),
    requireClientCertificate: true,
  };
}

function readFile(path: string): string {
  return readFileSync(path, 'utf8');
}
