/**
 * Which outside programs this machine has, and describe blocks that skip when one is missing.
 *
 * A skipped block carries the reason in its name: a green run on a machine without etcd must show
 * what it did not look at.
 */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe } from 'vitest';

/** A program that a test may need beside Node. */
export type Tool = 'etcd' | 'etcdctl' | 'go' | 'python3-etcd3' | 'kvorum';

/** The python that Debian's python3-etcd3 is installed for; a python of pyenv would not see it. */
export const systemPython = '/usr/bin/python3';

/** Absolute path of the repository. */
export const repoRoot = fileURLToPath(new URL('../..', import.meta.url));

/** Absolute path of the server under test; KVORUM_TEST_BIN names another build of it. */
export const kvorumBin = process.env.KVORUM_TEST_BIN ?? `${repoRoot}bin/kvorum`;

/** What bin/kvorum runs, seen from itself. */
const builtEntry = '../../dist/bin/kvorum.js';

const probes: Readonly<Record<Tool, () => boolean>> = {
  etcd: () => succeeds('etcd', ['--version']),
  etcdctl: () => succeeds('etcdctl', ['version']),
  go: () => succeeds('go', ['version']),
  'python3-etcd3': () => succeeds(systemPython, ['-c', 'import etcd3']),
  // Only looks whether it was built: a build that does not start must fail tests, not skip them.
  kvorum: () => existsSync(kvorumBin) && existsSync(resolve(kvorumBin, builtEntry)),
};

const known = new Map<Tool, boolean>();

/** True if the tool can be run here; asked once per worker. */
export function have(tool: Tool): boolean {
  const cached = known.get(tool);
  if (cached !== undefined) return cached;
  const found = probes[tool]();
  known.set(tool, found);
  return found;
}

/** `describe`, skipped with the reason in its name when one of the tools is missing. */
export function describeWith(tools: readonly Tool[], name: string, body: () => void): void {
  const missing = tools.filter((tool) => !have(tool));
  if (missing.length === 0) {
    describe(name, body);
    return;
  }
  const what = missing.map((tool) => `${tool} is not ${tool === 'kvorum' ? 'built' : 'installed'}`);
  describe.skip(`${name} (skipped: ${what.join(', ')})`, body);
}

/** The long versions of the tests run when KVORUM_SLOW=1. */
export const slow = process.env.KVORUM_SLOW === '1';

function succeeds(command: string, args: readonly string[]): boolean {
  const run = spawnSync(command, args, { stdio: 'ignore', timeout: 20_000 });
  return run.status === 0;
}
