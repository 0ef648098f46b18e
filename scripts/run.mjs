/**
 * What `npm start`, `npm test`, `npm run build|bench|cluster|sim|chaos|check` do: bring the
 * checkout up to date (install, generate, compile; each only if its inputs changed), then run it.
 * Plain JavaScript without dependencies, since it is what installs them.
 *
 * When everything is up to date it only stats files, and `start` and `bench` go on in this very
 * process, so that signals and the exit code need no passing on. For the same reason package.json
 * says `exec`: npm passes signals on to its shell, which would end or wait, and leave us running.
 */

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { npmCommand } from './npm-command.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const at = (...parts) => join(root, ...parts);

const commands = {
  start: (args) => runHere(at('bin/kvorum'), args),
  bench: (args) => compareWith(at('dist/bench/main.js'), 'vs', args),
  'bench:client': (args) => runHere(at('dist/bench/client.js'), args),
  'bench:costs': (args) => runHere(at('dist/bench/costs/main.js'), args),
  'bench:scaling': (args) => runHere(at('dist/bench/scaling/main.js'), args),
  'bench:pieces': (args) => runHere(at('dist/bench/longest-piece/main.js'), args),
  'bench:failover': (args) => compareWith(at('dist/bench/failover.js'), 'vs', args),
  'bench:generator': compareGenerators,
  flame: (args) => runHere(at('dist/bench/flame/main.js'), args),
  cluster,
  docs,
  'docs:site': docsSite,
  api,
  packages,
  changeset,
  binary,
  deb,
  'docker:context': dockerContext,
  'lint:files': lintFiles,
  release,
  'pre-commit': preCommit,
  sim,
  chaos,
  build: async () => 0,
  prepare: async () => 0,
  test,
  check,
};

/** How many of the steps below come before a command, where not all do. */
const stepsNeeded = {
  /** It runs the build when it packs, and asks only questions before. */
  release: 0,
  changeset: 0,
  /** TypeDoc reads the sources, and what is generated among them. */
  'docs:site': 2,
  /** Compiling would change dist below whatever runs from it. */
  'pre-commit': 2,
};

async function main(name, args) {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    stop(`usage: node scripts/run.mjs ${Object.keys(commands).join('|')} [arguments]`, 2);
  }
  const [major, minor] = process.versions.node.split('.').map(Number);
  // Before these, TLS has only roots for trust anchors (no `allowPartialTrustChain`).
  const isNewEnough = (major === 20 && minor >= 18) || (major === 22 && minor >= 9) || major > 22;
  if (!isNewEnough) {
    const { node } = process.versions;
    stop(`kvorum needs Node 20.18 or newer (not 21), or 22.9 or newer; this is ${node}.`, 1);
  }
  if (name === 'prepare' && !mayPrepare()) return;
  await bringUpToDate(steps.slice(0, stepsNeeded[name]), name === 'build');
  const code = await command(args);
  if (code !== undefined) process.exitCode = code;
}

/**
 * npm runs `prepare` after each install in the checkout, and builds with it what is installed from
 * a git address. There is nothing to do for it within our own install, which goes on to build, nor
 * where somebody wants no compilers: an install without them must not fail.
 */
function mayPrepare() {
  if (process.env[installing] !== undefined) return false;
  if (existsSync(at('node_modules/typescript'))) return true;
  if (existsSync(at('src'))) say('not built: development dependencies are left out.');
  return false;
}

// ------------------------------------------------------------------------------- up to date

/** Set for the npm that we run. */
const installing = 'KVORUM_INSTALLING';

/** The steps in order: the marker file, what its content stands for, and the work. */
const steps = [
  {
    marker: at('node_modules/.kvorum-install'),
    fingerprint: lockState,
    trusted: installedByHand,
    run: install,
  },
  {
    marker: at('src/proto/generated/.stamp'),
    fingerprint: () => {
      const scripts = [at('scripts/generate.mjs'), at('scripts/file-descriptors.mjs')];
      return hashOf([...filesIn(at('proto'), '.proto'), ...scripts]);
    },
    trusted: () => false,
    run: generateCode,
  },
  {
    marker: at('dist/.stamp'),
    fingerprint: sourceState,
    trusted: () => false,
    run: compile,
  },
];

async function bringUpToDate(needed, verbose) {
  if (!existsSync(at('src'))) return; // An installed package: dist is all there is.
  if (needed.every(upToDate)) {
    if (verbose) say('up to date');
    return;
  }
  const unlock = await lock();
  try {
    for (const step of needed) {
      if (upToDate(step)) continue;
      const before = step.fingerprint();
      if (!step.trusted()) await step.run();
      writeFileSync(step.marker, before);
    }
  } finally {
    unlock();
  }
}

function upToDate(step) {
  return read(step.marker) === step.fingerprint();
}

