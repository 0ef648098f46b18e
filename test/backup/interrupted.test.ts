/**
 * A backup that is interrupted at each operation of its disk in turn, by power loss: what counts as
 * a backup is whole, the next run goes on, and nothing is left behind.
 */
import { describe, expect, it } from 'vitest';
import {
  type Backup,
  BackupReader,
  type BackupTarget,
  BackupWriter,
  directoryTarget,
  filesOf,
  type Line,
  readCatalog,
} from '../../src/backup/index.js';
import type { Disk } from '../../src/common/index.js';
import { SimClock, SimDisk, SimRandom } from '../../src/sim/index.js';

const place = '/far/away/backups';

class Machine {
  readonly random: SimRandom;
  readonly clock: SimClock;
  readonly disk: SimDisk;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
    this.random = new SimRandom(seed);
    this.clock = new SimClock({ random: this.random.fork() });
    this.disk = new SimDisk({ clock: this.clock, random: this.random.fork() });
  }

  get target(): BackupTarget {
    return directoryTarget(this.disk.process() as Disk, place);
  }

  writer(target: BackupTarget, writer = 'aaaaaaaa'): BackupWriter {
    const { clock, random } = this;
    return new BackupWriter({ target, writer, key: undefined, clock, random });
  }

  crash(): void {
    this.disk.crash({ unsyncedPercent: (this.#seed * 37) % 101, tornWrites: true });
  }
}

async function* image(size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < size; at += 1000) yield Buffer.alloc(1000, at % 251);
}

function lines(from: number, to: number): Line[] {
  const changes: Line[] = [];
  for (let main = from; main <= to; main += 1) {
    const keyValue = Buffer.from(`change ${main}`);
    changes.push({ kind: 'change', main, sub: 0, isTombstone: false, keyValue });
  }
  changes.push({ kind: 'leases', count: 0 });
  changes.push({ kind: 'end', from, to, changes: to - from + 1 });
  return changes;
}

const facts = { clusterId: 'c', revision: 10, digest: 'd', auth: '1 off', hash: undefined };

/** A full backup of revision 10, then changes up to 20, up to 30, and a full one again. */
async function work(machine: Machine, done: (step: number) => void): Promise<void> {
  const { target } = machine;
  const writer = machine.writer(target);
  const catalog = await readCatalog(target, undefined);
  await writer.sweep(catalog);
  let backup: Backup | undefined = catalog.backups.at(-1);
  const isSecond = catalog.backups.length > 1;
  backup ??= await writer.full(facts, image(20_000));
  done(1);
  for (const [from, to, step] of [
    [11, 20, 2],
    [21, 30, 3],
  ] as const) {
    if (isSecond || backup.manifest.newest.revision >= to) continue;
    backup = await writer.changes(backup, lines(from, to));
    done(step);
  }
  if (!isSecond) await writer.full({ ...facts, revision: 30 }, image(30_000));
  done(4);
}

async function backupsOf(machine: Machine): Promise<readonly Backup[]> {
  const { target } = machine;
  const { backups, broken } = await readCatalog(target, undefined);
  expect(broken).toEqual([]);
  for (const backup of backups) await new BackupReader(target, backup, undefined).verify();
  return backups;
}

describe('a backup that is interrupted', () => {
  it('at any operation of the disk is whole or not there, and is made up for', async () => {
    const whole = new Machine(1);
    await whole.clock.runUntil(work(whole, () => {}));
    const count = whole.disk.operations;
    expect(count).toBeGreaterThan(60);
    const seen = new Set<string>();
    for (let at = 1; at <= count; at += 1) {
      const machine = new Machine(at);
      const { clock, disk } = machine;
      disk.haltAt(at);
      let step = 0;
      let isDone = false;
      const tell = (reached: number): void => {
        step = reached;
      };
      work(machine, tell).then(() => {
        isDone = true;
      });
      while (!isDone && !disk.halted) await clock.run(clock.nowMs() + 1);
      machine.crash();
      const found = await clock.runUntil(backupsOf(machine));
      const reached = found.map(({ manifest }) => manifest.newest.revision);
      seen.add(reached.join());
      // What was said to be done is there, and at most what was under way besides.
      const expected = [[], [10], [20], [30], [30, 30]];
      const possible = expected.slice(step, step + 2);
      expect(possible, `operation ${at}, step ${step}`).toContainEqual(reached);
      await clock.runUntil(work(machine, () => {}));
      const after = await clock.runUntil(backupsOf(machine));
      expect(after.map(({ manifest }) => manifest.newest.revision)).toEqual([30, 30]);
      // Nothing else is there.
      await clock.runUntil(
        (async () => {
          const { target } = machine;
          await machine.writer(target).sweep(await readCatalog(target, undefined));
        })(),
      );
      const named = after.flatMap(({ manifest, manifestName }) => [
        ...filesOf(manifest).map(({ name }) => name),
        manifestName,
      ]);
      const there = disk.tree(place).map(([path]) => path.slice(place.length + 1));
      expect(there.sort(), `operation ${at}`).toEqual(named.sort());
    }
    expect(seen.size).toBe(5);
  });

  it('leaves what another writer may be at work on, for a day', async () => {
    const machine = new Machine(3);
    const { clock, disk, target } = machine;
    const other = machine.writer(target, 'bbbbbbbb');
    const writer = machine.writer(target);
    const run = async (): Promise<void> => {
      const backup = await other.full(facts, image(5000));
      await target.remove(backup.manifestName);
      const left = disk.tree(place);
      expect(left).toHaveLength(1);
      expect(await writer.sweep(await readCatalog(target, undefined))).toEqual([]);
      expect(disk.tree(place)).toEqual(left);
    };
    await clock.runUntil(run());
    await clock.run(clock.nowMs() + 25 * 3_600_000);
    const sweep = async () => writer.sweep(await readCatalog(target, undefined));
    expect(await clock.runUntil(sweep())).toHaveLength(1);
    expect(disk.tree(place)).toEqual([]);
  });

  it('by a full disk says so, leaves nothing, and changes nothing', async () => {
    const machine = new Machine(4);
    const { clock, disk, target } = machine;
    const writer = machine.writer(target);
    const backup = await clock.runUntil(writer.full(facts, image(5000)));
    const before = disk.tree(place);
    disk.setCapacity(before.reduce((sum, [, size]) => sum + size, 0) + 200);
    const many = lines(11, 4000);
    await expect(clock.runUntil(writer.changes(backup, many))).rejects.toThrow(/ENOSPC|no space/i);
    expect(disk.tree(place)).toEqual(before);
    disk.setCapacity(Number.POSITIVE_INFINITY);
    await clock.runUntil(writer.changes(backup, many));
    expect((await clock.runUntil(backupsOf(machine))).length).toBe(1);
  });
});

describe('a damaged backup', () => {
  it('is refused, whichever file of it is damaged or cut short, and never restored in part', async () => {
    const machine = new Machine(5);
    const { clock, disk } = machine;
    await clock.runUntil(work(machine, () => {}));
    const all = disk.tree(place).map(([path]) => path);
    for (const path of all) {
      const content = disk.peek(path);
      for (const at of [0, 8, content.length >> 1, content.length - 2]) {
        const flipped = Buffer.from(content);
        flipped.writeUInt8(flipped.readUInt8(at) ^ 4, at);
        for (const damaged of [flipped, content.subarray(0, at)]) {
          disk.plant(path, damaged);
          await expect(clock.runUntil(backupsOf(machine)), `${path} ${at}`).rejects.toThrow();
        }
      }
      disk.plant(path, content);
    }
    expect(await clock.runUntil(backupsOf(machine))).toHaveLength(2);
  });
});
