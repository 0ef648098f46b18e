/**
 * Runs the shell blocks of a page, in order, in a folder of their own: `kvorum`, `etcdctl` and
 * `etcdutl` are the programs under test, the addresses and folders that the page names are ones
 * that nobody else uses, and what a block exports the next one has.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { exec, type Finished } from '../helpers/exec.js';
import { cleanEnvironment, freePort, type ServerProcess, startCluster } from '../helpers/server.js';
import { have, kvorumBin, repoRoot, toolPath } from '../helpers/tools.js';
import type { Block } from './markdown.js';

/** True for a block with a server of the page's own. */
export function startsServer({ info, text }: Pick<Block, 'info' | 'text'>): boolean {
  return isServer({ info, text }) || /^ +kvorum --name /m.test(text);
}

/** True for a block that is a server: it is waited for. */
function isServer({ info, text }: Pick<Block, 'info' | 'text'>): boolean {
  return info === 'serve' && /^(etcd|kvorum|npm start)\s/m.test(text);
}

/** Ports as the pages write them: those of `npm run cluster`, and one base per page. */
interface Addresses {
  readonly client: readonly number[];
  readonly peer: readonly number[];
}

/** Where the blocks of one page run. */
export class PageShell {
  readonly #dir: string;
  readonly #names: ReadonlyArray<readonly [string, string]>;
  readonly #env: Readonly<Record<string, string>>;
  readonly #members: readonly ServerProcess[];
  readonly #serving: ChildProcess[] = [];
  /** The first client address of the page. */
  readonly endpoint: string;

