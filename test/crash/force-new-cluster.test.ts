/**
 * A cluster that has lost its majority for good, and a member that goes on alone with
 * --force-new-cluster: with every acknowledged write that it had, and whatever moment a crash
 * chooses, also when the flag is given again, or not given again.
 */
import { expect, it } from 'vitest';
import { MemberRemovedError } from '../../src/server/node/member-links.js';
import type { SimMachine } from '../sim/machine.js';
import { LostMajority } from './lost-majority.js';

const forced = { forceNewCluster: true };
const first = (world: LostMajority): SimMachine => world.machines[0] as SimMachine;

async function three(seed: number): Promise<LostMajority> {
  const world = new LostMajority(seed);
  await world.found(3);
  for (let i = 0; i < 8; i++) await world.put(first(world), `k${i % 5}`, `${seed}-${i}`);
  await world.settle();
  return world;
}

function loseAll(world: LostMajority): void {
  for (const machine of world.machines) machine.crash(world.random);
}

it('makes a member the only one, with all that was acknowledged', async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const world = await three(seed);
    const before = await world.contents(first(world));
    const ids = world.memberIds(first(world));
    loseAll(world);
    world.start(first(world), forced);
    expect(await world.serving(first(world)), `seed ${seed}: ${world.ended}`).toBe(true);
    expect(world.memberIds(first(world))).toEqual([before.memberId]);
    expect(await world.contents(first(world))).toEqual(before);
    const { membership, raft } = world.process(first(world)).node;
    expect(membership.removed()).toEqual(ids.filter((id) => id !== before.memberId));
    expect(raft.status().configuration.voters).toEqual([before.memberId]);
    await world.put(first(world), 'alone', 'yes');
  }
});

/** Power loss at each operation, as `haltAt` counts them, of the first start with the flag. */
async function crashAtEach(
  operationsOf: (machine: SimMachine) => { operations: number; haltAt(at: number): void },
): Promise<number> {
  const whole = await three(1);
  const before = await whole.contents(first(whole));
  loseAll(whole);
  const from = operationsOf(first(whole)).operations;
  whole.start(first(whole), forced);
  await whole.serving(first(whole));
  const count = operationsOf(first(whole)).operations - from;
  for (let at = 1; at <= count; at++) {
    const world = await three(1);
    loseAll(world);
    operationsOf(first(world)).haltAt(operationsOf(first(world)).operations + at);
    world.start(first(world), forced);
    await world.serving(first(world));
    first(world).crash(world.random);
    // With the flag or, if it was all done by then, without: it is there either way.
    world.start(first(world), forced);
    expect(await world.serving(first(world)), `operation ${at}: ${world.ended}`).toBe(true);
    await world.put(first(world), 'more', 'x');
    first(world).crash(world.random);
    world.start(first(world));
    expect(await world.serving(first(world)), `operation ${at}: ${world.ended}`).toBe(true);
    const after = await world.contents(first(world));
    expect(after, `operation ${at}`).toMatchObject({
      clusterId: before.clusterId,
      memberId: before.memberId,
      revision: before.revision + 1,
    });
    expect(world.memberIds(first(world))).toEqual([before.memberId]);
  }
  return count;
}

it('survives power loss at every operation of the disk', async () => {
  expect(await crashAtEach(({ disk }) => disk)).toBeGreaterThan(10);
});

it('survives power loss at every call of the database', async () => {
  expect(await crashAtEach(({ kvDisk }) => kvDisk)).toBeGreaterThan(3);
});

it('a learner goes on alone, and starts again three times (L-30)', async () => {
  for (const survivor of [0, 3]) {
    // The learner gets its state as a snapshot, and the log of the others does not begin with it.
    const world = new LostMajority(3, { snapshotCount: 5, snapshotCatchUpEntries: 1 });
    await world.found(3);
    for (let i = 0; i < 30; i++) await world.put(first(world), `k${i}`, 'v');
    await world.add(first(world), true);
    for (let i = 0; i < 10; i++) await world.put(first(world), `l${i}`, 'v');
    await world.settle();
    const machine = world.machines[survivor] as SimMachine;
    const before = await world.contents(machine);
    loseAll(world);
    world.start(machine, forced);
    expect(await world.serving(machine), String(world.ended)).toBe(true);
    for (let restart = 0; restart < 3; restart++) {
      const { membership, raft } = world.process(machine).node;
      expect(membership.list()).toMatchObject([{ id: before.memberId, isLearner: false }]);
      expect(membership.removed().length).toBe(3);
      expect(raft.status().configuration).toMatchObject({
        voters: [before.memberId],
        learners: [],
      });
      expect(await world.contents(machine)).toEqual(before);
      machine.crash(world.random);
      world.start(machine, restart === 1 ? forced : {});
      expect(await world.serving(machine), String(world.ended)).toBe(true);
    }
    const added = await world.add(machine, true);
    await world.put(machine, 'after', 'x');
    await world.until(
      () => world.process(added).node.store.revision === before.revision + 1,
      'the new learner has the data',
    );
  }
});

