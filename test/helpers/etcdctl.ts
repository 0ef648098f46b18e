/**
 * Runs etcdctl against a server and writes down what it did as a masked transcript: the command,
 * its standard output, its standard error and its exit code.
 */

import { type ExecOptions, exec, type Finished } from './exec.js';
import { type KnownValues, maskKnown, maskOutput } from './mask.js';
import type { ServerProcess } from './server.js';
import { toolPath } from './tools.js';

/** Nothing is answered otherwise because the machine is busy: etcdctl waits 2 and 5 s by itself. */
const patience = ['--dial-timeout=20s', '--command-timeout=60s'];

/** Runs etcdctl, or what is to be like it, with these arguments. */
export type EtcdctlRunner = (args: readonly string[], options: ExecOptions) => Promise<Finished>;

/** One etcdctl command of a script. */
export interface EtcdctlStep {
  /** Arguments; `<name>` stands for a value captured earlier. */
  readonly args: readonly string[];
  readonly stdin?: string;
  readonly stdinAfter?: { readonly pattern: RegExp; readonly text: string };
  readonly holdStdin?: boolean;
  /** SIGINT is sent as soon as this pattern is found in the output. */
  readonly until?: RegExp;
  /** Remembers group 1 of the pattern, found in the output, as `<name>`. */
  readonly capture?: { readonly name: string; readonly from: RegExp };
  /** Turns binary output into text. */
  readonly decode?: (stdout: Buffer) => string;
  /** Sorts the lines of the output: for what has no order. */
  readonly unordered?: boolean;
}

/** A server as seen through etcdctl, with the values to mask in what is seen. */
export class EtcdctlSession {
  readonly server: ServerProcess;
  /** The etcdctl that is used. */
  readonly program: string | EtcdctlRunner;
  readonly known: KnownValues = new Map();
  readonly #captured = new Map<string, string>();

  private constructor(server: ServerProcess, program: string | EtcdctlRunner) {
    this.server = server;
    this.program = program;
    this.known.set(server.endpoint, '<endpoint>');
    this.known.set(server.peerUrl, '<peer url>');
  }

  /** Asks the server for its ids, so that they can be masked. */
  static async open(
    server: ServerProcess,
    program: string | EtcdctlRunner = toolPath('etcdctl'),
  ): Promise<EtcdctlSession> {
    const session = new EtcdctlSession(server, program);
    const status = await session.exec(['endpoint', 'status', '-w', 'json']);
    // Read as text: the ids do not fit into a number of JavaScript.
    const text = status.stdout.toString('utf8');
    for (const [field, name] of [
      ['cluster_id', '<cluster>'],
      ['member_id', '<member>'],
    ] as const) {
      const id = new RegExp(`"${field}":(\\d+)`).exec(text)?.[1];
      if (id === undefined) throw new Error(`no ${field} in ${text}${status.stderr}`);
      session.#know(BigInt(id), name);
    }
    return session;
  }

  /**
   * Makes a value known before any output shows it: `<name>` stands for it in arguments, and for
   * it in outputs, unless these have a name for it already. A bigint is an id.
   */
  introduce(name: string, value: bigint | string): void {
    const text = typeof value === 'string' ? value : value.toString(16);
    this.#captured.set(name, text);
    if (this.known.has(text)) return;
    if (typeof value === 'string') this.known.set(value, `<${name}>`);
    else this.#know(value, `<${name}>`);
  }

  /** Runs one command as it is, against the session's server unless it names others. */
  exec(args: readonly string[], options: ExecOptions = {}): Promise<Finished> {
    const at = args.includes('--endpoints') ? [] : ['--endpoints', this.server.endpoint];
    const line = [...patience, ...at, ...this.#tls(), ...args];
    const { program } = this;
    return typeof program === 'string' ? exec(program, line, options) : program(line, options);
  }

  /** Runs one step and returns its masked transcript. */
  async run(step: EtcdctlStep): Promise<string> {
    const { until } = step;
    const args = step.args.map((arg) => this.fill(arg));
    const done = await this.exec(args, {
      ...(step.stdin === undefined ? {} : { stdin: this.fill(step.stdin) }),
      ...(step.stdinAfter === undefined ? {} : { stdinAfter: step.stdinAfter }),
      ...(step.holdStdin === undefined ? {} : { holdStdin: step.holdStdin }),
      ...(until === undefined ? {} : { until: (out, err) => until.test(out + err) }),
    });
    return this.transcript(step, done);
  }

  /** What a finished step printed, masked. */
  transcript(step: EtcdctlStep, done: Finished): string {
    const text = step.decode?.(done.stdout) ?? done.stdout.toString('utf8');
    if (step.capture !== undefined) this.#capture(text, step.capture.name, step.capture.from);
    const sorted = (lines: string): string =>
      step.unordered === true ? lines.split('\n').sort().join('\n') : lines;
    const stdout = sorted(maskOutput(text, this.known));
    const stderr = sorted(maskOutput(done.stderr, this.known));
    const command = maskKnown(`$ etcdctl ${step.args.join(' ')}`, this.known);
    return `${command}\n${stdout}\n--- stderr\n${stderr}\n--- exit ${done.code}`;
  }

  /** Before the arguments of a step, which may name other files. */
  #tls(): readonly string[] {
    const { clientTls } = this.server;
    if (clientTls === undefined) return [];
    const { ca, cert, key } = clientTls;
    return ['--cacert', ca, '--cert', cert, '--key', key];
  }

  /** Replaces `<name>` by the value captured under it. */
  fill(text: string): string {
    return text.replace(/<([a-z0-9]+)>/g, (whole, name: string) => {
      return this.#captured.get(name) ?? whole;
    });
  }

  /** What `<name>` stands for; undefined if nothing was captured. */
  captured(name: string): string | undefined {
    return this.#captured.get(name);
  }

  #capture(text: string, name: string, from: RegExp): void {
    const value = from.exec(text)?.[1];
    if (value === undefined) return; // the transcripts will differ, and show why
    this.#captured.set(name, value);
    // Only ids are masked; a captured revision must still be seen to be equal.
    if (/^\d{17,}$/.test(value)) this.#know(BigInt(value), `<${name}>`);
    else if (/^[0-9a-f]{8,16}$/.test(value)) this.#know(BigInt(`0x${value}`), `<${name}>`);
  }

  /** Masks an id in the three forms in which it is printed. */
  #know(id: bigint, name: string): void {
    this.known.set(id.toString(10), name);
    this.known.set(id.toString(16), name);
    this.known.set(id.toString(16).padStart(16, '0'), name);
  }
}
