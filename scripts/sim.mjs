/**
 * Compiles the simulator (test/sim) with the server into dist/sim, a tree of its own: the mutation
 * gate copies and changes it, and `npm start` need not wait for it.
 */

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Returns the script to run, or undefined if something does not compile (tsc has said what). */
export function buildSimulator(root) {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const args = [tsc, '-b', 'tsconfig.sim.json'];
  const result = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (result.status !== 0) return undefined;
  const from = join(root, 'src/proto/generated');
  const to = join(root, 'dist/sim/src/proto/generated');
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    if (!name.startsWith('.')) copyFileSync(join(from, name), join(to, name));
  }
  return join(root, 'dist/sim/test/sim/main.js');
}
