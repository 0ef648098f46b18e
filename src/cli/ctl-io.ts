/** The process, as the commands that talk to a cluster see it. */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface, emitKeypressEvents } from 'node:readline';
import { Writable } from 'node:stream';
import type { Clock } from '../common/index.js';
import type { CtlIo } from '../ctl/index.js';

/** Listens to signals from now on: the first aborts, the second ends the process. */
export function ctlIo(env: CtlIo['env'], clock: Clock): CtlIo {
  const { stdin, stdout, stderr } = process;
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => interrupted.abort(signal));
  }
  return {
    clock,
    env,
    terminal: {
      out: stdout.isTTY === true,
      in: stdin.isTTY === true,
      columns: stdout.columns ?? 80,
    },
    stdout: (data) => {
      if (stdout.write(data)) return;
      return new Promise<void>((resolve) => void stdout.once('drain', resolve));
    },
    stderr: (text) => void stderr.write(text),
    stdin,
    askSecret,
    readFile: (path) => readFile(path),
    async writeNew(path, data) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await writeFile(path, data, { flag: 'wx', mode: 0o600 });
    },
    ...(stdin.isTTY === true && stdout.isTTY === true ? { keys: terminalKeys } : {}),
    interrupted: interrupted.signal,
  };
}

/** What readline tells of a key. */
interface Key {
  readonly name?: string;
  readonly ctrl?: boolean;
  readonly sequence?: string;
}

const terminalKeys: NonNullable<CtlIo['keys']> = {
  size: () => ({ columns: process.stdout.columns ?? 80, rows: process.stdout.rows ?? 24 }),
  read(pressed) {
    const { stdin } = process;
    const onKey = (text: string | undefined, { name, ctrl, sequence }: Key): void => {
      if (ctrl === true) pressed(`ctrl-${name ?? ''}`);
      else pressed(name ?? text ?? sequence ?? '');
    };
    emitKeypressEvents(stdin);
    stdin.setRawMode(true);
    stdin.on('keypress', onKey);
    stdin.resume();
    return {
      stop() {
        stdin.off('keypress', onKey);
        stdin.setRawMode(false);
        stdin.pause();
      },
    };
  },
};

/** A line from stdin; what is typed on a terminal is not shown. */
async function askSecret(prompt: string): Promise<string> {
  process.stderr.write(prompt);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = process.stdin.isTTY === true;
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal });
  try {
    return await new Promise<string>((resolve) => {
      lines.once('line', resolve);
      lines.once('close', () => resolve(''));
    });
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}
