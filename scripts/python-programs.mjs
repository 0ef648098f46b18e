/**
 * The Python programs that tests use: installed with their pinned versions, once, into a virtual
 * environment in a folder for temporary files, named after the hash of its requirements.
 *
 * Where they cannot be had (no venv, no package index), that is said and nothing fails.
 */

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** How long installing may take: it only ends what hangs. */
const installMs = 900_000;
/** Debian's: other users can run it, too, which a Python in somebody's home does not allow. */
const systemPython = '/usr/bin/python3';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * A Python that has the packages of a file of requirements: `{ path }`, or `{ why }` there is none.
 * Calls `say` with a line before what takes time.
 */
export async function pythonWith(requirements, title, say = () => {}) {
  const text = readFileSync(join(root, requirements), 'utf8');
  const id = createHash('sha256').update(text).digest('hex').slice(0, 16);
  const folder = join(tmpdir(), `kvorum-python-${userId()}-${id}`);
  const path = join(folder, 'bin/python');
  if (existsSync(path)) {
    // What somebody else put into the folder for all is not run.
    return isOurs(folder) ? { path } : { why: `${folder} belongs to another user` };
  }
  say(`installing ${title} (once) ...`);
  // Under a name of its own, so that no other run ever starts half of it.
  const partial = `${folder}.${process.pid}`;
  try {
    if (!(await run(systemPython, ['-m', 'venv', partial]))) {
      return { why: 'python3-venv is not installed' };
    }
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
    const patience = ['--retries', '2', '--timeout', '20'];
    const args = [...pip, ...patience, '-r', join(root, requirements)];
    if (!(await run(join(partial, 'bin/python'), args))) {
      return { why: `${title} cannot be fetched` };
    }
    renameSync(partial, folder);
    return { path };
  } catch (error) {
    // Another run was faster.
    if (existsSync(path) && isOurs(folder)) return { path };
    throw error;
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

function isOurs(folder) {
  return lstatSync(folder).uid === userId();
}

function userId() {
  return process.getuid?.() ?? 0;
}

/** True if it ends well. */
function run(program, args) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: 'ignore', detached: true });
    const end = () => {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    };
    const timer = setTimeout(end, installMs);
    process.once('exit', end);
    const done = (code) => {
      clearTimeout(timer);
      process.off('exit', end);
      resolve(code === 0);
    };
    child.once('error', () => done(-1));
    child.once('close', done);
  });
}
