/** A fresh clone of this checkout, and an npm that asks nobody. */

import { copyFileSync, cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { exec } from '../helpers/exec.js';
import { repoRoot } from '../helpers/tools.js';

/**
 * Copies what a clone has, nothing built, to `clone`; what is installed is lent to it. `generated`:
 * the code from the .proto files as well, which takes longest to make.
 */
export function makeClone(clone: string, generated = false): void {
  const absent = new Set(['.git', '.stamp', 'coverage', 'dist', 'node_modules']);
  cpSync(repoRoot, clone, {
    recursive: true,
    filter: (path) => {
      const [first = '', ...rest] = relative(repoRoot, path).split('/');
      const last = rest.at(-1);
      return !absent.has(first) && last !== 'node_modules' && (generated || last !== 'generated');
    },
  });
  lendPackages(join(repoRoot, 'node_modules'), join(clone, 'node_modules'));
}

/** A folder of links: whoever empties it (`npm ci` does) leaves ours as it is. */
function lendPackages(from: string, to: string): void {
  mkdirSync(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [path, copy] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isFile()) copyFileSync(path, copy);
    else symlinkSync(path, copy);
  }
}

/** How to run npm. */
export interface NpmOptions {
  readonly cwd: string;
  /** A folder of the test's own: a home that cannot be written is none of our business. */
  readonly cache: string;
  readonly timeoutMs: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs npm without asking any registry. */
export function npmOffline(args: readonly string[], options: NpmOptions) {
  const { cwd, cache, timeoutMs } = options;
  const script = process.env.npm_execpath;
  const [program, first] = script?.endsWith('.js') ? [process.execPath, [script]] : ['npm', []];
  const env = { npm_config_offline: 'true', npm_config_cache: cache, ...options.env };
  return exec(program, [...first, ...args], { cwd, env, timeoutMs });
}
