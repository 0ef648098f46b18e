/**
 * `npm run bench`: starts kvorum (and etcd) and loads them in turn, A B A B, never two at a time;
 * prints medians, ratios and the goals; writes JSON. Method: docs/benchmarks.md.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Workload, workloads } from './load/workloads.js';
import { describeMachine, type Machine } from './machine.js';
import { type BenchOptions, parseOptions, usage } from './options.js';
import { type Figures, figuresOf, goalsOf, loadFigures, medians, table } from './report.js';
import { keyCountDefault, runLoad, specOf, stopLoad } from './run-load.js';
import { runScenario, scenarioBudgets, scenarioNames } from './scenarios.js';
import { makeSecurity, type Security } from './security.js';
import { type ServerKind, startCluster } from './servers.js';

/** With the certificates that it takes, if any. */
type ServerOptions = BenchOptions & { readonly security: Security | undefined };
/** Every round of every workload, by server. */
type Rounds = Map<string, Map<Subject, Figures[]>>;
/** What was measured; `endpoints`: whatever listens there. */
type Subject = ServerKind | 'endpoints';

/** Set by a signal: what runs is cleaned up, nothing new begins. */
let interrupted = false;
let failures = 0;

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    interrupted = true;
    stopLoad();
  });
}
process.exitCode = await main();

async function main(): Promise<number> {
  let options: BenchOptions | undefined;
  try {
    options = parseOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    return 2;
  }
  if (options === undefined) {
    process.stdout.write(usage);
    return 0;
  }
  const kinds: ServerKind[] = options.etcd === undefined ? ['kvorum'] : ['kvorum', 'etcd'];
  const machine = describeMachine(options.dir, options.etcd);
  announce(machine, options);
  const rounds: Rounds = new Map();
  const certificates = mkdtempSync(join(options.dir, 'bench-certificates-'));
  try {
    const security = options.tls ? makeSecurity(certificates) : undefined;
    if (options.endpoints.length > 0) await loadElsewhere(options, rounds);
    else await loadServers({ ...options, security }, kinds, rounds);
  } finally {
    rmSync(certificates, { recursive: true, force: true });
  }
  if (rounds.size > 0) writeJson(options, machine, rounds);
  return failures > 0 || interrupted ? 1 : 0;
}

function announce(machine: Machine, options: BenchOptions): void {
  const { cores, cpu, memoryGb, kernel, node, etcd, kvorum, fileSystem } = machine;
  say(`${cores} cores (${cpu}), ${memoryGb} GB, Linux ${kernel}, Node ${node}`);
  say(`kvorum ${kvorum}, etcd ${etcd}; data in ${options.dir} on ${fileSystem}`);
  if (options.tls) say(`mutual TLS on all ports, ${options.auth ? 'auth on' : 'auth off'}`);
  say('The load generator is one process of its own on the same machine: where "generator cores');
  say(
    'busy" is near 1, it is the limit and the server could do more. "other cores busy" should be',
  );
  say('near 0: if it is not, something else was running and the figures say little.');
}

/** Workloads that only read share a server; each of the others gets a fresh one. */
async function loadServers(
  options: ServerOptions,
  kinds: readonly ServerKind[],
  rounds: Rounds,
): Promise<void> {
  const chosen = workloads.filter((workload) => options.only.includes(workload.name));
  const readers = chosen.filter((workload) => workload.reads);
  const sessions = chosen.filter((workload) => !workload.reads).map((workload) => [workload]);
  if (readers.length > 0) sessions.push(readers);
  for (const session of sessions) {
    for (let round = 0; round < options.rounds; round += 1) {
      for (const kind of kinds) {
        await attempt(kind, () => runSession(session, kind, options, rounds));
      }
    }
    for (const { name, unit, budget } of session) {
      const goals = goalsOf(budget, options.members);
      show(rounds, name, `${name} (one: ${unit})`, goals);
    }
  }
  for (const name of scenarioNames) {
    if (!options.only.includes(name)) continue;
    for (let round = 0; round < options.rounds; round += 1) {
      for (const kind of kinds) {
        await attempt(kind, async () => {
          progress(`${name} on ${kind} ...`);
          add(rounds, name, kind, await runScenario(name, kind, options));
        });
      }
    }
    const title = name === 'memory' ? `memory (${options.keyCount || keyCountDefault} keys)` : name;
    show(rounds, name, title, scenarioBudgets[name].goal);
  }
}

/** One failed run is reported and counted; the others go on. */
async function attempt(kind: ServerKind, run: () => Promise<void>): Promise<void> {
  if (interrupted) return;
  try {
    await run();
  } catch (error) {
    if (interrupted) return;
    failures += 1;
    say(`\nfailed on ${kind}: ${error instanceof Error ? error.message : error}`);
  }
}

async function runSession(
  session: readonly Workload[],
  kind: ServerKind,
  options: ServerOptions,
  rounds: Rounds,
): Promise<void> {
  const cluster = await startCluster(kind, options.members, options.dir, options);
  try {
    for (const [i, workload] of session.entries()) {
      progress(`${workload.name} on ${kind} ...`);
      const spec = specOf(workload.name, cluster.endpoints, cluster.pids(), options);
      const result = await runLoad({ ...spec, preload: workload.reads && i === 0 });
      const figures = figuresOf(result, cluster.memory().peak);
      if (result.errors > 0 || result.operations === 0) {
        say(`${workload.name} on ${kind}: ${result.errors} errors, ${result.firstError}`);
      }
      add(rounds, workload.name, kind, figures);
    }
  } finally {
    await cluster.remove();
  }
}

async function loadElsewhere(options: BenchOptions, rounds: Rounds): Promise<void> {
  for (const workload of workloads) {
    if (!options.only.includes(workload.name)) continue;
    for (let round = 0; round < options.rounds && !interrupted; round += 1) {
      progress(`${workload.name} on ${options.endpoints.join(',')} ...`);
      const spec = specOf(workload.name, options.endpoints, [], options);
      const result = await runLoad({ ...spec, preload: workload.reads && round === 0 });
      if (result.errors > 0) say(`${workload.name}: ${result.errors} x ${result.firstError}`);
      add(rounds, workload.name, 'endpoints', figuresOf(result, 0));
    }
    show(rounds, workload.name, workload.name, {});
  }
}

function add(rounds: Rounds, name: string, kind: Subject, figures: Figures): void {
  const byKind = rounds.get(name) ?? new Map<Subject, Figures[]>();
  rounds.set(name, byKind);
  byKind.set(kind, [...(byKind.get(kind) ?? []), figures]);
}

function show(
  rounds: Rounds,
  name: string,
  title: string,
  goals: Readonly<Record<string, string>>,
): void {
  const byKind = rounds.get(name);
  if (byKind === undefined) return;
  const subjects = [...byKind].map(([subject, list]) => ({ subject, figures: medians(list) }));
  say(table(title, subjects, goals));
}

function writeJson(options: BenchOptions, machine: Machine, rounds: Rounds): void {
  const results = [...rounds].map(([workload, byKind]) => ({
    workload,
    servers: Object.fromEntries(
      [...byKind].map(([kind, list]) => [kind, { median: medians(list), rounds: list }]),
    ),
  }));
  mkdirSync(dirname(options.jsonFile), { recursive: true });
  const content = { machine, options, figures: loadFigures, results };
  writeFileSync(options.jsonFile, `${JSON.stringify(content, null, 2)}\n`);
  say(`\nwritten to ${options.jsonFile}`);
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

function say(text: string): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  process.stdout.write(`${text}\n`);
}
