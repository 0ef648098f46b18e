/** One member of a local cluster: a process that can be killed, stopped, and started on its data. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** The program of members: this one. */
export interface Program {
  readonly file: string;
  readonly args: readonly string[];
}

export interface MemberProcessOptions {
  readonly program: Program;
  readonly flags: readonly string[];
  /** A descriptor that its log is written to. */
  readonly openLog: () => number;
  readonly closeLog: (descriptor: number) => void;
  /** Lines of the log as well; undefined: they go to the file only. */
  readonly onLine: ((line: string) => void) | undefined;
  readonly writeLog: (descriptor: number, text: string) => void;
  /** How it ended: a status or a signal; '' as long as it has not. */
  readonly onEnd: (how: string) => void;
}

/** See the head of this file. */
export class MemberProcess {
  readonly #options: MemberProcessOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #paused = false;

  constructor(options: MemberProcessOptions) {
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** Resolves when it does not run. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Does nothing if it runs. */
  start(): void {
    if (this.#child !== undefined) return;
    const { program, flags, openLog, closeLog, writeLog, onLine, onEnd } = this.#options;
    const log = openLog();
    // In a group of its own: Ctrl-C is ours to pass on.
    const child = spawn(program.file, [...program.args, ...flags], {
      detached: true,
      stdio: onLine === undefined ? ['ignore', log, log] : ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        writeLog(log, `${line}\n`);
        onLine?.(line);
      });
    }
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      const end = (how: string): void => {
        if (this.#child !== child) return;
        this.#child = undefined;
        this.#paused = false;
        closeLog(log);
        onEnd(how);
        resolve();
      };
      child.once('error', (error) => end(error.message));
      child.once('close', (code, signal) => end(signal ?? `status ${code ?? 0}`));
    });
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#ended;
  }

  /** SIGTERM, after which it ends by itself. */
  stop(): void {
    this.resume();
    this.#child?.kill('SIGTERM');
  }

  /** It keeps its memory and its sockets, and does nothing. */
  pause(): void {
    this.#child?.kill('SIGSTOP');
    this.#paused = this.#child !== undefined;
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
    this.#paused = false;
  }
}
