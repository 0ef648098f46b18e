/**
 * `npm run packages`: from what has been built, the three packages that are published. Sources stay
 * in one tree; what belongs to which package is decided here. Each becomes a folder below
 * dist/packages that is complete, and a tarball beside it.
 *
 *     kvorum            the server, its command, and its embedding API
 *     @kvorum/client    the SDK alone: no native code, nothing of the server
 *     @kvorum/testing   clusters for unit tests; forwards to kvorum/testing
 */

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bundleThread } from '../bundle.mjs';
import { writeDeclarations } from './declarations.mjs';
import { writeForwards } from './forwards.mjs';
import { writeLibrary } from './library.mjs';
import { writeManifest } from './manifest.mjs';
import { writeNotices } from './notices.mjs';

/** The packages, in the order in which they have to be published. */
export const packageFolders = ['client', 'kvorum', 'testing'];

const usage = `usage: npm run packages -- [options]

  --out DIR    where the folders and tarballs go (dist/packages)
  --no-pack    folders only
`;

/** Does what the command line asks for; returns the exit code. */
export async function packages(root, args, { npm, say }) {
  const options = {
    out: { type: 'string', default: join(root, 'dist/packages') },
    'no-pack': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  };
  const { values } = parseArgs({ args, options });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const { out } = values;
  rmSync(out, { recursive: true, force: true });
  await assemblePackages(root, out);
  if (values['no-pack']) return 0;
  for (const path of packFolders(out, npm)) say(`packed ${path}`);
  return 0;
}

/**
 * Makes the folders of all packages below `out`; returns by folder the modules that they have code
 * of, as paths from `root`.
 */
export async function assemblePackages(root, out) {
  const modules = new Map();
  modules.set('client', await assembleClient(root, join(out, 'client')));
  modules.set('kvorum', await assembleKvorum(root, join(out, 'kvorum')));
  modules.set('testing', await assembleTesting(root, join(out, 'testing')));
  return modules;
}

/** Packs the folders below `out`; returns the tarballs, in the order to publish them. */
export function packFolders(out, npm) {
  return packageFolders.map((folder) => {
    // Nothing is built here: a script of npm's would only be in the way.
    const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', out];
    const { file, args: all } = npm(args);
    const env = { ...process.env };
    // Meant for the npm that runs us.
    for (const option of ['dry_run', 'json', 'workspace', 'workspaces']) {
      delete env[`npm_config_${option}`];
    }
    const stdio = ['ignore', 'pipe', 'inherit'];
    const run = spawnSync(file, all, { cwd: join(out, folder), env, stdio, encoding: 'utf8' });
    if (run.status !== 0) throw new Error(`npm pack failed in ${join(out, folder)}`);
    const [{ filename }] = JSON.parse(run.stdout);
    return join(out, filename);
  });
}

async function assembleClient(root, dir) {
  const entries = {
    index: 'src/client/index',
    'grpc-js': 'src/client/discovery/grpc-js-resolver',
    eslint: 'src/eslint-plugin/index',
  };
  const lib = join(dir, 'dist');
  const esm = await writeLibrary(root, lib, { entries, format: 'esm', isClient: true });
  const cjs = await writeLibrary(root, lib, { entries, format: 'cjs', isClient: true });
  await writeDeclarations(root, lib, entries);
  const modules = [...new Set([...esm.modules, ...cjs.modules])].sort();
  writeNotices(root, dir, modules);
  finish(root, dir, 'client', new Set([...esm.imports, ...cjs.imports]));
  return modules;
}

async function assembleKvorum(root, dir) {
  const entries = { index: 'src/index', testing: 'src/testing/index' };
  const lib = join(dir, 'dist/lib');
  const { exported, imports, modules } = await writeLibrary(root, lib, { entries, format: 'cjs' });
  // One copy for both kinds of modules: a server has state, and need not be shaken.
  for (const [entry, names] of exported) {
    const list = names.map((name) => `  ${name},\n`).join('');
    const text = `import library from './${entry}.cjs';\n\nexport const {\n${list}} = library;\n`;
    writeFileSync(join(lib, `${entry}.js`), text);
  }
  await bundleThread(root, lib);
  await writeDeclarations(root, lib, entries);
  const forwards = {
    client: '@kvorum/client',
    'client-grpc-js': '@kvorum/client/grpc-js',
    'client-eslint': '@kvorum/client/eslint',
  };
  writeForwards(lib, forwards, ['client-eslint']);
  for (const part of ['bin', 'dist/bin', 'proto']) {
    cpSync(join(root, part), join(dir, part), { recursive: true });
  }
  writeNotices(root, dir, modules);
  finish(root, dir, 'kvorum', new Set([...imports, ...askedByCommand(join(dir, 'dist/bin'))]));
  return modules;
}

/** Packages that the command loads beside what is in its bundle: most when they are needed first. */
function askedByCommand(bin) {
  return readdirSync(bin)
    .filter((name) => name.endsWith('.cjs'))
    .flatMap((name) => [
      ...readFileSync(join(bin, name), 'utf8').matchAll(
        /createRequire\b.*?\)\(["']([^"']+)["']\)/g,
      ),
    ])
    .map(([, name]) => name);
}

async function assembleTesting(root, dir) {
  const lib = join(dir, 'dist');
  mkdirSync(lib, { recursive: true });
  writeForwards(lib, { index: 'kvorum/testing' });
  finish(root, dir, 'testing', new Set());
  return [];
}

/** What all packages have, and what is written by hand for each. */
function finish(root, dir, folder, imports) {
  for (const name of ['LICENSE', 'CHANGELOG.md']) cpSync(join(root, name), join(dir, name));
  const own = join(root, 'packages', folder);
  for (const name of readdirSync(own)) {
    if (name !== 'package.json') cpSync(join(own, name), join(dir, name), { recursive: true });
  }
  writeManifest(root, dir, folder, imports);
}
