/**
 * The core in a random world (support/world.ts). A failure names its seed; to replay it alone:
 *   RAFT_SEED=3000017 npx vitest run test/raft/random-network.test.ts
 * RAFT_SEEDS sets how many seeds each size gets.
 */

import { expect, test } from 'vitest';
import { World, type WorldStats } from './support/world.js';

const seedCount = Number(process.env.RAFT_SEEDS ?? 150);
const onlySeed = process.env.RAFT_SEED;
const steps = 2500;

function runSeeds(size: number): WorldStats {
  const total = { committed: 0, elections: 0, snapshots: 0, reads: 0, changes: 0, crashes: 0 };
  const seeds =
    onlySeed === undefined
      ? Array.from({ length: seedCount }, (_, i) => size * 1_000_000 + i)
      : [Number(onlySeed)];
  for (const seed of seeds) {
    try {
      const world = new World(seed, size);
      world.run(steps);
      world.heal();
      for (const key of Object.keys(total) as (keyof WorldStats)[]) total[key] += world.stats[key];
    } catch (error) {
      throw new Error(`seed ${seed}, ${size} members: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
  return total;
}

// A slow machine gets time: what is checked does not depend on it.
const timeout = 300_000;

test.each([1, 3, 5])('%i members keep the properties of paper figure 3', { timeout }, (size) => {
  // The seed tells the size.
  if (onlySeed !== undefined && Math.floor(Number(onlySeed) / 1_000_000) !== size) return;
  const total = runSeeds(size);
  if (process.env.RAFT_STATS !== undefined) console.log(total);
  if (onlySeed !== undefined) return;
  // The harness must have done something, or the rest proves nothing.
  expect(total.committed).toBeGreaterThan(seedCount * 10);
  expect(total.elections).toBeGreaterThan(seedCount);
  expect(total.reads).toBeGreaterThan(seedCount);
  expect(total.changes).toBeGreaterThan(seedCount);
  expect(total.crashes).toBeGreaterThan(seedCount * 3);
  expect(total.snapshots).toBeGreaterThan(seedCount / 3);
});
