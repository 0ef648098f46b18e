/**
 * Loads the program from its files (scripts/bundle.mjs), which are scripts and not modules: only of
 * those V8 gives out compiled code after they have run, with all functions that were used.
 */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Script } from 'node:vm';
import { crc32 } from 'node:zlib';
import { readCode, writeCode } from './code-cache.js';

/** A part of the program that was loaded. */
interface Part {
  /** Checksum of its file. */
  readonly sum: number;
  readonly script: Script;
  /** It runs on code that was kept. */
  readonly isKept: boolean;
  readonly exports: Record<string, unknown>;
}

type Wrapped = (
  exports: Record<string, unknown>,
  require: (name: string) => unknown,
  module: { exports: Record<string, unknown> },
  filename: string,
  directory: string,
) => void;

/** The parts of a program, each loaded when it is first asked for. */
export class Program {
  readonly #dir: string;
  readonly #cacheDir: string;
  readonly #require: NodeJS.Require;
  readonly #parts = new Map<string, Part>();

  /** Its files are in `dir`; compiled code is kept in `cacheDir`, if that can be written. */
  constructor(dir: string, cacheDir: string) {
    this.#dir = dir;
    this.#cacheDir = cacheDir;
    this.#require = createRequire(join(dir, 'program.cjs'));
  }

  /** What the file exports. Throws what it throws. */
  load(name: string): Record<string, unknown> {
    const found = this.#parts.get(name);
    if (found !== undefined) return found.exports;
    const path = join(this.#dir, name);
    const bytes = readFileSync(path);
    const sum = crc32(bytes);
    const kept = readCode(this.#cachePath(name), sum);
    // ASCII, so that each character is a byte in memory, too.
    const text = bytes.toString('latin1');
    const script = new Script(
      `(function (exports, require, module, __filename, __dirname) {${text}\n})`,
      {
        filename: pathToFileURL(path).href,
        cachedData: kept,
      },
    );
    const isKept = kept !== undefined && script.cachedDataRejected !== true;
    const module = { exports: {} };
    const part: Part = { sum, script, isKept, exports: module.exports };
    this.#parts.set(name, part);
    const run = script.runInThisContext() as Wrapped;
    run(module.exports, (wanted) => this.#wanted(wanted), module, path, dirname(path));
    return module.exports;
  }

  /** All that is loaded runs on code that an earlier start has kept. */
  get isKept(): boolean {
    return [...this.#parts.values()].every((part) => part.isKept);
  }

  /**
   * Keeps the code of all that is loaded for the next start, unless it came from there. Takes some
   * 20 ms if it does something. False: it can't be written.
   */
  keepCode(): boolean {
    let isWritten = true;
    for (const [name, { isKept, script, sum }] of this.#parts) {
      if (isKept) continue;
      isWritten = writeCode(this.#cachePath(name), sum, script.createCachedData()) && isWritten;
    }
    return isWritten;
  }

  #wanted(name: string): unknown {
    return name.startsWith('./') ? this.load(basename(name)) : this.#require(name);
  }

  /** Other versions of Node may use the same program, in turn. */
  #cachePath(name: string): string {
    const { arch, version } = process;
    return join(this.#cacheDir, `${name}.${version}-${arch}`);
  }
}
