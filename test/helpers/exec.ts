/** Runs a command to its end and collects what it wrote. */

import { spawn } from 'node:child_process';
import { cleanEnvironment } from './server.js';

/** What a finished command left behind. */
export interface Finished {
  /** Exit code, or -1 if it was ended by a signal. */
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** How to run a command. */
export interface ExecOptions {
  readonly stdin?: string;
  /** Written to stdin once the pattern is found in the output. */
  readonly stdinAfter?: { readonly pattern: RegExp; readonly text: string };
  /** Leaves stdin open after `stdin` was written, for commands that end at its end. */
  readonly holdStdin?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The command is killed after this long, which only ends what hangs; 90 s if not given. */
  readonly timeoutMs?: number;
  /** Asked after each piece of output; true ends the command with SIGINT (for watch and lock). */
  readonly until?: (stdout: string, stderr: string) => boolean;
  /** Told all of the output so far after each piece of it. */
  readonly onOutput?: (stdout: string) => void;
  /** Ends the command in the same way when fulfilled. */
  readonly endWhen?: Promise<unknown>;
  /** Sent when `until` holds; SIGINT if not given. */
  readonly untilSignal?: NodeJS.Signals;
}

/** Runs a command; rejects only if it cannot be started or outlives its time. */
export function exec(
  command: string,
  args: readonly string[],
  options: ExecOptions = {},
): Promise<Finished> {
  const timeoutMs = options.timeoutMs ?? 90_000;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...cleanEnvironment(), ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const stdout: Buffer[] = [];
    let stderr = '';
    let ended = false;
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      const seen = `stdout:\n${Buffer.concat(stdout)}\nstderr:\n${stderr}`;
      reject(new Error(`${command} ${args.join(' ')} took over ${timeoutMs} ms; ${seen}`));
    }, timeoutMs);
    const end = () => {
      if (ended) return;
      ended = true;
      child.kill(options.untilSignal ?? 'SIGINT');
    };
    let more = options.stdinAfter;
    const check = () => {
      const out = Buffer.concat(stdout).toString('utf8');
      if (more?.pattern.test(out)) {
        child.stdin.write(more.text);
        more = undefined;
      }
      options.onOutput?.(out);
      if (options.until?.(out, stderr)) end();
    };
    options.endWhen?.then(end, end);
    child.stdout.on('data', (chunk: Buffer) => {
      stdout.push(chunk);
      check();
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
      check();
    });
    child.stdin.on('error', () => undefined); // the command may end without reading its input
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('exit', () => child.stdin.destroy());
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? -1, stdout: Buffer.concat(stdout), stderr });
    });
    child.stdin.write(options.stdin ?? '');
    if (options.holdStdin !== true) child.stdin.end();
  });
}
