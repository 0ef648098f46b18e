/** The command line of `npm run flame`. */

import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { loadFlags, loadOptionsOf, numberOf } from '../arguments.js';
import { workloads } from '../load/workloads.js';
import { list } from '../options.js';
import type { LoadOptions } from '../run-load.js';
import type { ProfileKind } from './types.js';

export interface FlameOptions extends LoadOptions {
  /** Names of workloads, one profile of each kind for each. */
  readonly loads: readonly string[];
  readonly profiles: readonly ProfileKind[];
  /** bin/kvorum of another checkout; undefined: of this one. */
  readonly bin: string | undefined;
  /** Rows of a table. */
  readonly top: number;
  /** Where the server keeps its data. */
  readonly dir: string;
  /** Where the profiles go. */
  readonly out: string;
}

/** `watch` is what most want to know of watches. */
const aliases: Readonly<Record<string, string>> = { watch: 'watch-100' };
const kinds: readonly ProfileKind[] = ['cpu', 'heap'];

export const usage = `usage: npm run flame -- [options]

Starts a server, loads it, and prints which functions took the time and which allocated.

  --load LIST        comma-separated: put (the default), range, txn-put, watch, or any of
                     ${workloads.map((each) => each.name).join(' ')}
  --profile LIST     cpu, heap, or both, one after the other (cpu,heap)
  --bin PATH         bin/kvorum of another checkout, which has been built, to compare with
  --seconds S        profiled time of each (5)
  --warmup S         time before it (2)
  --top N            functions in a table (25)
  --keys N           keys in the store, or that puts choose from (100000)
  --value-bytes N    (256)
  --connections N, --clients N, --rate N
                     override the workload's; a rate (calls/s) makes an open loop
  --dir DIR          data of the server (the system's directory for temporary files)
  --out DIR          profiles and flame graphs (bench/results/flame-<date>)
`;

/** Parses the arguments; undefined if help was asked for. Throws Error with a text for people. */
export function parseOptions(args: readonly string[]): FlameOptions | undefined {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...loadFlags,
      load: text,
      profile: text,
      bin: text,
      top: text,
      dir: text,
      out: text,
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) return undefined;
  const loads = list(values.load ?? 'put').map((name) => aliases[name] ?? name);
  for (const name of loads) {
    if (!workloads.some((each) => each.name === name)) {
      throw new Error(`unknown load "${name}"; see --help`);
    }
  }
  const profiles = list(values.profile ?? kinds.join()).map(kindOf);
  const date = new Date().toISOString().replace(/[:.]/g, '-');
  return {
    loads,
    profiles,
    bin: values.bin,
    ...loadOptionsOf(values, 5),
    top: numberOf('--top', values.top, 25),
    dir: values.dir ?? tmpdir(),
    out: values.out ?? `bench/results/flame-${date}`,
  };
}

function kindOf(name: string): ProfileKind {
  const kind = kinds.find((each) => each === name);
  if (kind === undefined) throw new Error(`--profile ${name}: cpu or heap`);
  return kind;
}
