/** The lessor by itself (C-3), and bugs that others had with leases (docs/lessons.md). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  leaseExpiriesPerSecondMax,
  mvccSliceKeysMax,
  runSteps,
  Slice,
} from '../../src/common/index.js';
import type { LeaseCheckpoint } from '../../src/proto/index.js';
import { Lessor, type RenewWaiter } from '../../src/server/lease/lessor.js';
import { SimClock } from '../../src/sim/index.js';
import { atOnce, LeasedKeys, revokeLease } from '../helpers/lessor.js';

const electionMs = 1000;

/** What the replicated store would hold. */
class Meta extends LeasedKeys {
  readonly records = new Map<string, Uint8Array>();

  set leased(all: ReadonlyArray<readonly [string, bigint]>) {
    for (const [key, id] of all) this.attach(key, id);
  }

  setMeta(name: string, value: Uint8Array | undefined): void {
    if (value === undefined) this.records.delete(name);
    else this.records.set(name, value);
  }

  metaEntries(prefix: string): ReadonlyArray<readonly [string, Uint8Array]> {
    return [...this.records].filter(([name]) => name.startsWith(prefix)).sort();
  }
}

/** A member with a lessor; proposals are kept for the test to apply or lose. */
class Member {
  readonly meta = new Meta();
  readonly revokes: Array<{ readonly id: bigint; readonly term: number; readonly atMs: number }> =
    [];
  readonly checkpoints: LeaseCheckpoint[][] = [];
  readonly lessor: Lessor;

  constructor(clock: SimClock, checkpoints = false) {
    this.lessor = new Lessor({
      clock,
      keys: this.meta,
      ttlSecondsMin: 2,
      checkpoints,
      proposeRevoke: (id, term) => {
        this.revokes.push({ id, term, atMs: clock.nowMs() });
      },
      proposeCheckpoints: (list) => {
        this.checkpoints.push([...list]);
      },
    });
  }

  grant(id: bigint, ttl: number): number {
    return this.lessor.applyGrant(this.meta, id, ttl);
  }

  restore(meta: Meta): void {
    atOnce(this.lessor.restore(meta, new Slice(new SimClock())))();
  }

  revoke(id: bigint): string[] {
    return revokeLease(this.lessor, this.meta, id);
  }
}

class Waiter implements RenewWaiter {
  readonly answers: Array<string | number> = [];
  renewed(error: Error | undefined, ttlSeconds: number): void {
    this.answers.push(error === undefined ? ttlSeconds : error.message);
  }
}

function renew(member: Member, id: bigint): Array<string | number> {
  const waiter = new Waiter();
  member.lessor.renew(id, waiter);
  return waiter.answers;
}

describe('the replicated half of the lessor', () => {
  it('raises short TTLs, and refuses long ones and ids in use', () => {
    const member = new Member(new SimClock());
    expect(member.grant(1n, 0)).toBe(2);
    expect(member.grant(2n, -5)).toBe(2);
    expect(member.grant(3n, 9_000_000_000)).toBe(9_000_000_000);
    expect(() => member.grant(4n, 9_000_000_001)).toThrow('etcdserver: too large lease TTL');
    expect(() => member.grant(1n, 5)).toThrow('etcdserver: lease already exists');
    expect(() => member.revoke(4n)).toThrow('etcdserver: requested lease not found');
    expect(atOnce(member.lessor.leases())).toEqual([1n, 2n, 3n]);
  });

  it('returns the keys of a revoked lease in order, and forgets it', () => {
    const member = new Member(new SimClock());
    member.grant(1n, 10);
    member.grant(2n, 10);
    for (const key of ['b', '\xff', 'a', 'aa']) member.meta.attach(key, 1n);
    member.meta.attach('aa', 2n);
    member.meta.attach('b', 0n);
    member.meta.attach('none', 0n);
    expect(member.revoke(1n)).toEqual(['a', '\xff']);
    expect(member.revoke(2n)).toEqual(['aa']);
    expect(member.meta.records.size).toBe(0);
    expect(member.lessor.size).toBe(0);
  });

  it('takes any id of 64 bits and finds it again after a restart (L-19)', () => {
    const ids = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).filter((id) => id !== 0n);
    fc.assert(
      fc.property(fc.uniqueArray(ids, { maxLength: 20 }), fc.nat(1_000_000), (some, ttl) => {
        const all = [...new Set([...some, -(2n ** 63n), 2n ** 63n - 1n, -1n, 1n])];
        const member = new Member(new SimClock());
        for (const id of all) member.grant(id, ttl);
        member.meta.leased = all.map((id) => [`key of ${id}`, id]);
        const restarted = new Member(new SimClock());
        restarted.restore(member.meta);
        const sorted = [...all].sort((a, b) => (a < b ? -1 : 1));
        expect(atOnce(restarted.lessor.leases())).toEqual(sorted);
        for (const id of all) {
          expect(revokeLease(restarted.lessor, member.meta, id)).toEqual([`key of ${id}`]);
        }
        expect(member.meta.records.size).toBe(0);
      }),
    );
  });

  it('refuses stored records it does not know', () => {
    const member = new Member(new SimClock());
    member.grant(1n, 5);
    member.meta.records.set('lease/0000000000000003', Buffer.from([9, 9]));
    expect(() => new Member(new SimClock()).restore(member.meta)).toThrow('unknown form');
  });
});

