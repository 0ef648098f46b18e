/**
 * The server's modules for the single executable (scripts/binary.mjs): joined as for dist/bin, but
 * so that nothing has to be found in a folder of packages. What asks for a file there asks for one
 * of the names that src/launch/single.ts knows.
 */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleThread, joined, writeScripts } from './bundle.mjs';

/** Packages that are loaded when they are first needed: a file each, as they are in dist/bin. */
const loadedLate = ['yaml', 'node-forge', 'liquidjs'];

/** What stands in a module that must not be asked for as it is, and what stands there instead. */
const replacements = [
  [
    /node_modules\/bcrypt\/bcrypt\.js$/,
    "require('node-gyp-build')(path.resolve(__dirname))",
    "require('kvorum:native/bcrypt')",
  ],
  [
    /io-threads\/network\.ts$/,
    "new URL('./socket-thread.js', import.meta.url)",
    "require('kvorum:socket-thread')",
  ],
  [/options\/config-file\.ts$/, "createRequire(import.meta.url)('yaml')", "require('./yaml.cjs')"],
  [
    /render\/template\.ts$/,
    "createRequire(import.meta.url)('liquidjs')",
    "require('./liquidjs.cjs')",
  ],
  [
    /platform\/self-signed\.ts$/,
    "createRequire(import.meta.url)('node-forge')",
    "require('./node-forge.cjs')",
  ],
];

/** Writes the scripts of the executable into `dir`. `main.cjs` is where it starts. */
export async function bundleSingle(root, dir) {
  const replaced = new Set();
  const plugin = {
    resolveId(source, importer) {
      if (source.startsWith('kvorum:')) return { id: source, external: true };
      if (loadedLate.some((name) => source === `./${name}.cjs`)) {
        return { id: source, external: true };
      }
      if (source !== './binding' || !importer?.includes('classic-level')) return undefined;
      return { id: 'kvorum:native/classic-level', external: true };
    },
    transform(code, id) {
      const row = replacements.find(([pattern]) => pattern.test(id));
      if (row === undefined) return undefined;
      const [pattern, before, after] = row;
      if (code.split(before).length !== 2) throw new Error(`${id} has no ${before} any more`);
      replaced.add(pattern);
      return { code: code.replace(before, after), map: null };
    },
  };
  const program = await joined(root, './src/cli/kvorum.ts', 'cjs', plugin);
  for (const [pattern, before] of replacements) {
    if (!replaced.has(pattern)) throw new Error(`nothing like ${pattern} was there, for ${before}`);
  }
  const start = await joined(root, { main: './src/launch/single.ts' }, 'cjs', { isOneFile: true });
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  writeScripts(program, dir);
  for (const name of loadedLate) {
    writeScripts(await joined(root, { [name]: name }, 'cjs', { isOneFile: true }), dir);
  }
  for (const file of start) {
    if (file.type === 'chunk') writeFileSync(join(dir, file.fileName), file.code);
  }
  await bundleThread(root, dir);
}
