import { describe, expect, it } from 'vitest';
import {
  EtcdError,
  type LeaseId,
  leaseRenewBatchMax,
  type MemberId,
} from '../../src/common/index.js';
import { LeaderQuestions } from '../../src/server/feature/leader-questions.js';
import { LeaderLessor } from '../../src/server/lease/leader-lessor.js';
import { Lessor } from '../../src/server/lease/lessor.js';
import { decodeRenewRequest } from '../../src/server/lease/question-bodies.js';
import { SimClock } from '../../src/sim/index.js';
import { atOnce, LeasedKeys, revokeLease } from '../helpers/lessor.js';

const nowhere = { setMeta(): void {} };
const timeoutMs = 7000;

/** Three members with the same leases; who leads, and when a read is confirmed, is set by hand. */
class World {
  readonly clock = new SimClock();
  readonly members: Member[];
  /** Questions that were asked: of whom, and how many ids. */
  readonly asked: Array<readonly [MemberId, number]> = [];
  /** Members that do not answer. */
  readonly frozen = new Set<MemberId>();
  term = 1;

  constructor() {
    this.members = [1n, 2n, 3n].map((id) => new Member(this, id));
  }

  at(id: MemberId): Member {
    return this.members[Number(id) - 1] as Member;
  }

  /** All members know it, and the old leader gives up, unless it is frozen. */
  elect(leader: MemberId, term: number): void {
    this.term = term;
    for (const member of this.members) {
      if (this.frozen.has(member.id)) continue;
      member.raft = { leader, term };
      if (member.id === leader) member.lessor.promote(term, 1000);
      else member.lessor.demote();
    }
  }

  grant(id: LeaseId, ttlSeconds: number): void {
    for (const { lessor } of this.members) lessor.applyGrant(nowhere, id, ttlSeconds);
  }

  revoke(id: LeaseId): void {
    for (const { lessor } of this.members) revokeLease(lessor, nowhere, id);
  }

  async call(to: MemberId, body: Uint8Array): Promise<Buffer> {
    this.asked.push([to, decodeRenewRequest(body).length]);
    await new Promise<void>((resolve) => this.clock.after(1, resolve));
    if (this.frozen.has(to)) {
      await new Promise<void>((resolve) => this.clock.after(1000, resolve));
      throw new EtcdError('TIMEOUT');
    }
    return Buffer.from(await this.at(to).renewals.answerRenew(body));
  }
}

class Member {
  raft: { leader: MemberId; term: number } = { leader: 0n, term: 1 };
  readonly lessor: Lessor;
  readonly renewals: LeaderLessor;
  readonly revoked: LeaseId[] = [];
  /** What happens while a read is being confirmed. */
  whileReading: () => void = () => {};

  constructor(
    readonly world: World,
    readonly id: MemberId,
  ) {
    const { clock } = world;
    const outer = this;
    const raft = {
      get term() {
        return outer.raft.term;
      },
    };
    this.lessor = new Lessor({
      clock,
      keys: new LeasedKeys(),
      ttlSecondsMin: 1,
      checkpoints: false,
      proposeRevoke: (lease, term) => {
        // What a leader of the past puts into its log is never committed.
        if (term === world.term) this.revoked.push(lease);
      },
      proposeCheckpoints: () => {},
    });
    const questions = new LeaderQuestions({
      self: id,
      clock,
      leader: () => this.raft.leader,
      peers: { call: (to, _method, body) => world.call(to, body) },
      timeoutMs,
      attemptMs: 1000,
    });
    this.renewals = new LeaderLessor({
      clock,
      raft,
      lessor: this.lessor,
      questions,
      timeoutMs,
      read: (run, context) => this.#afterRead(() => run(context, undefined)),
      readBarrier: () => new Promise((resolve) => this.#afterRead(resolve)),
    });
  }

  #afterRead(run: () => void): void {
    this.world.clock.after(2, () => {
      this.whileReading();
      run();
    });
  }

  /** TTL in seconds, or the reason of the error. */
  async renew(id: LeaseId): Promise<number | string> {
    const answer = new Promise<number | string>((resolve) => {
      this.renewals.renew(id, {
        renewed: (error, ttl) => resolve(error === undefined ? ttl : (error as EtcdError).reason),
      });
    });
    return await this.world.clock.runUntil(answer);
  }
}