describe('very many stored leases', () => {
  it('are read in slices, while those from before are still there', async () => {
    const clock = new SimClock();
    const member = new Member(clock);
    member.grant(-1n, 60);
    const other = new Meta();
    const writer = new Member(clock);
    const count = 3 * mvccSliceKeysMax;
    for (let id = 1; id <= count; id += 1) writer.lessor.applyGrant(other, BigInt(id), 60);
    const reading = runSteps(member.lessor.restore(other, new Slice(clock)));
    if (!(reading instanceof Promise)) throw new Error('they are read in one piece');
    await clock.run(clock.nowMs() + 1000);
    const take = await reading;
    expect(member.lessor.size).toBe(1);
    take();
    expect(member.lessor.size).toBe(count);
    expect(member.lessor.has(-1n)).toBe(false);
  });
});

describe('the primary', () => {
  it('proposes to revoke what has expired, never earlier, and again after 3 s', async () => {
    const clock = new SimClock();
    const member = new Member(clock);
    member.lessor.promote(4, electionMs);
    member.grant(1n, 5);
    member.grant(2n, 9);
    await clock.run(4999);
    expect(member.revokes).toEqual([]);
    await clock.run(5600);
    expect(member.revokes.map((r) => [r.id, r.term])).toEqual([[1n, 4]]);
    await clock.run(7900);
    expect(member.revokes.length).toBe(1);
    await clock.run(9100);
    expect(member.revokes.map((r) => r.id)).toEqual([1n, 1n, 2n]);
    member.revoke(1n);
    await clock.run(60_000);
    expect(new Set(member.revokes.slice(2).map((r) => r.id))).toEqual(new Set([2n]));
    expect(member.revokes.every((r) => r.atMs >= (r.id === 1n ? 5000 : 9000))).toBe(true);
  });

  it('renews for the full TTL, and tells what is left', async () => {
    const clock = new SimClock();
    const member = new Member(clock);
    member.lessor.promote(1, electionMs);
    member.grant(1n, 10);
    member.meta.attach('k', 1n);
    for (let i = 1; i <= 10; i += 1) {
      await clock.run(i * 9000);
      expect(atOnce(member.lessor.timeToLive(1n, true))).toEqual({
        ttlSeconds: 1,
        grantedTtlSeconds: 10,
        keys: ['k'],
      });
      expect(renew(member, 1n)).toEqual([10]);
      expect(atOnce(member.lessor.timeToLive(1n, false))).toEqual({
        ttlSeconds: 10,
        grantedTtlSeconds: 10,
        keys: [],
      });
    }
    expect(member.revokes).toEqual([]);
    await clock.run(100_600);
    expect(member.revokes.map((r) => r.id)).toEqual([1n]);
    expect(atOnce(member.lessor.timeToLive(1n, true))).toBe(undefined);
    expect(atOnce(member.lessor.timeToLive(77n, true))).toBe(undefined);
    expect(renew(member, 77n)).toEqual([0]);
  });

  it('a renewal after the expiry waits for the revoke, and is then told 0 (L-17)', async () => {
    const clock = new SimClock();
    const member = new Member(clock);
    member.lessor.promote(1, electionMs);
    member.grant(1n, 5);
    await clock.run(5000);
    const waiter = new Waiter();
    member.lessor.renew(1n, waiter);
    await clock.run(6000);
    expect(waiter.answers).toEqual([]);
    expect(member.revokes.length).toBe(1);
    member.revoke(1n);
    expect(waiter.answers).toEqual([0]);
    expect(renew(member, 1n)).toEqual([0]);
  });

  it('a lease is renewable as soon as its grant is applied (L-18)', () => {
    const member = new Member(new SimClock());
    member.lessor.promote(1, electionMs);
    expect(renew(member, 1n)).toEqual([0]);
    member.grant(1n, 5);
    expect(renew(member, 1n)).toEqual([5]);
  });

  it('one that was deposed while it stalled revokes nothing it no longer owns (L-16)', async () => {
    const clock = new SimClock();
    const stalled = new Member(clock);
    const next = new Member(clock);
    for (const member of [stalled, next]) member.grant(1n, 5);
    stalled.lessor.promote(1, electionMs);
    // Its timers stand still for longer than the TTL; the others elect.
    await clock.run(4000);
    next.lessor.promote(2, electionMs);
    const waiter = new Waiter();
    stalled.lessor.renew(1n, waiter);
    expect(waiter.answers).toEqual([5]);
    for (let at = 6000; at <= 30_000; at += 2000) {
      await clock.run(at);
      expect(renew(next, 1n)).toEqual([5]);
    }
    // What the stalled one proposed names its own term, so that nobody else's log takes it.
    expect(stalled.revokes.length).toBeGreaterThan(0);
    expect(stalled.revokes.every((r) => r.term === 1)).toBe(true);
    expect(next.revokes).toEqual([]);
    const before = stalled.revokes.length;
    const late = new Waiter();
    stalled.lessor.renew(1n, late);
    stalled.lessor.demote();
    expect(late.answers).toEqual(['etcdserver: not leader']);
    await clock.run(60_000);
    expect(stalled.revokes.length).toBe(before);
    expect(renew(stalled, 1n)).toEqual(['etcdserver: not leader']);
    expect(() => atOnce(stalled.lessor.timeToLive(1n, false))).toThrow('not leader');
  });

  it('stops a scan in the middle when a proposal shows that it does not lead any more', async () => {
    const clock = new SimClock();
    let proposals = 0;
    const lessor: Lessor = new Lessor({
      clock,
      keys: new LeasedKeys(),
      ttlSecondsMin: 2,
      checkpoints: false,
      proposeRevoke: () => {
        proposals += 1;
        lessor.demote();
      },
      proposeCheckpoints: () => {},
    });
    lessor.promote(1, electionMs);
    for (let id = 1n; id < 10n; id += 1n) lessor.applyGrant(new Meta(), id, 2);
    await clock.run(60_000);
    expect(proposals).toBe(1);
  });

  it('gives every lease its full TTL and an election timeout when it takes over', async () => {
    const clock = new SimClock();
    const member = new Member(clock);
    member.grant(1n, 5);
    await clock.run(100_000);
    expect(member.revokes).toEqual([]);
    member.lessor.promote(2, electionMs);
    await clock.run(105_900);
    expect(member.revokes).toEqual([]);
    await clock.run(106_600);
    expect(member.revokes.map((r) => r.id)).toEqual([1n]);
  });

  it('a takeover of very many leases gives way, and what is renewed meanwhile counts', async () => {
    const clock = new SimClock();
    const member = new Member(clock);
    const leases = 100_000;
    for (let id = 1; id <= leases; id += 1) member.grant(BigInt(id), 5);
    member.lessor.promote(2, 1000);
    // Nearly all are still to come, and yet they live.
    const before = clock.eventsFired;
    const last = BigInt(leases);
    expect(atOnce(member.lessor.timeToLive(last, false))?.ttlSeconds).toBe(6);
    expect(renew(member, last)).toEqual([5]);
    const listed = runSteps(member.lessor.leases());
    expect(listed).toBeInstanceOf(Promise);
    expect(await clock.runUntil(Promise.resolve(listed))).toHaveLength(leases);
    expect(clock.eventsFired - before).toBeGreaterThan(leases / mvccSliceKeysMax);
    await clock.run(4_900);
    expect(member.revokes).toEqual([]);
    await clock.run(7_000);
    // No more than so many a second, and the one that was renewed sooner than it would have been.
    expect(member.revokes.length).toBeLessThanOrEqual(3 * leaseExpiriesPerSecondMax);
    expect(member.revokes.map(({ id }) => id)).toContain(last);
  });

  it('a takeover that ends before all leases had their turn does nothing more', async () => {
    const clock = new SimClock();
    const member = new Member(clock);
    for (let id = 1n; id <= 10_000n; id += 1n) member.grant(id, 5);
    member.lessor.promote(2, 1000);
    member.lessor.demote();
    await clock.run(20_000);
    expect(member.revokes).toEqual([]);
    member.lessor.promote(3, 1000);
    await clock.run(60_000);
    expect(new Set(member.revokes.map(({ term }) => term))).toEqual(new Set([3]));
    expect(new Set(member.revokes.map(({ id }) => id)).size).toBe(10_000);
  });

  it('after a takeover a renewal is for the TTL again, even if that is sooner', async () => {
    const clock = new SimClock();
    const member = new Member(clock);
    for (let id = 1n; id <= 2000n; id += 1n) member.grant(id, 5);
    member.lessor.promote(2, 60_000);
    for (let id = 1n; id <= 2000n; id += 1n) expect(renew(member, id)).toEqual([5]);
    expect(atOnce(member.lessor.timeToLive(2000n, false))?.ttlSeconds).toBe(5);
    await clock.run(7500);
    expect(new Set(member.revokes.map((r) => r.id)).size).toBe(2000);
  });

  it('spreads the expiries after an election to 750 a second, and none gets earlier', async () => {
    const clock = new SimClock();
    const member = new Member(clock);
    for (let id = 1n; id <= 5000n; id += 1n) member.grant(id, 5);
    member.lessor.promote(1, electionMs);
    await clock.run(8000);
    for (const { id } of member.revokes) if (member.lessor.has(id)) member.revoke(id);
    await clock.run(20_000);
    const times = member.revokes.map((r) => r.atMs).sort((x, y) => x - y);
    expect(times[0]).toBeGreaterThanOrEqual(6000);
    // The last of them is due 5000 / 750 seconds after the first, and not much later.
    const ids = new Set(member.revokes.map((r) => r.id));
    expect(ids.size).toBe(5000);
    const firsts = new Map<bigint, number>();
    for (const { id, atMs } of member.revokes) if (!firsts.has(id)) firsts.set(id, atMs);
    const last = Math.max(...firsts.values());
    expect(last).toBeGreaterThanOrEqual(12_000);
    expect(last).toBeLessThanOrEqual(13_000);
  });

  it('has one scan going, however often it was promoted', async () => {
    const clock = new SimClock();
    const member = new Member(clock);
    for (let term = 1; term <= 10; term += 1) member.lessor.promote(term, electionMs);
    const before = clock.eventsFired;
    await clock.run(10_000);
    // Twenty scans, and the turn in which the leases got their times.
    expect(clock.eventsFired - before).toBeLessThanOrEqual(21);
    member.lessor.demote();
    await clock.run(20_000);
    expect(clock.eventsFired - before).toBeLessThanOrEqual(22);
  });

  it('revokes at most 500 in one scan', async () => {
    const clock = new SimClock();
    const member = new Member(clock);
    member.lessor.promote(1, electionMs);
    for (let id = 1n; id <= 2000n; id += 1n) member.grant(id, 5);
    await clock.run(20_000);
    const perScan = new Map<number, number>();
    for (const { atMs } of member.revokes) perScan.set(atMs, (perScan.get(atMs) ?? 0) + 1);
    expect(Math.max(...perScan.values())).toBe(500);
    expect(new Set(member.revokes.map((r) => r.id)).size).toBe(2000);
  });

  it('lists leases by what is left of them', async () => {
    const clock = new SimClock();
    const member = new Member(clock);
    member.lessor.promote(1, electionMs);
    member.grant(1n, 30);
    member.grant(2n, 20);
    member.grant(3n, 10);
    await clock.run(8000);
    renew(member, 2n);
    renew(member, 3n);
    expect(atOnce(member.lessor.leases())).toEqual(
      [3n, 2n, 1n].sort((a, b) => order(a) - order(b)),
    );
    function order(id: bigint): number {
      return id === 3n ? 18 : id === 2n ? 28 : 30;
    }
  });

  it('never revokes a lease before its time, whatever is renewed when', async () => {
    const step = fc.record({
      id: fc.bigInt({ min: 1n, max: 6n }),
      waitMs: fc.integer({ min: 0, max: 2500 }),
      renews: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const clock = new SimClock();
        const member = new Member(clock);
        member.lessor.promote(1, electionMs);
        const endMs = new Map<bigint, number>();
        for (let id = 1n; id <= 6n; id += 1n) {
          endMs.set(id, member.grant(id, Number(id) + 1) * 1000);
        }
        for (const { id, waitMs, renews } of steps) {
          await clock.run(clock.nowMs() + waitMs);
          if (!renews) continue;
          const [ttl] = renew(member, id);
          if (typeof ttl === 'number' && ttl > 0) endMs.set(id, clock.nowMs() + ttl * 1000);
          else expect(endMs.get(id)).toBeLessThanOrEqual(clock.nowMs());
        }
        await clock.run(clock.nowMs() + 10_000);
        for (let id = 1n; id <= 6n; id += 1n) {
          const first = member.revokes.find((r) => r.id === id);
          const end = endMs.get(id) ?? 0;
          expect(first?.atMs).toBeGreaterThanOrEqual(end);
          expect(first?.atMs).toBeLessThanOrEqual(end + 500);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('checkpoints', () => {
  it('are off unless asked for', async () => {
    const clock = new SimClock();
    const member = new Member(clock);
    member.lessor.promote(1, electionMs);
    member.grant(1n, 3600);
    await clock.run(3_000_000);
    expect(member.checkpoints).toEqual([]);
  });

  it('tell the other members what is left, for leases that nobody renews', async () => {
    const clock = new SimClock();
    const member = new Member(clock, true);
    member.lessor.promote(1, 0);
    member.grant(1n, 3600);
    member.grant(2n, 200);
    member.grant(3n, 3600);
    await clock.run(200_000);
    renew(member, 3n);
    await clock.run(301_000);
    expect(member.checkpoints).toEqual([[{ id: 1n, remainingTtlSeconds: 3300 }]]);
  });

  it('what is left survives five changes of the leader (L-20)', async () => {
    const clock = new SimClock();
    const members = [0, 1, 2].map(() => new Member(clock, true));
    const everywhere = (change: (member: Member) => void): void => members.forEach(change);
    let leader = members[0] as Member;
    leader.lessor.promote(1, electionMs);
    everywhere((member) => member.grant(1n, 3600));
    let left = 3600;
    for (let term = 2; term <= 6; term += 1) {
      await clock.run(clock.nowMs() + 400_000);
      const [proposed] = leader.checkpoints.splice(0);
      if (proposed === undefined) throw new Error('no checkpoint was proposed');
      everywhere((member) => member.lessor.applyCheckpoints(member.meta, proposed));
      leader.lessor.demote();
      // The one that takes over has been restarted since.
      leader = members[term % 3] as Member;
      leader.restore(leader.meta);
      leader.lessor.promote(term, electionMs);
      const now = atOnce(leader.lessor.timeToLive(1n, false))?.ttlSeconds ?? 0;
      expect(now).toBeLessThanOrEqual(left - 290);
      expect(now).toBeGreaterThanOrEqual(left - 410);
      left = now;
    }
    // A renewal takes the checkpoint back before it is answered.
    const waiter = new Waiter();
    leader.lessor.renew(1n, waiter);
    expect(waiter.answers).toEqual([]);
    const [clearing] = leader.checkpoints.splice(0);
    expect(clearing).toEqual([{ id: 1n, remainingTtlSeconds: 0 }]);
    everywhere((member) => member.lessor.applyCheckpoints(member.meta, clearing ?? []));
    expect(waiter.answers).toEqual([3600]);
    leader.lessor.demote();
    leader.lessor.promote(7, electionMs);
    expect(atOnce(leader.lessor.timeToLive(1n, false))?.ttlSeconds).toBe(3601);
  });

  it('a lost proposal to take a checkpoint back is made again', async () => {
    const clock = new SimClock();
    const member = new Member(clock);
    member.grant(1n, 3600);
    member.lessor.applyCheckpoints(member.meta, [{ id: 1n, remainingTtlSeconds: 600 }]);
    member.lessor.promote(1, electionMs);
    const waiter = new Waiter();
    member.lessor.renew(1n, waiter);
    await clock.run(10_000);
    expect(member.checkpoints.length).toBeGreaterThanOrEqual(3);
    member.lessor.applyCheckpoints(member.meta, member.checkpoints[0] ?? []);
    expect(waiter.answers).toEqual([3600]);
    const before = member.checkpoints.length;
    await clock.run(30_000);
    expect(member.checkpoints.length).toBe(before);
  });
});
