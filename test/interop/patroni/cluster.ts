/**
 * PostgreSQL under Patroni, unmodified, with a store of etcd's kind behind it: nodes that can be
 * killed with everything they run. As root they run as the user postgres, because PostgreSQL
 * refuses root.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exec } from '../../helpers/exec.js';
import { cleanEnvironment, freePort } from '../../helpers/server.js';
import { toolPath } from '../../helpers/tools.js';

/** Where the store is, and who Patroni is there. */
export interface Store {
  /** `host:port`. */
  readonly endpoint: string;
  readonly user?: string;
  readonly password?: string;
}

/** A member as Patroni's REST API tells of it. */
export interface MemberState {
  readonly name: string;
  readonly role: string;
  readonly state: string;
}

const isRoot = process.getuid?.() === 0;
const live = new Set<PatroniNode>();

process.on('exit', () => {
  for (const node of live) node.removeNow();
});

/** One PostgreSQL with its Patroni. */
export class PatroniNode {
  readonly name: string;
  readonly #root: string;
  readonly #dataDir: string;
  readonly #ports: { readonly rest: number; readonly postgres: number };
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #log = '';

  private constructor(name: string, ports: { readonly rest: number; readonly postgres: number }) {
    this.name = name;
    this.#ports = ports;
    this.#root = mkdtempSync(join(tmpdir(), 'kvorum-test-patroni-'));
    this.#dataDir = join(this.#root, 'data');
  }

  /** Writes its configuration and starts it; it is not ready yet. */
  static async start(name: string, store: Store): Promise<PatroniNode> {
    const node = new PatroniNode(name, { rest: await freePort(), postgres: await freePort() });
    live.add(node);
    const sockets = join(node.#root, 'sockets');
    mkdirSync(sockets);
    chmodSync(node.#root, 0o700);
    const file = join(node.#root, 'patroni.json');
    // YAML includes JSON.
    writeFileSync(file, JSON.stringify(node.#configuration(store, sockets)), { mode: 0o600 });
    if (isRoot) for (const path of [node.#root, sockets, file]) node.#give(path);
    node.start();
    return node;
  }

  /** What it and its PostgreSQL have written. */
  get log(): string {
    return this.#log;
  }

  /** Starts Patroni, which starts PostgreSQL. */
  start(): void {
    const [program = '', ...args] = [...asUser(), toolPath('patroni'), '-m', 'patroni'];
    const child = spawn(program, [...args, join(this.#root, 'patroni.json')], {
      cwd: this.#root,
      env: { ...cleanEnvironment(), HOME: this.#root, PATRONI_LOG_LEVEL: 'INFO' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    const onData = (chunk: string): void => {
      this.#log += chunk;
    };
    child.stdout.setEncoding('utf8').on('data', onData);
    child.stderr.setEncoding('utf8').on('data', onData);
    this.#exited = new Promise((resolve) => {
      child.once('error', () => resolve());
      child.once('exit', () => resolve());
    });
  }

  /** All members as this one sees them. */
  async members(): Promise<readonly MemberState[]> {
    const reply = await fetch(`http://127.0.0.1:${this.#ports.rest}/cluster`);
    return ((await reply.json()) as { readonly members: readonly MemberState[] }).members;
  }

  /** True if it is the leader and says so: what load balancers ask. */
  async leads(): Promise<boolean> {
    const reply = await fetch(`http://127.0.0.1:${this.#ports.rest}/primary`);
    await reply.arrayBuffer();
    return reply.status === 200;
  }

  /** The rows of a statement, fields parted by `|`; rejects with PostgreSQL's words. */
  async sql(statement: string): Promise<string> {
    const at = ['-h', '127.0.0.1', '-p', String(this.#ports.postgres), '-U', 'postgres'];
    const how = ['-X', '-A', '-t', '-w', '-v', 'ON_ERROR_STOP=1', '-d', 'postgres'];
    const psql = join(toolPath('postgresql'), 'psql');
    const done = await exec(psql, [...at, ...how, '-c', statement], {
      env: { PGPASSWORD: 'super', PGCONNECT_TIMEOUT: '10' },
    });
    if (done.code !== 0) throw new Error(done.stderr);
    return done.stdout.toString('utf8').trim();
  }

  /** As when the machine loses its power. */
  async kill(): Promise<void> {
    this.#killAll();
    await this.#exited;
  }

  async dispose(): Promise<void> {
    await this.kill();
    live.delete(this);
    this.#remove();
  }

  /** As dispose, but synchronous: for the end of the worker. */
  removeNow(): void {
    this.#killAll();
    this.#remove();
  }

  /** PostgreSQL's processes notice that their postmaster is gone, and may still write. */
  #remove(): void {
    rmSync(this.#root, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }

  /** Patroni first: it would start PostgreSQL again. */
  #killAll(): void {
    const patroni = this.#child?.pid;
    if (patroni !== undefined && this.#child?.exitCode === null) kill(patroni);
    this.#child = undefined;
    let postmaster: number;
    try {
      const [line = ''] = readFileSync(join(this.#dataDir, 'postmaster.pid'), 'utf8').split('\n');
      postmaster = Number(line);
    } catch {
      return; // It does not run.
    }
    // A number in a file: only a process with our folder in its command line is ours.
    const at = `/proc/${postmaster}/cmdline`;
    const command = spawnSync('cat', [at], { encoding: 'utf8' }).stdout;
    if (command.includes(this.#dataDir)) kill(postmaster);
  }

  #give(path: string): void {
    const [uid, gid] = [idOf('-u'), idOf('-g')];
    chownSync(path, uid, gid);
  }

  #configuration(store: Store, sockets: string): object {
    const { user, password, endpoint } = store;
    const [postgres, rest] = [this.#ports.postgres, this.#ports.rest].map((p) => `127.0.0.1:${p}`);
    const who = user === undefined ? {} : { username: user, password };
    return {
      scope: 'kvorum',
      name: this.name,
      log: { level: 'INFO' },
      restapi: { listen: rest, connect_address: rest },
      etcd3: { hosts: [endpoint], ...who },
      bootstrap: {
        // The shortest that it takes.
        dcs: {
          ...{ ttl: 20, loop_wait: 1, retry_timeout: 3 },
          postgresql: { use_pg_rewind: true, use_slots: true },
        },
        initdb: ['no-sync', 'data-checksums', { encoding: 'UTF8' }, { locale: 'C' }],
      },
      postgresql: {
        ...{ listen: postgres, connect_address: postgres },
        ...{ data_dir: this.#dataDir, bin_dir: toolPath('postgresql') },
        pgpass: join(this.#root, 'pgpass'),
        authentication: {
          superuser: { username: 'postgres', password: 'super' },
          replication: { username: 'replicator', password: 'copy' },
          rewind: { username: 'rewinder', password: 'wind' },
        },
        pg_hba: ['local all all trust', 'host all all 127.0.0.1/32 md5'].concat(
          'host replication replicator 127.0.0.1/32 md5',
        ),
        parameters: {
          ...{ unix_socket_directories: sockets, password_encryption: 'md5' },
          ...{ shared_buffers: '16MB', max_connections: 25, fsync: 'off' },
        },
      },
    };
  }
}

/** What a command starts with to be run as somebody whom PostgreSQL accepts. */
function asUser(): readonly string[] {
  if (!isRoot) return [];
  // It also ends with the test worker.
  return ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', '--pdeathsig=KILL'];
}

function idOf(what: '-u' | '-g'): number {
  return Number(spawnSync('id', [what, 'postgres'], { encoding: 'utf8' }).stdout);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
