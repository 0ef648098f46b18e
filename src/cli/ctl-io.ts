/** The process, as the commands that talk to a cluster see it. */

import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface, emitKeypressEvents } from 'node:readline';
import { Writable } from 'node:stream';
import type { Clock } from '../common/index.js';
import type { CtlIo, ProgramEnd } from '../ctl/index.js';

/**
 * Listens to signals once a command asks for them: then the first aborts, and the second ends the
 * process. Until then the first does.
 */
export function ctlIo(env: CtlIo['env'], clock: Clock): CtlIo {
  const { stdin, stdout, stderr } = process;
  let interrupted: AbortController | undefined;
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
    fetchText,
    execute: (words, added) => execute(words, { ...env, ...added }),
    get interrupted() {
      interrupted ??= listening();
      return interrupted.signal;
    },
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

async function fetchText(url: string): Promise<string> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
  return await answer.text();
}

/** Runs a program to its end. */
async function execute([program = '', ...args]: readonly string[], env: CtlIo['env']) {
  const child = spawn(program, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
  return await new Promise<ProgramEnd>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      const missing = error.code === 'ENOENT' && !program.includes('/');
      const reason = missing ? 'executable file not found in $PATH' : error.message;
      resolve({ status: 255, problem: `exec: ${JSON.stringify(program)}: ${reason}` });
    });
    child.once('exit', (code, signal) => {
      if (code === 0) resolve({ status: 0, problem: '' });
      else if (code === null) resolve({ status: 255, problem: `signal: ${signalText(signal)}` });
      else resolve({ status: code, problem: `exit status ${code}` });
    });
  });
}

/** As Go names the usual ones. */
function signalText(signal: NodeJS.Signals | null): string {
  const known: Partial<Record<NodeJS.Signals, string>> = {
    ...{ SIGKILL: 'killed', SIGTERM: 'terminated', SIGINT: 'interrupt', SIGHUP: 'hangup' },
    ...{ SIGSEGV: 'segmentation fault', SIGABRT: 'aborted' },
  };
  return (signal === null ? undefined : known[signal]) ?? String(signal);
}

function listening(): AbortController {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => interrupted.abort(signal));
  }
  return interrupted;
}

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
