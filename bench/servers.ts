/**
 * Starts and stops the servers under test: the etcd to compare with or our bin/kvorum, with the
 * same flags, fresh data directories on the same file system, on free ports of the loopback.
 */

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { call, connect, untilAnswered } from './load/pool.js';
import { MemoryCgroup } from './memory-cgroup.js';
import { type MemoryMb, memoryMb } from './proc.js';
import { type AskAsRoot, aHundredGrants, type Security, switchAuthOn } from './security.js';

export type ServerKind = 'kvorum' | 'etcd';

export const kvorumOfThis = fileURLToPath(new URL('../../bin/kvorum', import.meta.url));
const readyTimeoutMs = 60_000;
const stopTimeoutMs = 20_000;
const logTailChars = 2000;
/** Above what any workload writes: the default of 2 GiB would end a long run. */
const quotaBytes = 8 * 1024 * 1024 * 1024;

/** A running cluster. */
export interface Cluster {
  readonly endpoints: readonly string[];
  pids(): number[];
  /** In the order of `endpoints`. */
  processes(): ChildProcess[];
  /** Highest of all members, each. */
  memory(): MemoryMb;
  /** Milliseconds from the spawn to the first put answered by each member. */
  readonly readyMs: number;
  /** Stops the members and starts them on their data; resolves with the new `readyMs`. */
  restart(whileDown?: () => void): Promise<number>;
  /** Where the members have their data and logs. */
  readonly dir: string;
  /** Starts one that has been killed on its data; resolves when it answers a put. */
  startAgain(index: number): Promise<void>;
  /** Stops the members and removes their data. */
  remove(): Promise<void>;
}

/** Which programs to start, and how. */
export interface Programs {
  /** The program of kind etcd; the one of the PATH if not given. */
  readonly etcd?: string | undefined;
  /** bin/kvorum of a checkout; that of this one if not given. */
  readonly kvorum?: string | undefined;
  /** The Node that runs it; the one of this process if not given. */
  readonly node?: string | undefined;
  /** Of each member, its page cache included. */
  readonly memoryLimitMb?: number | undefined;
  /** Modules that Node loads before kvorum, as URLs; the process then can be sent messages. */
  readonly preloads?: readonly string[];
  /** Mutual TLS on all ports. */
  readonly security?: Security | undefined;
  /** With users as well; needs `security`. */
  readonly auth?: boolean;
}

interface Member {
  readonly endpoint: string;
  readonly logFile: string;
  spawn(): ChildProcess;
  process: ChildProcess;
}

/** Resolves when every member answers a put. Rejects with the end of the log if one does not. */
export async function startCluster(
  kind: ServerKind,
  memberCount: number,
  parentDir: string,
  programs: Programs = {},
): Promise<Cluster> {
  const cgroups: MemoryCgroup[] = [];
  const dir = mkdtempSync(join(parentDir, `bench-${kind}-`));
  const ports = await freePorts(memberCount * 2);
  const scheme = programs.security === undefined ? 'http' : 'https';
  const peers = Array.from({ length: memberCount }, (_none, i) => ({
    name: `m${i}`,
    client: `127.0.0.1:${ports[i]}`,
    peerUrl: `${scheme}://127.0.0.1:${ports[memberCount + i]}`,
  }));
  const initialCluster = peers.map((peer) => `${peer.name}=${peer.peerUrl}`).join(',');
  const startMs = performance.now();
  const members = peers.map((peer): Member => {
    const data = join(dir, peer.name);
    mkdirSync(data, { mode: 0o700 });
    const { memoryLimitMb } = programs;
    const cgroup = memoryLimitMb === undefined ? undefined : new MemoryCgroup(memoryLimitMb);
    if (cgroup !== undefined) cgroups.push(cgroup);
    const args = memberArgs(peer, data, initialCluster, programs.security);
    const logFile = join(dir, `${peer.name}.log`);
    const spawnMember = (): ChildProcess => {
      return spawnServer(kind, programs, args, logFile, cgroup);
    };
    return { endpoint: peer.client, logFile, spawn: spawnMember, process: spawnMember() };
  });
  const removeAll = async (): Promise<void> => {
    await stopAll(members);
    rmSync(dir, { recursive: true, force: true });
    for (const cgroup of cgroups) await cgroup.remove();
  };
  try {
    await allReady(members, programs.security);
    const [first] = members;
    if (programs.auth === true && programs.security !== undefined && first !== undefined) {
      const { endpoint } = first;
      await asRoot(endpoint, programs.security, (ask) => switchAuthOn(ask, aHundredGrants));
    }
  } catch (error) {
    await removeAll();
    throw error;
  }
  return {
    endpoints: members.map((member) => member.endpoint),
    dir,
    readyMs: performance.now() - startMs,
    pids: () => members.map((member) => member.process.pid ?? 0),
    processes: () => members.map((member) => member.process),
    memory: () => highest(members.map((member) => memoryMb(member.process.pid ?? 0))),
    async restart(whileDown = () => {}) {
      await stopAll(members);
      whileDown();
      const restartMs = performance.now();
      for (const member of members) member.process = member.spawn();
      await allReady(members, programs.security);
      return performance.now() - restartMs;
    },
    async startAgain(index) {
      const member = members[index];
      if (member === undefined) throw new Error(`there is no member ${index}`);
      member.process = member.spawn();
      await ready(member, programs.security);
    },
    remove: removeAll,
  };
}

