/**
 * How soon there is a leader again, and how often there is one too many: whole members in simulated
 * time, on a wire that can tell a dead process from a silent machine.
 */

import { describe, expect, it } from 'vitest';
import { decodePutResponse, encodePutRequest } from '../../src/proto/index.js';
import type { Knobs } from './knobs.js';
import { callWithin } from './kv-client.js';
import type { SimMachine, SimProcess } from './machine.js';
import { run } from './run.js';
import type { Fault, FaultKind } from './schedule.js';
import { World } from './world.js';

const heartbeatMs = 100;
const electionMs = 1000;

/** As by default, without anybody else. */
const quiet: Partial<Knobs> = {
  heartbeatMs,
  electionMs,
  preVote: true,
  latencyMs: { min: 0.1, max: 0.5 },
  loss: 0,
  duplication: 0,
  diskLatencyMsMax: 2,
  clients: 0,
  watchers: 0,
  leaseHolders: 0,
  hostiles: 0,
  lockers: 0,
  auth: false,
};

/** Members that have had a leader for a while. */
async function settled(seed: number, size = 3): Promise<{ world: World; leader: SimProcess }> {
  const world = new World({ seed, size, knobs: { ...quiet, size } });
  world.begin();
  await pass(world, 5000);
  const leader = world.leader();
  if (leader === undefined) throw new Error('nobody leads');
  expect(world.machines.every(({ process }) => process?.serving)).toBe(true);
  return { world, leader };
}

function pass(world: World, ms: number): Promise<void> {
  return world.clock.run(world.clock.nowMs() + ms);
}

function followers(world: World, leader: SimProcess): SimMachine[] {
  return world.machines.filter(({ process }) => process !== leader);
}

/** How long until another than `before` leads; at most `ms`, then undefined. */
async function untilLed(world: World, before: SimProcess, ms: number): Promise<number | undefined> {
  const startMs = world.clock.nowMs();
  while (world.clock.nowMs() - startMs < ms) {
    await pass(world, 1);
    const { machines } = world;
    const leads = machines.some(({ process }) => process !== before && process?.isLeader === true);
    if (leads) return world.clock.nowMs() - startMs;
  }
  return undefined;
}

function counts(world: World): { gone: number; early: number; resent: number } {
  const all = world.machines.flatMap(({ metrics }) => metrics);
  const sum = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0);
  return {
    gone: sum(all.map(({ leadersGone }) => leadersGone)),
    early: sum(all.map(({ earlyCampaigns }) => earlyCampaigns)),
    resent: sum(all.map(({ proposalsResent }) => proposalsResent)),
  };
}

function termsOf(world: World): number[] {
  return world.machines.flatMap(({ process }) => process?.node.raft.term ?? []);
}

const none = { gone: 0, early: 0, resent: 0 };
const put = encodePutRequest({
  key: 'k',
  value: Buffer.from('v'),
  lease: 0n,
  prevKv: false,
  ignoreValue: false,
  ignoreLease: false,
});

describe('when the process of the leader ends', () => {
  it.each([3, 5])('another of %i leads within a fraction of the election timeout', async (size) => {
    for (let seed = 1; seed <= 12; seed += 1) {
      const { world, leader } = await settled(seed, size);
      const { term } = leader.node.raft;
      leader.machine.kill();
      const tookMs = await untilLed(world, leader, electionMs);
      expect(tookMs, `seed ${seed}`).toBeLessThan(250);
      await pass(world, 3 * electionMs);
      // One election was enough.
      expect([...new Set(termsOf(world))]).toEqual([term + 1]);
      expect(counts(world).gone).toBe(size - 1);
    }
  });

  it('what a client had just asked another member for is done, once', async () => {
    let resent = 0;
    for (let seed = 20; seed < 40; seed += 1) {
      const { world, leader } = await settled(seed);
      const { process } = followers(world, leader)[0] as SimMachine;
      if (process === undefined) throw new Error('no follower');
      const call = callWithin(world, process, '/etcdserverpb.KV/Put', put, 5 * electionMs);
      // Somewhere on the way to the leader, in its log, or on the way back.
      await pass(world, (seed - 20) / 12);
      leader.machine.kill();
      const askedMs = world.clock.nowMs();
      const outcome = await world.clock.runUntil(call);
      expect(outcome?.ok, `seed ${seed}`).toBe(true);
      expect(world.clock.nowMs() - askedMs).toBeLessThan(300);
      if (outcome?.ok !== true) return;
      expect(decodePutResponse(outcome.message).header?.revision).toBe(2);
      await pass(world, 3 * electionMs);
      expect(process.node.store.revision).toBe(2);
      resent += counts(world).resent;
    }
    expect(resent).toBeGreaterThan(2);
  });

  it('and starts again at once, there is a leader again', async () => {
    for (let seed = 50; seed < 55; seed += 1) {
      const { world, leader } = await settled(seed);
      leader.machine.kill();
      // Before anybody could be refused: then it is a follower that knows no leader, like others.
      world.startNow(leader.machine);
      expect(await untilLed(world, leader, 3 * electionMs)).toBeDefined();
    }
  });
});

