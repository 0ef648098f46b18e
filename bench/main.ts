/**
 * `npm run bench`: starts kvorum (and etcd) and loads them in turn, A B A B, never two at a time;
 * prints medians, ratios and the goals; writes JSON. Method: docs/benchmarks.md.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { workloads } from './load/workloads.js';
import { describeMachine, type Machine } from './machine.js';
import { memoryCgroupProblem } from './memory-cgroup.js';
import { type BenchOptions, parseOptions, type ServerOptions, usage } from './options.js';
import { figuresOf, loadFigures, table } from './report.js';
import { type Entry, Results, type Subject } from './results.js';
import { runLoad, specOf, stopLoad } from './run-load.js';
import { makeSecurity } from './security.js';
import type { ServerKind } from './servers.js';
import { entryOf, type Session, sessionsOf } from './sessions.js';
import { type Group, groupOf } from './table/groups.js';
import { sectionOf } from './table/markdown.js';
import { checkMarkers, writeSection } from './table/page.js';

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
    checkMarkers(options?.table ?? []);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    return 2;
  }
  if (options === undefined) {
    process.stdout.write(usage);
    return 0;
  }
  const machine = describeMachine(options);
  announce(machine, options);
  if (options.table.length > 0) await measureTables(options, machine);
  else writeJson(options, machine, await measure(options));
  return failures > 0 || interrupted ? 1 : 0;
}

/** One group after the other; each is written as soon as it is there. */
async function measureTables(options: BenchOptions, machine: Machine): Promise<void> {
  const measured: Array<readonly [Group, Results]> = [];
  for (const group of options.table.map(groupOf)) {
    if (interrupted) break;
    const { only, members = 1, tls = false, auth = false, sweep } = group;
    const results = await measure({ ...options, only, members, tls, auth, sweep });
    measured.push([group, results]);
    if (interrupted || results.entries.length === 0) {
      say(`the table "${group.id}" is left as it was`);
      continue;
    }
    writeSection(group.id, sectionOf(group, results, options, describeMachine(options)));
    say(`\nwritten to docs/benchmarks.md: ${group.id}`);
  }
  const content = Object.fromEntries(measured.map(([{ id }, results]) => [id, results]));
  writeJson(options, machine, content);
}

async function measure(options: BenchOptions): Promise<Results> {
  const results = new Results();
  const certificates = mkdtempSync(join(options.dir, 'bench-certificates-'));
  try {
    const security = options.tls ? makeSecurity(certificates) : undefined;
    if (options.endpoints.length > 0) await loadElsewhere({ ...options, security }, results);
    else await loadServers({ ...options, security }, results);
  } finally {
    rmSync(certificates, { recursive: true, force: true });
  }
  return results;
}

function announce(machine: Machine, options: BenchOptions): void {
  const { cores, cpu, memoryGb, kernel, node, etcd, kvorum, fileSystem } = machine;
  say(`${cores} cores (${cpu}), ${memoryGb} GB, Linux ${kernel}`);
  say(`kvorum ${kvorum} by Node ${node} (${options.node})`);
  say(`etcd ${etcd}${options.etcd === undefined ? '' : ` (${options.etcd})`}`);
  say(`data in ${options.dir} on ${fileSystem}`);
  if (options.tls) say(`mutual TLS on all ports, ${options.auth ? 'auth on' : 'auth off'}`);
  say('The load generator is one process of its own on the same machine: where "generator cores');
  say(
    'busy" is near 1, it is the limit and the server could do more. "other cores busy" should be',
  );
  say('near 0: if it is not, something else was running and the figures say little.');
}

async function loadServers(options: ServerOptions, results: Results): Promise<void> {
  const kinds: ServerKind[] = options.etcd === undefined ? ['kvorum'] : ['kvorum', 'etcd'];
  for (const session of sessionsOf(options)) {
    const problem = session.needsCgroup ? await memoryCgroupProblem() : undefined;
    if (problem !== undefined) {
      for (const { name } of session.entries) {
        results.notes.push(`${name} is left out: ${problem}`);
        say(`\n${results.notes.at(-1)}`);
      }
      continue;
    }
    for (let round = 0; round < options.rounds; round += 1) {
      for (const kind of kinds) await attempt(session, kind, results);
    }
    for (const entry of session.entries) show(results, entry);
  }
}

/** One failed run is reported and counted; the others go on. */
async function attempt(session: Session, kind: ServerKind, results: Results): Promise<void> {
  if (interrupted) return;
  const names = session.entries.map(({ name }) => name).join(', ');
  progress(`${names} on ${kind} ...`);
  try {
    await session.run(kind, (entry, figures, problem) => {
      if (problem !== undefined) {
        results.notes.push(`${entry.name} on ${kind}: ${problem}`);
        say(results.notes.at(-1) ?? '');
      }
      results.add(entry, kind, figures);
    });
  } catch (error) {
    if (interrupted) return;
    failures += 1;
    const text = `${names} failed on ${kind}: ${error instanceof Error ? error.message : error}`;
    results.notes.push(text.split('\n')[0] ?? '');
    say(`\n${text}`);
  }
}

async function loadElsewhere(options: ServerOptions, results: Results): Promise<void> {
  const subject: Subject = 'endpoints';
  for (const workload of workloads) {
    if (!options.only.includes(workload.name)) continue;
    const entry = { ...entryOf(workload, options), goals: {} };
    for (let round = 0; round < options.rounds && !interrupted; round += 1) {
      progress(`${workload.name} on ${options.endpoints.join(',')} ...`);
      const spec = specOf(workload.name, options.endpoints, [], options);
      const result = await runLoad({ ...spec, preload: workload.reads && round === 0 });
      if (result.errors > 0) say(`${workload.name}: ${result.errors} x ${result.firstError}`);
      results.add(entry, subject, figuresOf(result, undefined));
    }
    show(results, entry);
  }
}

function show(results: Results, { name, title, goals }: Entry): void {
  const measured = results.measured(name);
  if (measured.length > 0) say(table(title, measured, goals));
}

function writeJson(options: BenchOptions, machine: Machine, results: unknown): void {
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
