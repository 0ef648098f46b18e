/**
 * Real server processes for tests: etcd or kvorum, on free ports, with a data directory of their
 * own, killed and removed whatever happens to the test.
 *
 * Invariants: one ServerProcess keeps its ports, its name and its data directory over restarts; no
 * process and no directory survives the test worker (a child also dies with the worker where
 * `setpriv` exists).
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { type ServerKind, targetKind } from './target.js';
import { toolPath } from './tools.js';

export type { ServerKind } from './target.js';

/** How to start a server; everything has a default. */
export interface ServerOptions {
  /** The program to run if it is not the newest etcd, or bin/kvorum. */
  readonly program?: string;
  /** Flags after the usual ones. */
  readonly args?: readonly string[];
  /** Variables added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** The member's name, `default` if not given. */
  readonly name?: string;
  /** `--initial-cluster` if the server is one of several. */
  readonly initialCluster?: string;
  /** Ports to use; free ones are chosen if not given. */
  readonly ports?: ServerPorts;
  /** Clients come by TLS, with these files; the server's own are among `args`. */
  readonly clientTls?: ClientTls;
  /** How long the server may take until it is ready. */
  readonly readyTimeoutMs?: number;
}

/** Paths of what a client shows and trusts. */
export interface ClientTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** The two ports of a member. */
export interface ServerPorts {
  readonly client: number;
  readonly peer: number;
}

/** Starts etcd and waits until it is ready. */
export function startEtcd(options: ServerOptions = {}): Promise<ServerProcess> {
  return startServer('etcd', options);
}

/** Starts bin/kvorum and waits until it is ready. */
export function startKvorum(options: ServerOptions = {}): Promise<ServerProcess> {
  return startServer('kvorum', options);
}

/** Starts the server under test (see target.ts) and waits until it is ready. */
export function startTarget(options: ServerOptions = {}): Promise<ServerProcess> {
  return startServer(targetKind, options);
}

/**
 * One server for all tests of the surrounding describe block: started before them, removed after.
 * Returns a getter, because the server does not exist yet while tests are being collected; nor do
 * its options, for which a program may be missing, if the block is skipped.
 */
export function useServer(
  kind: ServerKind,
  options: () => ServerOptions = () => ({}),
): () => ServerProcess {
  let server: ServerProcess | undefined;
  beforeAll(async () => {
    server = await startServer(kind, options());
  });
  afterAll(async () => {
    await server?.dispose();
  });
  return () => {
    if (server === undefined) throw new Error('the server of this describe block did not start');
    return server;
  };
}

/** `useServer` for the server under test. */
export function useTarget(options: ServerOptions = {}): () => ServerProcess {
  return useServer(targetKind, () => options);
}

/** Starts `count` members of one cluster and waits until each is ready. */
export async function startCluster(
  kind: ServerKind,
  count: number,
  options: ServerOptions = {},
): Promise<readonly ServerProcess[]> {
  return withFreePorts(true, async () => {
    const ports: ServerPorts[] = [];
    for (let i = 0; i < count; i++)
      ports.push({ client: await freePort(), peer: await freePort() });
    const initialCluster = ports.map((p, i) => `m${i + 1}=http://127.0.0.1:${p.peer}`).join(',');
    const members = ports.map(
      (p, i) =>
        new ServerProcess(kind, { ...options, name: `m${i + 1}`, initialCluster, ports: p }),
    );
    try {
      await Promise.all(members.map((member) => member.start()));
    } catch (error) {
      await Promise.all(members.map((member) => member.dispose()));
      throw error;
    }
    return members;
  });
}

export async function startServer(
  kind: ServerKind,
  options: ServerOptions,
): Promise<ServerProcess> {
  return withFreePorts(options.ports === undefined, async () => {
    const ports = options.ports ?? { client: await freePort(), peer: await freePort() };
    const server = new ServerProcess(kind, { ...options, ports });
    try {
      await server.start();
    } catch (error) {
      await server.dispose();
      throw error;
    }
    return server;
  });
}

/** Between finding a port free and listening on it, another test may take it: then try others. */
async function withFreePorts<T>(mayRetry: boolean, start: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await start();
    } catch (error) {
      if (!mayRetry || tries === 5 || !/address already in use/.test(String(error))) throw error;
    }
  }
}

/** etcd's words, and those of kvorum's start-up log. */
const readyLine = /ready to serve client requests|"msg":"started"/;
const live = new Set<ServerProcess>();
const hasSetpriv = spawnSync('setpriv', ['--version'], { stdio: 'ignore' }).status === 0;

process.on('exit', () => {
  for (const server of live) server.removeNow();
});

