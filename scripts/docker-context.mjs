/**
 * `npm run docker:context`: the folder that the image is built from, dist/docker: Dockerfile, health
 * check, and what `npm pack` makes with all packages that it needs put into it, so that the build
 * needs no registry of packages.
 */

import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { npmCommand } from './npm-command.mjs';

/** Makes it of a checkout that is built; returns its path. */
export function makeDockerContext(root) {
  const out = join(root, 'dist/docker');
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const { file, args } = npmCommand(['pack', '--json', '--pack-destination', out]);
  const packed = run(file, args, root);
  const [{ filename }] = JSON.parse(packed);
  run('tar', ['-xzf', filename], out);
  addPackages(root, join(out, 'package'));
  run('tar', ['-czf', 'kvorum.tgz', 'package'], out);
  for (const each of ['package', filename]) rmSync(join(out, each), { recursive: true });
  for (const each of ['Dockerfile', 'healthcheck.mjs']) {
    copyFileSync(join(root, 'deploy/docker', each), join(out, each));
  }
  return out;
}

/** What an install for production brings along, from what is installed here. */
function addPackages(root, to) {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  for (const [path, { dev, devOptional, optional }] of Object.entries(lock.packages)) {
    if (path === '' || dev || devOptional || optional) continue;
    mkdirSync(dirname(join(to, path)), { recursive: true });
    cpSync(join(root, path), join(to, path), { recursive: true });
  }
}

function run(file, args, cwd) {
  const stdio = ['ignore', 'pipe', 'inherit'];
  const outcome = spawnSync(file, args, { cwd, stdio, encoding: 'utf8' });
  if (outcome.status === 0) return outcome.stdout;
  throw new Error(`${file} ${args[0]}: ${outcome.error ?? outcome.status}`);
}
