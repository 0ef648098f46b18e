/**
 * bin/kvorum as a process with whatever flags a test wants, in a directory of its own; ended and
 * removed whatever happens to the test.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { cleanEnvironment } from '../helpers/server.js';
import { kvorumBin } from '../helpers/tools.js';

/** A line of the log. */
export type LogLine = Readonly<Record<string, unknown>>;

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Another one than that of the checkout. */
  readonly program?: string;
}

/** `KVORUM_TEST_IO_THREADS=1 npx vitest run test/e2e`: all of these tests over --io-threads. */
const { KVORUM_TEST_IO_THREADS: threads } = process.env;
const ioThreads = threads === undefined ? {} : { KVORUM_IO_THREADS: threads };

/** Only ends what hangs. */
const deadlineMs = 100_000;
/** The default, 2380, may be somebody else's. */
export const anyPeerPort: readonly string[] = ['--listen-peer-urls', 'http://127.0.0.1:0'];

const running = new Set<Program>();
const directories = new Set<string>();

/** A directory that is removed when the test file ends. */
export function temporaryDirectory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-e2e-'));
  directories.add(dir);
  return dir;
}

/** Call once in a test file: ends all programs after each test. */
export function endProgramsAfterEach(): void {
  afterEach(async () => {
    await Promise.all([...running].map((program) => program.kill()));
  });
}

process.on('exit', () => {
  for (const program of running) program.killNow();
  for (const dir of directories) rmSync(dir, { recursive: true, force: true });
});

/** Starts bin/kvorum with these arguments; does not wait. */
export function run(args: readonly string[], options: RunOptions = {}): Program {
  return new Program(args, options);
}

/** Starts bin/kvorum and waits until it says that it serves. */
export async function serve(args: readonly string[], options: RunOptions = {}): Promise<Program> {
  const program = run(args, options);
  await program.line('ready to serve client requests');
  return program;
}

/** One process. */
export class Program {
  stdout = '';
  stderr = '';
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  readonly #child: ChildProcess;
  #hasEnded = false;
  readonly #watchers = new Set<() => void>();

  constructor(args: readonly string[], options: RunOptions) {
    const child = spawn(options.program ?? kvorumBin, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...cleanEnvironment(), ...ioThreads, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    this.#child = child;
    running.add(this);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.#wake();
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#hasEnded = true;
        running.delete(this);
        this.#wake();
        resolve(code ?? signal ?? -1);
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The lines of the log so far. */
  get log(): readonly LogLine[] {
    const lines = this.stderr.split('\n').filter((line) => line.startsWith('{'));
    return lines.flatMap((line) => {
      try {
        return [JSON.parse(line) as LogLine];
      } catch {
        return []; // the last one, of which a piece has arrived
      }
    });
  }

  /** Waits for a line of the log with this message. */
  line(message: string): Promise<LogLine> {
    return this.#until(
      () => this.log.find(({ msg }) => msg === message),
      `the log line "${message}"`,
    );
  }

  /** Waits until stderr, the log, has what is looked for. */
  logged(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(() => pattern.exec(this.stderr) ?? undefined, `${pattern} in the log`);
  }

  /** Waits until stdout has what is looked for. */
  output(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(() => pattern.exec(this.stdout) ?? undefined, `${pattern} on stdout`);
  }

  /** The client URLs of the log, ports filled in. */
  get clientUrls(): readonly string[] {
    const ready = this.log.find(({ msg }) => msg === 'ready to serve client requests');
    return (ready?.['client-urls'] as readonly string[] | undefined) ?? [];
  }

  /** The n-th client URL without its scheme. */
  endpoint(index = 0): string {
    const url = this.clientUrls[index];
    if (url === undefined) throw new Error(`no client URL ${index} in:\n${this.stderr}`);
    return url.replace(/^https?:\/\//, '');
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGTERM; resolves with that, as etcd ends: see `ended`. */
  async stop(): Promise<number | string> {
    this.signal('SIGTERM');
    return this.ended;
  }

  async kill(): Promise<void> {
    this.killNow();
    await this.ended;
  }

  killNow(): void {
    this.#child.kill('SIGKILL');
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #until<T>(look: () => T | undefined, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const finish = () => {
        clearTimeout(timer);
        this.#watchers.delete(check);
      };
      const fail = (why: string) => {
        finish();
        reject(new Error(`${what}: ${why}\n${this.stdout}\n${this.stderr}`));
      };
      const check = () => {
        const found = look();
        if (found !== undefined) {
          finish();
          resolve(found);
        } else if (this.#hasEnded) fail('the process ended without it');
      };
      const timer = setTimeout(() => fail('never came'), deadlineMs);
      this.#watchers.add(check);
      check();
    });
  }
}
