/**
 * The command line inside the test's process: what a process would be to it is given, and what it
 * would have written is collected. A run costs a millisecond where a process costs two hundred.
 */

import { readFile } from 'node:fs/promises';
import { ctlIo } from '../../src/cli/ctl-io.js';
import type { CtlIo } from '../../src/ctl/command/index.js';
import { runCtl } from '../../src/ctl/index.js';
import { nodeClock } from '../../src/server/index.js';
import type { Finished } from './exec.js';
import { cleanEnvironment } from './server.js';

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
  const process = ctlIo(cleanEnvironment(), nodeClock);
  const io: CtlIo = {
    clock: nodeClock,
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
    execute: process.execute,
    stageFile: process.stageFile,
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