describe('nobody is early', () => {
  it('when the machine of the leader is silent: it may be there still', async () => {
    for (let seed = 60; seed < 66; seed += 1) {
      const { world, leader } = await settled(seed);
      leader.machine.crash(world.random);
      const tookMs = (await untilLed(world, leader, 3 * electionMs)) ?? 0;
      // Since its last heartbeat.
      expect(tookMs).toBeGreaterThan(electionMs - 2 * heartbeatMs);
      expect(counts(world)).toEqual(none);
    }
  });

  it('when one hears nobody, and the others are too few', async () => {
    const { world, leader } = await settled(70);
    const [deaf] = followers(world, leader);
    if (deaf === undefined) throw new Error('no follower');
    for (const { name } of world.machines) {
      if (name === deaf.name) continue;
      world.wire.block(deaf.name, name);
      world.wire.block(name, deaf.name);
    }
    await pass(world, 50);
    leader.machine.kill();
    expect(await untilLed(world, leader, 3 * electionMs)).toBeUndefined();
    expect(counts(world).gone).toBe(1);
    const { term } = deaf.process?.node.raft ?? {};
    world.wire.heal();
    expect(await untilLed(world, leader, 6 * electionMs)).toBeDefined();
    expect(Math.max(...termsOf(world))).toBe((term ?? 0) + 1);
  });

  it('when the leader still has a link to those whom it refuses', async () => {
    const { world, leader } = await settled(71);
    for (const { name } of followers(world, leader)) world.wire.refuse(name, leader.machine.name);
    await pass(world, electionMs / 2);
    expect(counts(world)).toEqual(none);
  });

  it('when the leader is cut off one way', async () => {
    for (const outwards of [true, false]) {
      const { world, leader } = await settled(72);
      for (const { name } of followers(world, leader)) {
        if (outwards) world.wire.block(leader.machine.name, name);
        else world.wire.block(name, leader.machine.name);
      }
      await pass(world, 5 * electionMs);
      expect(counts(world)).toEqual(none);
    }
  });

  it('when it is stopped, or its connections break and come back', async () => {
    const { world, leader } = await settled(73);
    for (let i = 0; i < 20; i += 1) {
      world.wire.cut(leader.machine.name);
      await pass(world, 200);
    }
    // An election timeout may pass without a word of the leader: links wait before they dial again.
    expect(counts(world)).toEqual(none);
    leader.freeze();
    await pass(world, 3 * electionMs);
    expect(counts(world)).toEqual(none);
  });
});

describe('who takes a live leader for dead', () => {
  it('deposes nobody while a majority hears it', async () => {
    for (let seed = 80; seed < 86; seed += 1) {
      const { world, leader } = await settled(seed);
      const [fooled] = followers(world, leader);
      if (fooled === undefined) throw new Error('no follower');
      const terms = termsOf(world);
      world.wire.refuse(fooled.name, leader.machine.name);
      world.wire.refuse(leader.machine.name, fooled.name);
      await pass(world, 10 * electionMs);
      expect(counts(world).early).toBeGreaterThan(0);
      expect(termsOf(world)).toEqual(terms);
      expect(leader.isLeader).toBe(true);
      world.wire.heal();
      await pass(world, 10 * electionMs);
      expect(termsOf(world)).toEqual(terms);
      expect(fooled.process?.node.raft.leader).toBe(leader.node.memberId);
    }
  });
});

describe('bad weather', () => {
  const kinds: readonly FaultKind[] = ['loss', 'delay', 'reordering', 'duplication'];
  const more: readonly FaultKind[] = [...kinds, 'cut connections', 'slow disk', 'pause'];

  it('makes nobody campaign early', async () => {
    const schedule = Array.from(
      { length: 24 },
      (_none, i): Fault => ({ kind: more[i % more.length] ?? 'loss', step: 200 * i, seed: i }),
    );
    for (const seed of [1, 2, 3]) {
      const result = await run({ seed, steps: 6000, size: 3, schedule });
      expect(result.violations).toEqual([]);
      const { leadersGone, earlyCampaigns } = result.counts;
      expect([leadersGone, earlyCampaigns], `seed ${seed}`).toEqual([0, 0]);
      expect(result.counts.terms).toBeGreaterThan(1);
    }
  });
});
