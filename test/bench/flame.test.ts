/**
 * `npm run flame`: what it makes of a profile, and one run of a second against a real server. How
 * fast anything was is not looked at.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { flameGraph } from '../../bench/flame/graph.js';
import { parseOptions } from '../../bench/flame/options.js';
import { functionsOf, readProfile, totalOf, withoutIdle } from '../../bench/flame/profile.js';
import { Sources } from '../../bench/flame/sources.js';
import type { CallFrame, CostNode } from '../../bench/flame/types.js';
import { exec } from '../helpers/exec.js';
import { describeWith, repoRoot } from '../helpers/tools.js';

const dir = mkdtempSync(join(tmpdir(), 'kvorum-flame-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const frame = (functionName: string, path = ''): CallFrame => ({
  functionName,
  url: path === '' ? '' : pathToFileURL(join(dir, path)).href,
  lineNumber: 6,
  columnNumber: 0,
});
const cost = (at: CallFrame, self: number, ...children: CostNode[]): CostNode => ({
  frame: at,
  self,
  children,
});
const sources = new Sources(dir);

describe('the costs of functions', () => {
  it('are summed over all callers, and count what a function calls of itself once', () => {
    const walk = frame('walk', 'src/tree.ts');
    const tree = cost(
      frame('(root)'),
      0,
      cost(frame('main', 'src/main.ts'), 1, cost(walk, 10, cost(walk, 20, cost(walk, 5)))),
      cost(frame('other', 'src/main.ts'), 2, cost(walk, 100)),
    );
    expect(functionsOf(tree, sources)).toEqual([
      { name: 'walk', place: 'src/tree.ts:7', self: 135, total: 135 },
      { name: 'other', place: 'src/main.ts:7', self: 2, total: 102 },
      { name: 'main', place: 'src/main.ts:7', self: 1, total: 36 },
    ]);
    expect(totalOf(tree)).toBe(138);
  });

  it('of a CPU profile are the time from a sample to the next, without idle time', () => {
    const path = join(dir, 'a.cpuprofile');
    const node = (id: number, name: string, children: number[] = []) => ({
      id,
      callFrame: frame(name),
      children,
    });
    const profile = {
      nodes: [node(1, '(root)', [2, 3]), node(2, 'busy'), node(3, '(idle)')],
      startTime: 0,
      endTime: 160,
      samples: [2, 3, 2, 2, 3],
      timeDeltas: [0, 10, 50, 20, 80],
    };
    writeFileSync(path, JSON.stringify(profile));
    const all = readProfile(path, sources);
    expect(totalOf(all)).toBe(160);
    const busy = withoutIdle(all);
    expect(functionsOf(busy, sources)).toEqual([
      { name: 'busy', place: '', self: 110, total: 110 },
    ]);
  });
});

describe('the flame graph', () => {
  it('is one page with a box for each call, without what nobody could see', () => {
    const tree = cost(
      frame('(root)'),
      0,
      cost(frame('<outer>', 'a.ts'), 500, cost(frame('inner', 'b.ts'), 1500)),
      cost(frame('tiny', 'c.ts'), 1),
    );
    const page = flameGraph('put & get', tree, sources, (us) => `${us} us`);
    expect(page).toContain('<title>put &#38; get</title>');
    expect(page).toContain('>&#60;outer&#62;</div>');
    expect(page).toContain('title="inner b.ts:7\n1500 us, 75.0 %, itself 1500 us"');
    expect(page).not.toContain('tiny');
    expect(page.match(/class="frame"/g)).toHaveLength(3);
    // All it needs is in it.
    expect(page).not.toMatch(/\b(src|href)=|https?:/);
  });
});

describe('the command line', () => {
  it.each([
    [['--load', 'nothing'], /unknown load "nothing"/],
    [['--profile', 'wall'], /cpu or heap/],
    [['--seconds', 'x'], /not a number/],
  ])('refuses %j', (args, why) => {
    expect(() => parseOptions(args)).toThrow(why);
  });

  it('knows a watch by its short name', () => {
    expect(parseOptions(['--load', 'watch,put'])?.loads).toEqual(['watch-100', 'put']);
  });
});

describeWith(['kvorum'], 'a run of a second', () => {
  const out = join(dir, 'out');
  const tool = join(repoRoot, 'dist/bench/flame/main.js');
  const small = '--seconds 1 --warmup 0 --keys 500 --connections 4 --clients 16 --top 500'.split(
    ' ',
  );

  it('says which functions of the server took the time, and which allocated', async () => {
    const bin = join(repoRoot, 'bin/kvorum');
    const args = ['--load', 'put,range', '--bin', bin, '--dir', dir, '--out', out, ...small];
    const run = await exec(process.execPath, [tool, ...args], { timeoutMs: 150_000 });
    const said = run.stdout.toString('utf8');
    expect(run.code, `${run.stderr}\n${said}`).toBe(0);
    for (const load of ['put', 'range']) {
      expect(said).toMatch(new RegExp(`^${load}, CPU .*: [\\d.]+ us of the main thread each`, 'm'));
      expect(said).toMatch(new RegExp(`^${load}, allocations .*: [1-9]\\d* bytes of`, 'm'));
    }
    // Named as in the TypeScript, though what runs is a bundle.
    const tables = said.split(/^(?=put, |range, )/m).slice(1);
    expect(tables).toHaveLength(4);
    for (const table of tables) expect(table).toMatch(/ {2}\w+ {2}src\/[\w/-]+\.ts:\d+$/m);
    expect(said).not.toContain('dist/bin/kvorum.cjs');
    expect(said).not.toContain('(idle)');
    const files = ['put.cpuprofile', 'put.heapprofile', 'range.cpuprofile', 'range.heapprofile'];
    expect(readdirSync(out).sort()).toEqual(files.flatMap((file) => [file, `${file}.html`]).sort());
    // What DevTools and speedscope ask of these files.
    const cpu = JSON.parse(readFileSync(join(out, 'put.cpuprofile'), 'utf8'));
    expect(cpu.timeDeltas).toHaveLength(cpu.samples.length);
    const heap = JSON.parse(readFileSync(join(out, 'put.heapprofile'), 'utf8'));
    expect(heap.head.callFrame.functionName).toBe('(root)');
    expect(heap.samples.length).toBeGreaterThan(0);
    // The server and its data are gone.
    expect(readdirSync(dir).filter((name) => name.startsWith('bench-'))).toEqual([]);
  });

  it('refuses a program that is not there', async () => {
    const run = await exec(process.execPath, [tool, '--bin', '/nonexistent/kvorum']);
    expect(run.code).toBe(2);
    expect(run.stderr).toContain('/nonexistent/kvorum: there is no such file');
  });
});
