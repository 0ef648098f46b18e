/**
 * A member that makes backups by its schedule does random things; then any revision that they cover
 * is restored, and is what a model says that it was.
 */
import { describe, expect, it } from 'vitest';
import {
  type Backup,
  directoryTarget,
  planRestore,
  type RestorePoint,
  readCatalog,
} from '../../src/backup/index.js';
import { silentLogger } from '../../src/common/index.js';
import { restoreBackup } from '../../src/server/backup/restore-backup.js';
import { defaultConfig } from '../../src/server/options/config.js';
import { SimMachine, type SimProcess } from '../crash/sim-node.js';
import { slow } from '../helpers/tools.js';
import { copyTree, RandomHistory, stateAt } from './history-model.js';

const rounds = slow ? 100 : 25;
const revisionsARound = 3;

/** A new machine with the backups, restored to `point` and started. */
async function restored(history: RandomHistory, seed: number, point: RestorePoint) {
  const machine = new SimMachine(seed);
  copyTree(history.machine, machine, '/backups');
  const { clock, disk, kvDisk, random } = machine;
  const target = directoryTarget(disk, '/backups');
  const plan = async () => {
    const catalog = await readCatalog(target, undefined);
    return await planRestore(target, catalog, point, undefined);
  };
  const { backup, upTo } = await clock.runUntil(plan());
  const ports = { clock, disk, openKvStore: kvDisk.open, random, logger: silentLogger };
  const config = defaultConfig('--data-dir', '/data');
  const options = { target, backup, key: undefined, upTo, bumpRevision: 0, config, ports };
  const result = await clock.runUntil(restoreBackup(options));
  const node = (await machine.start()) as SimProcess;
  return { machine, node, result, backup, upTo };
}

async function backupsOf(history: RandomHistory): Promise<readonly Backup[]> {
  const { clock, disk } = history.machine;
  const target = directoryTarget(disk, '/backups');
  return (await clock.runUntil(readCatalog(target, undefined))).backups;
}

const schedule = ['--backup-dir=/backups', '--backup-schedule=2s', '--backup-retention='];

describe('a restore to a revision', () => {
  let verified = 0;
  let compacted = 0;
  let withChanges = 0;

  it.each(Array.from({ length: rounds }, (_, i) => i + 1))(
    'is that revision, round %i',
    async (seed) => {
      const history = new RandomHistory(seed);
      const { model } = history;
      await history.start(...schedule, `--backup-full-every=${1 + (seed % 6)}`);
      await history.act(120, 400);
      await history.pause(4000);
      const backups = await backupsOf(history);
      expect(backups.length).toBeGreaterThan(0);
      expect(backups.at(-1)?.manifest.newest.revision).toBe(model.revision);
      const oldest = Math.min(...backups.map(({ manifest }) => manifest.full.revision));
      for (let i = 0; i < revisionsARound; i += 1) {
        const revision = oldest + history.below(model.revision - oldest + 1);
        const covers = ({ manifest }: Backup) =>
          manifest.full.revision <= revision && revision <= manifest.newest.revision;
        const found = await restored(history, seed, { revision }).catch((error: unknown) => {
          // Compacted after the last file of one and before the full snapshot of the next.
          expect(String(error)).toContain(`revision ${revision} is not there any more`);
          expect(backups.filter(covers)).toEqual([]);
          return undefined;
        });
        if (found === undefined) continue;
        const { machine, node, result, backup } = found;
        const { store } = node.node;
        expect(store.revision).toBe(revision);
        expect(result.revision).toBe(revision);
        if (result.isHashVerified) verified += 1;
        if (revision > backup.manifest.full.revision) withChanges += 1;
        expect(await stateAt(machine, store, revision)).toEqual(model.states[revision]);
        // History as far back as it goes.
        const past = Math.max(1, store.compactRevision);
        if (past > 1) compacted += 1;
        const before = past + history.below(revision - past + 1);
        expect(await stateAt(machine, store, before)).toEqual(model.states[before]);
        // Whatever lease a key has, it is there.
        const leases = new Set([...store.metaEntries('lease/')].map(([name]) => name.slice(6)));
        for (const [, id] of store.leasedKeys()) {
          expect(leases).toContain(id.toString(16).padStart(16, '0'));
        }
      }
    },
  );

  it('was not always the same kind', () => {
    expect(Math.min(verified, compacted, withChanges)).toBeGreaterThan(rounds / 5);
  });
});