function memberArgs(
  peer: { readonly name: string; readonly client: string; readonly peerUrl: string },
  dataDir: string,
  initialCluster: string,
  security: Security | undefined,
): string[] {
  const scheme = security === undefined ? 'http' : 'https';
  const flags: Record<string, string> = {
    name: peer.name,
    'data-dir': dataDir,
    'listen-client-urls': `${scheme}://${peer.client}`,
    'advertise-client-urls': `${scheme}://${peer.client}`,
    'listen-peer-urls': peer.peerUrl,
    'initial-advertise-peer-urls': peer.peerUrl,
    'initial-cluster': initialCluster,
    'initial-cluster-state': 'new',
    'quota-backend-bytes': String(quotaBytes),
    'log-level': 'warn',
    ...security?.flags,
  };
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
}

function spawnServer(
  kind: ServerKind,
  { etcd = 'etcd', kvorum = kvorumOfThis, node = process.execPath, preloads = [] }: Programs,
  args: readonly string[],
  logFile: string,
  cgroup: MemoryCgroup | undefined,
): ChildProcess {
  const log = openSync(logFile, 'a');
  // Settings in the environment would make the two differ.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(ETCD|KVORUM)_/.test(name)),
  );
  const output: ['ignore', number, number] = ['ignore', log, log];
  const stdio: StdioOptions = preloads.length > 0 ? [...output, 'ipc'] : output;
  const imports = preloads.map((url) => `--import=${url}`);
  const [program, words] = kind === 'etcd' ? [etcd, args] : [node, [...imports, kvorum, ...args]];
  const [file, fileArgs] = cgroup?.enter(program, words) ?? [program, words];
  const child =
    kind === 'etcd'
      ? spawn(file, fileArgs, { stdio: output, env: { ...env, ETCD_LOGGER: 'zap' } })
      : spawn(file, fileArgs, { stdio, env });
  child.on('error', () => {}); // Not startable: noticed as never ready.
  closeSync(log);
  return child;
}

async function allReady(members: readonly Member[], security: Security | undefined): Promise<void> {
  await Promise.all(members.map((member) => ready(member, security)));
}

/** Does something by calls of root. */
async function asRoot(
  endpoint: string,
  { root }: Security,
  run: (ask: AskAsRoot) => Promise<void>,
): Promise<void> {
  const client = await connect(endpoint, 10_000, root);
  try {
    await run((method, request) => call(client, method, request));
  } finally {
    client.destroy();
  }
}

/** Knocks until a put is answered. */
async function ready(member: Member, security: Security | undefined): Promise<void> {
  const deadlineMs = performance.now() + readyTimeoutMs;
  const hasEnded = (): boolean => {
    return member.process.exitCode !== null || member.process.pid === undefined;
  };
  try {
    return await untilAnswered(member.endpoint, deadlineMs, security?.root, hasEnded);
  } catch (error) {
    const tail = readFileSync(member.logFile, 'utf8').slice(-logTailChars);
    throw new Error(`${error instanceof Error ? error.message : error}. Its log ends:\n${tail}`);
  }
}

async function stopAll(members: readonly Member[]): Promise<void> {
  await Promise.all(
    members.map(async ({ process: child }) => {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
      await ended;
      clearTimeout(timer);
    }),
  );
}

function highest(memories: readonly MemoryMb[]): MemoryMb {
  return {
    resident: Math.max(...memories.map((each) => each.resident)),
    peak: Math.max(...memories.map((each) => each.peak)),
  };
}

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address !== null && typeof address === 'object') ports.push(address.port);
  }
  await Promise.all(
    servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
  );
  return ports;
}
