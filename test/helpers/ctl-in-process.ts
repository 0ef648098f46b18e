/**
 * The command line inside the test's process: what a process would be to it is given, and what it
 * would have written is collected. A run costs a millisecond where a process costs two hundred.
 */

import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { nodeFiles } from '../../src/cli/ctl-io.js';
import { snapshotsOf } from '../../src/cli/snapshots.js';
import { stageFile } from '../../src/cli/staged-file.js';
import { makeNodeClock } from '../../src/common/node/index.js';
import type { CtlIo } from '../../src/ctl/command/index.js';
import { isCommandLine, runCtl } from '../../src/ctl/index.js';
import type { EtcdctlRunner } from './etcdctl.js';
import { exec, type Finished } from './exec.js';

/** What is given to a run; everything has a default. */
export interface CtlRunOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Somebody sits in front of all three. */
  readonly onTerminal?: boolean;
  /** What is typed when a secret is asked for, one after the other. */
  readonly secrets?: readonly string[];
  /** `etcdctl` if not given. */
  readonly program?: string;
  readonly interrupted?: AbortSignal;
  /** What else is different. */
  readonly io?: Partial<CtlIo>;
}

/** What a {@link CtlIo} was told. */
export interface Collected {
  readonly io: CtlIo;
  stdout(): Buffer;
  stderr(): string;
}

/** A process that is none. */
export function collectingIo(options: CtlRunOptions = {}): Collected {
  const out: Buffer[] = [];
  let err = '';
  const secrets = [...(options.secrets ?? [])];
  const { onTerminal = false } = options;
  const io: CtlIo = {
    clock: makeNodeClock({ keepsAlive: true }),
    env: options.env ?? {},
    terminal: { out: onTerminal, err: onTerminal, in: onTerminal, columns: 80 },
    stdout: (data) => void out.push(Buffer.from(data)),
    stderr: (text) => {
      err += text;
    },
    stdin: inputOf(options.stdin ?? ''),
    askSecret: (prompt) => {
      err += prompt;
      const secret = secrets.shift();
      if (secret === undefined) return Promise.reject(new Error(`nobody answers ${prompt}`));
      return Promise.resolve(secret);
    },
    readFile: (path) => readFile(path),
    files: nodeFiles,
    snapshots: snapshotsOf({
      clock: makeNodeClock({ keepsAlive: true }),
      stdout: (text) => void out.push(Buffer.from(text)),
      stderr: (text) => {
        err += text;
      },
      readFile: (path) => readFileSync(path),
      openAppend: () => 2,
      absolute: (path) => resolve(path),
    }),
    execute: async ([program = '', ...args], added) => {
      try {
        const env = { ...options.env, ...added } as Readonly<Record<string, string>>;
        const done = await exec(program, args, { env });
        await io.stdout(done.stdout);
        io.stderr(done.stderr);
        return { status: done.code, problem: done.code === 0 ? '' : `exit status ${done.code}` };
      } catch {
        const problem = `exec: ${JSON.stringify(program)}: executable file not found in $PATH`;
        return { status: 255, problem };
      }
    },
    stageFile,
    interrupted: options.interrupted ?? new AbortController().signal,
    ...options.io,
  };
  return { io, stdout: () => Buffer.concat(out), stderr: () => err };
}

async function* inputOf(text: string): AsyncGenerator<Uint8Array> {
  if (text !== '') yield Buffer.from(text);
}

/** Runs a line to its end. */
export async function runCtlHere(
  words: readonly string[],
  options: CtlRunOptions = {},
): Promise<Finished> {
  const { io, stdout, stderr } = collectingIo(options);
  const code = await runCtl(words, io, options.program ?? 'etcdctl');
  return { code, stdout: stdout(), stderr: stderr() };
}

/**
 * As {@link inProcess}; what is no command of ours is run by `etcdctl`, so that a script may have
 * steps between those that are looked at.
 */
export function inProcessOr(etcdctl: string): EtcdctlRunner {
  const here = inProcess();
  return (words, options) => {
    const [word] = words.filter(
      (one, at) => !one.startsWith('-') && words[at - 1] !== '--endpoints',
    );
    return word === undefined || isCommandLine([word])
      ? here(words, options)
      : exec(etcdctl, words, options);
  };
}

/** For a session (etcdctl.ts): what is called `program` is run here, as a process would be. */
export function inProcess(program = 'etcdctl'): EtcdctlRunner {
  return async (words, { stdin, holdStdin, stdinAfter, until, endWhen, onOutput, env }) => {
    const stop = new AbortController();
    const input = new Input(stdin ?? '', holdStdin !== true);
    const { io, stdout, stderr } = collectingIo({
      ...(env === undefined ? {} : { env }),
      interrupted: stop.signal,
      io: { stdin: input },
    });
    let more = stdinAfter;
    const check = (): void => {
      const out = stdout().toString('utf8');
      if (more?.pattern.test(out) === true) {
        input.add(more.text);
        more = undefined;
      }
      onOutput?.(out);
      if (until?.(out, stderr()) === true) stop.abort();
    };
    endWhen?.then(
      () => stop.abort(),
      () => stop.abort(),
    );
    const watched: CtlIo = {
      ...io,
      stdout: async (data) => {
        await io.stdout(data);
        check();
      },
      stderr: (text) => {
        io.stderr(text);
        check();
      },
      // What a program prints may be what is waited for, too.
      execute: async (program, added) => {
        const end = await io.execute(program, added);
        check();
        return end;
      },
    };
    const code = await runCtl(words, watched, program);
    return { code, stdout: stdout(), stderr: stderr() };
  };
}

/** A stdin to which more may come. */
class Input implements AsyncIterable<Uint8Array> {
  #waiting: string;
  readonly #ends: boolean;
  #wake: (() => void) | undefined;

  constructor(text: string, ends: boolean) {
    this.#waiting = text;
    this.#ends = ends;
  }

  add(text: string): void {
    this.#waiting += text;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.#waiting !== '') {
        const text = this.#waiting;
        this.#waiting = '';
        yield Buffer.from(text);
      } else if (this.#ends) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
