/** The command line of the chaos run. */

import { numberOf, readCommandLine } from '../helpers/command-line.js';

export interface ChaosOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly size: number;
  readonly program: 'kvorum' | 'etcd';
  /** The etcd to run if that is the program. */
  readonly etcd: string;
  readonly clients: number;
  readonly watchers: number;
  /** What all clients together try for; it is less while members are away. */
  readonly operationsPerSecond: number;
  /** The run fails if the mean was below this: it would have proved too little. */
  readonly operationsPerSecondMin: number;
  /** From the start of a fault to the start of the next. */
  readonly faultEveryMs: number;
  /** Only these faults; empty: all. */
  readonly faults: readonly string[];
  /** Where data and logs go; they stay after a run that failed. */
  readonly dir: string;
  /** Mutual TLS on all ports, and auth on. */
  readonly secure: boolean;
  /** Where the summary is written as JSON; '': nowhere. */
  readonly json: string;
  /** Only says how it is used. */
  readonly help: boolean;
}

export const usage = `Real processes under load, killed, stopped, cut off and replaced.

  npm run chaos -- [--minutes T] [--seed S] [--size N] [--faults a,b] [--json FILE] [--dir DIR]

  --minutes T          how long faults go on (1), in rounds of 10; the checks come on top
  --seed S             of what is done and to whom (random); the timing is the machine's
  --size N             members (3)
  --clients N          clients that read and write (32)
  --watchers N         clients that watch (32)
  --rate N             operations a second that the clients try for (2600)
  --rate-min N         fails below this mean (300: any machine should do that)
  --fault-every S      seconds from one fault to the next (10)
  --faults a,b         only these kinds
  --program etcd       etcd instead of kvorum
  --etcd PATH          which etcd (3.7.3 built from its Go modules, else the one of the PATH)
  --secure             mutual TLS on all ports and auth on; needs the openssl program
  --dir DIR            parent of the data and logs (the system's temporary directory)
  --json FILE          writes the summary there, too
`;

/** What node:util has to know of them; see `usage` for what they mean. */
const known = {
  minutes: { type: 'string' },
  seed: { type: 'string' },
  size: { type: 'string' },
  clients: { type: 'string' },
  watchers: { type: 'string' },
  rate: { type: 'string' },
  'rate-min': { type: 'string' },
  'fault-every': { type: 'string' },
  faults: { type: 'string' },
  program: { type: 'string' },
  etcd: { type: 'string' },
  dir: { type: 'string' },
  json: { type: 'string' },
  secure: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

/** Throws if they make no sense, with the usage if one is unknown. */
export function parseOptions(argv: readonly string[], tmp: string, seed: number): ChaosOptions {
  const values = readCommandLine(argv, known, usage);
  const number = (
    name: Exclude<keyof typeof known, 'help' | 'secure'>,
    otherwise: number,
    min: number,
  ) => numberOf(name, values[name], otherwise, { min });
  const { program = 'kvorum' } = values;
  if (program !== 'kvorum' && program !== 'etcd') throw new Error('--program kvorum or etcd');
  return {
    minutes: number('minutes', 1, 0.1),
    seed: number('seed', seed, 0),
    size: number('size', 3, 3),
    program,
    etcd: values.etcd ?? 'etcd',
    clients: number('clients', 32, 1),
    watchers: number('watchers', 32, 1),
    operationsPerSecond: number('rate', 2600, 1),
    operationsPerSecondMin: number('rate-min', 300, 0),
    faultEveryMs: number('fault-every', 10, 1) * 1000,
    faults: (values.faults ?? '').split(',').filter(Boolean),
    dir: values.dir ?? tmp,
    json: values.json ?? '',
    secure: values.secure === true,
    help: values.help === true,
  };
}
