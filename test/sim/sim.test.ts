/**
 * The simulator in short: a few seeds, each twice. `npm run sim` runs many and for longer; with
 * KVORUM_SLOW so does this.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { incoherences, parseTrace } from '../raft/support/trace-check.js';
import { mutations, sourceOf } from './mutations.js';
import { run } from './run.js';

const slow = process.env.KVORUM_SLOW === '1';
const steps = slow ? 20_000 : 6000;
const faults = slow ? 32 : 12;
/** Sizes of a cluster, and the seeds that each gets. */
const seeds = slow ? 10 : 1;

describe('simulated clusters', () => {
  it.each([1, 3, 5])(
    'of %i keep every promise, and each seed is one run',
    async (size) => {
      for (let seed = size * 100; seed < size * 100 + seeds; seed += 1) {
        const first = await run({ seed, steps, size, faults });
        expect(first.violations, `seed ${seed}`).toEqual([]);
        // A run in which nothing happened proves nothing.
        expect(first.counts.ok, `seed ${seed}`).toBeGreaterThan(10);
        const happened = [...first.faults.values()].reduce((sum, count) => sum + count, 0);
        expect(happened, `seed ${seed}`).toBeGreaterThanOrEqual(faults * 0.6);
        expect(first.faults.size, `seed ${seed}`).toBeGreaterThanOrEqual(slow ? 8 : 5);
        const second = await run({ seed, steps, size, faults });
        expect(second.digest, `seed ${seed}`).toBe(first.digest);
      }
    },
    600_000,
  );

  it('write what their Raft does as one trace that fits together', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'kvorum-sim-'));
    const raftTrace = join(dir, 'trace');
    const options = { seed: 300, steps: 4000, size: 3, faults: 12 };
    const traced = await run({ ...options, raftTrace });
    const lines = readFileSync(raftTrace, 'utf8').match(/.*\n/g) ?? [];
    rmSync(dir, { recursive: true });
    const events = parseTrace(lines);
    expect(events.length).toBeGreaterThan(1000);
    expect(events.filter(({ name }) => name === 'InitState').length).toBeGreaterThan(3);
    // Messages are repeated, and a snapshot may be newer than what was announced.
    expect(incoherences(events, { repeats: true, newerSnapshots: true })).toEqual([]);
    // Who is watched does the same.
    expect((await run(options)).digest).toBe(traced.digest);
  });

  it('differ from seed to seed', async () => {
    const digests = await Promise.all([901, 902].map((seed) => run({ seed, steps: 500, size: 3 })));
    expect(new Set(digests.map(({ digest }) => digest)).size).toBe(2);
  });
});

describe('the mutation gate', () => {
  it('has eighteen bugs', () => {
    expect(mutations).toHaveLength(18);
  });

  // The compiler leaves the text of a statement as it is, but for indentation and types.
  it.each(mutations)('still has a place for: $name', (mutation) => {
    const compact = (text: string): string => text.replaceAll(/[\s;]|: LogWrite/g, '');
    const source = compact(readFileSync(sourceOf(mutation), 'utf8'));
    expect(source.split(compact(mutation.find)).length - 1).toBe(1);
  });
});
