/**
 * A crash at every operation of a state that is received, installed and gone on from (L-3,
 * L-22, R-28): what comes back is the old state or the new one, whole, and never further back than
 * what was promised; and nothing is left behind.
 */

import { describe, expect, it } from 'vitest';
import type { OpenedStorage } from '../../../src/server/bootstrap/open-storage.js';
import { applyEntry, goOn, Halted, Machine, piecesOf, stage } from './machine.js';

interface Sent {
  readonly at: number;
  readonly pieces: readonly Buffer[];
}

/** States of a member that is ahead, and what it answers at each index. */
async function leader(last: number, sentAt: readonly number[]) {
  const machine = new Machine(1);
  const opened = await machine.run(machine.open());
  const hashes = new Map<number, number>();
  const sent: Sent[] = [];
  for (let index = opened.store.applied.index + 1; index <= last; index += 1) {
    await machine.run(goOn(opened, index, index));
    hashes.set(index, (await machine.run(opened.store.hashKv(0))).hash);
    if (sentAt.includes(index)) {
      const { pieces } = await machine.run(piecesOf(opened.store));
      sent.push({ at: index, pieces });
    }
  }
  return { hashes, sent };
}

/** What the process got to promise before it ended. */
interface Progress {
  /** Entries up to here are durable, in the log or in a state. */
  through: number;
}

const first = 12;

/** Entries, then each state in turn with entries behind it. */
async function live(machine: Machine, sent: readonly Sent[], progress: Progress): Promise<void> {
  const opened = await machine.run(machine.open());
  const { store, wal } = opened;
  await machine.run(goOn(opened, 2, first));
  progress.through = first;
  await machine.run(store.flushSync());
  await machine.run(goOn(opened, first + 1, first + 3));
  progress.through = first + 3;
  for (const { at, pieces } of sent) {
    const staged = await machine.run(stage(store, pieces));
    expect(staged.mark.index).toBe(at);
    await machine.run(wal.markSnapshot(staged.mark));
    progress.through = at;
    await machine.run(store.install(staged));
    expect(store.applied.index).toBe(at);
    await machine.run(wal.release(at));
    await machine.run(goOn(opened, at + 1, at + 3));
    progress.through = at + 3;
  }
  await machine.run(store.close());
  await machine.run(wal.close());
}

/** Replays what the log holds. */
function replay({ store, restore }: OpenedStorage): number {
  for (const { index } of restore.entries) {
    if (index <= restore.applied) continue;
    if (index > restore.hardState.commit) break;
    expect(index).toBe(store.applied.index + 1);
    applyEntry(store, index);
  }
  return store.applied.index;
}

describe('a crash while a state is installed', () => {
  for (const loseAllUnsynced of [false, true]) {
    it(`old or new, never less, lost unsynced: ${loseAllUnsynced} (L-3)`, async () => {
      const { hashes, sent } = await leader(60, [30, 45]);
      const whole = new Machine(7, { loseAllUnsynced });
      await live(whole, sent, { through: 0 });
      const counts = { disk: whole.disk.operations, kv: whole.kvDisk.operations };
      expect(await whole.kvDirs()).toEqual(['kv-2']);
      let crashes = 0;
      const afterwards = new Set<number>();
      for (const kind of ['disk', 'kv'] as const) {
        for (let at = 0; at < counts[kind]; at += 1) {
          const machine = new Machine(7, { loseAllUnsynced });
          if (kind === 'disk') machine.disk.haltAt(at);
          else machine.kvDisk.haltAt(at);
          const progress = { through: 0 };
          const ended = live(machine, sent, progress);
          await expect(ended, `${kind} ${at}`).rejects.toBeInstanceOf(Halted);
          machine.crash(loseAllUnsynced ? 0 : at % 101);
          crashes += 1;

          const opened = await machine.clock.runUntil(machine.open());
          const index = replay(opened);
          expect(index, `${kind} ${at}`).toBeGreaterThanOrEqual(progress.through);
          if (index > 1) {
            const { hash } = await machine.clock.runUntil(opened.store.hashKv(0));
            expect(hash, `${kind} ${at}: entry ${index}`).toBe(hashes.get(index));
          }
          expect((await machine.kvDirs()).length, `${kind} ${at}`).toBe(1);
          expect(machine.fatal).toEqual([]);
          afterwards.add(index);
        }
      }
      // The harness reached what it is for: states before, between and behind the installs.
      expect(crashes).toBeGreaterThan(100);
      for (const index of [first + 3, 30, 33, 45, 48]) expect(afterwards).toContain(index);
    });
  }
});
