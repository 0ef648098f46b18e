/**
 * From a snapshot to a data directory, on a simulated disk: everything that is in the file, power
 * loss at every operation, and files that are damaged or say what can't be.
 */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { InvariantError, StorageError, silentLogger } from '../../src/common/index.js';
import {
  alarmMember,
  authUser,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodePutRequest,
} from '../../src/proto/index.js';
import { writeSnapshotImage } from '../../src/server/backup/image.js';
import { type RestoreOptions, restoreSnapshot } from '../../src/server/backup/restore-snapshot.js';
import { defaultConfig } from '../../src/server/options/config.js';
import { BboltImage, type ImageEntry } from '../../src/storage/index.js';
import { SimMachine, type SimProcess } from './sim-node.js';

const leaseGrant = Buffer.from([0x08, 0xe8, 0x07, 0x10, 0x09]); // TTL 1000, ID 9

interface Contents {
  readonly revision: number;
  readonly compactRevision: number;
  readonly hash: number;
  readonly leases: readonly string[];
  readonly leasedKeys: number;
}

async function contents(machine: SimMachine, { node }: SimProcess): Promise<Contents> {
  const { store } = node;
  const { revision, compactRevision } = store;
  const { hash } = await machine.clock.runUntil(store.hashKv(revision));
  const leases = [...store.metaEntries('lease/')].map(([name]) => name);
  return { revision, compactRevision, hash, leases, leasedKeys: [...store.leasedKeys()].length };
}

/** A node with history, deletions, a compaction, big values and a lease; and its snapshot. */
async function source(): Promise<{ file: Buffer; before: Contents }> {
  const machine = new SimMachine(1);
  const node = (await machine.start()) as SimProcess;
  const call = async (method: string, bytes: Uint8Array): Promise<void> => {
    const outcome = await machine.clock.runUntil(node.call(method, bytes));
    if (!outcome.ok) throw new Error(outcome.text);
  };
  await call('Lease/LeaseGrant', leaseGrant);
  for (let i = 0; i < 60; i++) {
    const value = Buffer.alloc(i % 20 === 3 ? 200_000 : i * 20, i);
    const lease = i % 7 === 0 ? 9n : 0n;
    await call('KV/Put', encodePutRequest({ key: `k${i % 23}`, value, lease }));
  }
  await call('KV/DeleteRange', encodeDeleteRangeRequest({ key: 'k5', rangeEnd: 'k7' }));
  await call('KV/Compact', encodeCompactionRequest({ revision: 30, physical: true }));
  const before = await contents(machine, node);
  const { store } = node.node;
  const view = await machine.clock.runUntil(store.snapshotView());
  await machine.clock.runUntil(writeSnapshotImage(machine.disk, '/s.db', view, () => {}));
  return { file: sealed(machine.disk.peek('/s.db')), before };
}

function sealed(image: Buffer): Buffer {
  return Buffer.concat([image, createHash('sha256').update(image).digest()]);
}

function optionsOf(machine: SimMachine, more: Partial<RestoreOptions> = {}): RestoreOptions {
  const { clock, disk, kvDisk, random } = machine;
  const ports = { clock, disk, openKvStore: kvDisk.open, random, logger: silentLogger };
  const config = defaultConfig('--data-dir', '/data');
  return {
    ...{ snapshotPath: '/backup.db', skipHashCheck: false, bumpRevision: 0, config, ports },
    ...more,
  };
}

function restore(machine: SimMachine, file: Buffer, more: Partial<RestoreOptions> = {}) {
  machine.disk.plant('/backup.db', file);
  return machine.clock.runUntil(restoreSnapshot(optionsOf(machine, more)));
}

async function started(machine: SimMachine, ...flags: string[]): Promise<SimProcess> {
  const node = await machine.start(...flags);
  if (node === undefined) throw new Error('the disk halted although nobody asked it to');
  return node;
}

let file: Buffer;
let before: Contents;
beforeAll(async () => {
  ({ file, before } = await source());
});

