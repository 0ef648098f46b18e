/**
 * Joins entries of our own code, and what they import, into a few files of JavaScript: from what
 * the compiler wrote, which is what every Node that we name reads.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, relative } from 'node:path';
import { leaveOutside } from '../bundle.mjs';
import { wireCodeOf } from './wire-code.mjs';

/** The code of all messages, a megabyte; a client gets the part that it uses. */
const wireCode = /[\\/]proto[\\/]generated[\\/]etcd\.js$/;

/**
 * Writes `entries` (name -> source without its ending) as `format` into `dir`. Returns the names
 * that each entry exports, the packages that remain to be installed, and the modules that are in.
 */
export async function writeLibrary(root, dir, { entries, format, isClient = false }) {
  const input = Object.fromEntries(
    Object.entries(entries).map(([name, source]) => [name, join(root, 'dist', `${source}.js`)]),
  );
  const treeshake = isClient ? clientTreeshake : true;
  const bundle = (plugins, external, as = format) =>
    joined({ input, dir, format: as, plugins, external, treeshake });
  const plugins = [{ name: 'native-code', resolveId: leaveOutside }];
  const external = isClient ? ['@grpc/grpc-js'] : [];
  if (isClient) {
    plugins.push(pureTables(root));
    const draft = await bundle(plugins, [...external, wireCode], 'esm');
    const code = await wireCodeOf(root, draft.map((chunk) => chunk.code).join('\n'));
    plugins.push({ name: 'wire-code', load: (id) => (wireCode.test(id) ? code : undefined) });
  }
  const chunks = await bundle(plugins, external);
  mkdirSync(dir, { recursive: true });
  for (const { fileName, code } of chunks) writeFileSync(join(dir, fileName), code);
  return {
    exported: new Map(chunks.filter(isEntry).map(({ name, exports }) => [name, exports.sort()])),
    imports: new Set(chunks.flatMap((chunk) => packagesOf(chunk))),
    modules: [...new Set(chunks.flatMap((chunk) => modulesOf(chunk)))]
      .map((id) => relative(root, id).replaceAll('\\', '/'))
      .sort(),
  };
}

async function joined({ input, dir, format, plugins, external, treeshake }) {
  // Imported late: run.mjs starts before anything is installed.
  const { rolldown } = await import('rolldown');
  const build = await rolldown({
    input,
    platform: 'node',
    external,
    treeshake,
    plugins,
    // What takes long is no fault of the result.
    checks: { pluginTimings: false, bundlerTimings: false },
    onLog(level, log) {
      if (level === 'warn') throw new Error(log.message);
    },
  });
  const extension = format === 'cjs' ? 'cjs' : 'js';
  const { output } = await build.generate({
    dir,
    format,
    exports: 'named',
    dynamicImportInCjs: false,
    entryFileNames: `[name].${extension}`,
    chunkFileNames: `[name].${extension}`,
  });
  await build.close();
  return output.filter(({ type }) => type === 'chunk');
}

/** Where tables of messages are, and what makes their rows. */
const tables = /[\\/]dist[\\/]src[\\/]proto[\\/]table[\\/](?!codec\.js$)/;

/**
 * Tables of messages are made by calls, which a bundler takes for effects: without a word all of
 * them, and the code they are made of, would be in every client. So each call gets the mark that
 * says it has none. (A list of names for the bundler would do harm: it takes `message.push()` for a
 * call of `message`.)
 */
function pureTables(root) {
  const codec = readFileSync(join(root, 'src/proto/table/codec.ts'), 'utf8');
  const makers = [...codec.matchAll(/^export function (\w+)/gm)].map(([, name]) => name);
  const calls = new RegExp(`(?<![.\\w]|function )(?:${makers.join('|')})\\(`, 'g');
  return {
    name: 'pure-tables',
    transform(code, id) {
      if (tables.test(id)) return code.replace(calls, (call) => `/*#__PURE__*/ ${call}`);
      return undefined;
    },
  };
}

/** Our own modules do nothing by being imported; of others nobody knows. */
const clientTreeshake = { moduleSideEffects: (id) => !/[\\/]dist[\\/]src[\\/]/.test(id) };

function isEntry(chunk) {
  return chunk.isEntry;
}

/** Names of packages that a chunk imports, or that our own code in it requires when it has to. */
function packagesOf(chunk) {
  const { code, imports, dynamicImports } = chunk;
  const required = [...code.matchAll(/\brequire\(["']([^"']+)["']\)/g)];
  const ours = modulesOf(chunk).filter((id) => /[\\/]dist[\\/]src[\\/]/.test(id));
  const late = ours.flatMap((id) => [
    ...readFileSync(id, 'utf8').matchAll(/createRequire\(import\.meta\.url\)\('([^']+)'\)/g),
  ]);
  return [...imports, ...dynamicImports, ...[...required, ...late].map(([, name]) => name)]
    .filter((name) => !/^\.|^node:/.test(name) && !builtinModules.includes(name))
    .map((name) => /^(?:@[^/]+\/)?[^/]+/.exec(name)[0]);
}

/** Files of which something has been left; the bundler's own helpers are none. */
function modulesOf({ modules }) {
  return Object.entries(modules)
    .filter(([id, { renderedLength }]) => renderedLength > 0 && !id.startsWith('\0'))
    .map(([id]) => id);
}
