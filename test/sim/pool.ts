/** Runs seeds in worker processes. */

import { type ChildProcess, fork } from 'node:child_process';
import type { RunOptions } from './run.js';
import type { PlainResult } from './worker.js';

interface Job {
  readonly options: RunOptions;
  readonly resolve: (result: PlainResult) => void;
}

type Answer = { readonly result: PlainResult } | { readonly broken: number; readonly text: string };

/** A run that takes longer than this hangs. */
const runMsMax = 120_000;

export class Pool {
  readonly #script: string;
  readonly #queue: Job[] = [];
  readonly #workers = new Set<ChildProcess>();
  readonly #size: number;
  #stopped = false;

  /** `script`: a main.js that serves when it is started with `--worker`. */
  constructor(script: string, size: number) {
    this.#script = script;
    this.#size = size;
  }

  run(options: RunOptions): Promise<PlainResult> {
    return new Promise((resolve) => {
      this.#queue.push({ options, resolve });
      if (this.#workers.size < this.#size) this.#hire();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#queue.length = 0;
    for (const worker of this.#workers) worker.kill('SIGKILL');
  }

  #hire(): void {
    const worker = fork(this.#script, ['--worker'], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#workers.add(worker);
    let job: Job | undefined;
    let timer: NodeJS.Timeout | undefined;
    const next = (): void => {
      clearTimeout(timer);
      job = this.#queue.shift();
      if (job === undefined) {
        worker.disconnect();
        this.#workers.delete(worker);
        return;
      }
      worker.send(job.options);
      timer = setTimeout(() => worker.kill('SIGKILL'), runMsMax);
    };
    worker.on('message', (answer: Answer) => {
      if (job === undefined) return;
      const done = job;
      if ('result' in answer) {
        done.resolve(answer.result);
        next();
        return;
      }
      job = undefined;
      done.resolve(broken(done.options, answer.text));
    });
    worker.on('exit', (code, signal) => {
      clearTimeout(timer);
      const wasKnown = this.#workers.delete(worker);
      job?.resolve(broken(job.options, `the worker ended: ${signal ?? code}`));
      if (wasKnown && !this.#stopped && this.#queue.length > 0) this.#hire();
    });
    next();
  }
}

function broken({ seed, size }: RunOptions, text: string): PlainResult {
  return {
    seed,
    size: size ?? 0,
    digest: '',
    violations: [{ rule: 'program', what: text, atMs: undefined }],
    schedule: [],
    faults: [],
    checks: [],
    counts: {},
    simulatedMs: 0,
    lines: [],
  };
}