it('takes new members afterwards, and never the old ones', async () => {
  const world = await three(5);
  const [survivor, other] = world.machines as [SimMachine, SimMachine];
  loseAll(world);
  world.start(survivor, forced);
  await world.serving(survivor);
  for (let i = 0; i < 2; i++) await world.add(survivor, false);
  await world.put(survivor, 'three', 'again');
  expect(world.memberIds(survivor).length).toBe(3);
  for (const machine of world.machines.slice(3)) {
    await world.until(
      () =>
        world.process(machine).node.store.revision === world.process(survivor).node.store.revision,
      'new members have it all',
    );
  }
  // It thinks that it is a member still, until it hears from the one that knows better.
  world.start(other);
  await world.until(() => world.ended.length > 0, 'the old member is told');
  expect(world.ended[0]).toBeInstanceOf(MemberRemovedError);
});

it('keeps the leases', async () => {
  const world = new LostMajority(7);
  await world.found(3);
  const grant = await world.call(
    first(world),
    'Lease/LeaseGrant',
    // ID 9, TTL 1000
    Buffer.from([0x08, 0xe8, 0x07, 0x10, 0x09]),
  );
  expect(grant.ok).toBe(true);
  await world.put(first(world), 'leased', 'v', 9n);
  await world.settle();
  const before = await world.contents(first(world));
  expect(before.leases).toBe(1);
  loseAll(world);
  world.start(first(world), forced);
  await world.serving(first(world));
  expect(await world.contents(first(world))).toEqual(before);
});

/** A cluster that has just removed its second member, which knows it. */
async function removal(seed: number): Promise<{ world: LostMajority; removed: SimMachine }> {
  const world = await three(seed);
  const removed = world.machines[1] as SimMachine;
  const { memberId, membership } = world.process(removed).node;
  await world.remove(first(world), memberId);
  await world.until(() => membership.isRemoved(memberId), 'it knows of its removal');
  return { world, removed };
}

it('is refused to a member that was removed', async () => {
  const { world, removed } = await removal(9);
  // Until that is in the database.
  await world.clock.run(world.clock.nowMs() + 300);
  for (const machine of world.machines) machine.kill();
  world.ended.length = 0;
  world.start(removed, forced);
  expect(await world.serving(removed)).toBe(false);
  expect(String(world.ended[0])).toMatch(/was removed from its cluster.*kvorum restore/s);
});

it('does not mind a removal that is not known to be committed', async () => {
  const { world, removed } = await removal(9);
  const { memberId } = world.process(removed).node;
  // Its log has the entry, but not yet that it was committed.
  loseAll(world);
  world.start(removed, forced);
  expect(await world.serving(removed), String(world.ended)).toBe(true);
  for (let restart = 0; restart < 2; restart++) {
    expect(world.memberIds(removed)).toEqual([memberId]);
    await world.put(removed, 'still', 'here');
    removed.crash(world.random);
    world.start(removed);
    expect(await world.serving(removed), String(world.ended)).toBe(true);
  }
});

it('is refused with an empty directory, unless it would be alone anyway', async () => {
  const world = new LostMajority(11);
  await world.found(1);
  first(world).wipe();
  world.start(first(world), forced);
  expect(await world.serving(first(world))).toBe(true);
  first(world).wipe();
  const initialCluster = new Map([...'abc'].map((name) => [name, [`http://${name}:1`]]));
  world.start(first(world), { ...forced, initialCluster });
  expect(await world.serving(first(world))).toBe(false);
  expect(String(world.ended[0])).toMatch(/--force-new-cluster: there is no cluster in \/data/);
});

it('goes its own way even if the others are alive, and neither side breaks', async () => {
  for (const elections of [0, 5]) {
    const world = await three(13);
    const [forcedOne, ...others] = world.machines as [SimMachine, ...SimMachine[]];
    const by = others[0] as SimMachine;
    const leads = () => others.some(({ process }) => process?.isLeader === true);
    forcedOne.kill();
    await world.until(leads, 'a leader');
    // They may come to a newer term than the one that is forced.
    for (let i = 0; i < elections; i++) {
      for (const machine of others) {
        machine.kill();
        world.start(machine);
      }
      await world.until(leads, 'a new leader');
    }
    for (let i = 0; i < 10; i++) await world.put(by, 'theirs', String(i));
    world.start(forcedOne, forced);
    await world.until(() => forcedOne.process?.serving === true, 'it serves');
    await world.put(forcedOne, 'ours', '1');
    // Whoever wants to talk to it is told that it was removed.
    await world.until(() => world.ended.length > 0, 'the others stop');
    for (const error of world.ended) expect(error).toBeInstanceOf(MemberRemovedError);
    await world.clock.run(world.clock.nowMs() + 2000);
    expect(world.memberIds(forcedOne).length).toBe(1);
    await world.put(forcedOne, 'ours', '2');
  }
});
