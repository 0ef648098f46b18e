/** `npm run bench`: its command line, and what it makes of figures. Nothing is measured. */

import { describe, expect, it } from 'vitest';
import { reportOf } from '../../bench/generator-report.js';
import { Objects, resources } from '../../bench/load/kubernetes/objects.js';
import { Recorder } from '../../bench/load/recorder.js';
import type { LoadResult } from '../../bench/load/types.js';
import { commandOf, type Machine } from '../../bench/machine.js';
import { parseOptions } from '../../bench/options.js';
import { figuresOf, goalsOf, loadFigures, table } from '../../bench/report.js';
import { Results } from '../../bench/results.js';
import { specOf } from '../../bench/run-load.js';
import { sessionsOf } from '../../bench/sessions.js';
import { groups } from '../../bench/table/groups.js';
import { sectionOf } from '../../bench/table/markdown.js';
import { checkMarkers, withSection } from '../../bench/table/page.js';

const options = (...args: string[]) => {
  const parsed = parseOptions(args);
  if (parsed === undefined) throw new Error('help was not asked for');
  return { ...parsed, security: undefined };
};

const latency = (p50: number, p99: number) => ({ mean: p50, p50, p99, p999: p99, max: p99 });

const result = (fields: Partial<LoadResult> = {}): LoadResult => ({
  operations: 1000,
  errors: 0,
  firstError: '',
  seconds: 2,
  latencyMs: latency(1, 4),
  rows: [],
  serverCpuSeconds: 1,
  generatorCpuSeconds: 0.5,
  machineCpuSeconds: 2,
  ...fields,
});

describe('the command line', () => {
  it('runs what is usual, and what is large only by name', () => {
    expect(options().only).toContain('kubernetes-100');
    expect(options().only).not.toContain('leases-1m');
    expect(options('--only', 'leases-1m,put').only).toEqual(['leases-1m', 'put']);
    expect(() => options('--only', 'nothing')).toThrow('unknown workload "nothing"');
  });

  it('is quick where nothing else is said', () => {
    const quick = options('--quick', '--rounds', '2');
    expect(quick).toMatchObject({ seconds: 3, warmupSeconds: 1, rounds: 2 });
    expect(options()).toMatchObject({ seconds: 10, warmupSeconds: 2, rounds: 3 });
  });

  it('says what it does not understand', () => {
    expect(() => options('--members', '2')).toThrow('--members is one of 1,3,5');
    expect(() => options('--sweep', 'members=1,4')).toThrow('--sweep members is one of 1,3,5');
    expect(() => options('--sweep', 'keys=1')).toThrow('value-bytes, clients or members');
    expect(() => options('--sweep', 'clients')).toThrow('numbers above 0');
    expect(() => options('--table', 'all')).toThrow('--vs etcd');
    expect(() => options('--vs', 'etcd', '--table', 'x')).toThrow('unknown table "x"');
    expect(() => options('--vs', 'etcd', '--table', 'all', '--tls')).toThrow('--table decides');
  });

  it('is told to others without the places of this machine', () => {
    const args = ['--vs', 'etcd', '--etcd', '/x/etcd', '--node=/y/node', '--only', 'put'];
    expect(commandOf(args)).toBe('npm run bench -- --vs etcd --only put');
  });
});

describe('a load', () => {
  it('takes what the workload says where the command line says nothing', () => {
    const spec = (name: string, ...args: string[]) => specOf(name, [], [], options(...args));
    expect(spec('put')).toMatchObject({ keyCount: 100_000, valueBytes: 256, clients: 1000 });
    expect(spec('kubernetes-100')).toMatchObject({ valueBytes: 3072, callsPerSecond: 100 });
    expect(spec('kubernetes', '--keys', '5', '--rate', '7')).toMatchObject({
      keyCount: 5,
      callsPerSecond: 7,
    });
  });

  it('has no more connections than clients, but those that no client has', () => {
    expect(specOf('put', [], [], options('--clients', '4')).connections).toBe(4);
    const { connections } = specOf('kubernetes', [], [], options());
    expect(specOf('kubernetes', [], [], options('--clients', '20')).connections).toBe(
      connections + 4,
    );
  });

  it('sends no more at once than there is memory for', () => {
    const large = ['--value-bytes', '1048576'];
    expect(specOf('put', [], [], options(...large)).clients).toBe(64);
    expect(specOf('put', [], [], options(...large, '--clients', '100')).clients).toBe(100);
  });

  it('counts rows beside the whole, and phases', () => {
    const recorder = new Recorder();
    recorder.row('early').done(0, 5);
    recorder.begin();
    recorder.phase('first');
    recorder.done(0, 1);
    recorder.phase('second');
    recorder.done(0, 2);
    recorder.done(0, 3);
    recorder.row('early').count(2);
    recorder.end();
    recorder.done(0, 4);
    const counts = recorder.rows().map(({ name, operations }) => [name, operations]);
    expect(counts).toEqual([
      ['early', 2],
      ['first', 1],
      ['second', 2],
    ]);
    expect(recorder.operations).toBe(3);
  });
});

describe('sessions', () => {
  const names = (...args: string[]): string[][] =>
    sessionsOf(options(...args)).map(({ entries }) => entries.map(({ name }) => name));

  it('share a server among workloads that read the same keys', () => {
    const only = 'put,range,count,cold-range,cold-range-cgroup,start';
    expect(names('--only', only)).toEqual([
      ['put'],
      ['range', 'count'],
      ['cold-range'],
      ['cold-range-cgroup'],
      ['start'],
    ]);
  });

  it('are repeated for each value of a sweep', () => {
    expect(names('--only', 'put', '--sweep', 'clients=1,16')).toEqual([
      ['put, 1 client'],
      ['put, 16 clients'],
    ]);
    expect(names('--only', 'put', '--sweep', 'value-bytes=16,1048576')).toEqual([
      ['put, 16 B'],
      ['put, 1048576 B by 64 clients'],
    ]);
  });
});

