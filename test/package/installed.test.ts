/**
 * The packages as somebody gets them who has never seen this checkout: from a registry, with npm,
 * npx, Bun and Deno. Left out where no registry answers; packages.test.ts needs none.
 */

import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packageFolders } from '../../scripts/packages/index.mjs';
import { exec } from '../helpers/exec.js';
import { cleanEnvironment, freePort, useServer } from '../helpers/server.js';
import { describeWith, repoRoot, toolPath } from '../helpers/tools.js';
import { type Assembled, assemble, must, npmCommand } from './assembled.js';
import { clientProgram, commonJsOf, serverProgram } from './programs.js';
import { type LocalRegistry, startRegistry } from './registry.js';

/** Only ends what hangs: a registry may be slow. */
const timeoutMs = 900_000;
/** What was fetched once is kept, apart from the cache of whoever runs this. */
const cache = join(tmpdir(), `kvorum-npm-cache-${process.getuid?.() ?? 'user'}`);
/** Other runtimes, as packages of the registry; what they bring is their own business. */
const runtimes = { bun: '1.4.5', deno: '2.9.6' };

let all: Assembled;
let registry: LocalRegistry;

function npm(cwd: string, ...args: string[]) {
  const { file, args: given } = npmCommand(args);
  const env = { npm_config_registry: registry.url, npm_config_cache: cache };
  return exec(file, given, { cwd, env, timeoutMs });
}

/** Packages below node_modules, as npm has written them down. */
function installedIn(app: string): string[] {
  const lock = JSON.parse(readFileSync(join(app, 'package-lock.json'), 'utf8'));
  return Object.keys(lock.packages).filter((path) => path !== '');
}

describeWith(['kvorum', 'npm-registry'], 'the packages, installed from a registry', () => {
  const server = useServer('kvorum');
  beforeAll(async () => {
    all = await assemble();
    const packed = packageFolders.map((folder) => {
      return { manifest: all.manifest(folder), tarball: all.tarballs[folder] };
    });
    registry = await startRegistry(packed, toolPath('npm-registry'));
  }, timeoutMs);
  afterAll(async () => {
    await registry?.close();
    all?.remove();
  });

  it('npx kvorum starts a server in an empty folder', { timeout: timeoutMs }, async () => {
    const app = all.app('npx');
    const [client, peer] = [await freePort(), await freePort()];
    const url = `http://127.0.0.1:${client}`;
    const { file, args } = npmCommand(['exec', '--yes', '--', 'kvorum']);
    const flags = ['--listen-client-urls', url, '--advertise-client-urls', url];
    const peers = ['--listen-peer-urls', `http://127.0.0.1:${peer}`];
    const env = { npm_config_registry: registry.url, npm_config_cache: cache };
    const ready = /ready to serve client requests/;
    const started = spawn(file, [...args, ...flags, ...peers], {
      cwd: app,
      env: { ...cleanEnvironment(), ...env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = new Promise<void>((resolve) => {
      started.once('close', () => resolve());
    });
    let said = '';
    try {
      await new Promise<void>((resolve, reject) => {
        const onData = (chunk: Buffer) => {
          said += chunk;
          if (ready.test(said)) resolve();
        };
        started.stdout.on('data', onData);
        started.stderr.on('data', onData);
        started.once('close', () => reject(new Error(`npx ended:\n${said}`)));
      });
      const health = await fetch(`${url}/health`);
      expect(await health.text()).toContain('"health":"true"');
      expect(existsSync(join(app, 'default.etcd'))).toBe(true);
    } finally {
      // npx has started another process.
      if (started.pid !== undefined) process.kill(-started.pid, 'SIGTERM');
      await ended;
    }
  });

  it('npm install @kvorum/client brings one package', { timeout: timeoutMs }, async () => {
    const program = clientProgram('@kvorum/client');
    const app = all.app('client', { 'main.mjs': program, 'main.cjs': commonJsOf(program) });
    must(await npm(app, 'install', '@kvorum/client'));
    expect(installedIn(app)).toEqual(['node_modules/@kvorum/client']);
    for (const file of ['main.mjs', 'main.cjs']) {
      const run = await exec(process.execPath, [file, server().endpoint], { cwd: app, timeoutMs });
      expect(must(run)).toBe('hello\n');
    }
  });

  it('the other transport works with @grpc/grpc-js beside it', { timeout: timeoutMs }, async () => {
    const program = `${clientProgram('@kvorum/client').replace(
      'new Etcd([process.argv[2]])',
      "new Etcd({ endpoints: [process.argv[2]], transport: 'grpc-js' })",
    )}\nimport { registerGrpcResolver } from '@kvorum/client/grpc-js';
      if (typeof registerGrpcResolver !== 'function') throw new Error('no resolver');`;
    const app = all.app('grpc-js', { 'main.mjs': program });
    must(await npm(app, 'install', '@kvorum/client', '@grpc/grpc-js'));
    const run = await exec(process.execPath, ['main.mjs', server().endpoint], { cwd: app });
    expect(must(run)).toBe('hello\n');
  });

  it('npm install @kvorum/testing brings a server', { timeout: timeoutMs }, async () => {
    const app = all.app('testing', { 'main.mjs': serverProgram('@kvorum/testing') });
    must(await npm(app, 'install', '--save-dev', '@kvorum/testing'));
    const packages = installedIn(app);
    process.stderr.write(`kvorum: npm install @kvorum/testing: ${packages.length} packages\n`);
    expect(packages).toContain('node_modules/kvorum');
    expect(packages).not.toContain('node_modules/protobufjs');
    const run = await exec(process.execPath, ['main.mjs'], { cwd: app, timeoutMs });
    expect(must(run)).toBe('3 hello function\n');
  });

  it.each(Object.entries(runtimes))(
    'the client works in %s %s',
    { timeout: timeoutMs },
    async (name, version) => {
      const app = all.app(name, { 'main.mjs': clientProgram('@kvorum/client') });
      must(await npm(app, 'install', '@kvorum/client', `${name}@${version}`));
      const program = join(app, 'node_modules/.bin', name);
      const allowed = name === 'deno' ? ['run', '--allow-all'] : ['run'];
      const args = [...allowed, 'main.mjs', server().endpoint];
      const env = { DENO_NO_UPDATE_CHECK: '1', DENO_DIR: join(app, 'deno-dir') };
      expect(must(await exec(program, args, { cwd: app, env, timeoutMs }))).toBe('hello\n');
    },
  );

  it('types are right for every way to ask for them (attw)', { timeout: timeoutMs }, async () => {
    const app = join(all.dir, 'tools');
    mkdirSync(app);
    for (const name of ['package.json', 'package-lock.json']) {
      cpSync(join(repoRoot, 'scripts/package-tools', name), join(app, name));
    }
    must(await npm(app, 'ci', '--ignore-scripts'));
    const attw = join(app, 'node_modules/@arethetypeswrong/cli/dist/index.js');
    for (const folder of packageFolders) {
      const args = [attw, all.tarballs[folder], '--profile', 'node16', '--format', 'ascii'];
      const env = { NO_COLOR: '1' };
      expect(must(await exec(process.execPath, args, { cwd: app, env, timeoutMs }))).toMatch(/./);
    }
  });
});
