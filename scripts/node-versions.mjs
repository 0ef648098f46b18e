/**
 * Other versions of Node than the one that runs, to test with: fetched from the package registry,
 * once, into a folder for temporary files.
 *
 *     node scripts/node-versions.mjs 24     prints the folder that has its `node`
 *
 * Where one cannot be had, nothing is printed but why, on standard error, and the exit code is 1.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { npmCommand } from './npm-command.mjs';

/** How long fetching may take: it only ends what hangs. */
const fetchMs = 300_000;

/** The folder with `node` of the newest release of `major`: `{ path }`, or `{ why }` there is none. */
export function nodeOfVersion(major) {
  if (process.platform === 'win32') return { why: 'only where a program is one file' };
  const name = `node-${process.platform}-${process.arch}`;
  const folder = join(tmpdir(), `kvorum-node-${process.getuid()}-${major}`);
  const path = join(folder, 'node_modules', name, 'bin');
  if (!existsSync(path)) {
    // Under a name of its own, so that no other run ever starts half of it.
    const partial = mkdtempSync(`${folder}.`);
    const options = ['--silent', '--no-save', '--ignore-scripts', '--prefix', partial];
    const { file, args } = npmCommand(['install', ...options, `${name}@${major}`]);
    const result = spawnSync(file, args, { timeout: fetchMs });
    if (result.status === 0 && !existsSync(folder)) renameSync(partial, folder);
    else rmSync(partial, { recursive: true, force: true });
  }
  if (!existsSync(path)) return { why: `${name}@${major} cannot be fetched` };
  // What somebody else put into the folder for all is not run.
  if (lstatSync(folder).uid !== process.getuid()) return { why: `${folder} is another user's` };
  return { path };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { path, why } = nodeOfVersion(process.argv[2]);
  if (path === undefined) {
    process.stderr.write(`Node ${process.argv[2]}: ${why}\n`);
    process.exitCode = 1;
  } else process.stdout.write(`${path}\n`);
}
