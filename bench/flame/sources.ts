/** From places in the bundle of a server to its TypeScript. */

import { existsSync, readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CallFrame } from './types.js';

/** Reads each source map once. */
export class Sources {
  readonly #maps = new Map<string, SourceMap | undefined>();
  readonly #root: string;

  /** `root`: the checkout that places are named from. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Makes the frame point to what was written, where that is known. */
  resolve(frame: CallFrame): void {
    if (!frame.url.startsWith('file:')) return;
    const entry = this.#mapOf(frame.url)?.findEntry(frame.lineNumber, frame.columnNumber);
    if (entry === undefined || !('originalSource' in entry)) return;
    frame.url = new URL(entry.originalSource, frame.url).href;
    frame.lineNumber = entry.originalLine;
    frame.columnNumber = entry.originalColumn;
  }

  /** `src/storage/wal.ts:12`; '' for what is not JavaScript. */
  placeOf(frame: CallFrame): string {
    if (frame.url === '') return '';
    const path = frame.url.startsWith('file:')
      ? relative(this.#root, fileURLToPath(frame.url))
      : frame.url;
    return `${path}:${frame.lineNumber + 1}`;
  }

  #mapOf(url: string): SourceMap | undefined {
    if (!this.#maps.has(url)) this.#maps.set(url, readMap(`${fileURLToPath(url)}.map`));
    return this.#maps.get(url);
  }
}

function readMap(path: string): SourceMap | undefined {
  if (!existsSync(path)) return undefined;
  return new SourceMap(JSON.parse(readFileSync(path, 'utf8')));
}
