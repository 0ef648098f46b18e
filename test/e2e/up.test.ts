/** `kvorum up`, driven by lines on stdin: members are killed, paused, cut off and brought back. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { Etcd } from '../../src/client/index.js';
import { eventually } from '../helpers/eventually.js';
import { cleanEnvironment } from '../helpers/server.js';
import { describeWith, kvorumBin } from '../helpers/tools.js';

const deadlineMs = 200_000;

/** A cluster that is told things. */
class Up {
  readonly #child: ChildProcess;
  readonly ended: Promise<number | string>;
  stdout = '';
  #from = 0;

  constructor(args: readonly string[]) {
    this.#child = spawn(kvorumBin, ['up', ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: cleanEnvironment(),
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.stdout += text;
      });
    }
    this.ended = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => resolve(code ?? signal ?? -1));
    });
  }

  tell(line: string): void {
    this.#from = this.stdout.length;
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Waits for a line since it was last told something. */
  hears(pattern: RegExp): Promise<RegExpExecArray> {
    const look = () => {
      const match = pattern.exec(this.stdout.slice(this.#from));
      if (match === null) throw new Error(`no ${pattern} in\n${this.stdout}`);
      return match;
    };
    return eventually(look, String(pattern), deadlineMs);
  }

  /** `m1` to its line of `status`, asked until all of `wanted` is true. */
  async status(
    wanted: (lines: ReadonlyMap<string, string>) => boolean,
  ): Promise<ReadonlyMap<string, string>> {
    return await eventually(
      async () => {
        this.tell('status');
        await this.hears(/^m3 .*\n/m);
        const lines = this.stdout.slice(this.#from).matchAll(/^(m\d) {2}(.*)$/gm);
        const states = new Map([...lines].map(([, name = '', state = '']) => [name, state]));
        return wanted(states) ? states : undefined;
      },
      'the state of the members',
      deadlineMs,
    );
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

const leaderIn = (lines: ReadonlyMap<string, string>): string | undefined =>
  [...lines].find(([, state]) => state.endsWith(', leader'))?.[0];

let up: Up | undefined;
afterEach(async () => {
  // Members are processes of their own, which only it can end.
  up?.signal('SIGTERM');
  await up?.ended;
  up = undefined;
});

async function start(...args: string[]): Promise<Up> {
  up = new Up(['--base-port', String(await freePorts()), ...args]);
  return up;
}

/** The first of as many ports as three members take; below those that the system gives away. */
async function freePorts(): Promise<number> {
  return eventually(async () => {
    const base = 12_000 + Math.floor(Math.random() * 10_000);
    const hosts = ['127.0.0.1', '127.0.0.11', '127.0.0.12', '127.0.0.13'];
    const ports = Array.from({ length: 23 }, (_, i) => base + i);
    const free = await Promise.all(
      ports.flatMap((port) => hosts.map((host) => isFree(host, port))),
    );
    return free.every(Boolean) ? base : undefined;
  }, 'free ports');
}

/** An address that this machine does not have is nobody's. */
function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'EADDRNOTAVAIL'));
    server.listen({ host, port }, () => server.close(() => resolve(true)));
  });
}

describeWith(['kvorum'], 'kvorum up', () => {
  it('kills the leader and measures, cuts off, pauses, brings back, and leaves nothing', {
    timeout: 600_000,
  }, async () => {
    const cluster = await start();
    const [, endpoints = ''] = await cluster.hears(/export ETCDCTL_ENDPOINTS=(\S+)\n/);
    const [, dir = ''] = await cluster.hears(/data and logs are in (\S+)\n/);
    const db = new Etcd({ endpoints, timeoutMs: 60_000 });
    try {
      await db.kv.put('a', '1');
      const first = leaderIn(await cluster.status((lines) => leaderIn(lines) !== undefined));
      cluster.tell('leader');
      await cluster.hears(new RegExp(`^${first} ended \\(SIGKILL\\)`, 'm'));
      await cluster.hears(
        new RegExp(`^a write succeeded again \\d+ ms after ${first} was killed$`, 'm'),
      );
      cluster.tell(`restart ${first}`);
      await cluster.hears(new RegExp(`^${first} is back$`, 'm'));
      const lines = await cluster.status((now) => {
        return (
          leaderIn(now) !== undefined &&
          [...now.values()].every((state) => state.includes('  runs'))
        );
      });
      const second = leaderIn(lines);
      expect(second).toBeDefined();
      if (!cluster.stdout.includes('x does not work')) {
        cluster.tell(`x ${second}`);
        await cluster.hears(/is cut off from the others/);
        // It may still think that it leads; the newer term says who does.
        await cluster.status((now) => leaderIn(now) !== undefined && leaderIn(now) !== second);
        cluster.tell(`r ${second?.slice(1)}`);
        await cluster.hears(/is back/);
      }
      cluster.tell('p 1');
      await cluster.hears(/^m1 is paused$/m);
      expect((await cluster.status(() => true)).get('m1')).toContain('  paused');
      cluster.tell('restart m1');
      await cluster.hears(/^m1 is back$/m);
      expect((await db.kv.get('a'))?.value.toString()).toBe('1');
    } finally {
      await db.close();
    }
    expect(readdirSync(dir).sort()).toEqual(['m1', 'm1.log', 'm2', 'm2.log', 'm3', 'm3.log']);
    cluster.tell('quit');
    expect(await cluster.ended).toBe(0);
    expect(existsSync(dir)).toBe(false);
  });

  it('keeps a folder that it was given, and ends its members by a signal', {
    timeout: 600_000,
  }, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'kvorum-up-test-'));
    try {
      const words = ['--nodes', '1', '--data-dir', dir, '--wires=false', '--logs'];
      const first = await start(...words, '--', '--log-level', 'error');
      await first.hears(/export ETCDCTL_ENDPOINTS=/);
      first.tell('nonsense');
      await first.hears(/^k kill -9 /m);
      first.tell('kill m7');
      await first.hears(/^kill needs one of m1$/m);
      first.tell('cut m1');
      await first.hears(/^without wires nothing can be cut$/m);
      first.signal('SIGINT');
      expect(await first.ended).toBe(0);
      expect(readdirSync(dir).sort()).toEqual(['m1', 'm1.log']);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it('refuses what it can not do', async () => {
    const refused = async (...args: string[]) => {
      up = new Up(args);
      return [await up.ended, up.stdout];
    };
    expect(await refused('--nodes', '10')).toEqual([128, 'Error: --nodes must be from 1 to 9\n']);
    expect(await refused('three')).toEqual([
      128,
      'Error: up takes flags of members after --, not three\n',
    ]);
  });
});
