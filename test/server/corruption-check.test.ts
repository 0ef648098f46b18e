import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { EtcdError, type MemberId, StorageError, silentLogger } from '../../src/common/index.js';
import { CorruptionCheck } from '../../src/server/maintenance/corruption-check.js';
import { Membership } from '../../src/server/membership/membership.js';
import { SimClock } from '../../src/sim/index.js';
import type { RevisionHash } from '../../src/storage/index.js';

const codec = new Packr({ useRecords: false, moreTypes: false });

/** One member's data: a number for each revision; the hash is made of those that count. */
class Store {
  revision = 100;
  compactRevision = 50;
  /** Differs on a member that is corrupt. */
  content = 0;

  /** Of the last compactions, newest first: its revision, and that of the one before. */
  compactions: Array<readonly [number, number]> = [[50, 30]];

  users: { revision: number; sum: number | undefined } = { revision: 4, sum: 7 };

  compactionHashes(): RevisionHash[] {
    return this.compactions.map(([revision, previous]) => this.hashAt(revision, previous));
  }

  async hashKv(asked: number, kept = true): Promise<RevisionHash> {
    const { compactRevision } = this;
    const revision = asked === 0 ? this.revision : asked;
    const found = this.compactionHashes().find(({ hashRevision }) => hashRevision === asked);
    if (kept && found !== undefined) return found;
    if (revision < compactRevision) throw new EtcdError('COMPACTED');
    if (revision > this.revision) throw new EtcdError('FUTURE_REVISION');
    return this.hashAt(revision, compactRevision);
  }

  private hashAt(hashRevision: number, compactRevision: number): RevisionHash {
    const hash = hashRevision * 1000 + compactRevision + this.content;
    return { hash, compactRevision, hashRevision };
  }
}

class World {
  readonly clock = new SimClock();
  readonly stores: Map<MemberId, Store>;
  readonly checks = new Map<MemberId, CorruptionCheck>();
  readonly raised: MemberId[] = [];
  readonly unreachable = new Set<MemberId>();
  asked = 0;
  leader: MemberId = 1n;

  constructor(size: number, flags: { periodicMs?: number; compactHashMs?: number } = {}) {
    const ids = Array.from({ length: size }, (_, i) => BigInt(i + 1));
    this.stores = new Map(ids.map((id) => [id, new Store()]));
    const membership = new Membership();
    const members = ids.map((id) => {
      const peerUrls = [`http://${id}`];
      return { id, name: 'n', peerUrls, clientUrls: [], isLearner: false, incarnation: 0n };
    });
    membership.restore({ metaEntries: () => [] }, members);
    for (const id of ids) {
      const users = () => this.store(id).users;
      const check = new CorruptionCheck({
        self: id,
        store: this.store(id),
        authState: {
          get revision() {
            return users().revision;
          },
          get sum() {
            return users().sum;
          },
        },
        membership,
        peers: {
          call: async (member, method, body) => {
            expect(method).toBe('hashKv');
            this.asked++;
            if (this.unreachable.has(member)) throw new Error('no link');
            return Buffer.from((await this.checks.get(member)?.answer(body)) ?? []);
          },
        },
        isLeader: () => this.leader === id,
        read: async () => {},
        raiseCorrupt: (member) => this.raised.push(member),
        clock: this.clock,
        logger: silentLogger,
        dataDir: '/data',
        timeoutMs: 1000,
        periodicMs: 0,
        compactHashMs: 0,
        ...flags,
      });
      this.checks.set(id, check);
    }
  }

  store(id: MemberId): Store {
    return this.stores.get(id) as Store;
  }
  check(id: MemberId = 1n): CorruptionCheck {
    return this.checks.get(id) as CorruptionCheck;
  }
}

describe('the initial corruption check (L-42)', () => {
  it('lets a member serve that has what the others have, or cannot be compared', async () => {
    const world = new World(3);
    await world.check(2n).checkInitially();
    world.unreachable.add(1n);
    world.store(3n).compactRevision = 60;
    world.store(3n).content = 1;
    await world.check(2n).checkInitially();
    world.store(3n).revision = 99; // it is behind
    await world.check(2n).checkInitially();
  });

  it('stops a member that has something else', async () => {
    const world = new World(3);
    world.store(2n).content = 1;
    const failed = world.check(2n).checkInitially();
    await expect(failed).rejects.toBeInstanceOf(StorageError);
    await expect(failed).rejects.toThrow('2 found data inconsistency with peers');
    expect(world.raised).toEqual([]);
  });
});

describe('users and roles (L-23)', () => {
  it('are compared at the same auth revision, where they are known', async () => {
    const world = new World(4);
    // One is behind, one is just removing somebody, one is of a version that does not say.
    world.store(2n).users = { revision: 3, sum: 6 };
    world.store(3n).users = { revision: 4, sum: undefined };
    world.store(4n).users = {} as Store['users'];
    await world.check().checkPresent();
    await world.check(2n).checkInitially();
    expect(world.raised).toEqual([]);
    world.store(3n).users = { revision: 4, sum: 8 };
    await world.check().checkPresent();
    expect(world.raised).toEqual([3n]);
    await expect(world.check(3n).checkInitially()).rejects.toThrow('data inconsistency');
  });
});

