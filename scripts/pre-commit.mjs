/**
 * What a commit must pass before it is made: the linter on the files that are in it, and the types
 * of everything. Seconds; tests take minutes and are run by hand. `npm run pre-commit` runs it,
 * with --install it becomes Git's hook of this clone.
 *
 * Files are looked at as they are in the folder: of one that is staged in part, the rest counts, too.
 */

import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const usage = `usage: npm run pre-commit [-- --install | --remove]

  --install          runs it before each commit of this clone, as Git's hook
  --remove           does so no more
`;

const hook = `#!/bin/sh
# Installed by: npm run pre-commit -- --install
exec node scripts/run.mjs pre-commit
`;

/** Returns the exit code. `say` prints a line. */
export function preCommit(root, [option, ...rest], say) {
  if (rest.length > 0 || !['--install', '--remove', undefined].includes(option)) {
    process.stderr.write(usage);
    return 2;
  }
  return option === undefined ? check(root) : setHook(root, option === '--install', say);
}

function check(root) {
  const run = (script, args) => {
    const command = [join(root, 'node_modules', script), ...args];
    return spawnSync(process.execPath, command, { cwd: root, stdio: 'inherit' }).status ?? 1;
  };
  // Both, so that one attempt shows all there is to do.
  const lint = run('@biomejs/biome/bin/biome', ['check', '--staged', '--no-errors-on-unmatched']);
  const types = run('typescript/bin/tsc', ['--noEmit', '-p', root]);
  return lint === 0 ? types : lint;
}

/** A hook that somebody else wrote is left alone. */
function setHook(root, isWanted, say) {
  const path = hookPath(root);
  if (path === undefined) {
    say('this is no clone of a Git repository.');
    return 1;
  }
  if (existsSync(path) && readFileSync(path, 'utf8') !== hook) {
    say(`there is another hook: ${path}. Let it run \`node scripts/run.mjs pre-commit\`.`);
    return 1;
  }
  if (isWanted) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, hook);
    chmodSync(path, 0o755);
    say(`installed ${path}; \`git commit --no-verify\` passes it over.`);
  } else {
    rmSync(path, { force: true });
    say(`there is no ${path} any more.`);
  }
  return 0;
}

/** Worktrees share the hooks of their clone, and core.hooksPath moves them. */
function hookPath(root) {
  const args = ['rev-parse', '--git-path', 'hooks/pre-commit'];
  const { status, stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  return status === 0 ? resolve(root, stdout.trim()) : undefined;
}
