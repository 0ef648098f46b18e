/** A program that says what happened line by line, and goes on when it is told to. */

import { spawn } from 'node:child_process';
import { cleanEnvironment } from '../../helpers/server.js';

export interface Child {
  /** The next line that matches; those before it are skipped. Rejects if the program ends first. */
  line(pattern: RegExp): Promise<string>;
  /** Whether a line that matches has come and was not yet asked for. */
  said(pattern: RegExp): boolean;
  write(text: string): void;
  /** SIGINT, as by Ctrl-C; resolves when it has ended. */
  interrupt(): Promise<number>;
  kill(): Promise<number>;
  /** Its exit code; -1 if it was killed. */
  readonly exited: Promise<number>;
}

interface Waiter {
  readonly pattern: RegExp;
  readonly resolve: (line: string) => void;
  readonly reject: (error: Error) => void;
}

const running = new Set<() => void>();
process.once('exit', () => {
  for (const kill of running) kill();
});

export function startChild(command: string, args: readonly string[]): Child {
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: cleanEnvironment(),
  });
  const kill = (): void => void child.kill('SIGKILL');
  running.add(kill);
  let lines: string[] = [];
  let rest = '';
  let stderr = '';
  let over = false;
  let waiter: Waiter | undefined;
  const check = (): void => {
    if (waiter === undefined) return;
    const { pattern, resolve, reject } = waiter;
    const at = lines.findIndex((line) => pattern.test(line));
    const found = lines[at];
    if (found !== undefined) {
      lines = lines.slice(at + 1);
      waiter = undefined;
      resolve(found);
    } else if (over) {
      waiter = undefined;
      reject(new Error(`${command} ended before ${pattern}: ${lines.join(' | ')} ${stderr}`));
    }
  };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
    check();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => undefined);
  const exited = new Promise<number>((resolve) => {
    const end = (code: number | null): void => {
      over = true;
      running.delete(kill);
      check();
      resolve(code ?? -1);
    };
    child.once('error', () => end(-1));
    child.once('close', end);
  });
  return {
    exited,
    line: (pattern) =>
      new Promise((resolve, reject) => {
        waiter = { pattern, resolve, reject };
        check();
      }),
    said: (pattern) => lines.some((line) => pattern.test(line)),
    write: (text) => void child.stdin.write(text),
    interrupt: () => {
      child.kill('SIGINT');
      return exited;
    },
    kill: () => {
      kill();
      return exited;
    },
  };
}
