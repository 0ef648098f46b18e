/**
 * Which outside programs (and IPv6) this machine has for the tests and benchmarks, under names that
 * say what is asked for; and what stays untested where one is missing.
 */

import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BinaryError, buildBinary } from './binary.mjs';
import { buildDeb } from './deb.mjs';
import { buildGoPrograms, goPrograms } from './go-programs.mjs';
import { pythonWith } from './python-programs.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const probeMs = 60_000;
/** How long a registry may take to show that it answers at all. */
const reachableMs = 20_000;
/** The python that Debian's python3-etcd3 is installed for; a python of pyenv would not see it. */
const systemPython = '/usr/bin/python3';

/** What each is for, in the words of the list of what is left out. */
export const purposes = {
  kvorum: 'everything that runs bin/kvorum',
  'single-executable': 'kvorum as a single executable',
  'debian-package': 'kvorum as a Debian package, installed and removed',
  etcd: 'side by side with etcd',
  etcdctl: "etcd's own command line against kvorum",
  etcd37: 'side by side with etcd 3.7.3',
  etcdctl37: 'etcdctl 3.7.3 against kvorum',
  etcdutl37: 'snapshots of kvorum in etcdutl 3.7.3',
  etcd34: 'side by side with etcd 3.4',
  etcdctl34: 'etcdctl 3.4 against kvorum',
  'go-client': "etcd's Go client against kvorum",
  'go-recipes': "etcd's Go locks, elections and queues beside ours",
  helm: 'the Helm chart, rendered and checked by Helm',
  linters: 'shell, YAML, Dockerfile and manifests of Kubernetes, checked',
  'systemd-analyze': 'the unit in the eyes of systemd',
  grpcurl: 'gRPC reflection in the tool that people use it with',
  h2spec: 'the conformance suite of HTTP/2',
  pprof: 'profiles in the tool that reads them',
  's3-server': 'backups in S3',
  promtool: 'metrics in the eyes of Prometheus',
  'python3-etcd3': 'a client in Python against kvorum',
  'python3-etcd3gw': 'a client of the JSON gateway in Python against kvorum',
  patroni: 'Patroni with kvorum',
  postgresql: 'PostgreSQL under Patroni',
  git: 'releases and the hook before commits',
  openssl: 'TLS',
  python3: 'systemd notification through Python',
  ipv6: 'addresses of IPv6',
  'npm-registry': 'our packages as npm, npx, Bun and Deno install them',
};

/** How the others are looked for: the path, or why there is none. */
const probes = {
  // Only looks whether it was built: a build that does not start must fail tests, not skip them.
  kvorum: async () => {
    const program = process.env.KVORUM_TEST_BIN ?? join(root, 'bin/kvorum');
    const isBuilt = existsSync(program) && existsSync(join(program, '../../dist/bin/kvorum.cjs'));
    return isBuilt ? { path: program } : { why: 'kvorum is not built' };
  },
  etcd34: () => onPath('etcd', ['--version'], /etcd Version: 3\.4\./, 'etcd 3.4'),
  etcdctl34: () => onPath('etcdctl', ['version'], /etcdctl version: 3\.4\./, 'etcdctl 3.4'),
  'python3-etcd3': () => pythonPackage('etcd3'),
  'python3-etcd3gw': () => pythonPackage('etcd3gw'),
  postgresql: () => postgresql(),
  // Debian has it in the package prometheus; building it brings in the clients of every cloud.
  promtool: () => {
    const given = process.env.KVORUM_TEST_PROMTOOL;
    if (given !== undefined) return givenTool(given, ['--version'], 'KVORUM_TEST_PROMTOOL');
    return onPath('promtool', ['--version'], /promtool/, 'promtool');
  },
  // Building it takes longer than all that it is asked here.
  grpcurl: () => {
    const given = process.env.KVORUM_TEST_GRPCURL;
    if (given !== undefined) return givenTool(given, ['-version'], 'KVORUM_TEST_GRPCURL');
    // It tells its version on standard error.
    return onPath('grpcurl', ['-version'], /^/, 'grpcurl');
  },
  'systemd-analyze': () => onPath('systemd-analyze', ['--version'], /^systemd/, 'systemd-analyze'),
  git: () => onPath('git', ['--version'], /./, 'git'),
  openssl: () => onPath('openssl', ['version'], /./, 'openssl'),
  python3: () => onPath('python3', ['--version'], /./, 'python3'),
  ipv6: () =>
    new Promise((resolve) => {
      const server = createServer();
      server.once('error', () => resolve({ why: 'this machine has no IPv6' }));
      server.listen(0, '::1', () => server.close(() => resolve({ path: '::1' })));
    }),
};

/** What is made of kvorum itself: `npm run binary`, `npm run deb`. */
const made = {
  'single-executable': buildBinary,
  'debian-package': async (...args) => {
    if (process.getuid?.() !== 0) throw new BinaryError('only root may install packages', true);
    if (!(await mayOverlay())) throw new BinaryError('no overlay may be mounted here', true);
    return buildDeb(...args);
  },
};

/** True if a process may see the machine's files under changes of its own. */
async function mayOverlay() {
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-overlay-'));
  const mount = 'mount -t overlay overlay -o lowerdir=/,upperdir="$1/u",workdir="$1/w" "$1/m"';
  const script = `mount -t tmpfs tmpfs "$1" && mkdir "$1/u" "$1/w" "$1/m" && ${mount}`;
  const text = await output('unshare', ['--mount', 'sh', '-ec', script, 'sh', dir]);
  rmSync(dir, { recursive: true, force: true });
  return text !== undefined;
}