/** True if `npm install` or `npm ci` was run by hand since the lock file changed. */
function installedByHand() {
  const installed = at('node_modules/.package-lock.json');
  if (!existsSync(installed)) return false;
  return statSync(installed).mtimeMs >= statSync(at('package-lock.json')).mtimeMs;
}

/** The packages to install. Our own version, which stands there twice, first, does not count. */
function lockState() {
  const lock = read(at('package-lock.json')) ?? '';
  const ownVersion = /"version": "[^"]*"/;
  return hashOfText(lock.replace(ownVersion, '').replace(ownVersion, ''));
}

function install() {
  say('installing dependencies from package-lock.json ...');
  // Compilers are development dependencies, needed even where NODE_ENV is production.
  const npm = npmCommand(['ci', '--include=dev', '--no-fund', '--no-audit', '--loglevel=error']);
  // Standard output belongs to whoever runs us: `npm pack --json` prints its answer there.
  const stdio = ['inherit', process.stderr, 'inherit'];
  const env = { ...process.env, [installing]: '1' };
  // What was meant for the npm that runs us only: `npm pack --dry-run` must install all the same.
  for (const option of ['dry_run', 'global', 'json', 'location', 'omit', 'package_lock_only']) {
    delete env[`npm_config_${option}`];
  }
  must(spawnSync(npm.file, npm.args, { cwd: root, stdio, env }), 'npm ci');
}

async function generateCode() {
  say('generating code from proto/*.proto ...');
  const { generate } = await import('./generate.mjs');
  await generate(root);
}

