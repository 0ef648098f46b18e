/**
 * A disk that fails (L-31): at each write and each sync of a run once, and full at many sizes.
 * The node says that it can't go on, acknowledges nothing after it, and a later start on a disk
 * that works has every acknowledged write.
 */
import { describe, expect, it } from 'vitest';
import { failureOf } from '../../src/cli/failure.js';
import { StorageError } from '../../src/common/index.js';
import { decodePutResponse, encodePutRequest } from '../../src/proto/index.js';
import type { DiskFault, DiskOperation } from '../../src/sim/index.js';
import { SimMachine, type SimProcess } from '../crash/sim-node.js';
import { type History, newHistory, violations, writeForever } from '../crash/workload.js';

const flags = ['--snapshot-count', '25', '--backend-batch-interval', '100ms'];
const clients = 4;
const kvDir = '/data/member/kv';

/** Writes that fill more than the first segment of the log. */
async function writeLarge(node: SimProcess, history: History, writes: number): Promise<void> {
  for (let i = 0; i < writes; i++) {
    const key = `put/${history.attempted++}`;
    const value = `${key} ${'x'.repeat(16_000)}`;
    const outcome = await node.call('KV/Put', encodePutRequest({ key, value: Buffer.from(value) }));
    if (!outcome.ok) return;
    const revision = decodePutResponse(outcome.message).header?.revision ?? 0;
    history.acknowledged.push({ keys: [key], value, revision });
    history.revisionMax = Math.max(history.revisionMax, revision);
  }
}

/** A run up to the moment at which the node says that it can't go on. */
interface Run {
  readonly machine: SimMachine;
  /** Undefined: it refused to start. */
  readonly node: SimProcess | undefined;
  readonly history: History;
}

async function run(prepare: (machine: SimMachine) => void): Promise<Run> {
  const machine = new SimMachine(1);
  const history = newHistory();
  prepare(machine);
  const node = await machine.start(...flags).catch((error: unknown) => {
    expect(failureOf(error)).toMatchObject({ exitCode: 1, isBug: false });
    return undefined;
  });
  if (node !== undefined) await load(machine, node, history);
  return { machine, node, history };
}

/** Runs clients until the node can't go on, or they have nothing left to do. */
async function load(machine: SimMachine, node: SimProcess, history: History): Promise<void> {
  let busy = clients + 1;
  const done = (): void => {
    busy--;
  };
  void writeLarge(node, history, 100).then(done);
  for (let i = 0; i < clients; i++) {
    void writeForever(node, machine.random.fork(), history, 25).then(done);
  }
  const untilMs = machine.clock.nowMs() + 20_000;
  while (busy > 0 && node.fatal.length === 0 && machine.clock.nowMs() < untilMs) {
    await machine.clock.run(machine.clock.nowMs() + 0.05);
  }
}

/** Nothing is acknowledged any more, and all that was is there after a start on a sound disk. */
async function expectSoundEnd({ machine, node, history }: Run, what: string): Promise<void> {
  const acknowledged = history.acknowledged.length;
  if (node !== undefined) {
    expect(node.fatal[0], what).toBeInstanceOf(StorageError);
    void writeForever(node, machine.random.fork(), history, 5);
    await machine.clock.run(machine.clock.nowMs() + 20_000);
    expect(history.acknowledged.length, `${what}: acknowledged after the fault`).toBe(acknowledged);
  }
  machine.kvDisk.failWrites(kvDir, undefined);
  machine.disk.clearFaults();
  machine.disk.setCapacity(Number.POSITIVE_INFINITY);
  machine.crash();
  const again = await machine.start(...flags).catch((error: unknown) => {
    throw new Error(`${what}: no start afterwards`, { cause: error });
  });
  if (again === undefined) throw new Error('the disk halted although nobody asked it to');
  expect(await machine.clock.runUntil(violations(again, history)), what).toEqual([]);
}

/** True if the fault came to pass. */
async function faultEnds(fault: DiskFault, what: string): Promise<boolean> {
  const outcome = await run((machine) => machine.disk.inject(fault));
  if (outcome.node !== undefined && outcome.node.fatal.length === 0) return false;
  await expectSoundEnd(outcome, what);
  return true;
}

describe('a disk operation that fails (L-31)', () => {
  const groups: ReadonlyArray<readonly [readonly DiskOperation[], number]> = [
    [['write', 'writeDurable'], 30],
    [['sync', 'syncDir'], 3],
    [['open', 'mkdir', 'rename'], 3],
  ];
  for (const [kinds, faultsMin] of groups) {
    const name = kinds.join(' or ');
    it(`${name}: ends the node, whichever it is`, async () => {
      let faults = 0;
      while (await faultEnds({ kinds, nth: faults + 1, code: 'EIO' }, `${name} ${faults + 1}`)) {
        faults++;
      }
      expect(faults).toBeGreaterThanOrEqual(faultsMin);
    });
  }

  it('goes on failing after the first', async () => {
    const kinds = ['write', 'writeDurable', 'sync', 'syncDir', 'rename', 'remove'] as const;
    for (let nth = 1; nth < 60; nth += 7) {
      const fault = { kinds, nth, code: 'EIO', sticky: true } as const;
      expect(await faultEnds(fault, `from operation ${nth} on`)).toBe(true);
    }
  });
});

describe('a disk that is full (L-31)', () => {
  it('ends the node at whatever size, or lets it go on', async () => {
    let ended = 0;
    for (let capacity = 0; capacity < 3_200_000; capacity += 97_003) {
      const outcome = await run((machine) => machine.disk.setCapacity(capacity));
      if (outcome.node !== undefined && outcome.node.fatal.length === 0) continue;
      ended++;
      await expectSoundEnd(outcome, `room for ${capacity} bytes`);
    }
    expect(ended).toBeGreaterThan(10);
  });
});

describe('a database that can not be written (L-31)', () => {
  it('ends the node at whatever batch, though the log still works', async () => {
    for (let batches = 2; batches < 9; batches++) {
      const machine = new SimMachine(1);
      const history = newHistory();
      const node = await machine.start(...flags);
      if (node === undefined) throw new Error('the disk halted although nobody asked it to');
      const waiting = load(machine, node, history);
      // Looked at between the steps of the load.
      const watch = (): void => {
        if (machine.kvDisk.batchesWritten(kvDir) >= batches) {
          const remedy = 'Replace it.';
          const error = new StorageError('LevelDB failed while writing', { path: kvDir, remedy });
          machine.kvDisk.failWrites(kvDir, error);
        } else machine.clock.after(1, watch);
      };
      watch();
      await waiting;
      expect(node.fatal.length, `batch ${batches}`).toBeGreaterThan(0);
      expect(history.acknowledged.length).toBeGreaterThan(0);
      await expectSoundEnd({ machine, node, history }, `batch ${batches}`);
    }
  });
});
