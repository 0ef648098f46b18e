/** The command line of the simulator. */

import { numberOf, readCommandLine } from '../helpers/command-line.js';

export interface SimOptions {
  readonly seeds: number;
  /** The first seed. */
  readonly seed: number;
  readonly steps: number;
  /** Undefined: as the seed draws it. */
  readonly size: number | undefined;
  readonly faults: number;
  readonly workers: number;
  readonly mutations: boolean;
  /** Only this mutation. */
  readonly mutation: string;
  /** Runs every seed twice and compares the hashes. */
  readonly twice: boolean;
  readonly shrink: boolean;
  /** Only says how it is used. */
  readonly help: boolean;
  /** File for what Raft does in the one run; '': none. */
  readonly raftTrace: string;
}

export const usage = `Runs simulated clusters: the server's own code on simulated machines.

  npm run sim -- [--seeds N] [--seed S] [--steps M] [--size N] [--faults N] [--workers N]
                 [--twice] [--no-shrink] [--mutations [--mutation NAME]]
                 [--raft-trace FILE]

  --seeds N      how many seeds to run (100)
  --seed S       the first seed (1); alone: just this one, with its timeline
  --steps M      events in which faults come; healing comes on top (20000)
  --size N       members; otherwise 1, 3, 5 or 7, as the seed says
  --faults N     faults in a run (32)
  --workers N    processes (2)
  --twice        runs each seed twice: the traces must have the same hash
  --no-shrink    does not look for a shorter schedule that fails
  --raft-trace FILE
                 what Raft does in the run of one seed, a line of JSON an event (docs/simulation.md)
  --mutations    puts known bugs into a copy of the program; each must be found
`;

/** What node:util has to know of them; see `usage` for what they mean. */
const known = {
  seeds: { type: 'string' },
  seed: { type: 'string' },
  steps: { type: 'string' },
  size: { type: 'string' },
  faults: { type: 'string' },
  workers: { type: 'string' },
  mutations: { type: 'boolean' },
  mutation: { type: 'string' },
  twice: { type: 'boolean' },
  'no-shrink': { type: 'boolean' },
  'raft-trace': { type: 'string' },
  help: { type: 'boolean' },
} as const;

/** Throws if they make no sense, with the usage if one is unknown. */
export function parseOptions(argv: readonly string[]): SimOptions {
  const values = readCommandLine(argv, known, usage);
  const number = (name: 'seeds' | 'seed' | 'steps' | 'faults' | 'workers', otherwise: number) =>
    numberOf(name, values[name], otherwise, { min: 0, whole: true });
  const raftTrace = values['raft-trace'] ?? '';
  const isOne = values.seed !== undefined || raftTrace !== '';
  const seeds = number('seeds', isOne ? 1 : 100);
  if (raftTrace !== '' && seeds !== 1) {
    throw new Error('--raft-trace is of one run: use --seed without --seeds');
  }
  return {
    seeds,
    seed: number('seed', 1),
    steps: number('steps', 20_000),
    size:
      values.size === undefined
        ? undefined
        : numberOf('size', values.size, 0, { min: 1, whole: true }),
    faults: number('faults', 32),
    workers: number('workers', 2),
    mutations: values.mutations === true || values.mutation !== undefined,
    mutation: values.mutation ?? '',
    twice: values.twice === true,
    shrink: values['no-shrink'] !== true,
    help: values.help === true,
    raftTrace,
  };
}
