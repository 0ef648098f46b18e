/** What is to be measured, in portions that share one run of a server. */

import type { Workload } from './load/workload.js';
import { workloads } from './load/workloads.js';
import type { ServerOptions } from './options.js';
import { type Figures, figuresOf, goalsOf } from './report.js';
import type { Entry } from './results.js';
import { runLoad, specOf } from './run-load.js';
import { type Scenario, scenarios } from './scenarios/index.js';
import { type ServerKind, startCluster } from './servers.js';

/** Takes what was measured of one of the entries. */
export type Take = (entry: Entry, figures: Figures, problem?: string) => void;

export interface Session {
  readonly entries: readonly Entry[];
  /** It limits the memory of its servers. */
  readonly needsCgroup: boolean;
  /** One round on one kind of server. */
  run(kind: ServerKind, take: Take): Promise<void>;
}

/** Workloads that only read the same keys share a server; each of the others gets a fresh one. */
export function sessionsOf(options: ServerOptions): Session[] {
  return variantsOf(options).flatMap(([variant, suffix]) => {
    const chosen = workloads.filter(({ name }) => variant.only.includes(name));
    const readers = new Map<string, Workload[]>();
    for (const workload of chosen.filter(({ reads }) => reads)) {
      const { keyCount, valueBytes } = specOf(workload.name, [], [], variant);
      const key = [keyCount, valueBytes, workload.memoryLimitMb].join();
      readers.set(key, [...(readers.get(key) ?? []), workload]);
    }
    const writers = chosen.filter(({ reads }) => !reads).map((workload) => [workload]);
    return [
      ...[...writers, ...readers.values()].map((each) => loadSession(each, variant, suffix)),
      ...scenarios
        .filter(({ name }) => variant.only.includes(name))
        .map((scenario) => scenarioSession(scenario, variant, suffix)),
    ];
  });
}

/** The options with each value of a sweep, and what tells them apart. */
function variantsOf(options: ServerOptions): Array<readonly [ServerOptions, string]> {
  const { sweep } = options;
  if (sweep === undefined) return [[options, '']];
  const fields = { 'value-bytes': 'valueBytes', clients: 'clients', members: 'members' } as const;
  const words = { 'value-bytes': 'B', clients: 'clients', members: 'members' };
  return sweep.values.map((value) => {
    const word = value === 1 ? words[sweep.option].replace(/s$/, '') : words[sweep.option];
    return [{ ...options, [fields[sweep.option]]: value }, `, ${value} ${word}`] as const;
  });
}

function loadSession(
  session: readonly Workload[],
  options: ServerOptions,
  suffix: string,
): Session {
  const memoryLimitMb = session[0]?.memoryLimitMb;
  const entries = session.map((workload) => entryOf(workload, options, suffix));
  return {
    entries,
    needsCgroup: memoryLimitMb !== undefined,
    async run(kind, take) {
      const programs = { ...options, memoryLimitMb };
      const cluster = await startCluster(kind, options.members, options.dir, programs);
      try {
        for (const [i, workload] of session.entries()) {
          const spec = specOf(workload.name, cluster.endpoints, cluster.pids(), options);
          const result = await runLoad({ ...spec, preload: workload.reads && i === 0 });
          const failed = result.errors > 0 || result.operations === 0;
          const problem = failed ? `${result.errors} errors, ${result.firstError}` : undefined;
          take(entries[i] as Entry, figuresOf(result, cluster.memory()), problem);
        }
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        const gone = cluster.processes().find(({ exitCode, signalCode }) => {
          return exitCode !== null || signalCode !== null;
        });
        if (gone === undefined) throw error;
        throw new Error(`a server ended with ${gone.signalCode ?? gone.exitCode}: ${message}`);
      } finally {
        await cluster.remove();
      }
    },
  };
}

/** What is told of a workload. */
export function entryOf(workload: Workload, options: ServerOptions, suffix = ''): Entry {
  const { name, unit, memoryLimitMb, budget } = workload;
  const { keyCount, valueBytes, clients } = specOf(name, [], [], options);
  const limit = memoryLimitMb === undefined ? '' : `, ${memoryLimitMb} MB of memory`;
  const keys = workload.reads ? `, ${keyCount} keys of ${valueBytes} B${limit}` : '';
  const fewer = options.clients === 0 && clients < workload.clients ? ` by ${clients} clients` : '';
  return {
    name: `${name}${suffix}${fewer}`,
    title: `${name}${suffix} (one: ${unit}${fewer}${keys})`,
    goals: goalsOf(budget, options),
    isLoad: true,
  };
}

function scenarioSession(scenario: Scenario, options: ServerOptions, suffix: string): Session {
  const entry: Entry = {
    name: `${scenario.name}${suffix}`,
    title: `${scenario.title(options)}${suffix}`,
    goals: scenario.goals,
    isLoad: false,
  };
  return {
    entries: [entry],
    needsCgroup: false,
    async run(kind, take) {
      const problems: string[] = [];
      const figures = await scenario.run(kind, options, (text) => problems.push(text));
      take(entry, figures, problems.length > 0 ? problems.join('; ') : undefined);
    },
  };
}
