/** The tools of releases, which are installed apart from the rest (scripts/package-tools). */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const folder = 'scripts/package-tools';

/** Installs them if they are not; returns what resolves modules there. */
export function packageTools(root, npm) {
  const dir = join(root, folder);
  if (!existsSync(join(dir, 'node_modules/@changesets/cli/bin.js'))) {
    const { file, args } = npm(['ci', '--ignore-scripts', '--no-fund', '--no-audit']);
    const stdio = ['ignore', process.stderr, 'inherit'];
    const run = spawnSync(file, args, { cwd: dir, stdio });
    if (run.status !== 0) throw new Error(`the tools of ${folder} cannot be installed; see above`);
  }
  return createRequire(join(dir, 'package.json'));
}
