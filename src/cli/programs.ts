/** Programs that commands run for their users: for each event, or while a lock is held. */

import { spawn } from 'node:child_process';
import type { CtlIo, ProgramEnd } from '../ctl/index.js';

/** Runs a program to its end. */
export async function execute([program = '', ...args]: readonly string[], env: CtlIo['env']) {
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
