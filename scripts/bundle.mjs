/**
 * Joins the server's modules, and what they import from packages, into a few files below dist/bin.
 * Node's loader takes 0.6 ms for each of some 250 modules: that was half the time of a start. The
 * code keeps its names and lines, and its source maps lead to the TypeScript.
 *
 * Left outside are native code, which must be found next to its package, and what is asked for by
 * `require`. The library (package.json, "exports") stays as the compiler wrote it.
 */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What has no source worth a map: a megabyte to read at each start otherwise. */
const unmapped = 'library';

/** Writes dist/bin of the checkout in `root`. */
export async function bundle(root) {
  const dir = join(root, 'dist/bin');
  // Scripts: of modules V8 gives no compiled code out once they have run (src/launch).
  const program = await joined(root, './src/cli/kvorum.ts', 'cjs');
  const launch = await joined(root, './src/launch/index.ts', 'esm');
  rmSync(dir, { recursive: true, force: true });
  rmSync(join(root, 'dist/cache'), { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  writeScripts(program, dir);
  for (const file of launch) {
    if (file.type === 'chunk') writeFileSync(join(dir, 'launch.js'), file.code);
  }
  await bundleThread(root, dir);
}

/** Writes what `joined` made; the packages' own code gets no map. */
export function writeScripts(files, dir) {
  for (const file of files) {
    if (file.fileName === `${unmapped}.cjs.map`) continue;
    const text = file.type === 'asset' ? file.source : file.code;
    const isMapped = file.fileName !== `${unmapped}.cjs`;
    const kept = isMapped ? text : text.replace(/^\/\/# sourceMappingURL=.*$/m, '');
    writeFileSync(join(dir, file.fileName), file.type === 'asset' ? kept : inAscii(kept));
  }
}

/**
 * The files that `input` and all that it imports become. The plugin, of Rolldown, says what is left
 * outside; with `isOneFile` they are one.
 */
export async function joined(root, input, format, plugin = { resolveId: leaveOutside }) {
  // Imported late: run.mjs starts before anything is installed.
  const { rolldown } = await import('rolldown');
  const build = await rolldown({
    cwd: root,
    input,
    platform: 'node',
    resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
    plugins: [{ name: 'native-code', ...plugin }],
    onLog(level, log) {
      if (level === 'warn') throw new Error(log.message);
    },
  });
  const extension = format === 'cjs' ? 'cjs' : 'js';
  const { output } = await build.generate({
    dir: join(root, 'dist/bin'), // maps name their sources relative to it
    format,
    // V8 gives functions that come from kept code no `import()` (src/launch).
    dynamicImportInCjs: false,
    entryFileNames: `[name].${extension}`,
    chunkFileNames: `[name].${extension}`,
    sourcemap: format === 'cjs',
    // The TypeScript is not shipped twice: maps name it, for those who have it.
    sourcemapExcludeSources: true,
    codeSplitting: plugin.isOneFile ? false : { groups: [{ name: unmapped, test: isLibrary }] },
  });
  await build.close();
  return output;
}

/** The program of a thread with sockets, alone: shared files would be two more to load at a start. */
export async function bundleThread(root, dir) {
  const { rolldown } = await import('rolldown');
  const build = await rolldown({
    input: join(root, 'src/server/platform/io-threads/socket-thread.ts'),
    platform: 'node',
    resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
    plugins: [{ name: 'native-code', resolveId: leaveOutside }],
  });
  const file = join(dir, 'socket-thread.js');
  await build.write({ file, format: 'esm', codeSplitting: false });
  await build.close();
}

/**
 * The same program with every other character escaped. V8 keeps the text of a program in memory,
 * with two bytes for each character as soon as one of them needs two: 3 MB instead of 6.
 */
function inAscii(code) {
  return code.replace(/[\u0080-\uffff]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** Joins a program for developers, with all it imports, into one file `dir`/main.js. */
export async function bundleTool(root, input, dir) {
  const { rolldown } = await import('rolldown');
  const build = await rolldown({
    input: join(root, input),
    platform: 'node',
    resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
    plugins: [{ name: 'native-code', resolveId: leaveOutside }],
  });
  const file = join(root, dir, 'main.js');
  await build.write({ file, format: 'esm', sourcemap: true, codeSplitting: false });
  await build.close();
  return file;
}

/** Native code is loaded from where it was installed. */
export function leaveOutside(source, importer) {
  if (source === 'bcrypt') return { id: 'bcrypt', external: true };
  if (source !== './binding' || !importer?.includes('classic-level')) return undefined;
  return { id: 'classic-level/binding.js', external: true };
}

/** Generated code and packages, but for those that are only loaded when asked for. */
function isLibrary(id) {
  if (/[\\/]generated[\\/]/.test(id)) return true;
  return /node_modules/.test(id) && !/prom-client|opentelemetry|tdigest|bintrees|jose/.test(id);
}