/** A running (or killed, or stopped) server process with its data directory. */
export class ServerProcess {
  readonly kind: ServerKind;
  readonly name: string;
  /** `host:port`, as --endpoints and grpc want it. */
  readonly endpoint: string;
  readonly clientUrl: string;
  readonly clientTls: ClientTls | undefined;
  readonly peerUrl: string;
  readonly dataDir: string;
  readonly #options: ServerOptions;
  readonly #root: string;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #log = '';

  constructor(kind: ServerKind, options: ServerOptions & { readonly ports: ServerPorts }) {
    this.kind = kind;
    this.name = options.name ?? 'default';
    this.endpoint = `127.0.0.1:${options.ports.client}`;
    this.clientTls = options.clientTls;
    this.clientUrl = `${options.clientTls === undefined ? 'http' : 'https'}://${this.endpoint}`;
    this.peerUrl = `http://127.0.0.1:${options.ports.peer}`;
    this.#options = options;
    this.#root = mkdtempSync(join(tmpdir(), `kvorum-test-${kind}-`));
    this.dataDir = join(this.#root, 'data');
  }

  /** Everything written to stdout and stderr since the first start. */
  get log(): string {
    return this.#log;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Process id; throws if the server is not running. */
  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`${this.kind} is not running`);
    return pid;
  }

  /** Starts the process on its data directory and waits for the ready line. */
  async start(): Promise<void> {
    if (this.#child !== undefined) throw new Error(`${this.kind} is already running`);
    live.add(this);
    const [command, args] = this.#commandLine();
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...cleanEnvironment(), ...this.#options.env },
    });
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once('close', () => {
        if (this.#child === child) this.#child = undefined;
        resolve();
      });
    });
    await this.#waitReady(child);
  }

  /** kill -9, and waits until the process is gone. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /** SIGTERM, and waits until the process is gone. */
  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  /** kill -9 and start again on the same ports and data directory. */
  async killAndRestart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  /** Kills the process and removes its data directory. */
  async dispose(): Promise<void> {
    await this.kill();
    live.delete(this);
    rmSync(this.#root, { recursive: true, force: true });
  }

  /** As dispose, but synchronous: for the end of the worker. */
  removeNow(): void {
    this.#child?.kill('SIGKILL');
    rmSync(this.#root, { recursive: true, force: true });
  }

  #commandLine(): readonly [string, string[]] {
    const program = this.#options.program ?? toolPath(this.kind);
    const args = [
      ...['--name', this.name, '--data-dir', this.dataDir],
      ...['--listen-client-urls', this.clientUrl, '--advertise-client-urls', this.clientUrl],
      ...['--listen-peer-urls', this.peerUrl, '--initial-advertise-peer-urls', this.peerUrl],
      ...['--initial-cluster', this.#options.initialCluster ?? `${this.name}=${this.peerUrl}`],
      ...(this.#options.args ?? []),
    ];
    // With a death signal no server outlives a test worker that was itself killed.
    if (hasSetpriv) return ['setpriv', ['--pdeathsig', 'KILL', program, ...args]];
    return [program, args];
  }

  #waitReady(child: ChildProcess): Promise<void> {
    const timeoutMs = this.#options.readyTimeoutMs ?? 100_000;
    return new Promise((resolve, reject) => {
      let pending = '';
      let ready = false;
      const fail = (why: string) => {
        clearTimeout(timer);
        reject(new Error(`${this.kind} ${why}; the end of its log:\n${this.#log.slice(-4000)}`));
      };
      const timer = setTimeout(() => fail(`was not ready after ${timeoutMs} ms`), timeoutMs);
      const onData = (chunk: string) => {
        this.#log += chunk;
        if (ready) return;
        pending = (pending + chunk).slice(-20_000);
        if (!readyLine.test(pending)) return;
        ready = true;
        clearTimeout(timer);
        resolve();
      };
      child.stdout?.setEncoding('utf8').on('data', onData);
      child.stderr?.setEncoding('utf8').on('data', onData);
      child.once('error', (error) => fail(`could not be started (${error.message})`));
      child.once('close', (code, signal) => fail(`ended with ${signal ?? `code ${code}`}`));
    });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.#child?.kill(signal);
    await this.#exited;
  }
}

/**
 * A port that nobody listens on. It is taken below the range from which the kernel gives ports to
 * outgoing connections: a server that restarts must find its port free.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    if (await canListen(port)) return port;
  }
  throw new Error('found no free port');
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

/** The environment without what would change a server or client behind the test's back. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([key]) => !key.startsWith('ETCD') && !key.startsWith('KVORUM'),
  );
  return Object.fromEntries(kept);
}
