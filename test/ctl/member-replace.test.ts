/** `member replace`: what it does from whatever there is, and what it refuses. */

import { describe, expect, it } from 'vitest';
import { replace } from '../../src/ctl/members/replace.js';
import { contextOf, FakeCluster } from './fake-cluster.js';

const options = { isAgreed: true, waitMs: 60_000 };
const goal = { old: 3n, peerUrls: ['http://new'], isRemoved: false };

/** Somebody starts the new member as soon as it is waited for. */
function startsWhenAsked(cluster: FakeCluster): void {
  cluster.onSleep = () => {
    for (const { id, name } of cluster.members) {
      if (name === '') cluster.set(id, { name: 'new', clientUrls: ['http://cnew'] });
    }
  };
}

async function outcome(cluster: FakeCluster, more: Partial<typeof goal> = {}): Promise<string> {
  const { context, said } = contextOf();
  try {
    await replace(context, cluster.calls, { ...goal, ...more }, options);
    return said.out;
  } catch (error) {
    return `failed: ${(error as Error).message}`;
  }
}

describe('member replace', () => {
  it('adds a learner, promotes it, and only then removes the old member', async () => {
    const cluster = new FakeCluster(3);
    startsWhenAsked(cluster);
    const out = await outcome(cluster);
    expect(cluster.done).toEqual(['add http://new', 'promote 13', 'remove 3']);
    expect(out).toContain('1. add a member with the peer URL http://new as a learner');
    expect(out).toContain('4. remove m3 (3) from the cluster, for good');
    expect(out).toContain('new (d) has taken the place of 3');
  });

  it('goes on from each step at which an earlier run ended', async () => {
    const steps = ['add http://new', 'promote 13', 'remove 3'];
    for (let ended = 0; ended < steps.length; ended += 1) {
      const cluster = new FakeCluster(3);
      startsWhenAsked(cluster);
      // It is interrupted right after that step.
      const { context, interrupt } = contextOf();
      const { add, promote } = cluster.calls;
      const interrupting = <T extends unknown[], R>(call: (...args: T) => Promise<R>) => {
        return async (...args: T): Promise<R> => {
          const result = await call(...args);
          interrupt.abort();
          return result;
        };
      };
      const calls = { ...cluster.calls };
      if (ended === 0) calls.add = interrupting(add);
      else if (ended === 1) calls.promote = interrupting(promote);
      else interrupt.abort();
      await expect(replace(context, calls, goal, options)).rejects.toThrow(/again to go on/);
      await outcome(cluster);
      expect(cluster.done, `ended after ${ended}`).toEqual(steps);
      // Once more changes nothing.
      await outcome(cluster);
      expect(cluster.done).toEqual(steps);
    }
  });

  it('waits until the learner has caught up, and for what passes by itself', async () => {
    const cluster = new FakeCluster(3);
    startsWhenAsked(cluster);
    cluster.behind.set(13n, 50_000);
    const start = cluster.onSleep;
    let pauses = 0;
    cluster.onSleep = (pause) => {
      start(pause);
      pauses = pause;
      if (pause === 8) cluster.behind.clear();
    };
    cluster.fail('add', 'UNHEALTHY', 'TOO_MANY_LEARNERS');
    cluster.fail('promote', 'LEARNER_NOT_READY', 'TIMEOUT');
    cluster.fail('remove', 'NO_LEADER');
    const out = await outcome(cluster);
    expect(out).toContain('adding the new member: etcdserver: unhealthy cluster');
    expect(out).toContain('50000 entries behind');
    expect(cluster.done).toEqual(['add http://new', 'promote 13', 'remove 3']);
    expect(pauses).toBeGreaterThan(8);
  });

  it('believes the members, not a lost answer', async () => {
    const cluster = new FakeCluster(3);
    startsWhenAsked(cluster);
    const { add } = cluster.calls;
    let calls = 0;
    const lossy = {
      ...cluster.calls,
      add: async (urls: readonly string[]) => {
        calls += 1;
        await add(urls);
        cluster.fail('lost', 'TIMEOUT');
        cluster.failures.set('members', ['TIMEOUT']);
        return await cluster.calls.members().then(() => ({}) as never);
      },
    };
    await replace(contextOf().context, lossy, goal, options);
    expect(calls).toBe(1);
    expect(cluster.done).toEqual(['add http://new', 'promote 13', 'remove 3']);
  });

  it('takes the member that somebody else has added at the same moment', async () => {
    const cluster = new FakeCluster(3);
    startsWhenAsked(cluster);
    const start = cluster.onSleep;
    cluster.onSleep = (pause) => {
      if (pause === 3) cluster.put(9n, '', true, 'http://new');
      start(pause);
    };
    cluster.fail('add', 'MEMBER_EXISTS', 'PEER_URL_EXISTS', 'MEMBER_NOT_FOUND');
    await outcome(cluster);
    expect(cluster.done).toEqual(['promote 9', 'remove 3']);
  });

  it('removes one that is down first, whoever takes its place, and at whatever address', async () => {
    const cluster = new FakeCluster(3);
    startsWhenAsked(cluster);
    cluster.down.add(3n);
    expect(await outcome(cluster)).toContain('m3 (3) does not answer\n  1. remove m3');
    expect(cluster.done).toEqual(['remove 3', 'add http://new', 'promote 12']);
    // It went down when the new one had been added.
    const later = new FakeCluster(3);
    startsWhenAsked(later);
    later.down.add(3n);
    later.put(4n, 'new', true, 'http://new');
    await outcome(later);
    expect(later.done).toEqual(['remove 3', 'promote 4']);
    const same = new FakeCluster(3);
    startsWhenAsked(same);
    const inPlace = { peerUrls: ['http://p3'] };
    expect(await outcome(same, inPlace)).toMatch(/with its own peer URL while it runs/);
    same.down.add(3n);
    await outcome(same, inPlace);
    expect(same.done).toEqual(['remove 3', 'add http://p3', 'promote 12']);
    const gone = new FakeCluster(2);
    startsWhenAsked(gone);
    expect(await outcome(gone, inPlace)).toMatch(/go on with --removed/);
    await outcome(gone, { ...inPlace, isRemoved: true });
    expect(gone.done).toEqual(['add http://p3', 'promote 12']);
  });

  it('refuses with a reason where too few would be left to agree', async () => {
    const five = new FakeCluster(5);
    for (const id of [1n, 2n, 4n]) five.down.add(id);
    expect(await outcome(five)).toBe(
      'failed: refused any change: 3 of 5 voters have to agree, and only 2 answer ' +
        '(not m1 (1), m2 (2), m4 (4))',
    );
    const two = new FakeCluster(2);
    two.down.add(1n);
    expect(await outcome(two, { old: 1n, peerUrls: ['http://p1'] })).toBe(
      'failed: refused any change: 2 of 2 voters have to agree, and only 1 answer (not m1 (1))',
    );
    for (const { done } of [five, two]) expect(done).toEqual([]);
  });

  it('refuses the removal if a voter went meanwhile', async () => {
    const cluster = new FakeCluster(3);
    startsWhenAsked(cluster);
    const { promote } = cluster.calls;
    const calls = {
      ...cluster.calls,
      promote: async (id: bigint) => {
        await promote(id);
        for (const gone of [1n, id]) cluster.down.add(gone);
      },
    };
    const running = replace(contextOf().context, calls, goal, options);
    await expect(running).rejects.toThrow(/refused to remove m3 \(3\): afterwards 2 of 3/);
    expect(cluster.done).toEqual(['add http://new', 'promote 13']);
  });

  it('hands the lead over before it removes the one that leads', async () => {
    const cluster = new FakeCluster(3);
    startsWhenAsked(cluster);
    cluster.leader = 3n;
    await outcome(cluster);
    expect(cluster.done).toEqual(['add http://new', 'promote 13', 'lead 13', 'remove 3']);
  });

  it('puts a learner in the place of a learner', async () => {
    const cluster = new FakeCluster(2);
    cluster.put(3n, 'm3', true);
    startsWhenAsked(cluster);
    await outcome(cluster);
    // In this order, for there may be no more than one of them.
    expect(cluster.done).toEqual(['remove 3', 'add http://new']);
  });

  it('does nothing that nobody agreed to', async () => {
    for (const answer of [undefined, '', 'n', 'nope']) {
      const cluster = new FakeCluster(3);
      const { context } = contextOf(answer === undefined ? {} : { answer });
      const asked = { ...options, isAgreed: false };
      await expect(replace(context, cluster.calls, goal, asked)).rejects.toThrow(
        /nothing was done/,
      );
      expect(cluster.done).toEqual([]);
    }
    const cluster = new FakeCluster(3);
    startsWhenAsked(cluster);
    const asked = { ...options, isAgreed: false };
    await replace(contextOf({ answer: 'y' }).context, cluster.calls, goal, asked);
    expect(cluster.done).toHaveLength(3);
  });

  it('gives up in the end, and says so', async () => {
    const cluster = new FakeCluster(3);
    const { context } = contextOf();
    await expect(replace(context, cluster.calls, goal, options)).rejects.toThrow(
      'gave up waiting for d to start after 1m0s; run it again to go on',
    );
  });

  it('prints JSON alone if that is asked for', async () => {
    const cluster = new FakeCluster(3);
    startsWhenAsked(cluster);
    const { context, said } = contextOf({ json: true });
    await replace(context, cluster.calls, goal, options);
    expect(JSON.parse(said.out)).toEqual({ old: '3', new: 'd' });
    expect(said.err).toContain('votes');
  });
});
