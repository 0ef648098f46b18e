/**
 * Loads the program from its files (scripts/bundle.mjs), which are scripts and not modules: only of
 * those V8 gives out compiled code after they have run, with all functions that were used.
 */

import { basename, dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Script } from 'node:vm';
import { crc32 } from 'node:zlib';
import type { Place } from './place.js';

/** A part of the program that was loaded. */
interface Part {
  /** Checksum of its file. */
  readonly sum: number;
  readonly script: Script;
  /** It runs on code that was kept. */
  readonly isKept: boolean;
  readonly module: { readonly exports: Record<string, unknown> };
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
  readonly #place: Place;
  readonly #parts = new Map<string, Part>();

  constructor(place: Place) {
    this.#place = place;
  }

  /** What the file exports. Throws what it throws. */
  load(name: string): Record<string, unknown> {
    const found = this.#parts.get(name);
    if (found !== undefined) return found.module.exports;
    const path = this.#place.pathOf(name);
    const bytes = this.#place.read(name);
    const sum = crc32(bytes);
    const kept = this.#place.readCode(name, sum);
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
    const part: Part = { sum, script, isKept, module };
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
      isWritten = this.#place.writeCode(name, sum, script.createCachedData()) && isWritten;
    }
    return isWritten;
  }

  #wanted(name: string): unknown {
    return name.startsWith('./') ? this.load(basename(name)) : this.#place.require(name);
  }
}
