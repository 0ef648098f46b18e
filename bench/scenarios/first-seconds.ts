/** What clients see of a server in the first ten seconds after a restart. */

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { LoadResult } from '../load/types.js';
import type { ServerOptions } from '../options.js';
import type { Figures } from '../report.js';
import { keyCountDefault, runLoad, specOf } from '../run-load.js';
import { type ServerKind, startCluster } from '../servers.js';
import { latenciesOf, type Note, noteErrors, type Scenario } from './scenario.js';

const seconds = 10;
const secondNames = Array.from({ length: seconds }, (_none, i) => `second ${i + 1}`);
const goals = Object.fromEntries(secondNames.map((name) => [`${name}: p99, ms`, '<= 1x']));

export const hotStart = firstSeconds('hot-start', 'files in the page cache', () => {});
export const coldStart = firstSeconds('cold-start', 'files not in the page cache', forgetFiles);

function firstSeconds(name: string, what: string, whileDown: (dir: string) => void): Scenario {
  return {
    name,
    goals,
    title: ({ keyCount }) => `${name} (${keyCount || keyCountDefault} keys, ${what})`,
    run: (kind, options, note) => measure(kind, options, whileDown, note),
  };
}

async function measure(
  kind: ServerKind,
  options: ServerOptions,
  whileDown: (dir: string) => void,
  note: Note,
): Promise<Figures> {
  const cluster = await startCluster(kind, options.members, options.dir, options);
  try {
    const filling = { ...options, warmupSeconds: 0, seconds: 0.1 };
    const filled = specOf('range', cluster.endpoints, [], filling);
    await runLoad({ ...filled, preload: true });
    const asked = { ...options, warmupSeconds: 0, seconds };
    let load: Promise<LoadResult> | undefined;
    const restartMs = await cluster.restart(() => {
      whileDown(cluster.dir);
      // It knocks from now on, not to miss the beginning.
      load = runLoad(specOf('after-start', cluster.endpoints, [], asked));
      load.catch(() => {}); // If the server does not come back: that is said first.
    });
    const result = await (load as Promise<LoadResult>);
    noteErrors('calls', result, note);
    const { rows, latencyMs } = result;
    return {
      'restart to first put, ms': restartMs,
      ...latenciesOf(rows, secondNames),
      'all: p50, ms': latencyMs.p50,
      'all: p99, ms': latencyMs.p99,
      'all: max, ms': latencyMs.max,
    };
  } finally {
    await cluster.remove();
  }
}

/** The kernel forgets what it has in memory of the files below `dir`, once they are on the disk. */
function forgetFiles(dir: string): void {
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    // What is not written yet cannot be forgotten: `fdatasync` first.
    const words = [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'];
    const run = spawnSync('dd', ['if=/dev/null', ...words], { encoding: 'utf8' });
    if (run.status !== 0) throw new Error(`dd of ${path} failed: ${run.stderr}`);
  }
}
