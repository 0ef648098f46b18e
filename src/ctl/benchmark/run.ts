/** What all benchmarks have: their flags, their connections, and how they are shown. */

import { method, type RawClient } from '../../client/raw/index.js';
import { statusRequest, statusResponse } from '../../proto/index.js';
import {
  type CommandContext,
  CommandError,
  type ExitCode,
  exit,
  flag,
  type ValuesOf,
} from '../command/index.js';
import { clientOf, urlOf } from '../connect/index.js';
import { formOf, jsonLine, painter, showLive } from '../show/index.js';
import { Outcome } from './load.js';
import { liveLines, reportJson, reportText } from './report.js';

/** As etcd's benchmark has them for all of its commands. */
export const sharedFlags = {
  conns: flag.int(1, 'connections'),
  clients: flag.int(1, 'clients, spread over the connections; each has one call under way'),
  precise: flag.bool(false, 'print times with all of their digits'),
  'target-leader': flag.bool(false, 'connect to the leader only'),
} as const;

/** What writes has these as well. */
export const keyFlags = {
  prefix: flag.string('kvorum-bench/', 'what the keys that are written begin with'),
  'key-size': flag.int(8, 'bytes of a key after its prefix'),
  'key-space-size': flag.int(1, 'so many different keys'),
} as const;

type Shared = ValuesOf<typeof sharedFlags>;

/** A part of a benchmark that is reported by itself. */
export interface Part {
  readonly title: string;
  readonly total: number;
  readonly run: (bench: Bench, outcome: Outcome) => Promise<void>;
}

/** What a part works with. */
export interface Bench {
  readonly context: CommandContext;
  readonly connections: readonly RawClient[];
  readonly clients: number;
  /** Aborted: begin nothing more. */
  readonly signal: AbortSignal;
}

/** Runs the parts one after the other, and reports each. Throws CommandError. */
export async function runParts(
  context: CommandContext,
  flags: Shared,
  parts: readonly Part[],
): Promise<ExitCode> {
  const form = formOf(context, 'bench');
  const { conns, clients, precise } = flags;
  for (const [name, value] of Object.entries({ conns, clients })) {
    if (value < 1) throw new CommandError(`--${name} must be above 0`, exit.badArguments);
  }
  const connections = await connect(context, flags);
  const left = new AbortController();
  const signal = AbortSignal.any([context.io.interrupted, left.signal]);
  const bench: Bench = { context, connections, clients, signal };
  let failed = 0;
  try {
    // Nobody measures how long it takes to connect.
    await Promise.all(
      connections.map((one) => one.call(method.status, 'read', statusRequest.encode({}))),
    );
    for (const part of parts) {
      const outcome = await runPart(part, bench, () => left.abort());
      failed += outcome.failed;
      await context.io.stdout(
        form === 'json'
          ? jsonLine(reportJson(part.title, outcome))
          : `\n${reportText(part.title, outcome, precise)}`,
      );
      if (signal.aborted) break;
    }
  } finally {
    await Promise.all(connections.map((one) => one.close()));
  }
  if (signal.aborted) return exit.interrupted;
  return failed === 0 ? exit.ok : exit.error;
}

async function runPart(part: Part, bench: Bench, leave: () => void): Promise<Outcome> {
  const { io, pretty } = bench.context;
  const outcome = new Outcome(io.clock, part.total);
  const running = part.run(bench, outcome).finally(() => outcome.end());
  if (io.keys === undefined || !pretty) {
    await running;
    return outcome;
  }
  const over = new AbortController();
  const paint = painter(true);
  const shown = showLive({
    ...{ io, keys: io.keys, intervalMs: 200, ended: over.signal },
    look: () => Promise.resolve(),
    lines: ({ columns }) => liveLines(part.title, outcome, paint, columns),
    press: () => false,
  }).then((hasLeft) => {
    if (hasLeft) leave();
  });
  try {
    await running;
  } finally {
    over.abort();
    await shown;
  }
  return outcome;
}

/** Connection by connection to the next endpoint, as etcd's benchmark does it. */
async function connect(context: CommandContext, flags: Shared): Promise<readonly RawClient[]> {
  const { global, isSet, io } = context;
  if (flags.conns > 1 && global.user !== '' && !hasPassword(global)) {
    throw new CommandError('--conns above 1 needs --password', exit.badArguments);
  }
  const endpoints = flags['target-leader']
    ? [await leaderOf(context)]
    : global.endpoints.map((one) => urlOf(one, global));
  return Promise.all(
    Array.from({ length: flags.conns }, (_, i) => {
      const endpoint = endpoints[i % endpoints.length] ?? '';
      return clientOf({ ...global, endpoints: [endpoint] }, isSet, io);
    }),
  );
}

function hasPassword({ user, password }: CommandContext['global']): boolean {
  return password !== '' || user.includes(':');
}

async function leaderOf(context: CommandContext): Promise<string> {
  const client = await context.client();
  for (const endpoint of context.global.endpoints.map((one) => urlOf(one, context.global))) {
    const bytes = await client.call(method.status, 'read', statusRequest.encode({}), { endpoint });
    const { header, leader } = statusResponse.decode(bytes);
    if (header?.memberId === leader) return endpoint;
  }
  throw new CommandError('no endpoint is that of the leader');
}
