/**
 * A machine on which a member's storage lives: log and store are opened as the node opens them, and
 * the process can end at any operation of the disk or of the KvStores.
 */

import { silentLogger } from '../../../src/common/index.js';
import type { Entry, SnapshotMeta } from '../../../src/raft/index.js';
import { type OpenedStorage, openStorage } from '../../../src/server/bootstrap/open-storage.js';
import { SimClock, SimDisk, SimKvDisk, SimRandom } from '../../../src/sim/index.js';
import type { MvccStore, StagedSnapshot, Wal } from '../../../src/storage/index.js';
import { testOptions } from '../mvcc/helpers.js';

export const memberDir = '/data/member';

/** What entry `index` does: the same on every member. */
export function applyEntry(store: MvccStore, index: number): void {
  if (index % 11 === 0) {
    store.scheduleCompaction(index, 1, store.revision - 2);
    return;
  }
  const txn = store.begin(index, 1);
  const key = `key${index % 7}`;
  if (index % 5 === 0) txn.deleteRange(key, '');
  else txn.put(key, Buffer.from(`value ${index} `.repeat(10)), index % 3 === 0 ? 7n : 0n);
  if (index % 4 === 0) txn.setMeta(`lease/${index % 6}`, Buffer.from(`lease of ${index}`));
  txn.commit();
}

export function entryOf(index: number): Entry {
  return { index, term: 1, type: 'normal', data: Buffer.from(`entry ${index}`) };
}

export interface MachineOptions {
  readonly loseAllUnsynced?: boolean;
  readonly latencyMsMax?: number;
  readonly walDir?: string;
}

export class Machine {
  readonly random: SimRandom;
  readonly clock: SimClock;
  readonly disk: SimDisk;
  readonly kvDisk: SimKvDisk;
  readonly fatal: unknown[] = [];
  private readonly walDir: string;

  constructor(seed: number, options: MachineOptions = {}) {
    this.walDir = options.walDir ?? '';
    this.random = new SimRandom(seed);
    this.clock = new SimClock({ random: this.random.fork() });
    const { clock } = this;
    this.disk = new SimDisk({ clock, random: this.random.fork() });
    this.kvDisk = new SimKvDisk({
      clock,
      random: this.random.fork(),
      disk: this.disk,
      latencyMsMax: options.latencyMsMax ?? 0.5,
      loseAllUnsynced: options.loseAllUnsynced ?? false,
    });
  }

  get operations(): number {
    return this.disk.operations + this.kvDisk.operations;
  }

  get halted(): boolean {
    return this.disk.halted || this.kvDisk.halted;
  }

  /** Rejects if the process ends before `promise` settles. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const note = (): void => {
      settled = true;
    };
    promise.then(note, note);
    const untilMs = this.clock.nowMs() + 600_000;
    await this.clock.run(this.clock.nowMs());
    while (!settled) {
      if (this.halted) throw new Halted();
      if (this.clock.nowMs() > untilMs) throw new Error('nothing happens any more');
      await this.clock.run(this.clock.nowMs() + 0.02);
    }
    return promise;
  }

  open(): Promise<OpenedStorage> {
    return openStorage({
      disk: this.disk.process(),
      clock: this.clock,
      random: this.random.fork(),
      logger: silentLogger,
      openKvStore: this.kvDisk.open,
      dataDir: '/data',
      walDir: this.walDir,
      founding: {
        clusterId: 1n,
        memberId: 2n,
        incarnation: 3n,
        joining: false,
        founders: [{ id: 2n, name: 'a', peerUrls: ['http://a'], isLearner: false }],
      },
      catchUpEntries: 100,
      mvcc: { ...testOptions, compactionBatch: 2 },
      onFatal: (error) => this.fatal.push(error),
    });
  }

  crash(unsyncedPercent: number): void {
    this.disk.crash({ unsyncedPercent, tornWrites: true });
    this.kvDisk.crash();
  }

  /** Directories of stores, whole or not. */
  async kvDirs(): Promise<string[]> {
    const names = await this.clock.runUntil(this.disk.list(memberDir));
    return names.filter((name) => name.startsWith('kv'));
  }
}

export class Halted extends Error {}

/** Appends and applies entries `from` to `to`, as the node loop does. */
export async function goOn(
  { store, wal }: { readonly store: MvccStore; readonly wal: Wal },
  from: number,
  to: number,
): Promise<void> {
  const entries: Entry[] = [];
  for (let index = from; index <= to; index += 1) entries.push(entryOf(index));
  await wal.append({ term: 1, vote: 0n, commit: to }, entries, true);
  for (let index = from; index <= to; index += 1) applyEntry(store, index);
}

/** All pieces of the store's present state. */
export async function piecesOf(
  store: MvccStore,
): Promise<{ pieces: Buffer[]; mark: SnapshotMeta }> {
  const source = await store.snapshotSource();
  const pieces: Buffer[] = [];
  let position: Buffer = Buffer.alloc(0);
  for (;;) {
    const piece = await source.next(position);
    if (piece === undefined) break;
    pieces.push(piece.data);
    position = piece.position;
  }
  await source.close();
  return { pieces, mark: source.mark };
}

export async function stage(
  store: MvccStore,
  pieces: readonly Uint8Array[],
): Promise<StagedSnapshot> {
  const sink = await store.openSink();
  for (const piece of pieces) await sink.write(piece);
  return sink.finish();
}