describe('a restored snapshot', () => {
  it('has every revision, lease and compaction, under new ids', async () => {
    const machine = new SimMachine(2);
    const restored = await restore(machine, file);
    expect(restored).toMatchObject({ revision: 62, compactRevision: 30, leases: 1, users: 0 });
    machine.crash();
    const node = await started(machine);
    expect(await contents(machine, node)).toEqual(before);
    expect(node.node).toMatchObject({ memberId: restored.memberId, clusterId: restored.clusterId });
    expect(node.node.membership.list().map(({ id }) => id)).toEqual([restored.memberId]);
    const put = await machine.clock.runUntil(
      node.call('KV/Put', encodePutRequest({ key: 'new', value: Buffer.from('v') })),
    );
    expect(put.ok).toBe(true);
    expect(node.node.store.revision).toBe(63);
  });

  it('may have its log elsewhere', async () => {
    const machine = new SimMachine(3);
    const config = defaultConfig('--data-dir=/data', '--wal-dir=/wal');
    await restore(machine, file, { config });
    expect(machine.disk.tree('/wal').map(([path]) => path)).toEqual([
      '/wal/0000000000000001-0000000000000001.wal',
    ]);
    machine.crash();
    const node = await started(machine, '--wal-dir=/wal');
    expect(await contents(machine, node)).toEqual(before);
  });

  it('can begin at a higher revision, with all before it compacted', async () => {
    const machine = new SimMachine(4);
    await restore(machine, file, { bumpRevision: 1_000_000_000 });
    const node = await started(machine);
    const { store } = node.node;
    expect(store.revision).toBe(1_000_000_062);
    expect(store.compactRevision).toBe(1_000_000_062);
    await machine.clock.runUntil(store.compactionDone());
    expect(store.keyCount).toBe(21);
    const again = await contents(machine, node);
    machine.crash();
    expect(await contents(machine, await started(machine))).toEqual(again);
  });

  it('survives power loss at every operation of the disk and the database', async () => {
    const counts: number[] = [];
    for (const halted of ['disk', 'kvDisk'] as const) {
      const whole = new SimMachine(5);
      await restore(whole, file);
      const count = whole[halted].operations;
      let kept = 0;
      for (let at = 1; at <= count; at++) {
        const machine = new SimMachine(5);
        machine.disk.plant('/backup.db', file);
        machine[halted].haltAt(at);
        let isDone = false;
        restoreSnapshot(optionsOf(machine)).then(() => {
          isDone = true;
        });
        while (!isDone && !machine[halted].halted)
          await machine.clock.run(machine.clock.nowMs() + 1);
        machine.crash();
        const names = await machine.clock.runUntil(machine.disk.list('/data'));
        // Either it is there, or it can be done again.
        if (isDone) expect(names, `operation ${at}`).toContain('member');
        if (names.includes('member')) kept += 1;
        else await restore(machine, file);
        const node = await started(machine);
        expect(await contents(machine, node), `${halted} ${at}`).toEqual(before);
      }
      expect(kept, `${halted}: of ${count}`).toBeLessThan(count / 4);
      counts.push(count);
    }
    expect(Math.min(...counts)).toBeGreaterThan(10);
  });
});

