/** The command line of the simulator. */

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

export function parseOptions(argv: readonly string[]): SimOptions {
  const values = new Map<string, string>();
  const flags = new Set(['twice', 'no-shrink', 'mutations', 'help']);
  for (let i = 0; i < argv.length; i += 1) {
    const [name = '', inline] = (argv[i] ?? '').replace(/^--/, '').split('=');
    const known = ['seeds', 'seed', 'steps', 'size', 'faults', 'workers', 'mutation', 'raft-trace'];
    if (flags.has(name)) values.set(name, 'true');
    else if (!known.includes(name)) throw new Error(`unknown option --${name}\n\n${usage}`);
    else if (inline !== undefined) values.set(name, inline);
    else {
      i += 1;
      values.set(name, argv[i] ?? '');
    }
  }
  const number = (name: string, otherwise: number): number => {
    const value = Number(values.get(name) ?? otherwise);
    if (!Number.isInteger(value) || value < 0) throw new Error(`--${name} must be a number`);
    return value;
  };
  const raftTrace = values.get('raft-trace') ?? '';
  if (raftTrace !== '' && number('seeds', 1) !== 1) {
    throw new Error('--raft-trace is of one run: use --seed without --seeds');
  }
  return {
    seeds: number('seeds', values.has('seed') || raftTrace !== '' ? 1 : 100),
    seed: number('seed', 1),
    steps: number('steps', 20_000),
    size: values.has('size') ? number('size', 3) : undefined,
    faults: number('faults', 32),
    workers: number('workers', 2),
    mutations: values.has('mutations') || values.has('mutation'),
    mutation: values.get('mutation') ?? '',
    twice: values.has('twice'),
    shrink: !values.has('no-shrink'),
    raftTrace,
  };
}
