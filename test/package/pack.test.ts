/**
 * What `npm pack` makes of a fresh clone is the whole package: a copy of the tree without anything
 * that was built is packed, unpacked beside its dependencies (those of production only), and used
 * as an application would.
 */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exec } from '../helpers/exec.js';
import { repoRoot } from '../helpers/tools.js';
import { makeClone, npmOffline } from './clone.js';

const dir = mkdtempSync(join(tmpdir(), 'kvorum-pack-'));
const clone = join(dir, 'clone');
const app = join(dir, 'app');
const installed = join(app, 'node_modules/kvorum');
/** Compiling takes seconds, and much longer where others compile, too. */
const timeoutMs = 300_000;

/** One package of the lock file. */
interface LockedPackage {
  readonly dev?: boolean;
  readonly devOptional?: boolean;
}

/** What `npm pack --json` says of a package. */
interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string; readonly mode: number }[];
}

/** Gives the application what a production install of the package would bring along. */
function linkDependencies(): void {
  const lock = JSON.parse(readFileSync(join(repoRoot, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, LockedPackage>>;
  };
  for (const [path, { dev, devOptional }] of Object.entries(lock.packages)) {
    // Nested ones come with the package they are in.
    if (path === '' || dev === true || devOptional === true) continue;
    if (path.lastIndexOf('node_modules/') > 0) continue;
    mkdirSync(dirname(join(app, path)), { recursive: true });
    symlinkSync(join(repoRoot, path), join(app, path));
  }
}

const npm = (args: readonly string[], cwd: string) => {
  return npmOffline(args, { cwd, cache: join(dir, 'cache'), timeoutMs });
};

afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('npm pack in a fresh clone', () => {
  let packed: Packed | undefined;
  const paths = () => packed?.files.map(({ path }) => path) ?? [];

  beforeAll(async () => {
    makeClone(clone);
    mkdirSync(installed, { recursive: true });
    const run = await npm(['pack', '--json', '--pack-destination', dir], clone);
    expect(run.code, run.stderr).toBe(0);
    [packed] = JSON.parse(run.stdout.toString('utf8')) as [Packed];
    const unpack = ['-xzf', join(dir, packed.filename), '-C', installed, '--strip-components=1'];
    const tar = await exec('tar', unpack);
    expect(tar.code, tar.stderr).toBe(0);
    linkDependencies();
  }, timeoutMs);

  it('has the code, the types and the protocol, and nothing of ours alone', () => {
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
      bin: Record<string, string>;
      exports: Record<string, Record<string, string>>;
    };
    const promised = [
      ...Object.values(manifest.bin),
      ...Object.values(manifest.exports).flatMap((each) => Object.values(each)),
    ].map((path) => path.replace(/^\.\//, ''));
    expect(promised.length).toBe(11);
    for (const path of promised) expect(paths()).toContain(path);
    expect(paths()).toContain('dist/bin/kvorum.cjs');
    expect(paths()).toContain('dist/src/proto/generated/etcd.js');
    expect(paths()).toContain('proto/rpc.proto');
    for (const path of paths()) {
      expect(path).toMatch(/^(bin|dist\/bin|dist\/src|proto)\/|^[A-Za-z]+(\.md|\.json)?$/);
    }
    expect(readdirSync(installed).sort()).toEqual(
      ['CHANGELOG.md', 'LICENSE', 'README.md', 'bin', 'dist', 'package.json', 'proto'].sort(),
    );
    expect(packed?.files.find(({ path }) => path === 'bin/kvorum')?.mode).toBe(0o755);
  });

  it('runs as a program', async () => {
    const { version } = JSON.parse(readFileSync(join(repoRoot, 'package.json'), 'utf8'));
    const run = await exec(join(installed, 'bin/kvorum'), ['--version'], { cwd: app });
    expect(run.stderr).toBe('');
    expect(run.stdout.toString('utf8')).toContain(`kvorum Version: ${version}`);
    expect(run.code).toBe(0);
  });

  it('is imported: a server, and a client that talks to it', { timeout: timeoutMs }, async () => {
    const program = `
      import * as server from 'kvorum';
      import { Etcd, text } from 'kvorum/client';
      import { startNode } from 'kvorum/testing';
      if (Object.keys(server).length === 0) throw new Error('kvorum exports nothing');
      const node = await startNode();
      for (const transport of ['native', 'grpc-js']) {
        const client = new Etcd({ endpoints: [node.endpoint], transport });
        await client.kv.as(text).put(transport, 'answers');
        console.log(transport, (await client.kv.as(text).get(transport))?.value);
        await client.close();
      }
      await node.stop();
      await import('kvorum/client/grpc-js');
      process.exit(0);
    `;
    const run = await exec(process.execPath, ['--input-type=module', '-e', program], {
      cwd: app,
      timeoutMs,
    });
    expect(run.stderr).toBe('');
    expect(run.stdout.toString('utf8')).toBe('native answers\ngrpc-js answers\n');
    expect(run.code).toBe(0);
  });
});