describe('a restore is refused', () => {
  const failure = async (
    change: (copy: Buffer) => Buffer | undefined,
    more: Partial<RestoreOptions> = {},
  ): Promise<StorageError> => {
    const machine = new SimMachine(6);
    const copy = Buffer.from(file);
    const error = await restore(machine, change(copy) ?? copy, more).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(StorageError);
    // Nothing of it is left.
    expect(machine.disk.tree('/data').filter(([path]) => path !== '/data')).toEqual([]);
    return error as StorageError;
  };

  it('if the hash is wrong or missing', async () => {
    const wrong = await failure((copy) => void copy.writeUInt8(1 ^ copy.readUInt8(50_000), 50_000));
    expect(wrong.message).toMatch(/expected sha256 [0-9a-f]{64}, got [0-9a-f]{64}: \/backup.db at/);
    const missing = await failure((copy) => copy.subarray(0, copy.length - 32));
    expect(missing.message).toContain('snapshot missing hash but --skip-hash-check=false');
  });

  it('unless nobody wants to know it', async () => {
    const machine = new SimMachine(7);
    const plain = file.subarray(0, file.length - 32);
    const { revision } = await restore(machine, plain, { skipHashCheck: true });
    expect(revision).toBe(62);
  });

  it('if there is something in the directory already', async () => {
    const machine = new SimMachine(8);
    await restore(machine, file);
    await expect(restore(machine, file)).rejects.toThrow('--data-dir is not empty: /data');
    const config = defaultConfig('--data-dir=/other', '--wal-dir=/data/member/wal');
    await expect(restore(machine, file, { config })).rejects.toThrow('--wal-dir is not empty');
  });

  it('if the disk is full', async () => {
    const machine = new SimMachine(9);
    machine.disk.plant('/backup.db', file);
    machine.disk.setCapacity(file.length + 10_000);
    await expect(restore(machine, file)).rejects.toThrow(/ENOSPC|no space|Make room/i);
  });

  const imageOf = async (buckets: Record<string, readonly ImageEntry[]>): Promise<Buffer> => {
    const pieces: Array<{ offset: number; bytes: Buffer }> = [];
    const image = new BboltImage(async (offset, bytes) => void pieces.push({ offset, bytes }));
    for (const [name, entries] of Object.entries(buckets)) await image.addBucket(name, entries);
    const bytes = Buffer.alloc(await image.finish());
    for (const piece of pieces) piece.bytes.copy(bytes, piece.offset);
    return sealed(bytes);
  };
  const revisionKey = (main: number): Buffer => {
    const key = Buffer.alloc(17);
    key.writeBigUInt64BE(BigInt(main));
    key[8] = 0x5f;
    return key;
  };

  it.each<[string, Record<string, readonly ImageEntry[]>, string]>([
    ['another database', { other: [] }, 'it has no bucket "key"'],
    [
      'a strange revision',
      { key: [[Buffer.from('x'), Buffer.alloc(3)]], meta: [] },
      'unknown form',
    ],
    [
      'a revision that is no KeyValue',
      { key: [[revisionKey(2), Buffer.from([0x0a, 9, 1])]], meta: [] },
      'cut short',
    ],
    [
      'a revision of another one',
      { key: [[revisionKey(2), Buffer.from([0x0a, 1, 0x61, 0x18, 3])]], meta: [] },
      'another one inside',
    ],
    [
      'a deletion of nothing',
      {
        key: [
          [Buffer.concat([revisionKey(2), Buffer.from('t')]), Buffer.from([0x0a, 1, 0x61])],
          [Buffer.concat([revisionKey(3), Buffer.from('t')]), Buffer.from([0x0a, 1, 0x61])],
        ],
        meta: [],
      },
      "can't be opened: revision 3 deletes a key that does not exist",
    ],
    [
      'a lease without a time',
      { key: [], meta: [], lease: [[Buffer.from('00000007', 'latin1'), Buffer.from([8, 7])]] },
      'an unreadable lease',
    ],
    [
      'an alarm of the future',
      { key: [], meta: [], alarm: [[Buffer.from([0x10, 9]), Buffer.alloc(0)]] },
      'an unknown alarm',
    ],
    [
      'a user of another name',
      { key: [], meta: [], authUsers: [[Buffer.from('b'), Buffer.from([0x0a, 1, 0x61])]] },
      'its bucket authUsers has an unreadable entry',
    ],
    [
      'a role that is none',
      { key: [], meta: [], authRoles: [[Buffer.from('b'), Buffer.from([0x0a, 9, 0x61])]] },
      'its bucket authRoles has an unreadable entry',
    ],
    [
      'no revision of users',
      { key: [], meta: [], auth: [[Buffer.from('authRevision'), Buffer.from([1])]] },
      'its bucket auth has an unreadable entry',
    ],
  ])('if it is or has %s', async (_name, buckets, text) => {
    const image = await imageOf(buckets);
    expect((await failure(() => image)).message).toContain(text);
  });

  it('not for users, alarms, or a revision of nothing', async () => {
    const machine = new SimMachine(10);
    const user = authUser.encode({ name: Buffer.from('a'), roles: ['root', 'none', 'none'] });
    const users: ImageEntry[] = [[Buffer.from('a'), user]];
    const alarm = alarmMember.encode({ memberId: 5n, alarm: 1 });
    const image = await imageOf({
      ...{ meta: [], authUsers: users, alarm: [[alarm, Buffer.alloc(0)]] },
      // As etcdutl --bump-revision leaves it.
      key: [[revisionKey(1000), Buffer.alloc(0)]],
      auth: [[Buffer.from('authEnabled'), Buffer.from([1])]],
    });
    const restored = await restore(machine, image);
    expect(restored).toMatchObject({ revision: 1000, records: 0, alarms: 1 });
    expect(restored).toMatchObject({ users: 1, roles: 0 });
    const { node } = await started(machine);
    expect(node.host.access.isEnabled).toBe(true);
    expect(node.host.authState.user('a')?.roles).toEqual(['none', 'root']);
    expect(node.alarms.list(0)).toEqual([{ memberId: 5n, alarm: 1 }]);
    expect(node.store.revision).toBe(1000);
  });

  it('or it starts, whatever is damaged where no hash is checked', async () => {
    const small = await imageOf({
      key: Array.from({ length: 40 }, (_, i): ImageEntry => {
        const key = [0x0a, 1, 0x61 + (i % 5)];
        const fields = [0x10, 2 + (i % 5), 0x18, i + 2, 0x20, 1 + Math.floor(i / 5), 0x2a, 1, i];
        return [revisionKey(i + 2), Buffer.from([...key, ...fields])];
      }),
      meta: [[Buffer.from('finishedCompactRev'), revisionKey(1)]],
      lease: [[Buffer.from('0000000000000007', 'hex'), Buffer.from([8, 7, 16, 9])]],
    });
    const pages = Math.floor(small.length / 4096);
    const mutation = fc.tuple(fc.nat(pages), fc.nat(4095), fc.nat(255));
    let refused = 0;
    let restored = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 6 }), async (mutations) => {
        const damaged = Buffer.from(small);
        for (const [page, within, byte] of mutations) {
          const at = page * 4096 + (within % 600);
          if (at < damaged.length) damaged[at] = byte;
        }
        const machine = new SimMachine(11);
        try {
          await restore(machine, damaged, { skipHashCheck: true });
        } catch (error) {
          if (!(error instanceof StorageError) || error.cause instanceof InvariantError)
            throw error;
          refused += 1;
          return;
        }
        restored += 1;
        const node = await started(machine);
        await contents(machine, node);
      }),
      { numRuns: 150 },
    );
    expect(Math.min(refused, restored)).toBeGreaterThan(10);
  });
});
