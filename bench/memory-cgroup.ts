/** A limit to the memory of a process, its page cache included, by Linux's cgroups (v1 or v2). */

import { existsSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const removeTries = 50;
const removeIntervalMs = 20;

/** A group with a limit. Processes get into it by {@link enter}, and must end before `remove`. */
export class MemoryCgroup {
  readonly #dir: string;

  /** Throws Error with a text for people if this machine has no such groups for us. */
  constructor(limitMb: number) {
    const root = memoryRoot();
    const bytes = String(limitMb * 1024 * 1024);
    this.#dir = mkdtempSync(join(root.dir, 'kvorum-bench-'));
    try {
      writeFileSync(join(this.#dir, root.limitFile), bytes);
    } catch (error) {
      rmdirSync(this.#dir);
      throw error;
    }
    // Memory that is swapped out would be memory all the same; machines without swap have no file.
    const swap = join(this.#dir, root.swapFile);
    if (existsSync(swap)) writeFileSync(swap, root.swapValue(bytes));
  }

  /** The command line that runs `program` in the group, under its own process id. */
  enter(program: string, args: readonly string[]): readonly [string, readonly string[]] {
    const script = 'echo $$ > "$0" && exec "$@"';
    return ['/bin/sh', ['-c', script, join(this.#dir, 'cgroup.procs'), program, ...args]];
  }

  async remove(): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        rmdirSync(this.#dir);
        return;
      } catch (error) {
        // The kernel takes a moment to forget a process that has ended.
        if (tries === removeTries) throw error;
        await sleep(removeIntervalMs);
      }
    }
  }
}

/** Why there can be no {@link MemoryCgroup} here; undefined: there can. */
export async function memoryCgroupProblem(): Promise<string | undefined> {
  try {
    await new MemoryCgroup(64).remove();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

interface MemoryRoot {
  readonly dir: string;
  readonly limitFile: string;
  readonly swapFile: string;
  swapValue(limitBytes: string): string;
}

/** Where groups are made. */
function memoryRoot(): MemoryRoot {
  const mounts = existsSync('/proc/self/mounts') ? readFileSync('/proc/self/mounts', 'utf8') : '';
  for (const line of mounts.split('\n')) {
    const [, dir = '', type, options = ''] = line.split(' ');
    if (type === 'cgroup' && options.split(',').includes('memory')) {
      const files = { limitFile: 'memory.limit_in_bytes', swapFile: 'memory.memsw.limit_in_bytes' };
      return { dir, ...files, swapValue: (bytes) => bytes };
    }
    if (type === 'cgroup2' && controllersOf(dir, 'cgroup.controllers').includes('memory')) {
      if (!controllersOf(dir, 'cgroup.subtree_control').includes('memory')) {
        writeFileSync(join(dir, 'cgroup.subtree_control'), '+memory');
      }
      const files = { limitFile: 'memory.max', swapFile: 'memory.swap.max' };
      return { dir, ...files, swapValue: () => '0' };
    }
  }
  throw new Error('no cgroup with the memory controller is mounted');
}

function controllersOf(dir: string, file: string): string[] {
  return readFileSync(join(dir, file), 'utf8').trim().split(' ');
}
