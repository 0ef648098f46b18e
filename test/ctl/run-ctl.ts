/** A command line run inside of this process: what it printed, and how it ended. */

import { readFile } from 'node:fs/promises';
import type { TerminalKeys } from '../../src/ctl/command/index.js';
import { type CtlIo, runCtl } from '../../src/ctl/index.js';
import { nodeClock } from '../../src/server/index.js';

/** What it came to. */
export interface CtlRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CtlSetup {
  /** Somebody looks, at so many columns. */
  readonly columns?: number;
  readonly keys?: TerminalKeys;
  readonly interrupted?: AbortSignal;
  readonly env?: Readonly<Record<string, string>>;
  readonly writeNew?: (path: string, data: Uint8Array) => Promise<void>;
  readonly onStdout?: (text: string) => void;
}

/** Runs `words` to their end. */
export async function ctl(words: readonly string[], setup: CtlSetup = {}): Promise<CtlRun> {
  const { columns, keys, env = {}, onStdout } = setup;
  let stdout = '';
  let stderr = '';
  const io: CtlIo = {
    clock: nodeClock,
    env,
    terminal: { out: columns !== undefined, in: columns !== undefined, columns: columns ?? 80 },
    stdout(data) {
      const text = Buffer.from(data).toString('utf8');
      stdout += text;
      onStdout?.(text);
    },
    stderr(text) {
      stderr += text;
    },
    stdin: nothing(),
    askSecret: async () => '',
    readFile: (path) => readFile(path),
    fetchText: () => Promise.reject(new Error('nothing is fetched here')),
    execute: () => Promise.reject(new Error('nothing is run here')),
    ...(keys === undefined ? {} : { keys }),
    ...(setup.writeNew === undefined ? {} : { writeNew: setup.writeNew }),
    interrupted: setup.interrupted ?? new AbortController().signal,
  };
  const code = await runCtl(words, io, 'kvorum');
  return { code, stdout, stderr };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