  private constructor(dir: string, { client, peer }: Addresses, members: readonly ServerProcess[]) {
    this.#dir = dir;
    this.#members = members;
    this.endpoint = `127.0.0.1:${client[0]}`;
    this.#names = [
      ...namesOf('client', client),
      ...namesOf('peer', peer),
      ['/var/lib', `${dir}/lib`],
      // Nothing fails here because the machine is busy.
      ['curl -s -m 3 ', 'curl -s -m 60 '],
      ['--command-timeout=3s ', '--command-timeout=60s '],
    ];
    // It is an error to say anything twice, so only where the command does not say it.
    const settings = {
      '--endpoints': `ETCDCTL_ENDPOINTS=${this.endpoint}`,
      '--command-timeout': 'ETCDCTL_COMMAND_TIMEOUT=60s',
      '--dial-timeout': 'ETCDCTL_DIAL_TIMEOUT=20s',
    };
    this.#program('etcdctl', toolPath('etcdctl'), settings);
    this.#program('etcdutl', toolPath('etcdutl37'));
    this.#program('kvorum', kvorumBin, settings);
    if (have('etcd')) this.#program('etcd', toolPath('etcd'));
    const url = `http://${this.endpoint}`;
    this.#env = {
      PATH: `${join(dir, 'bin')}${delimiter}${process.env.PATH}`,
      HOME: dir,
      // For servers whose flags say nothing of it.
      KVORUM_DOCS_CLIENT_URL: url,
      KVORUM_DOCS_PEER_URL: `http://127.0.0.1:${peer[0]}`,
    };
  }

  /** With a cluster of three that is there already, or without any server. */
  static async open(withCluster: boolean): Promise<PageShell> {
    const members = withCluster ? await startCluster('kvorum', 3) : [];
    const ports = { client: [] as number[], peer: [] as number[] };
    for (let i = 0; i < 4; i++) {
      const port = (url?: string) =>
        url === undefined ? freePort() : Number(url.split(':').pop());
      ports.client.push(await port(members[i]?.clientUrl));
      ports.peer.push(await port(members[i]?.peerUrl));
    }
    const dir = mkdtempSync(join(tmpdir(), 'kvorum-docs-'));
    for (const name of ['bin', 'lib']) mkdirSync(join(dir, name));
    // A refusal fails a block, and a page need not say so.
    writeFileSync(join(dir, '.curlrc'), 'silent\nshow-error\nfail\n');
    return new PageShell(dir, ports, members);
  }

  /** Runs a block to its end. */
  run(text: string): Promise<Finished> {
    return exec('bash', ['-c', this.#script(text)], {
      cwd: this.#dir,
      env: this.#env,
      timeoutMs: 150_000,
    });
  }

  /** Starts a block that goes on; a server is waited for. */
  async serve(text: string): Promise<void> {
    const child = spawn('bash', ['-c', this.#script(text, true)], {
      cwd: this.#dir,
      env: { ...cleanEnvironment(), ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // What it starts ends with it.
      detached: true,
    });
    this.#serving.push(child);
    if (!isServer({ info: 'serve', text })) return;
    await new Promise<void>((resolve, reject) => {
      let log = '';
      const look = (chunk: Buffer) => {
        log += chunk.toString();
        if (/ready to serve client requests/.test(log)) resolve();
      };
      child.stdout?.on('data', look);
      child.stderr?.on('data', look);
      child.once('close', () => reject(new Error(`it ended:\n${log.slice(-4000)}`)));
    });
  }

  /** A page's text with the addresses and folders of this run. */
  fill(text: string): string {
    return this.#names.reduce((filled, [from, to]) => filled.replaceAll(from, to), text);
  }

  async close(): Promise<void> {
    for (const child of this.#serving) {
      if (child.exitCode !== null || child.pid === undefined) continue;
      const ended = new Promise((resolve) => child.once('close', resolve));
      process.kill(-child.pid, 'SIGKILL');
      await ended;
    }
    for (const pid of backgroundPids(this.#dir)) endNow(pid);
    await Promise.all(this.#members.map((member) => member.dispose()));
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** What one block exports and defines is kept for the next. */
  #script(text: string, serves = false): string {
    const state = join(this.#dir, 'state.sh');
    const lines = [
      'set -eu -o pipefail',
      `if [ -e ${state} ]; then . ${state}; fi`,
      ...(serves ? serverSettings(this.#dir, text) : []),
      // npm's commands are those of the checkout.
      ...(/^npm /m.test(text) ? [`cd ${repoRoot}`] : []),
      this.fill(text),
    ];
    if (!serves)
      lines.push(`{ declare -p ENDPOINTS CLUSTER e 2>/dev/null; declare -f; } > ${state} || :`);
    return lines.join('\n');
  }

  /** A program on the PATH, with settings of the environment where a flag is not given. */
  #program(name: string, path: string, unless: Readonly<Record<string, string>> = {}): void {
    const file = join(this.#dir, 'bin', name);
    const settings = Object.entries(unless)
      .map(([flag, setting]) => `case " $* " in *" ${flag}"*) ;; *) export ${setting} ;; esac\n`)
      .join('');
    writeFileSync(file, `#!/bin/sh\n${settings}exec '${path}' "$@"\n`);
    chmodSync(file, 0o755);
  }
}

/** Addresses in pages, and what stands for them here. */
function namesOf(kind: keyof Addresses, ports: readonly number[]): Array<[string, string]> {
  return ports.flatMap((port, i) => {
    const base = kind === 'client' ? 2379 : 2380;
    const here = `127.0.0.1:${port}`;
    const written = [`10.0.0.${i + 1}:${base}`, `127.0.0.1:${i === 0 ? '' : i + 1}${base}`];
    if (kind === 'client') written.push(`127.0.0.1:258${i}0`);
    return written.map((name): [string, string] => [name, here]);
  });
}

/** What blocks have left running, by the files that they wrote. */
function backgroundPids(dir: string): number[] {
  return readdirSync(dir)
    .filter((name) => name.endsWith('.pid'))
    .map((name) => Number(readFileSync(join(dir, name), 'utf8')));
}

function endNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** By etcd's variables: what a command has no flags for, since it must not be said twice. */
function serverSettings(dir: string, text: string): string[] {
  const client = '$KVORUM_DOCS_CLIENT_URL';
  const peer = '$KVORUM_DOCS_PEER_URL';
  const settings = {
    'listen-client-urls': client,
    'advertise-client-urls': client,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': `default=${peer}`,
    'data-dir': `${dir}/default.etcd`,
  };
  return Object.entries(settings)
    .filter(([flag]) => !text.includes(`--${flag} `))
    .map(([flag, value]) => `export ETCD_${flag.toUpperCase().replaceAll('-', '_')}=${value}`);
}
