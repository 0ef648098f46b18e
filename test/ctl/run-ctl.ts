/** A command line run inside of this process: what it printed, and how it ended. */

import type { TerminalKeys } from '../../src/ctl/command/index.js';
import { type CtlIo, runCtl } from '../../src/ctl/index.js';
import { collectingIo } from '../helpers/ctl-in-process.js';

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
  const { columns, keys, env = {}, onStdout, writeNew } = setup;
  const isTerminal = columns !== undefined;
  const collected = collectingIo({
    env,
    interrupted: setup.interrupted ?? new AbortController().signal,
    io: {
      terminal: { out: isTerminal, err: isTerminal, in: isTerminal, columns: columns ?? 80 },
      ...(keys === undefined ? {} : { keys }),
      ...(writeNew === undefined ? {} : { writeNew }),
    },
  });
  const io: CtlIo = {
    ...collected.io,
    async stdout(data) {
      await collected.io.stdout(data);
      onStdout?.(Buffer.from(data).toString('utf8'));
    },
  };
  const code = await runCtl(words, io, 'kvorum');
  return { code, stdout: collected.stdout().toString('utf8'), stderr: collected.stderr() };
}
