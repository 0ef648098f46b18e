/** The three packages, assembled and packed as for a release, and empty folders to use them in. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { assemblePackages, packageFolders, packFolders } from '../../scripts/packages/index.mjs';
import { exec, type Finished } from '../helpers/exec.js';
import { repoRoot } from '../helpers/tools.js';

/** Which package: the name of its folder. */
export type Folder = (typeof packageFolders)[number];

/** What npm, Node and our packages read of a package.json. */
export interface Manifest extends Readonly<Record<string, unknown>> {
  readonly name: string;
  readonly version: string;
  readonly files: readonly string[];
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, Condition>>>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** What `import`, or `require`, gets. */
export type Condition = Readonly<Record<string, string>>;

export interface Assembled {
  readonly dir: string;
  /** Folders of packages as they are in their tarballs. */
  readonly unpacked: Readonly<Record<Folder, string>>;
  readonly tarballs: Readonly<Record<Folder, string>>;
  /** By package the modules that it has code of. */
  readonly modules: ReadonlyMap<string, readonly string[]>;
  manifest(folder: Folder): Manifest;
  /** A new folder with these files, outside of the checkout. */
  app(name: string, files?: Readonly<Record<string, string>>): string;
  remove(): void;
}

/** How to run npm: the one that runs the tests, or the one on the PATH. */
export function npmCommand(args: readonly string[]): { file: string; args: readonly string[] } {
  const script = process.env.npm_execpath;
  if (script?.endsWith('.js')) return { file: process.execPath, args: [script, ...args] };
  return { file: 'npm', args };
}

/** Assembles, packs and unpacks all packages of the build. */
export async function assemble(): Promise<Assembled> {
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-packages-'));
  const out = join(dir, 'out');
  const modules = await assemblePackages(repoRoot, out);
  const packed = packFolders(out, npmCommand);
  const unpacked: Partial<Record<Folder, string>> = {};
  const tarballs: Partial<Record<Folder, string>> = {};
  for (const [i, folder] of packageFolders.entries()) {
    const to = join(dir, 'unpacked', folder);
    mkdirSync(to, { recursive: true });
    const tarball = packed[i] ?? '';
    must(await exec('tar', ['-xzf', tarball, '-C', to, '--strip-components=1']));
    unpacked[folder] = to;
    tarballs[folder] = tarball;
  }
  const all = unpacked as Record<Folder, string>;
  return {
    dir,
    unpacked: all,
    tarballs: tarballs as Record<Folder, string>,
    modules,
    manifest: (folder) => JSON.parse(readFileSync(join(all[folder], 'package.json'), 'utf8')),
    app(name, files = {}) {
      mkdirSync(join(dir, 'apps'), { recursive: true });
      const folder = mkdtempSync(join(dir, 'apps', `${name}-`));
      writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), text);
      }
      return folder;
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/**
 * Gives an application packages without asking a registry: links to what this checkout has
 * installed, or to folders that are named.
 */
export function lend(app: string, packages: Readonly<Record<string, string | undefined>>): void {
  for (const [name, folder] of Object.entries(packages)) {
    const to = join(app, 'node_modules', name);
    mkdirSync(dirname(to), { recursive: true });
    symlinkSync(folder ?? join(repoRoot, 'node_modules', name), to);
  }
}

/** What a command printed; fails with what it said if it failed. */
export function must(run: Finished): string {
  const text = run.stdout.toString('utf8');
  if (run.code !== 0) throw new Error(`it ended with ${run.code}:\n${text}\n${run.stderr}`);
  return text;
}
