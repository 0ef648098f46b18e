/** Backups by a schedule, where something is in their way: the store goes on, and so do they. */
import { describe, expect, it } from 'vitest';
import { BackupReader, directoryTarget, readCatalog } from '../../src/backup/index.js';
import { RandomHistory } from './history-model.js';

const flags = ['--backup-dir=/backups', '--backup-schedule=2s', '--backup-retention='];

async function catalogOf({ machine }: RandomHistory) {
  const target = directoryTarget(machine.disk, '/backups');
  return machine.clock.runUntil(readCatalog(target, undefined));
}

async function verified(history: RandomHistory) {
  const { backups, broken } = await catalogOf(history);
  expect(broken).toEqual([]);
  const target = directoryTarget(history.machine.disk, '/backups');
  for (const backup of backups) {
    const reader = new BackupReader(target, backup, undefined);
    await history.machine.clock.runUntil(reader.verify());
  }
  return backups;
}

const newest = async (history: RandomHistory) =>
  (await catalogOf(history)).backups.at(-1)?.manifest.newest.revision;

describe('backups by a schedule', () => {
  it('are one chain as long as it can be continued, over restarts and crashes', async () => {
    const history = new RandomHistory(7);
    await history.start(...flags, '--backup-full-every=1000');
    await history.act(30, 300);
    await history.pause(4000);
    for (let i = 0; i < 4; i += 1) {
      history.machine.crash();
      await history.start(...flags, '--backup-full-every=1000');
      await history.act(10, 300);
    }
    await history.pause(4000);
    const backups = await verified(history);
    expect(backups.at(-1)?.manifest.newest.revision).toBe(history.model.revision);
    // A compaction while it was down may end one.
    expect(backups.length).toBeLessThan(5);
    expect((await catalogOf(history)).unused).toEqual([]);
  });

  it('do not stop the store when their disk fails, and go on when it works again', async () => {
    const history = new RandomHistory(8);
    const { disk } = history.machine;
    await history.start(...flags);
    await history.act(20, 200);
    await history.pause(4000);
    const before = await newest(history);
    expect(before).toBe(history.model.revision);
    const kinds = ['open', 'write', 'mkdir', 'list', 'rename', 'syncDir'] as const;
    disk.inject({ kinds, path: '/backups', nth: 1, code: 'EIO', sticky: true });
    await history.act(60, 200);
    await history.pause(60_000);
    const { fatal, node } = history.process;
    expect(fatal).toEqual([]);
    const { backups: metrics } = node.host.metrics;
    const failures = metrics?.failures ?? 0;
    expect(failures).toBeGreaterThan(2);
    // Later and later, not each second.
    expect(failures).toBeLessThan(30);
    disk.clearFaults();
    await history.pause(120_000);
    expect(await newest(history)).toBe(history.model.revision);
    await verified(history);
  });

  it('begin anew where files of the chain are gone', async () => {
    const history = new RandomHistory(9);
    const { disk } = history.machine;
    await history.start(...flags);
    await history.act(20, 200);
    await history.pause(4000);
    for (const [path] of disk.tree('/backups')) if (path.includes('full')) disk.unplant(path);
    const { backups } = await catalogOf(history);
    expect(backups.at(-1)?.missing).toHaveLength(1);
    history.machine.crash();
    await history.start(...flags);
    await history.act(5, 200);
    await history.pause(6000);
    const whole = (await catalogOf(history)).backups.filter(({ missing }) => missing.length === 0);
    expect(whole.at(-1)?.manifest.newest.revision).toBe(history.model.revision);
  });

  it('keep what they are told to, and no more', async () => {
    const history = new RandomHistory(10);
    const kept = ['--backup-retention=last=2', '--backup-full-every=1'];
    await history.start(...flags.slice(0, 2), ...kept);
    for (let i = 0; i < 6; i += 1) {
      await history.act(5, 100);
      await history.pause(3000);
    }
    await history.pause(6000);
    expect(await verified(history)).toHaveLength(2);
    expect(await newest(history)).toBe(history.model.revision);
  });

  it('cost nothing where there is no schedule', async () => {
    const history = new RandomHistory(11);
    await history.start();
    await history.act(20, 200);
    const { node } = history.process;
    expect(node.features.map(({ name }) => name)).not.toContain('scheduled backup');
    expect(node.host.metrics.backups).toBeUndefined();
  });
});