describe('the periodic corruption check', () => {
  it('finds nothing in equal members, one that is behind, or one that does not answer', async () => {
    const world = new World(4);
    world.store(2n).revision = 90;
    world.store(3n).compactRevision = 40;
    world.unreachable.add(4n);
    await world.check().checkPresent();
    expect(world.raised).toEqual([]);
  });

  it('names a follower with other data, or with more than the leader', async () => {
    for (const spoil of [
      (store: Store) => store.content++,
      (store: Store) => store.revision++,
      (store: Store) => {
        store.compactRevision = 70;
      },
    ]) {
      const world = new World(3);
      spoil(world.store(3n));
      await world.check().checkPresent();
      expect(world.raised).toEqual([3n]);
    }
  });

  it('names the leader if its own data change by themselves', async () => {
    const world = new World(3);
    const store = world.store(1n);
    const hashKv = store.hashKv.bind(store);
    store.hashKv = async (revision) => {
      const found = await hashKv(revision);
      store.content++;
      return found;
    };
    await world.check().checkPresent();
    expect(world.raised).toEqual([1n]);
  });

  it('is made by the leader, again and again', async () => {
    const world = new World(3, { periodicMs: 1000 });
    for (const id of [1n, 2n, 3n]) world.check(id).start();
    await world.clock.run(3500);
    expect(world.asked).toBe(3 * 2);
    world.leader = 2n;
    world.store(3n).content = 9;
    await world.clock.run(4500);
    expect(world.raised).toEqual([3n]);
    for (const id of [1n, 2n, 3n]) world.check(id).stop();
    await world.clock.run(20_000);
    expect(world.asked).toBe(4 * 2);
  });
});

describe('the check after a compaction', () => {
  it('is made once for each, when all could be asked', async () => {
    const world = new World(3, { compactHashMs: 1000 });
    world.check().start();
    world.unreachable.add(3n);
    await world.clock.run(2500);
    expect(world.asked).toBe(4);
    world.unreachable.clear();
    await world.clock.run(9500);
    expect(world.asked).toBe(6);
    for (const store of world.stores.values()) store.compactions.unshift([80, 50]);
    await world.clock.run(19_500);
    expect(world.asked).toBe(8);
    expect(world.raised).toEqual([]);
  });

  it('names the minority, be it the leader', async () => {
    for (const [corrupt, expected] of [
      [[3n], [3n]],
      [[1n], [1n]],
      [
        [2n, 3n],
        [2n, 3n],
      ],
    ] as const) {
      const world = new World(5);
      for (const id of corrupt) world.store(id).content = 7;
      await world.check().checkCompacted();
      expect(world.raised).toEqual(expected);
    }
  });

  it('accuses everybody and nobody if there is no majority', async () => {
    const world = new World(3);
    world.store(2n).content = 1;
    world.unreachable.add(3n);
    await world.check().checkCompacted();
    expect(world.raised).toEqual([0n, 1n, 2n]);
  });

  it('does not compare members that have compacted otherwise', async () => {
    const world = new World(3);
    world.store(2n).compactions = [[50, 40]];
    world.store(2n).content = 1;
    world.store(3n).compactions = []; // it was started after that
    world.store(3n).content = 1;
    await world.check().checkCompacted();
    expect(world.raised).toEqual([]);
  });

  it('goes back to an older compaction if not all can be compared at the newest', async () => {
    const world = new World(3);
    for (const id of [1n, 3n]) world.store(id).compactions.unshift([80, 50]);
    world.store(2n).content = 1; // and has not come to the newest yet
    await world.check().checkCompacted();
    expect(world.raised).toEqual([2n]);
  });
});

describe('the answer to a question for a hash', () => {
  it('says up to where it goes, and why there is none', async () => {
    const world = new World(1);
    const ask = async (revision: number) =>
      codec.unpack(await world.check().answer(codec.pack({ revision })));
    const users = { authRevision: 4, authSum: 7 };
    const ofKeys = { hash: 100_050, compactRevision: 50, hashedRevision: 100, revision: 100 };
    const found = { ...ofKeys, ...users };
    expect(await ask(0)).toEqual(found);
    expect(await ask(100)).toEqual(found);
    expect(await ask(50)).toEqual({ ...found, hash: 50_050, hashedRevision: 50 });
    await expect(ask(101)).rejects.toMatchObject({ reason: 'FUTURE_REVISION' });
    await expect(ask(49)).rejects.toMatchObject({ reason: 'COMPACTED' });
    const kept = codec.pack({ revision: 50, kept: true });
    const before = { ...found, hash: 50_030, compactRevision: 30, hashedRevision: 50 };
    expect(codec.unpack(await world.check().answer(kept))).toEqual(before);
  });
});