describe('a keepalive at a follower', () => {
  it('is answered by the leader: the full TTL, or 0 for a lease that is gone', async () => {
    const world = new World();
    world.elect(2n, 5);
    world.grant(7n, 60);
    await world.clock.run(30_000);
    for (const id of [1n, 2n, 3n]) expect(await world.at(id).renew(7n)).toBe(60);
    expect(atOnce(world.at(2n).lessor.timeToLive(7n, false))?.ttlSeconds).toBeGreaterThanOrEqual(
      59,
    );
    world.revoke(7n);
    for (const id of [1n, 2n, 3n]) expect(await world.at(id).renew(7n)).toBe(0);
    expect(await world.at(1n).renew(-9n)).toBe(0);
  });

  it('shares a question with all that come in the same turn', async () => {
    const world = new World();
    world.elect(2n, 5);
    const count = leaseRenewBatchMax + 5;
    for (let id = 1n; id <= count; id++) world.grant(id, 60);
    const answers = Array.from({ length: count }, (_, i) => {
      return new Promise<number>((resolve) => {
        world.at(1n).renewals.renew(BigInt(i + 1), { renewed: (_error, ttl) => resolve(ttl) });
      });
    });
    const ttls = await world.clock.runUntil(Promise.all(answers));
    expect(new Set(ttls)).toEqual(new Set([60]));
    expect(world.asked).toEqual([
      [2n, leaseRenewBatchMax],
      [2n, 5],
    ]);
  });

  it('waits for the revoke of a lease that has expired, and keeps no other waiting (L-17)', async () => {
    const world = new World();
    world.elect(2n, 5);
    world.grant(7n, 2);
    world.grant(8n, 60);
    await world.clock.run(2500);
    expect(world.at(2n).revoked).toContain(7n);
    const answers: string[] = [];
    for (const id of [7n, 8n]) {
      world.at(1n).renewals.renew(id, { renewed: (_error, ttl) => answers.push(`${id} ${ttl}`) });
    }
    await world.clock.run(3000);
    expect(answers).toEqual(['8 60']);
    world.revoke(7n);
    await world.clock.run(3100);
    expect(answers).toEqual(['8 60', '7 0']);
  });

  it('goes to the new leader when the old one is stuck, and the lease survives (L-16)', async () => {
    const world = new World();
    world.elect(1n, 5);
    world.grant(7n, 4);
    world.frozen.add(1n);
    // Asked while the old one still counts as the leader.
    const answer = world.at(3n).renew(7n);
    world.clock.after(500, () => world.elect(2n, 6));
    expect(await answer).toBe(4);
    expect(world.asked.map(([member]) => member)).toEqual([1n, 2n]);
    // The old one wakes up, and finds the lease expired by its own clock.
    await world.clock.run(world.clock.nowMs() + 3000);
    world.frozen.delete(1n);
    expect(world.at(1n).lessor.isPrimary).toBe(true);
    expect(await world.at(3n).renew(7n)).toBe(4);
    expect(world.at(1n).revoked).toEqual([]);
    expect(world.at(2n).revoked).toEqual([]);
    world.elect(2n, 6);
    expect(world.at(1n).lessor.isPrimary).toBe(false);
  });

  it('is not answered in a term that has ended while the read was confirmed (L-18)', async () => {
    const world = new World();
    world.elect(2n, 5);
    world.grant(7n, 60);
    const old = world.at(2n);
    old.whileReading = () => {
      old.whileReading = () => {};
      world.elect(3n, 6);
    };
    expect(await world.at(1n).renew(7n)).toBe(60);
    expect(world.asked.map(([member]) => member)).toEqual([2n, 3n]);
    expect(old.lessor.counters.renewed).toBe(0);
  });

  it('is tried until there is a leader, and given up with the error of etcd', async () => {
    const world = new World();
    world.grant(7n, 60);
    expect(await world.at(1n).renew(7n)).toBe('NO_LEADER');
    expect(world.clock.nowMs()).toBeGreaterThan(timeoutMs - 100);
    world.clock.after(3000, () => world.elect(2n, 5));
    expect(await world.at(1n).renew(7n)).toBe(60);
    world.frozen.add(2n);
    expect(await world.at(1n).renew(7n)).toBe('TIMEOUT');
  });
});
