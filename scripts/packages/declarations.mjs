/** Rolls the declarations up that the compiler wrote: per entry one file, and what they share. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What the declarations take for granted, whatever "types" and "lib" the program that imports them
 * has: `Buffer` and `AbortSignal` are of @types/node, `AsyncDisposable` of a newer library.
 */
const libraries = [
  '/// <reference types="node" />',
  '/// <reference lib="esnext.disposable" />',
  '',
].join('\n');

/** Writes `entries` (name -> source without its ending) as .d.ts and .d.cts into `dir`. */
export async function writeDeclarations(root, dir, entries) {
  // Imported late: run.mjs starts before anything is installed.
  const { rolldown } = await import('rolldown');
  const { dts } = await import('rolldown-plugin-dts');
  const input = Object.fromEntries(
    Object.entries(entries).map(([name, source]) => [name, join(root, 'dist', `${source}.d.ts`)]),
  );
  const build = await rolldown({
    input,
    platform: 'node',
    plugins: [dts({ dtsInput: true, tsconfig: false, sourcemap: false })],
    external: (id) => !/^[./]/.test(id) && !/^[A-Za-z]:[\\/]/.test(id),
    // What takes long is no fault of the result.
    checks: { pluginTimings: false, bundlerTimings: false },
    onLog(level, log) {
      if (level === 'warn') throw new Error(log.message);
    },
  });
  const { output } = await build.generate({ dir, format: 'esm', chunkFileNames: 'shared.d.ts' });
  await build.close();
  mkdirSync(dir, { recursive: true });
  for (const { fileName, code } of output) {
    const text = `${libraries}${code.replace(/^\/\/#(end)?region.*\n/gm, '')}`;
    writeFileSync(join(dir, fileName), text);
    // The same for `require`: a declaration file says by its name which kind of module it is of.
    const common = text.replace(/(from "\.\/[^"]+)\.js"/g, '$1.cjs"');
    writeFileSync(join(dir, fileName.replace(/\.d\.ts$/, '.d.cts')), common);
  }
}
