/**
 * `npm run binary`: kvorum as one executable file, dist/binary/kvorum, for a machine without Node.
 * It is Node itself, from the registry of packages, with the program, its native code and what V8
 * compiled of it as assets (src/launch/single.ts starts it).
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { bundleSingle } from './bundle-single.mjs';
import { npmCommand } from './npm-command.mjs';

/** Only ends what hangs. */
const stepMs = 600_000;
const nodeMadeFor = `${process.platform}-${process.arch}`;

/** It could not be made; `isMissing`: for want of something that this machine can't get. */
export class BinaryError extends Error {
  constructor(message, isMissing = false) {
    super(message);
    this.isMissing = isMissing;
  }
}

/** Builds it in a checkout that is built itself; resolves to its path. */
export async function buildBinary(root, say) {
  const out = join(root, 'dist/binary');
  const node = await nodeToBuildOn(root, say);
  const executable = join(out, 'kvorum');
  const stamp = join(out, '.stamp');
  const state = stateOf(root, node);
  if (existsSync(executable) && textOf(stamp) === state) return executable;
  const parts = join(out, 'parts');
  say('joining the program ...');
  await bundleSingle(root, parts);
  addNativeCode(root, parts);
  say('compiling it with the Node that it will run on ...');
  must(spawnSync(node, [join(parts, 'main.cjs'), 'compile'], { timeout: stepMs }), 'compile');
  const config = join(out, 'sea.json');
  const partial = `${executable}.${process.pid}`;
  writeFileSync(config, JSON.stringify(seaConfig(node, parts, partial), undefined, 2));
  say('building the executable ...');
  must(spawnSync(node, ['--build-sea', config], { timeout: stepMs }), 'node --build-sea');
  renameSync(partial, executable);
  writeFileSync(stamp, state);
  say(`built ${executable}, ${Math.round(statSync(executable).size / 1024 / 1024)} MiB`);
  return executable;
}

/** The Node of scripts/binary/package.json, installed if it is not there. */
async function nodeToBuildOn(root, say) {
  const dir = join(root, 'scripts/binary');
  const { optionalDependencies } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
  const name = `node-${nodeMadeFor}`;
  const version = optionalDependencies[name];
  if (version === undefined) throw new BinaryError(`there is no Node for ${nodeMadeFor}`, true);
  const home = join(dir, 'node_modules', name);
  const installed = textOf(join(home, 'package.json'));
  if (installed === undefined || JSON.parse(installed).version !== version) {
    say(`fetching Node ${version} (once) ...`);
    const quick = ['--fetch-retries=1', '--fetch-retry-maxtimeout=10000'];
    const quiet = ['--ignore-scripts', '--no-fund', '--no-audit', '--silent'];
    const { file, args } = npmCommand(['ci', ...quiet, ...quick]);
    spawnSync(file, args, { cwd: dir, stdio: 'ignore', timeout: stepMs });
  }
  const node = join(home, 'bin/node');
  // npm leaves out without a word what is optional and can't be fetched.
  if (!existsSync(node)) throw new BinaryError(`Node ${version} cannot be fetched`, true);
  return node;
}

/** What the executable is made of: unchanged, there is nothing to do. */
function stateOf(root, node) {
  const hash = createHash('sha256').update(String(statSync(node).mtimeMs));
  for (const file of ['dist/.stamp', 'package-lock.json'])
    hash.update(textOf(join(root, file)) ?? '');
  for (const file of ['binary.mjs', 'bundle-single.mjs', 'bundle.mjs']) {
    hash.update(readFileSync(join(root, 'scripts', file)));
  }
  return hash.digest('hex');
}

/** The packages bring theirs for every kind of machine: that of this one is chosen as they do. */
function addNativeCode(root, parts) {
  const require = createRequire(join(root, 'package.json'));
  for (const name of ['classic-level', 'bcrypt']) {
    const home = dirname(require.resolve(`${name}/package.json`));
    const chosen = createRequire(join(home, 'package.json'))('node-gyp-build').resolve(home);
    copyFileSync(chosen, join(parts, `${name}.node`));
  }
}

function seaConfig(node, parts, output) {
  const assets = {};
  for (const name of readdirSync(parts, { recursive: true, encoding: 'utf8' })) {
    if (!statSync(join(parts, name)).isFile() || name === 'main.cjs') continue;
    assets[name.replaceAll('\\', '/')] = join(parts, name);
  }
  return {
    main: join(parts, 'main.cjs'),
    output,
    executable: node,
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    assets,
  };
}

function textOf(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function must(run, what) {
  if (run.error !== undefined) throw new BinaryError(`${what}: ${run.error.message}`);
  if (run.status === 0) return;
  throw new BinaryError(`${what} ended with ${run.status ?? run.signal}:\n${run.stderr}`);
}
