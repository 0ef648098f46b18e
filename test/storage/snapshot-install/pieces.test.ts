/** What is not exactly the next piece of exactly this state is refused, and changes nothing. */

import { beforeAll, describe, expect, it } from 'vitest';
import { snapshotPieceBytes } from '../../../src/common/index.js';
import type { MvccStore, SnapshotSink } from '../../../src/storage/index.js';
import { goOn, Machine, memberDir, piecesOf, stage } from './machine.js';

/** A leader with some megabytes. */
async function leaderWith(seed: number): Promise<{ machine: Machine; store: MvccStore }> {
  const machine = new Machine(seed);
  const opened = await machine.run(machine.open());
  const { store } = opened;
  await machine.run(goOn(opened, 2, 40));
  for (let i = 0; i < 60; i += 1) {
    const txn = store.begin(store.applied.index + 1, 1);
    txn.put(`big${i}`, Buffer.alloc(70_000, i + seed), 0n);
    txn.commit();
  }
  return { machine, store };
}

describe('the pieces of a state', () => {
  let leader: { machine: Machine; store: MvccStore };
  let pieces: Buffer[];
  let hash: number;
  let foreign: Buffer[];

  beforeAll(async () => {
    leader = await leaderWith(1);
    ({ pieces } = await leader.machine.run(piecesOf(leader.store)));
    ({ hash } = await leader.machine.run(leader.store.hashKv(0)));
    const other = await leaderWith(2);
    ({ pieces: foreign } = await other.machine.run(piecesOf(other.store)));
  });

  async function receiver(): Promise<{ machine: Machine; store: MvccStore; sink: SnapshotSink }> {
    const machine = new Machine(9);
    const { store } = await machine.run(machine.open());
    return { machine, store, sink: await machine.run(store.openSink()) };
  }

  const piece = (n: number): Buffer => pieces[n] as Buffer;

  it('are several, and of about a megabyte', () => {
    expect(pieces.length).toBeGreaterThan(4);
    for (const one of pieces.slice(0, -2)) {
      expect(one.length).toBeGreaterThanOrEqual(snapshotPieceBytes);
      expect(one.length).toBeLessThan(snapshotPieceBytes * 1.25);
    }
  });

  it('are the same whenever they are asked for, whatever happens to the store', async () => {
    const { machine, store } = await leaderWith(1);
    const source = await machine.run(store.snapshotSource());
    const positions: Buffer[] = [Buffer.alloc(0)];
    for (;;) {
      const last = positions[positions.length - 1] as Buffer;
      const next = await machine.run(source.next(last));
      if (next === undefined) break;
      positions.push(next.position);
      const txn = store.begin(store.applied.index + 1, 1);
      txn.deleteRange('big', 'bih');
      txn.put('later', Buffer.from('x'), 0n);
      txn.commit();
      store.scheduleCompaction(store.applied.index + 1, 1, store.revision);
      await machine.run(store.compactionDone());
    }
    expect(positions.length).toBe(pieces.length + 1);
    for (let i = pieces.length - 1; i >= 0; i -= 1) {
      const again = await machine.run(source.next(positions[i] as Buffer));
      expect(again?.data.equals(piece(i)), `piece ${i}`).toBe(true);
      expect(again?.position.equals(positions[i + 1] as Buffer)).toBe(true);
    }
    await machine.run(source.close());
  });

  it('can be gone on with after any of them', async () => {
    for (let cut = 0; cut <= pieces.length; cut += 1) {
      const { machine, store, sink } = await receiver();
      for (const one of pieces.slice(0, cut)) await machine.run(sink.write(one));
      // The connection broke in the middle of the next.
      if (cut < pieces.length) {
        const half = piece(cut).subarray(0, piece(cut).length / 2);
        await expect(machine.run(sink.write(half))).rejects.toMatchObject({ name: 'StorageError' });
        await expect(machine.run(sink.finish())).rejects.toMatchObject({ name: 'StorageError' });
      }
      for (const one of pieces.slice(cut)) await machine.run(sink.write(one));
      const staged = await machine.run(sink.finish());
      await machine.run(store.install(staged));
      expect((await machine.run(store.hashKv(0))).hash).toBe(hash);
    }
  });

  it('are refused if a bit is not as it was', async () => {
    const { machine, store, sink } = await receiver();
    for (const [n, one] of pieces.entries()) {
      const step = Math.max(1, Math.floor(one.length / 12));
      const offsets = [0, 4, 8, 12, 16, 20, 30, one.length - 5, one.length - 1];
      for (let at = 40; at < one.length; at += step) offsets.push(at);
      for (const at of offsets) {
        const damaged = Buffer.from(one);
        damaged[at] = (damaged[at] as number) ^ (1 << (at % 8));
        const writing = machine.run(sink.write(damaged));
        await expect(writing, `piece ${n} at ${at}`).rejects.toMatchObject({
          name: 'StorageError',
        });
      }
      await machine.run(sink.write(one));
    }
    await machine.run(store.install(await machine.run(sink.finish())));
    expect((await machine.run(store.hashKv(0))).hash).toBe(hash);
  });

  it('are refused if they are cut short', async () => {
    const { machine, sink } = await receiver();
    const short = piece(pieces.length - 1);
    for (const one of pieces.slice(0, -1)) await machine.run(sink.write(one));
    for (let length = 0; length < short.length; length += 1) {
      const writing = machine.run(sink.write(short.subarray(0, length)));
      await expect(writing, `${length}`).rejects.toMatchObject({ name: 'StorageError' });
    }
    await expect(machine.run(sink.finish())).rejects.toMatchObject({ name: 'StorageError' });
    await machine.run(sink.write(short));
    await expect(machine.run(sink.write(short))).rejects.toMatchObject({ name: 'StorageError' });
    await machine.run(sink.finish());
  });

  it('are refused in any other order, repeated, left out or from another state', async () => {
    const { machine, sink } = await receiver();
    for (const [n, one] of pieces.entries()) {
      for (const [m, wrong] of pieces.entries()) {
        if (m === n) continue;
        await expect(machine.run(sink.write(wrong)), `${m} for ${n}`).rejects.toMatchObject({
          name: 'StorageError',
        });
      }
      if (n > 0) {
        await expect(machine.run(sink.write(foreign[n] as Buffer))).rejects.toThrow(/refused/);
      }
      await machine.run(sink.write(one));
    }
    await machine.run(sink.finish());
  });

  it('can not be asked for with a position of another state, or one that was made up', async () => {
    const { machine, store } = await leaderWith(1);
    const source = await machine.run(store.snapshotSource());
    const first = await machine.run(source.next(Buffer.alloc(0)));
    const position = first?.position ?? Buffer.alloc(0);
    for (let at = 0; at < position.length; at += 1) {
      const wrong = Buffer.from(position);
      wrong[at] = (wrong[at] as number) ^ 1;
      await expect(machine.run(source.next(wrong))).rejects.toMatchObject({ name: 'StorageError' });
    }
    await expect(machine.run(source.next(position.subarray(1)))).rejects.toThrow(/not of this one/);
    store.setApplied({ index: store.applied.index + 1, term: 1 });
    const later = await machine.run(store.snapshotSource());
    await expect(machine.run(later.next(position))).rejects.toThrow(/not of this one/);
    await machine.run(source.close());
    await machine.run(later.close());
  });

  it('that the disk does not take do no harm to the store in use', async () => {
    for (let cut = 0; cut < pieces.length; cut += 1) {
      const { machine, store, sink } = await receiver();
      for (const one of pieces.slice(0, cut)) await machine.run(sink.write(one));
      machine.kvDisk.failWrites(`${memberDir}/kv-1.tmp`, new Error('ENOSPC'));
      const going = async (): Promise<unknown> => {
        for (const one of pieces.slice(cut)) await sink.write(one);
        return sink.finish();
      };
      await expect(machine.run(going())).rejects.toThrow('ENOSPC');
      await expect(machine.run(sink.finish())).rejects.toThrow();
      await machine.run(sink.abort());
      expect(await machine.kvDirs()).toEqual(['kv']);
      const txn = store.begin(2, 1);
      txn.put('a', Buffer.from('b'), 0n);
      txn.commit();
      await machine.run(store.flushSync());
      expect(machine.fatal).toEqual([]);
    }
  });

  it('leave nothing when they are given up, or discarded in the end', async () => {
    for (let cut = 0; cut <= pieces.length; cut += 1) {
      const { machine, store, sink } = await receiver();
      for (const one of pieces.slice(0, cut)) await machine.run(sink.write(one));
      await machine.run(sink.abort());
      expect(await machine.kvDirs()).toEqual(['kv']);
      const staged = await machine.run(stage(store, pieces));
      expect(await machine.kvDirs()).toEqual(['kv', 'kv-2']);
      await machine.run(staged.discard());
      expect(await machine.kvDirs()).toEqual(['kv']);
      expect(store.applied.index).toBe(1);
    }
  });
});
