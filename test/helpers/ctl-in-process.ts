/**
 * Runs a command of the command line in this process, as `exec` runs etcdctl: a comparison of some
 * hundred commands would be minutes of starting Node otherwise.
 */

import { type CtlIo, runCtl } from '../../src/ctl/index.js';
import { nodeClock } from '../../src/server/index.js';
import { type ExecOptions, exec, type Finished } from './exec.js';

/** Ours ends so where SIGINT ends etcdctl: a shell says 130 of both. */
const interruptedStatus = 130;

/** What the process would be to the command. */
class FakeProcess {
  readonly out: Buffer[] = [];
  err = '';
  readonly interrupted = new AbortController();
  readonly #options: ExecOptions;
  #more: ExecOptions['stdinAfter'];
  #afterText: ((text: string) => void) | undefined;

  constructor(options: ExecOptions) {
    this.#options = options;
    this.#more = options.stdinAfter;
    const end = (): void => this.interrupted.abort();
    options.endWhen?.then(end, end);
  }

  get io(): CtlIo {
    return {
      clock: nodeClock,
      env: { ...this.#options.env },
      terminal: { out: false, in: false, columns: 80 },
      stdout: (data) => {
        this.out.push(Buffer.from(data as string));
        this.#look();
      },
      stderr: (text) => {
        this.err += text;
        this.#look();
      },
      stdin: this.#stdin(),
      askSecret: async () => {
        throw new Error('nobody is there to be asked');
      },
      readFile: async (path) => {
        throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
      },
      execute: (words, env) => this.#execute(words, env),
      fetchText: async (url) => await (await fetch(url)).text(),
      interrupted: this.interrupted.signal,
    };
  }

  #look(): void {
    const out = Buffer.concat(this.out).toString('utf8');
    if (this.#more?.pattern.test(out) === true) {
      this.#afterText?.(this.#more.text);
      this.#more = undefined;
    }
    this.#options.onOutput?.(out);
    if (this.#options.until?.(out, this.err) === true) this.interrupted.abort();
  }

  async *#stdin(): AsyncGenerator<Uint8Array, void, void> {
    const { stdin = '', stdinAfter, holdStdin } = this.#options;
    const more = new Promise<string>((resolve) => {
      this.#afterText = resolve;
    });
    if (stdin !== '') yield Buffer.from(stdin);
    if (stdinAfter !== undefined) yield Buffer.from(await more);
    if (holdStdin === true) await new Promise<never>(() => {});
  }

  async #execute([program = '', ...args]: readonly string[], env: CtlIo['env']) {
    try {
      const done = await exec(program, args, { env: env as Readonly<Record<string, string>> });
      this.out.push(done.stdout);
      this.err += done.stderr;
      this.#look();
      if (done.code === 0) return { status: 0, problem: '' };
      return { status: done.code, problem: `exit status ${done.code}` };
    } catch {
      const problem = `exec: ${JSON.stringify(program)}: executable file not found in $PATH`;
      return { status: 255, problem };
    }
  }
}

/** Runs `args` as `program`; what it leaves behind. Rejects for one that outlives its time. */
export async function runInProcess(
  program: string,
  args: readonly string[],
  options: ExecOptions = {},
): Promise<Finished> {
  const fake = new FakeProcess(options);
  const timeoutMs = options.timeoutMs ?? 90_000;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${args.join(' ')} took over ${timeoutMs} ms; ${Buffer.concat(fake.out)}`));
    }, timeoutMs);
  });
  try {
    const status = await Promise.race([runCtl(args, fake.io, program), late]);
    const code = status === interruptedStatus ? -1 : status;
    return { code, stdout: Buffer.concat(fake.out), stderr: fake.err };
  } finally {
    clearTimeout(timer);
  }
}
