/** The process, as the commands that talk to a cluster see it. */

import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { Clock } from '../common/index.js';
import type { CtlIo } from '../ctl/index.js';
import { execute } from './programs.js';

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
    fetchText,
    execute: (words, added) => execute(words, { ...env, ...added }),
    get interrupted() {
      interrupted ??= listening();
      return interrupted.signal;
    },
  };
}

async function fetchText(url: string): Promise<string> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
  return await answer.text();
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
