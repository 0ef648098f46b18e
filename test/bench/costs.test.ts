/**
 * `npm run bench:costs`: what counts as more than before, and one count against a server of the
 * real code. The counts of all loads are compared in CI, by the program itself.
 */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Baseline, compare } from '../../bench/costs/baseline.js';
import { costLoads } from '../../bench/costs/loads.js';
import { exec } from '../helpers/exec.js';
import { repoRoot } from '../helpers/tools.js';

const known = { 'node 20': { put: { socketWrites: 1, heapBytes: 1000, timers: 0 } } };
const compared = (put: Record<string, number>, version = 'node 20') =>
  compare({ put }, known, version).map(({ what }) => what);

describe('what costs more than in the baseline', () => {
  it('is found, beyond a tolerance of its own', () => {
    expect(compared({ socketWrites: 1.04, heapBytes: 1190 })).toEqual([]);
    expect(compared({ socketWrites: 1.2, heapBytes: 1190 })).toEqual(['socketWrites']);
    expect(compared({ socketWrites: 0.2, heapBytes: 1500 })).toEqual(['heapBytes']);
  });

  it('is found where there was nothing, and where nobody thought of it', () => {
    expect(compared({ timers: 0.01 })).toEqual([]);
    expect(compared({ timers: 0.5 })).toEqual(['timers']);
    expect(compared({ somethingNew: 0.1 })).toEqual(['somethingNew']);
  });

  it('is not looked for with another version of Node, or another load', () => {
    expect(compared({ socketWrites: 9 }, 'node 99')).toEqual([]);
    expect(compare({ get: { socketWrites: 9 } }, known, 'node 20')).toEqual([]);
  });
});

const baseline = JSON.parse(readFileSync(`${repoRoot}bench/baseline.json`, 'utf8')) as Baseline;

describe('the baseline', () => {
  it('has every load, for each version of Node that it knows', () => {
    expect(Object.keys(baseline).length).toBeGreaterThan(1);
    for (const [version, loads] of Object.entries(baseline)) {
      expect(Object.keys(loads).sort(), version).toEqual(Object.keys(costLoads).sort());
    }
  });
});

describe('counting', () => {
  it('finds one socket write, one log write and a few buffers for a put alone', async () => {
    const args = ['dist/bench/costs/measure.js', 'put-1'];
    const flags = ['--expose-gc', '--min-semi-space-size=128', '--max-semi-space-size=128'];
    const { stdout } = await exec(process.execPath, [...flags, ...args], { cwd: repoRoot });
    const costs = JSON.parse(String(stdout)) as Record<string, number>;
    expect(costs.socketWrites).toBeCloseTo(1, 1);
    expect(costs.diskWrites).toBeCloseTo(1, 1);
    expect(costs.heapBytes).toBeGreaterThan(100);
    expect(costs.bytesCopied).toBeGreaterThan(256);
  });
});