/** The newest etcd and etcdctl that there are: named by hand, built by us, or on the PATH. */
const newest = {
  etcd: { byHand: 'KVORUM_TEST_ETCD', built: 'etcd37', version: ['--version'] },
  etcdctl: { byHand: 'KVORUM_TEST_ETCDCTL', built: 'etcdctl37', version: ['version'] },
};

/**
 * For each tool `{ path }`, or `{ why }` it cannot be had here, or `{ error }` if it should have
 * been but does not build. What needs to be built is, if it is among `wanted`.
 */
export async function findTools(wanted, say) {
  const programs = new Set();
  for (const name of wanted) {
    if (Object.hasOwn(goPrograms, name)) programs.add(name);
    const { byHand, built } = newest[name] ?? {};
    if (built !== undefined && process.env[byHand] === undefined) programs.add(built);
  }
  const tools = await buildGoPrograms([...programs], say);
  for (const name of Object.keys(goPrograms)) tools[name] ??= { why: 'this run has no use for it' };
  tools.patroni = { why: 'this run has no use for it' };
  for (const name of Object.keys(made)) tools[name] = { why: 'this run has no use for it' };
  await Promise.all(
    Object.entries(probes).map(async ([name, probe]) => {
      tools[name] = await probe();
    }),
  );
  // Asked only where it is of use: where there is none, the answer takes its time.
  tools['npm-registry'] = wanted.has('npm-registry')
    ? await npmRegistry()
    : { why: 'this run has no use for it' };
  if (wanted.has('patroni')) {
    // Of no use without; it takes a minute to install.
    tools.patroni =
      tools.postgresql.path === undefined
        ? tools.postgresql
        : await pythonWith('test/interop/python/patroni.txt', 'Patroni', say);
  }
  tools.linters = wanted.has('linters')
    ? await pythonWith('test/deploy/python/linters.txt', 'linters', say)
    : { why: 'this run has no use for it' };
  for (const [name, make] of Object.entries(made)) {
    if (!wanted.has(name)) continue;
    tools[name] = tools.kvorum.path === undefined ? tools.kvorum : await makeOf(make, say);
  }
  for (const [name, { byHand, built, version }] of Object.entries(newest)) {
    const given = process.env[byHand];
    if (given !== undefined) tools[name] = await givenTool(given, version, byHand);
    else if (tools[built].why === undefined) tools[name] = tools[built];
    else {
      const { path, why } = await onPath(name, version, /./, name);
      tools[name] = path === undefined ? { why: `${why}, ${tools[built].why}` } : { path };
    }
  }
  return tools;
}

/** The address of the registry that npm is set up with, if it answers. */
async function npmRegistry() {
  const npm = process.env.npm_execpath;
  const [program, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  const said = await output(program, [...first, 'config', 'get', 'registry']);
  const path = process.env.npm_config_registry ?? said?.trim();
  try {
    const { ok } = await fetch(new URL('rolldown/latest', path), {
      signal: AbortSignal.timeout(reachableMs),
    });
    if (ok) return { path };
  } catch {
    // Said below.
  }
  return { why: 'no package registry answers' };
}

/** A program that somebody named is never passed over in silence. */
async function givenTool(path, args, variable) {
  const text = await output(path, args);
  return text === undefined ? { error: `${variable}: ${path} does not run` } : { path };
}

/** What is made of a kvorum that is built. */
async function makeOf(make, say) {
  try {
    return { path: await make(root, say) };
  } catch (error) {
    const isMissing = error instanceof BinaryError && error.isMissing;
    return isMissing ? { why: error.message } : { error: String(error) };
  }
}

/** The first line of what a tool says of its version. */
export async function versionOf(path, args = ['--version']) {
  return (await output(path, args))?.split('\n')[0] ?? 'unknown';
}

async function onPath(program, args, pattern, title) {
  const path = find(program);
  const text = path === undefined ? undefined : await output(path, args);
  return text !== undefined && pattern.test(text) ? { path } : { why: notInstalled(title) };
}

/** The path is that of the Python that has it. */
async function pythonPackage(name) {
  const run = await output(systemPython, ['-c', `import ${name}`]);
  return run === undefined ? { why: notInstalled(`python3-${name}`) } : { path: systemPython };
}

/** The path is that of the folder of its programs. Debian has it beside the PATH. */
async function postgresql() {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).map(Number) : [];
  const newestFirst = versions.sort((a, b) => b - a).map((each) => join(debian, `${each}/bin`));
  const dirs = [...newestFirst, ...(process.env.PATH ?? '').split(delimiter)];
  const programs = ['initdb', 'postgres', 'pg_ctl', 'pg_basebackup', 'pg_rewind', 'psql'];
  const dir = dirs.find((each) => programs.every((program) => existsSync(join(each, program))));
  if (dir === undefined) return { why: notInstalled('PostgreSQL') };
  const isRoot = process.getuid?.() === 0;
  if (isRoot && (await output('id', ['-u', 'postgres'])) === undefined) {
    return { why: 'PostgreSQL refuses root, and there is no user postgres' };
  }
  return { path: dir };
}

function notInstalled(title) {
  return `${title} is not installed`;
}

/** The absolute path of a program of the PATH. */
function find(program) {
  for (const dir of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(dir, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not there.
    }
  }
  return undefined;
}

/** What a program writes, if it ends well; undefined if it does not. */
function output(program, args) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), probeMs);
    const done = (code) => {
      clearTimeout(timer);
      resolve(code === 0 ? text : undefined);
    };
    child.once('error', () => done(-1));
    child.once('close', done);
  });
}
