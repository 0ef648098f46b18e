/** --auto-promote-learners: whom the leader promotes, when, and when not. */

import { describe, expect, it } from 'vitest';
import { EtcdError, type MemberId, silentLogger } from '../../src/common/index.js';
import type { ProgressView } from '../../src/raft/index.js';
import { AutoPromotion } from '../../src/server/cluster/auto-promotion.js';
import { Membership } from '../../src/server/membership/index.js';
import { SimClock } from '../../src/sim/index.js';

const nowhere = { setMeta(): void {} };
const electionMs = 1000;

/** Member 1 leads; what it knows of the others is set by hand. */
class World {
  readonly clock = new SimClock();
  readonly membership = new Membership();
  readonly views = new Map<MemberId, ProgressView>();
  readonly connected = new Map<MemberId, number>();
  readonly promoted: MemberId[] = [];
  lastIndex = 100;
  votersOutgoing: MemberId[] = [];
  /** What a promotion comes to. */
  promote: (id: MemberId) => Promise<void> = async (id) => {
    this.membership.applyChange(nowhere, { type: 'promote', id });
  };
  readonly auto: AutoPromotion;

  constructor(voters: readonly MemberId[]) {
    const members = voters.map((id) => ({
      ...{ id, name: `n${id}`, peerUrls: [`http://${id}`], clientUrls: [] },
      ...{ isLearner: false, incarnation: 0n },
    }));
    const { clock, membership } = this;
    membership.restore({ metaEntries: () => [] }, members);
    for (const id of voters) if (id !== 1n) this.follow(id);
    this.auto = new AutoPromotion({
      ...{ self: 1n, clock, logger: silentLogger, membership, electionMs },
      raft: {
        progress: () => [...this.views.values()],
        status: () => {
          const ids = membership.voters().map(({ id }) => id);
          const { lastIndex, votersOutgoing } = this;
          return { lastIndex, configuration: { voters: ids, votersOutgoing } } as never;
        },
      },
      peers: { connectedSinceMs: (id) => this.connected.get(id) },
      promote: async (id) => {
        await this.promote(id);
        this.promoted.push(id);
      },
    });
  }

  /** Connected from now on, and up to date. */
  follow(id: MemberId): void {
    this.connected.set(id, this.clock.nowMs());
    this.see(id, {});
  }

  see(id: MemberId, view: Partial<ProgressView>): void {
    const all = { member: id, mode: 'replicate', matchIndex: this.lastIndex, active: true };
    this.views.set(id, { ...all, ...view } as ProgressView);
  }

  learner(id: MemberId, name = `l${id}`, isReadOnly = false): void {
    const peerUrls = [`http://${id}`];
    this.membership.applyChange(nowhere, {
      ...{ type: 'add', id, peerUrls, isLearner: true, learnersMax: 9 },
    });
    this.follow(id);
    if (name === '') return;
    this.membership.applyAttributes(nowhere, {
      ...{ id, name, clientUrls: [], incarnation: id, isReadOnly },
    });
  }

  /** Lets so many seconds pass. */
  pass(seconds: number): Promise<void> {
    return this.clock.run(this.clock.nowMs() + seconds * 1000);
  }
}

describe('--auto-promote-learners', () => {
  it('promotes a learner that has kept up for five election timeouts', async () => {
    const world = new World([1n, 2n, 3n]);
    world.auto.start();
    await world.pass(20);
    world.learner(4n);
    await world.pass(5);
    expect(world.promoted).toEqual([]);
    await world.pass(6);
    expect(world.promoted).toEqual([4n]);
    await world.pass(30);
    expect(world.promoted).toEqual([4n]);
  });

  it('begins anew when the learner falls behind, or is not heard', async () => {
    const behind: Partial<ProgressView>[] = [
      { matchIndex: 99 },
      { active: false },
      { mode: 'snapshot' },
      { mode: 'probe' },
    ];
    for (const view of behind) {
      const world = new World([1n, 2n, 3n]);
      world.auto.start();
      world.learner(4n);
      await world.pass(9);
      world.see(4n, view);
      await world.pass(1);
      world.see(4n, {});
      await world.pass(4);
      expect(world.promoted, JSON.stringify(view)).toEqual([]);
      await world.pass(3);
      expect(world.promoted, JSON.stringify(view)).toEqual([4n]);
    }
  });

  it('asks for what there was at the look before, so writes do not hold it up', async () => {
    const world = new World([1n, 2n, 3n]);
    world.auto.start();
    world.learner(4n);
    for (let i = 0; i < 40; i += 1) {
      await world.pass(0.5);
      for (const id of [2n, 3n, 4n]) world.see(id, {});
      world.lastIndex += 1000;
    }
    expect(world.promoted).toEqual([4n]);
  });

  it('waits until all voters are there and keep up', async () => {
    const wrong: Array<(world: World) => void> = [
      (world) => void world.connected.delete(3n),
      (world) => world.see(3n, { active: false }),
      (world) => world.see(3n, { matchIndex: 5 }),
      (world) => world.see(3n, { mode: 'snapshot' }),
      (world) => void world.views.delete(3n),
    ];
    for (const spoil of wrong) {
      const world = new World([1n, 2n, 3n]);
      world.auto.start();
      spoil(world);
      world.learner(4n);
      await world.pass(60);
      expect(world.promoted, String(spoil)).toEqual([]);
      world.follow(3n);
      await world.pass(7);
      expect(world.promoted, String(spoil)).toEqual([4n]);
    }
  });

  it('leaves alone who has not started, who only reads, and a joint configuration', async () => {
    const world = new World([1n, 2n, 3n]);
    world.auto.start();
    world.learner(4n, '');
    world.learner(5n, 'reader', true);
    await world.pass(60);
    expect(world.promoted).toEqual([]);
    world.learner(6n);
    world.votersOutgoing = [3n];
    await world.pass(60);
    expect(world.promoted).toEqual([]);
    world.votersOutgoing = [];
    await world.pass(7);
    expect(world.promoted).toEqual([6n]);
  });

  it('promotes one at a time', async () => {
    const world = new World([1n, 2n, 3n]);
    world.auto.start();
    let running = 0;
    let most = 0;
    world.promote = async (id) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => world.clock.after(4000, resolve));
      running -= 1;
      world.membership.applyChange(nowhere, { type: 'promote', id });
    };
    world.learner(4n);
    world.learner(5n);
    await world.pass(60);
    expect([...world.promoted].sort()).toEqual([4n, 5n]);
    expect(most).toBe(1);
  });

  it('tries again after a refusal, and after each loss of the lead only what is seen anew', async () => {
    const world = new World([1n, 2n, 3n]);
    world.auto.start();
    const promote = world.promote;
    world.promote = () => Promise.reject(new EtcdError('UNHEALTHY'));
    world.learner(4n);
    await world.pass(11);
    expect(world.promoted).toEqual([]);
    world.promote = promote;
    world.auto.stop();
    await world.pass(60);
    expect(world.promoted).toEqual([]);
    world.auto.start();
    await world.pass(5);
    expect(world.promoted).toEqual([]);
    await world.pass(2);
    expect(world.promoted).toEqual([4n]);
  });

  it('leaves no timer behind', async () => {
    const world = new World([1n, 2n, 3n]);
    world.auto.start();
    world.auto.start();
    world.auto.stop();
    const fired = world.clock.eventsFired;
    await world.pass(60);
    expect(world.clock.eventsFired).toBe(fired);
  });
});
