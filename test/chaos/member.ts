/** One member's process: started, stopped, killed, wiped; its questions as a client would ask. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tlsOf } from '../../bench/load/identity.js';
import type { Security } from '../../bench/security.js';
import {
  hashKvRequest,
  hashKvResponse,
  statusRequest,
  statusResponse,
} from '../../src/proto/index.js';
import { Connection } from './connection.js';

export interface MemberSetup {
  readonly name: string;
  /** Program and the arguments that come before the flags. */
  readonly command: readonly string[];
  /** Parent of its data and its log. */
  readonly dir: string;
  readonly clientPort: number;
  readonly peerPort: number;
  /** As the others reach it: a proxy. */
  readonly peerUrl: string;
  readonly flags: readonly string[];
  /** Undefined: everything is open. */
  readonly security: Security | undefined;
}

/** What a member says of itself. */
export interface Status {
  readonly id: bigint;
  readonly leader: bigint;
  readonly term: number;
  readonly revision: number;
  readonly version: string;
}

const statusTimeoutMs = 1000;
const path = '/etcdserverpb.Maintenance/';
const hasSetpriv = spawnSync('setpriv', ['--version'], { stdio: 'ignore' }).status === 0;

export class ChaosMember {
  readonly name: string;
  readonly clientPort: number;
  readonly peerUrl: string;
  readonly #setup: MemberSetup;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #connection: Connection | undefined;
  /** Exits that nobody asked for: a finding. */
  readonly unasked: string[] = [];
  #isAsked = false;
  stopped = false;

  constructor(setup: MemberSetup) {
    this.name = setup.name;
    this.clientPort = setup.clientPort;
    this.peerUrl = setup.peerUrl;
    this.#setup = setup;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get logFile(): string {
    return join(this.#setup.dir, `${this.name}.log`);
  }

  /** Starts the process; it may not serve yet. */
  start(initialCluster: string, state: 'new' | 'existing'): void {
    if (this.#child !== undefined) throw new Error(`${this.name} is running`);
    const { command, dir, flags, peerPort, name } = this.#setup;
    mkdirSync(dir, { recursive: true });
    const { security } = this.#setup;
    const scheme = security === undefined ? 'http' : 'https';
    const clientUrl = `${scheme}://127.0.0.1:${this.clientPort}`;
    const args = [
      ...command.slice(1),
      ...['--name', name, '--data-dir', this.#dataDir],
      ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
      ...['--listen-peer-urls', `${scheme}://127.0.0.1:${peerPort}`],
      ...['--initial-advertise-peer-urls', this.peerUrl],
      ...['--initial-cluster', initialCluster, '--initial-cluster-state', state],
      ...flags,
      ...Object.entries(security?.flags ?? {}).map(([name, value]) => `--${name}=${value}`),
    ];
    const log = openSync(this.logFile, 'a');
    const program = command[0] ?? '';
    // With a death signal it does not outlive us, whatever ends us.
    const [file, all] = hasSetpriv
      ? ['setpriv', ['--pdeathsig', 'KILL', program, ...args]]
      : [program, args];
    const child = spawn(file, all, { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#child = child;
    this.#isAsked = false;
    this.stopped = false;
    child.on('error', (error) => this.unasked.push(`could not be started: ${error.message}`));
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        if (!this.#isAsked) this.unasked.push(`ended by itself (${signal ?? `code ${code}`})`);
        this.#child = undefined;
        this.#disconnect();
        resolve();
      });
    });
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGTERM, and kill -9 for one that does not end in time; true if it did. */
  async stop(timeoutMs: number): Promise<boolean> {
    let isInTime = true;
    const timer = setTimeout(() => {
      isInTime = false;
      this.#child?.kill('SIGKILL');
    }, timeoutMs);
    await this.#end('SIGTERM');
    clearTimeout(timer);
    return isInTime;
  }

  pause(): void {
    this.stopped = true;
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.stopped = false;
    this.#child?.kill('SIGCONT');
  }

  /** It has been removed from the cluster: it should end by itself. */
  async leave(timeoutMs: number): Promise<boolean> {
    this.#isAsked = true;
    let isInTime = true;
    const timer = setTimeout(() => {
      isInTime = false;
      this.#child?.kill('SIGKILL');
    }, timeoutMs);
    await this.#exited;
    clearTimeout(timer);
    return isInTime;
  }

  /** Its disk is lost. */
  wipe(): void {
    if (existsSync(this.#dataDir)) rmSync(this.#dataDir, { recursive: true });
  }

  /** Undefined if it does not answer. */
  async status(timeoutMs = statusTimeoutMs): Promise<Status | undefined> {
    const bytes = await this.ask(`${path}Status`, statusRequest.encode({}), timeoutMs);
    if (bytes === undefined) return undefined;
    const { header, leader, raftTerm, version } = statusResponse.decode(bytes);
    const { memberId: id = 0n, revision = 0 } = header ?? {};
    return { id, leader, term: raftTerm, revision, version };
  }

  /** Hash of all keys up to `revision`. */
  async hash(revision: number) {
    const request = hashKvRequest.encode({ revision });
    const bytes = await this.ask(`${path}HashKV`, request, 20_000);
    return bytes === undefined ? undefined : hashKvResponse.decode(bytes);
  }

  /** Over a connection of its own, made when it is needed. */
  async ask(method: string, request: Uint8Array, timeoutMs: number): Promise<Buffer | undefined> {
    if (!this.running || this.stopped) return undefined;
    if (this.#connection?.usable !== true) {
      this.#disconnect();
      this.#connection = await Connection.open(
        this.name,
        this.clientPort,
        tlsOf(this.#setup.security?.root),
      );
    }
    const answer = await this.#connection?.call(method, request, timeoutMs);
    if (answer?.ok === true) return answer.message;
    this.lastError = answer?.text ?? 'no connection';
    return undefined;
  }

  /** Why the last question had no answer. */
  lastError = '';

  get #dataDir(): string {
    return join(this.#setup.dir, `${this.name}.data`);
  }

  #disconnect(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.#isAsked = true;
    if (this.stopped && signal !== 'SIGKILL') this.resume();
    this.#child?.kill(signal);
    await this.#exited;
  }
}