async function compile() {
  say('compiling ...');
  const started = performance.now();
  const tsc = at('node_modules/typescript/bin/tsc');
  const result = spawnSync(process.execPath, [tsc, '-b', 'tsconfig.build.json'], {
    cwd: root,
    stdio: ['inherit', process.stderr, 'inherit'],
  });
  if (result.status !== 0) stop('the sources do not compile; see above.', result.status ?? 1);
  const to = at('dist/src/proto/generated');
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(at('src/proto/generated'))) {
    if (name.startsWith('.')) continue;
    copyFileSync(at('src/proto/generated', name), join(to, name));
  }
  const { bundle } = await import('./bundle.mjs');
  await bundle(root);
  say(`compiled in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

/** Name, size and time of every input of the compiler: cheaper than reading them. */
function sourceState() {
  const files = ['src', 'bench', 'examples'].flatMap((dir) => filesIn(at(dir), '.ts'));
  files.push(at('tsconfig.json'), at('package.json'), at('src/proto/generated/etcd.js'));
  files.push(at('scripts/bundle.mjs'));
  const hash = createHash('sha1');
  for (const file of files.sort()) {
    const stat = statSync(file, { throwIfNoEntry: false });
    hash.update(`${file} ${stat?.size} ${stat?.mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/** Several nodes may be started at once in a fresh checkout; one of them does the work. */
async function lock() {
  const dir = at('.stamp');
  const file = join(dir, 'lock');
  mkdirSync(dir, { recursive: true });
  for (let told = false; ; told = true) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const owner = Number(read(file));
    if (owner > 0 && !isRunning(owner)) rmSync(file, { force: true });
    else {
      if (!told) say(`waiting for another build (process ${owner}) ...`);
      await sleep(200);
    }
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

// ------------------------------------------------------------------------------- commands

/** Goes on as if `script` had been started with these arguments. */
async function runHere(script, args) {
  process.argv = [process.execPath, script, ...args];
  await import(pathToFileURL(script).href);
}

/** Runs a script that takes etcd if it is given --`option` etcd. It is told with --etcd which one. */
async function compareWith(script, option, args) {
  const options = { [option]: { type: 'string' }, etcd: { type: 'string' } };
  // Not strict: the script knows its other options, and says what is wrong.
  const { values } = parseArgs({ args, options, strict: false });
  if (values[option] !== 'etcd' || values.etcd !== undefined) return runHere(script, args);
  const { findTools } = await import('./tools.mjs');
  const { path, why, error } = (await findTools(new Set(['etcd']), say)).etcd;
  if (path === undefined) stop(`${error ?? why}; --etcd PATH names one.`, 1);
  return runHere(script, [...args, '--etcd', path]);
}

/** Our load generator beside etcd's, which is built for it. */
async function compareGenerators(args) {
  const script = at('dist/bench/generator.js');
  const { values } = parseArgs({ args, options: { benchmark: { type: 'string' } }, strict: false });
  if (values.benchmark !== undefined || values.help) return compareWith(script, 'vs', args);
  const { buildGoPrograms } = await import('./go-programs.mjs');
  const { path, why, error } = (await buildGoPrograms(['etcd-generator'], say))['etcd-generator'];
  if (path === undefined) stop(`${error ?? why}; --benchmark PATH names one.`, 1);
  return compareWith(script, 'vs', [...args, '--benchmark', path]);
}

/** The API as HTML, in dist/api. */
async function docs(args) {
  const { installIn } = await import('./docs-site/build.mjs');
  const dir = at('scripts/api-docs');
  if (installIn(dir, npmCommand, say) !== 0) stop('npm ci failed; see above.', 1);
  const typedoc = join(dir, 'node_modules/typedoc/bin/typedoc');
  const options = ['--options', join(dir, 'typedoc.json')];
  return runChild(typedoc, [...options, ...args]);
}

/** The pages of docs/ and the API as a site, in dist/site. */
async function docsSite() {
  const { buildSite } = await import('./docs-site/build.mjs');
  return buildSite(root, { npm: npmCommand, say });
}

/** The public surface as text, in docs/api. */
async function api() {
  const { reportDir, writeApiReports } = await import('./api-report.mjs');
  const names = [...(await writeApiReports(root)).keys()];
  say(`wrote ${names.join(', ')} into ${reportDir}`);
}

async function preCommit(args) {
  const { preCommit: run } = await import('./pre-commit.mjs');
  return run(root, args, say);
}

async function packages(args) {
  const { packages: assemble } = await import('./packages/index.mjs');
  return assemble(root, args, { npm: npmCommand, say });
}

async function changeset(args) {
  const { changesetProgram } = await import('./packages/changesets.mjs');
  const { script, cwd } = changesetProgram(root, npmCommand);
  return runChild(script, args, cwd);
}

async function release(args) {
  const { release: make } = await import('./release.mjs');
  return make(root, args, { npm: npmCommand, say });
}

/** kvorum as one file, in dist/binary. */
async function binary() {
  const { buildBinary } = await import('./binary.mjs');
  await built(() => buildBinary(root, say));
}

/** A Debian package of it, in dist/deb. */
async function deb() {
  const { buildDeb } = await import('./deb.mjs');
  await built(() => buildDeb(root, say));
}

/** What the image is built from, in dist/docker. */
async function dockerContext() {
  const { makeDockerContext } = await import('./docker-context.mjs');
  say(`made ${makeDockerContext(root)}`);
}

/** What is not TypeScript: shell, YAML, Dockerfile, charts, units. */
async function lintFiles() {
  const { lint } = await import('./lint-files.mjs');
  return lint(root, say);
}

/** Whoever asked for it by name gets an error where it cannot be made. */
async function built(make) {
  const { BinaryError } = await import('./binary.mjs');
  try {
    await make();
  } catch (error) {
    if (!(error instanceof BinaryError)) throw error;
    stop(error.message, 1);
  }
}

async function cluster(args) {
  const { runCluster } = await import('./cluster.mjs');
  return runCluster(args);
}

async function sim(args) {
  const { buildSimulator } = await import('./sim.mjs');
  const script = buildSimulator(root);
  if (script === undefined) stop('the simulator does not compile; see above.', 1);
  await runHere(script, args);
}

async function chaos(args) {
  const { bundleTool } = await import('./bundle.mjs');
  return compareWith(await bundleTool(root, 'test/chaos/main.ts', 'dist/chaos'), 'program', args);
}

/** test/setup.mjs says what runs, what is left out and why. */
function test(args) {
  return runChild(at('node_modules/vitest/vitest.mjs'), ['run', ...args]);
}

async function check(args) {
  const lintCode = await runChild(at('node_modules/@biomejs/biome/bin/biome'), ['check', '.']);
  const testCode = await test(args);
  return lintCode === 0 ? testCode : lintCode;
}

/** Runs a script with our terminal; resolves to its exit code. */
function runChild(script, args, cwd = root) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], { cwd, stdio: 'inherit' });
    // A terminal sends SIGINT to the child as well; anything else comes to us alone.
    process.on('SIGINT', () => {
      if (!process.stdin.isTTY) child.kill('SIGINT');
    });
    for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(signal === null ? code : 1));
  });
}

// ------------------------------------------------------------------------------- helpers

function filesIn(dir, extension) {
  if (!existsSync(dir)) return [];
  const files = [];
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) files.push(...filesIn(path, extension));
    else if (entry.name.endsWith(extension)) files.push(path);
  }
  return files;
}

function hashOf(files) {
  const hash = createHash('sha1');
  for (const file of files.sort()) hash.update(read(file) ?? '').update('\0');
  return hash.digest('hex');
}

function hashOfText(text) {
  return createHash('sha1').update(text).digest('hex');
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function must(result, what) {
  if (result.error !== undefined) stop(`${what} could not be run: ${result.error.message}`, 1);
  if (result.status !== 0) stop(`${what} failed; see above.`, result.status ?? 1);
}

function say(line) {
  process.stderr.write(`kvorum: ${line}\n`);
}

function stop(line, code) {
  say(line);
  process.exit(code);
}

// Last: what is above must be initialised by then.
await main(process.argv[2] ?? '', process.argv.slice(3));
