/** What a scenario is: a measurement that is more than one load. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadResult } from '../load/types.js';
import type { ServerOptions } from '../options.js';
import type { Figures } from '../report.js';
import { type LoadRun, specOf, startLoad } from '../run-load.js';
import type { Cluster, ServerKind } from '../servers.js';

export interface Scenario {
  readonly name: string;
  /** Goals of figures by name: `<= 400 ms` of ours, or `<= 0.5x` of the ratio. */
  readonly goals: Readonly<Record<string, string>>;
  /** It takes so long, or so much, that it runs only if it is asked for by name. */
  readonly onlyWhenNamed?: boolean;
  title(options: ServerOptions): string;
  /** One round on one kind of server. Tells `note` what went wrong, if it is not the end of it. */
  run(kind: ServerKind, options: ServerOptions, note: Note): Promise<Figures>;
}

export type Note = (text: string) => void;

/** Tells of the failed operations of a load, if there are any. */
export function noteErrors(what: string, { errors, firstError }: LoadResult, note: Note): void {
  if (errors > 0) note(`${errors} errors of ${what}, the first: ${firstError}`);
}

const steadyPutsPerSecond = 500;
const steadyConnections = 10;
const steadyBeforeMs = 2000;
const steadySecondsMax = 600;

/** The rows of a {@link SteadyPuts}. */
const before = 'puts before';
const meanwhile = 'puts meanwhile';

/** Puts at a steady rate, in a process of their own, while something else goes on. */
export class SteadyPuts {
  readonly #run: LoadRun;

  /** Of a run of puts that has begun; {@link SteadyPuts.start} makes one. */
  constructor(run: LoadRun) {
    this.#run = run;
  }

  /** Resolves when it has run for two seconds: what is compared with. */
  static async start(cluster: Cluster, options: ServerOptions): Promise<SteadyPuts> {
    const shape = { connections: steadyConnections, clients: steadyConnections };
    const spec = specOf('put', cluster.endpoints, [], {
      ...options,
      ...shape,
      callsPerSecond: steadyPutsPerSecond,
      seconds: steadySecondsMax,
    });
    let run: LoadRun | undefined;
    await new Promise<void>((resolve, reject) => {
      const opens = async () => resolve();
      run = startLoad(spec, { operationsMin: 0, opens, closed: async () => {} });
      run.result.catch(reject);
    });
    if (run === undefined) throw new Error('opened before it began');
    const puts = new SteadyPuts(run);
    puts.#run.phase(before);
    await sleep(steadyBeforeMs);
    return puts;
  }

  /** What they are looked at for begins now. */
  meanwhile(): void {
    this.#run.phase(meanwhile);
  }

  /** Ends them; their latencies before and meanwhile. */
  async stop(note: Note): Promise<Figures> {
    this.#run.finish();
    const result = await this.#run.result;
    noteErrors('puts', result, note);
    return latenciesOf(result.rows, [before, meanwhile]);
  }
}

/** p50 and p99 of these rows, as far as there is anything in them. */
export function latenciesOf(rows: LoadResult['rows'], names: readonly string[]): Figures {
  const figures: Record<string, number> = {};
  for (const name of names) {
    const row = rows.find((each) => each.name === name);
    if (row === undefined || row.operations === 0) continue;
    figures[`${name}: p50, ms`] = row.latencyMs.p50;
    figures[`${name}: p99, ms`] = row.latencyMs.p99;
  }
  return figures;
}
