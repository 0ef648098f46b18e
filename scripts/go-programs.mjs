/**
 * The Go programs that tests and benchmarks use: built from pinned modules (a go.mod and a go.sum
 * each), once, into a folder for temporary files named after the hash of their sources.
 *
 * A program that is in that folder needs no Go. One that is not needs Go, and modules that are in
 * Go's cache or can be fetched; where they cannot be, that is said and nothing fails.
 */

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** How long a registry may take to show that it answers at all. */
const reachableMs = 20_000;
/** How long fetching, or compiling, may take: it only ends what hangs. */
const buildMs = 900_000;

/** By name: the folder of the go.mod, the package in it, and what to call it. */
export const goPrograms = {
  etcd37: {
    dir: 'test/reference',
    package: 'go.etcd.io/etcd/server/v3',
    title: 'etcd 3.7.3',
  },
  etcdctl37: {
    dir: 'test/reference',
    package: 'go.etcd.io/etcd/etcdctl/v3',
    title: 'etcdctl 3.7.3',
  },
  etcdutl37: {
    dir: 'test/reference',
    package: 'go.etcd.io/etcd/etcdutl/v3',
    title: 'etcdutl 3.7.3',
  },
  'etcd-generator': {
    dir: 'bench/etcd-generator',
    package: 'go.etcd.io/etcd/v3/tools/benchmark',
    title: "etcd's load generator",
  },
  'go-client': { dir: 'test/interop/go', package: '.', title: "a program on etcd's Go client" },
  'go-recipes': { dir: 'test/client/go', package: '.', title: "a program on etcd's Go recipes" },
  helm: { dir: 'test/deploy/go', package: 'helm.sh/helm/v3/cmd/helm', title: 'Helm' },
  pprof: { dir: 'test/interop/go', package: 'cmd/pprof', title: 'pprof' },
  's3-server': {
    dir: 'test/backup/go',
    package: 'github.com/johannesboyne/gofakes3/cmd/gofakes3',
    title: 'a server of S3',
  },
  h2spec: {
    dir: 'test/interop/h2spec',
    package: 'github.com/summerwind/h2spec/cmd/h2spec',
    title: 'h2spec',
  },
};

const root = fileURLToPath(new URL('..', import.meta.url));

/** The path of a program that was built before; undefined if it was not. Cheap. */
export function builtGoProgram(name) {
  const path = binaryOf(name);
  return existsSync(path) && isOurs(folderOf(goPrograms[name].dir)) ? path : undefined;
}

/**
 * Builds those that are not built yet. For each name `{ path }`, or `{ why }` it cannot be had
 * here, or `{ error }` if its sources do not compile. Calls `say` with a line before what takes
 * time.
 */
export async function buildGoPrograms(names, say = () => {}) {
  const outcomes = {};
  /** Once modules cannot be fetched, nobody asks for others. */
  let offline;
  const dirs = new Set(names.map((name) => goPrograms[name].dir));
  for (const dir of dirs) {
    const members = names.filter((name) => goPrograms[name].dir === dir);
    const missing = members.filter((name) => builtGoProgram(name) === undefined);
    for (const name of members) outcomes[name] = { path: binaryOf(name) };
    if (missing.length === 0) continue;
    const packages = missing.map((name) => goPrograms[name].package);
    let why = await haveGo();
    if (why === undefined && !(await loads(dir, packages, { GOPROXY: 'off' }))) {
      offline ??= await reachable(dir);
      why = offline;
      if (why === undefined) {
        say(`fetching Go modules for ${missing.map(titleOf).join(', ')} ...`);
        if (!(await loads(dir, packages, {}))) why = offline = unfetched;
      }
    }
    for (const name of missing) {
      if (why !== undefined) outcomes[name] = { why };
      else {
        say(`building ${titleOf(name)} (once) ...`);
        const error = await build(name);
        if (error !== undefined) outcomes[name] = { error };
      }
    }
  }
  return outcomes;
}

const unfetched = 'Go modules cannot be fetched';

/** Why there is no Go; undefined if there is. */
async function haveGo() {
  const run = await go('.', ['version'], {}, reachableMs);
  return run.code === 0 ? undefined : 'Go is not installed';
}

/** Why no module can be fetched; undefined if one could be. Always asks: `@latest` is not cached. */
async function reachable(dir) {
  const run = await go(dir, ['list', '-m', 'go.uber.org/zap@latest'], {}, reachableMs);
  return run.code === 0 ? undefined : unfetched;
}

/** True if all modules that the packages need are there, or could be fetched. */
async function loads(dir, packages, env) {
  const run = await go(dir, ['list', '-deps', '-f', '{{.ImportPath}}', ...packages], env, buildMs);
  return run.code === 0;
}

/** The compiler's words if it fails. */
async function build(name) {
  const { dir, package: path } = goPrograms[name];
  const folder = folderOf(dir);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!isOurs(folder)) return `${folder} belongs to another user`;
  const binary = binaryOf(name);
  // Built under a name of its own, so that no other run ever starts half a binary.
  const partial = `${binary}.${process.pid}`;
  const args = ['build', '-o', partial, path];
  const run = await go(dir, args, { GOPROXY: 'off' }, buildMs);
  if (run.code === 0) renameSync(partial, binary);
  else rmSync(partial, { force: true });
  return run.code === 0 ? undefined : `go build failed:\n${run.stderr}`;
}

/** Runs Go in a folder of this checkout; never rejects. */
function go(dir, args, env, timeoutMs) {
  // Nothing in the environment or around the checkout decides what is built.
  const { GOOS: _os, GOARCH: _arch, ...rest } = process.env;
  const fixed = { GOFLAGS: '-mod=readonly -buildvcs=false', GOWORK: 'off', CGO_ENABLED: '0' };
  return new Promise((resolve) => {
    const child = spawn('go', args, {
      cwd: join(root, dir),
      env: { ...rest, ...fixed, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true, // a group of its own: the compilers end with it
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr = (stderr + text).slice(-20_000);
    });
    const end = () => {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    };
    const timer = setTimeout(end, timeoutMs);
    process.once('exit', end);
    const done = (code) => {
      clearTimeout(timer);
      process.off('exit', end);
      resolve({ code, stderr });
    };
    child.once('error', () => done(-1));
    child.once('close', (code) => done(code ?? -1));
  });
}

function titleOf(name) {
  return goPrograms[name].title;
}

function binaryOf(name) {
  return join(folderOf(goPrograms[name].dir), name);
}

const folders = new Map();

function folderOf(dir) {
  const known = folders.get(dir);
  if (known !== undefined) return known;
  const hash = createHash('sha256');
  for (const name of readdirSync(join(root, dir)).sort()) {
    if (!/\.go$|^go\.(mod|sum)$/.test(name)) continue;
    hash.update(`${name}\0`).update(readFileSync(join(root, dir, name)));
  }
  const id = hash.digest('hex').slice(0, 16);
  const folder = join(tmpdir(), `kvorum-go-${userId()}-${id}`);
  folders.set(dir, folder);
  return folder;
}

/** What somebody else put into the folder for all is not run. */
function isOurs(folder) {
  return lstatSync(folder).uid === userId();
}

function userId() {
  return process.getuid?.() ?? 0;
}

// `node scripts/go-programs.mjs NAME` prints where a program is, if it was built.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = builtGoProgram(process.argv[2]);
  if (path !== undefined) process.stdout.write(`${path}\n`);
}
