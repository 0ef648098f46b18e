/** The process, as the commands that talk to a cluster see it. */

import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface, emitKeypressEvents } from 'node:readline';
import { Writable } from 'node:stream';
import type { Clock } from '../common/index.js';
import type { CtlFiles, CtlIo, CtlMachine, CtlSnapshots } from '../ctl/index.js';
import { heldOutput } from './held-output.js';
import { execute } from './programs.js';
import { stageFile } from './staged-file.js';

/**
 * Listens to signals once a command asks for them: then the first aborts, and the second ends the
 * process. Until then the first does.
 */
export function ctlIo(
  env: CtlIo['env'],
  clock: Clock,
  snapshots: CtlSnapshots,
  machine: CtlMachine,
): CtlIo {
  const { stdin, stdout, stderr } = process;
  const lines = linesOf(stdin);
  const askLine = async (prompt: string): Promise<string> => {
    stderr.write(prompt);
    const { value } = await lines.next();
    return value ?? '';
  };
  let interrupted: AbortController | undefined;
  let isUnread = false;
  return {
    clock,
    env,
    machine,
    terminal: {
      out: stdout.isTTY === true,
      err: stderr.isTTY === true,
      in: stdin.isTTY === true,
      // A terminal that does not know its width says 0.
      columns: stdout.columns || stderr.columns || 80,
    },
    stdout: heldOutput(stdout, () => {
      isUnread = true;
      interrupted?.abort('EPIPE');
    }),
    stderr: (text) => void stderr.write(text),
    stdin,
    askSecret: stdin.isTTY === true ? askHidden : askLine,
    readFile: (path) => readFile(path),
    fetchText,
    stageFile,
    execute: (words, added) => execute(words, { ...env, ...added }),
    files: nodeFiles,
    snapshots,
    async writeNew(path, data) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await writeFile(path, data, { flag: 'wx', mode: 0o600 });
    },
    ...(stdin.isTTY === true && stdout.isTTY === true ? { keys: terminalKeys } : {}),
    get interrupted() {
      interrupted ??= listening();
      if (isUnread) interrupted.abort('EPIPE');
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

/** What comes from where nobody types: the lines of all questions, one after the other. */
async function* linesOf(stdin: AsyncIterable<Uint8Array>): AsyncGenerator<string, undefined, void> {
  let text = '';
  for await (const chunk of stdin) {
    text += Buffer.from(chunk).toString('utf8');
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
  if (text !== '') yield text;
  return undefined;
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

/** A line from the terminal; what is typed is not shown. */
async function askHidden(prompt: string): Promise<string> {
  process.stderr.write(prompt);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
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

/** The user's files. */
export const nodeFiles: CtlFiles = {
  async create(path) {
    const file = await open(path, 'w', 0o600);
    return {
      // Not `write`, which may write less.
      write: async (bytes) => file.writeFile(bytes),
      sync: () => file.sync(),
      close: () => file.close(),
    };
  },
  rename,
  remove: (path) => rm(path, { force: true }),
  async makeFolder(path) {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },
};