describe('the objects of a Kubernetes load', () => {
  it('are written by one at a time, and come back as what they became', () => {
    const objects = new Objects(10, () => 0);
    expect(new Set(objects.all.map(({ key }) => key)).size).toBe(11);
    for (const { key, resource } of objects.all) {
      expect(key.startsWith(resources[resource] ?? '?')).toBe(true);
      expect(objects.of(key)?.key).toBe(key);
    }
    for (const object of objects.existing) object.modRevision = 2;
    const taken = Array.from({ length: 10 }, () => objects.take(true));
    expect(new Set(taken).size).toBe(10);
    expect(objects.take(true)).toBeUndefined();
    const spare = objects.take(false);
    expect(objects.take(false)).toBeUndefined();
    const [deleted] = taken;
    if (spare === undefined || deleted === undefined) throw new Error('nothing was taken');
    spare.modRevision = 3;
    deleted.modRevision = 0;
    objects.giveBack(spare);
    objects.giveBack(deleted);
    expect(objects.take(true)).toBe(spare);
    expect(objects.take(false)).toBe(deleted);
  });
});

describe('the report', () => {
  const row = (name: string, p99: number) => ({ name, operations: 10, latencyMs: latency(1, p99) });
  const goals = goalsOf(
    { rateMin: 2, rateMinTls: 5, residentMax: 1, rows: { names: ['get'], p50Max: 0.5, p99Max: 1 } },
    { members: 1, tls: false },
  );
  const figures = (operations: number, p99: number, resident: number) =>
    figuresOf(result({ operations, rows: [row('get', p99)] }), { resident, peak: resident });

  it('has the goals of TLS and of several members', () => {
    const budget = { rateMin: 2, rateMinTls: 5, rateMinCluster: 3 };
    const goal = (members: number, tls: boolean) =>
      goalsOf(budget, { members, tls })[loadFigures.rate];
    expect([goal(1, false), goal(1, true), goal(3, true)]).toEqual(['>= 2x', '>= 5x', '>= 3x']);
  });

  it('judges each row', () => {
    const text = table(
      'title',
      [
        { subject: 'kvorum', figures: figures(1000, 8, 50) },
        { subject: 'etcd', figures: figures(400, 4, 100) },
      ],
      goals,
    );
    const line = (name: string) => text.split('\n').find((each) => each.includes(name)) ?? '';
    expect(line('  per second')).toMatch(/500\s+200\s+2\.50x\s+>= 2x\s+met$/);
    expect(line('get: p99')).toMatch(/8\.00\s+4\.00\s+2\.00x\s+<= 1x\s+MISSED$/);
    expect(line('RSS')).toMatch(/0\.50x\s+<= 1x\s+met$/);
  });

  it('becomes a section of the page', () => {
    const results = new Results();
    const entry = { name: 'put', title: 'put', goals, isLoad: true };
    results.add(entry, 'kvorum', figures(1000, 8, 50));
    results.add(entry, 'etcd', figures(400, 4, 100));
    const start = { name: 'start', title: 'start', goals: { 'x, ms': '<= 9 ms' }, isLoad: false };
    results.add(start, 'kvorum', { 'x, ms': 10 });
    results.add(start, 'etcd', { 'x, ms': 40 });
    results.notes.push('put on etcd: 1 errors, a');
    const machine: Machine = {
      date: '2026-01-02T03:04:05Z',
      command: '',
      cores: 2,
      cpu: 'cpu',
      memoryGb: 4,
      kernel: '6',
      node: 'v24.0.0',
      etcd: '3.7.3',
      kvorum: '0 abc',
      fileSystem: 'ext4',
    };
    const group = { id: 'writes', what: 'Writes', only: [] };
    const text = sectionOf(group, results, options('--quick'), machine);
    expect(text).toContain('Writes. 2026-01-02, kvorum 0 abc, Node v24.0.0, etcd 3.7.3;');
    expect(text).toContain('    npm run bench -- --vs etcd --table writes --quick');
    expect(text).toContain(
      '| put | 500 / 200 | 2.50x | 1.00 / 1.00 | 4.00 / 4.00 | 1,000 / 2,500 |',
    );
    expect(text).toContain('| - get | 5.00 / 5.00 | 1.00x | 1.00 / 1.00 | 8.00 / 4.00 |');
    expect(text).toContain('p50 <= 0.5x **missed**; p99 <= 1x **missed**');
    expect(text).toContain('| x, ms | 10.0 | 40.0 | 0.25x | x <= 9 ms **missed** |');
    expect(text).toContain('Note: put on etcd: 1 errors, a.');
  });

  it('stands between its markers, of which there are those of every group', () => {
    const page = 'a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nb';
    const expected = 'a\n<!-- bench:x -->\nnew\n<!-- /bench:x -->\nb';
    expect(withSection(page, 'x', 'new')).toBe(expected);
    expect(() => withSection(page, 'y', 'new')).toThrow('bench:y');
    checkMarkers([...groups.map(({ id }) => id), 'generator']);
    for (const { only } of groups) expect(options('--only', only.join()).only).toEqual(only);
  });

  it("reads that of etcd's generator", () => {
    const text =
      'Requests/sec:\t1234.5\n  50% in 0.0123 secs.\n  99% in 0.5000 secs.\n99.9% in 1 secs';
    expect(reportOf(text)).toEqual({
      [loadFigures.rate]: 1234.5,
      [loadFigures.p50]: 12.3,
      [loadFigures.p99]: 500,
    });
    expect(() => reportOf('Requests/sec: 1')).toThrow('50%');
  });
});
