/**
 * A log in which an installed state leaves a gap: what is before the mark does not come back, what
 * is behind it does, and the segments before it go.
 */

import { describe, expect, it } from 'vitest';
import type { Wal } from '../../../src/storage/index.js';
import { openWal } from '../../../src/storage/wal/wal.js';
import {
  contentsOf,
  dir,
  entry,
  metadataIfNew,
  newWorld,
  open,
  snapshot,
  type World,
} from '../wal/harness.js';

/** What was acknowledged. */
interface Progress {
  mark: number;
  last: number;
  released: boolean;
}

const gaps = [
  // Beyond the end, in another term; then in the middle of what is there, in conflict with it.
  { through: 40, term: 1, mark: 100, markTerm: 2 },
  { through: 130, term: 2, mark: 120, markTerm: 3 },
  { through: 150, term: 3, mark: 151, markTerm: 3 },
];

async function live(wal: Wal, progress: Progress): Promise<void> {
  let next = 1;
  for (const { through, term, mark, markTerm } of gaps) {
    for (; next <= through; next += 3) {
      const entries = [0, 1, 2].map((i) => entry(next + i, term, 200));
      await wal.append({ term, vote: 1n, commit: progress.mark }, entries, true);
      progress.last = next + 2;
    }
    // All at once, as the node loop does.
    const behind = [1, 2].map((i) => entry(mark + i, markTerm, 200));
    await Promise.all([
      wal.append({ term: markTerm, vote: 0n, commit: progress.mark }, [], true),
      wal.markSnapshot(snapshot(mark, markTerm)).then(() => {
        Object.assign(progress, { mark, last: mark });
      }),
      wal.append(undefined, behind, true),
    ]);
    progress.last = mark + 2;
    next = mark + 3;
    await wal.release(mark);
  }
  progress.released = true;
  await wal.close();
}

function segments(world: World): string[] {
  return world.disk
    .tree(dir)
    .map(([path]) => path)
    .filter((path) => path.endsWith('.wal'));
}

describe('a log with gaps', () => {
  it('holds the mark, the entries behind it, and few segments', async () => {
    const world = newWorld(1);
    const { wal } = await open(world);
    const progress = { mark: 0, last: 0, released: false };
    await world.clock.runUntil(live(wal, progress));
    const contents = await contentsOf(world);
    expect(contents.snapshot).toEqual(snapshot(151, 3));
    expect(contents.entries.map(({ index, term }) => [index, term])).toEqual([
      [152, 3],
      [153, 3],
    ]);
    expect(contents.hardState.commit).toBe(151);
    // 150 entries of 200 bytes went through segments of 2 KiB.
    expect(segments(world).length).toBeLessThanOrEqual(3);
    expect(segments(world).length).toBeGreaterThan(0);
  });

  it('comes through a crash at each operation of the disk (R-28)', async () => {
    const whole = newWorld(2);
    const opened = await open(whole);
    await whole.clock.runUntil(live(opened.wal, { mark: 0, last: 0, released: false }));
    const marks = new Set<number>();
    for (let at = 0; at < whole.disk.operations; at += 1) {
      const world = newWorld(2);
      const { random, segmentBytes } = world;
      const progress: Progress = { mark: 0, last: 0, released: false };
      world.disk.haltAt(at);
      const life = openWal(world.disk.process(), dir, { random, segmentBytes, metadataIfNew }).then(
        ({ wal }) => live(wal, progress),
      );
      let failure: unknown;
      life.catch((error: unknown) => {
        failure = error;
      });
      await world.clock.runAll();
      expect(failure, `operation ${at}`).toBeUndefined();
      world.disk.crash({ unsyncedPercent: at % 101, tornWrites: true });
      const { snapshot: mark, entries } = await contentsOf(world);
      expect(mark.index, `operation ${at}`).toBeGreaterThanOrEqual(progress.mark);
      const last = entries.at(-1)?.index ?? mark.index;
      // A mark that was not acknowledged may be there, and has dropped what it contradicts.
      if (mark.index === progress.mark) expect(last).toBeGreaterThanOrEqual(progress.last);
      for (const [i, one] of entries.entries()) {
        expect(one.index, `operation ${at}`).toBe(mark.index + 1 + i);
        const by = gaps.find(({ through }) => one.index <= through + 2);
        expect(one.term).toBeGreaterThanOrEqual(mark.term);
        if (mark.index === 0) expect(one.term).toBe(by?.term);
      }
      marks.add(mark.index);
    }
    expect([...marks].sort((a, b) => a - b)).toEqual([0, 100, 120, 151]);
  });
});
