/**
 * This machine under changes that nobody else sees: its files below a layer in memory, in a mount
 * namespace that ends with the process that holds it. For root on Linux only.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { exec, type Finished } from '../helpers/exec.js';

const script = `
  mount -t tmpfs tmpfs "$1"
  mkdir "$1/upper" "$1/work" "$1/machine"
  mount -t overlay overlay -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" "$1/machine"
  for dir in proc sys dev; do mount --rbind "/$dir" "$1/machine/$dir"; done
  mount -t tmpfs tmpfs "$1/machine/tmp"
  mount -t tmpfs tmpfs "$1/machine/run"
  echo ready
  exec sleep 3600
`;

/** A copy of the machine. */
export class Overlay {
  readonly #dir: string;
  readonly #holder: ChildProcess;

  constructor(dir: string, holder: ChildProcess) {
    this.#dir = dir;
    this.#holder = holder;
  }

  static async create(): Promise<Overlay> {
    const dir = mkdtempSync(join(tmpdir(), 'kvorum-overlay-'));
    const holder = spawn('unshare', ['--mount', 'sh', '-ec', script, 'sh', dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    process.once('exit', () => holder.kill('SIGKILL'));
    await new Promise<void>((resolve, reject) => {
      holder.stdout?.once('data', () => resolve());
      holder.once('error', reject);
      holder.once('exit', (code) => reject(new Error(`unshare ended with ${code}`)));
    });
    return new Overlay(dir, holder);
  }

  /** The command that runs `args` in it. */
  command(...args: readonly string[]): readonly [string, string[]] {
    const enter = ['--target', String(this.#holder.pid), '--mount'];
    return ['nsenter', [...enter, 'chroot', join(this.#dir, 'machine'), ...args]];
  }

  run(...args: readonly string[]): Promise<Finished> {
    return exec(...this.command(...args), { env: { DEBIAN_FRONTEND: 'noninteractive' } });
  }

  /** Copies a file into its /tmp; returns the path there. */
  async add(file: string): Promise<string> {
    const name = basename(file);
    const path = join(this.#dir, 'machine/tmp', name);
    const enter = ['--target', String(this.#holder.pid), '--mount'];
    const copied = await exec('nsenter', [...enter, 'cp', file, path]);
    if (copied.code !== 0) throw new Error(copied.stderr);
    return `/tmp/${name}`;
  }

  /** Nothing of it is left. What still runs in it has to be ended before. */
  remove(): void {
    this.#holder.kill('SIGKILL');
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