describe('a restore to a time', () => {
  it.each([31, 32, 33])('is what was there then, to the second, round %i', async (seed) => {
    const history = new RandomHistory(seed);
    const { clock } = history.machine;
    const { model } = history;
    await history.start(...schedule, '--backup-full-every=1000');
    await history.pause(3000);
    // When each moment was, and which revision was the newest then.
    const moments: Array<readonly [timeMs: number, revision: number]> = [];
    for (let i = 0; i < 20; i += 1) {
      await history.act(3, 300);
      // Longer than history is read on: all of it has been seen by then.
      await history.pause(1500);
      moments.push([clock.wallMs(), model.revision]);
    }
    await history.pause(4000);
    const first = (await backupsOf(history))[0]?.manifest.full.startedMs ?? 0;
    const chains = (await backupsOf(history)).length;
    for (const [timeMs, revision] of moments.filter((_, i) => i % 5 === 4)) {
      const { machine, node, upTo } = await restored(history, seed, { timeMs });
      // A chain that ended because of a compaction begins again after that.
      if (chains === 1) expect(upTo).toBe(revision);
      expect(upTo).toBeLessThanOrEqual(revision);
      const { store } = node.node;
      expect(await stateAt(machine, store, store.revision)).toEqual(model.states[upTo ?? 0]);
    }
    await expect(restored(history, seed, { timeMs: first - 1 })).rejects.toThrow(
      /no backup is as old as \d{8}T\d{6}Z: .* The oldest is of/,
    );
  });
});

describe('a restore from a backup', () => {
  it('survives power loss at every operation of the disk', async () => {
    const history = new RandomHistory(41);
    await history.start(...schedule, '--backup-full-every=1000');
    await history.pause(3000);
    await history.act(20, 200);
    await history.pause(4000);
    const begin = (machine: SimMachine) => {
      copyTree(history.machine, machine, '/backups');
      const { clock, disk, kvDisk, random } = machine;
      const ports = { clock, disk, openKvStore: kvDisk.open, random, logger: silentLogger };
      const config = defaultConfig('--data-dir', '/data');
      const target = directoryTarget(disk, '/backups');
      return async (): Promise<void> => {
        const { backups } = await readCatalog(target, undefined);
        const backup = backups.at(-1) as Backup;
        const options = { target, backup, key: undefined, upTo: undefined, bumpRevision: 0 };
        await restoreBackup({ ...options, config, ports });
      };
    };
    const whole = new SimMachine(1);
    await whole.clock.runUntil(begin(whole)());
    const count = whole.disk.operations;
    let kept = 0;
    for (let at = 1; at <= count; at += 1) {
      const machine = new SimMachine(at);
      const { clock, disk } = machine;
      const restore = begin(machine);
      disk.haltAt(at);
      let isDone = false;
      restore().then(() => {
        isDone = true;
      });
      while (!isDone && !disk.halted) await clock.run(clock.nowMs() + 1);
      machine.crash();
      const names = await clock.runUntil(disk.list('/data'));
      if (isDone) expect(names, `operation ${at}`).toContain('member');
      if (names.includes('member')) kept += 1;
      else await clock.runUntil(restore());
      expect(await clock.runUntil(disk.list('/data'))).toEqual(['member']);
      const node = (await machine.start()) as SimProcess;
      const { store } = node.node;
      expect(store.revision, `operation ${at}`).toBe(history.model.revision);
      expect(await stateAt(machine, store, store.revision)).toEqual(history.model.present);
    }
    expect(count).toBeGreaterThan(20);
    expect(kept).toBeLessThan(count / 2);
  });
});
