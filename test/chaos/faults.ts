/**
 * What is done to the cluster. Each fault begins, lasts, and is undone by `heal`; who it hits and
 * for how long comes from the seed. After each the cluster has to be whole again.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { SimRandom } from '../../src/sim/index.js';
import type { ChaosMember } from './member.js';
import { timeToFirstWrite } from './probe.js';
import { cut, fair } from './wires.js';
import type { World } from './world.js';

export interface FaultContext {
  readonly world: World;
  readonly random: SimRandom;
  /** Notes how long no write succeeded after `what`. */
  readonly measured: (what: string, ms: number | undefined) => void;
  readonly say: (text: string) => void;
}

type Fault = (context: FaultContext) => Promise<void>;

const slowMs = { min: 2000, max: 6000 };
const pauseMs = { min: 100, max: 30_000 };
const stopTimeoutMs = 15_000;
const changeTimeoutMs = 40_000;

export const faults: Readonly<Record<string, Fault>> = {
  async 'kill leader'({ world, random, measured }) {
    const leader = await world.cluster.someLeader();
    const others = world.cluster.alive.filter((member) => member !== leader);
    await leader.kill();
    measured('kill leader', await timeToFirstWrite(world, others));
    await sleep(random.between(0, 3000));
  },

  async 'kill any'({ world, random }) {
    await random.pick(world.cluster.alive).kill();
    await sleep(random.between(0, 4000));
  },

  async 'kill all'({ world, random }) {
    await Promise.all(world.cluster.members.map((member) => member.kill()));
    await sleep(random.between(0, 500));
  },

  async 'pause leader'({ world, random, measured }) {
    const leader = await world.cluster.someLeader();
    const others = world.cluster.alive.filter((member) => member !== leader);
    leader.pause();
    const forMs = pauseFor(random);
    const ended = sleep(forMs).then(() => leader.resume());
    // One that is back before the others miss it stays the leader.
    if (forMs > 3000) measured('pause leader', await timeToFirstWrite(world, others));
    await ended;
  },

  async 'pause any'({ world, random }) {
    const member = random.pick(world.cluster.alive);
    member.pause();
    await sleep(pauseFor(random));
    member.resume();
  },

  async 'pause all'({ world, random }) {
    const { alive } = world.cluster;
    for (const member of alive) member.pause();
    await sleep(random.between(100, 4000));
    for (const member of random.shuffled(alive)) {
      member.resume();
      await sleep(random.below(200));
    }
  },

  async 'isolate leader'(context) {
    const { world, measured } = context;
    const leader = await world.cluster.someLeader();
    const others = world.cluster.members.filter((member) => member !== leader);
    split(context, [leader]);
    measured('isolate leader', await timeToFirstWrite(world, others));
    await lasts(context);
  },

  /** It wakes up still cut off, and believing that it leads: what it says then may be old. */
  async 'pause isolated leader'(context) {
    const { world, random } = context;
    const leader = await world.cluster.someLeader();
    split(context, [leader]);
    leader.pause();
    await sleep(random.between(2500, 4000));
    leader.resume();
    await sleep(random.between(500, 2500));
  },

  async partition(context) {
    const { world, random } = context;
    const { members } = world.cluster;
    const minority = random.between(1, Math.floor((members.length - 1) / 2));
    split(context, random.shuffled(members).slice(0, minority));
    await lasts(context);
  },

  /** Some hear nothing, or are not heard. */
  async 'one-way partition'(context) {
    const { world, random } = context;
    const { wires, members } = world.cluster;
    const one = random.chance(0.5) ? await world.cluster.someLeader() : random.pick(members);
    const isDeaf = random.chance(0.5);
    for (const other of members) {
      if (other === one) continue;
      if (isDeaf) wires.set(other.name, one.name, cut);
      else wires.set(one.name, other.name, cut);
    }
    await lasts(context);
  },

  /** Each member reaches only its neighbours: every one sees a majority, no two the same. */
  async 'ring partition'(context) {
    const { world, random } = context;
    const { wires } = world.cluster;
    const ring = random.shuffled(world.cluster.members);
    const reach = Math.max(1, Math.floor(ring.length / 4));
    for (const [i, a] of ring.entries()) {
      for (const [j, b] of ring.entries()) {
        const apart = Math.min(Math.abs(i - j), ring.length - Math.abs(i - j));
        // Of three, all are neighbours: there the ring is a line.
        const isOpen = ring.length === 3 ? Math.abs(i - j) === 1 : apart <= reach;
        if (i !== j && !isOpen) wires.set(a.name, b.name, cut);
      }
    }
    await lasts(context);
  },

  async 'slow wires'(context) {
    everywhere(context, { ...fair, delayMsMin: 25, delayMsMax: 125 });
    await lasts(context);
  },

  async 'lossy wires'(context) {
    everywhere(context, { ...fair, lossChance: 0.5 });
    await lasts(context);
  },

  async 'reset connections'({ world, random }) {
    for (let i = random.between(1, 5); i > 0; i -= 1) {
      world.cluster.wires.reset(
        random.chance(0.5) ? undefined : random.pick(world.cluster.members).name,
      );
      await sleep(random.between(50, 500));
    }
  },

  async 'move leader'({ world, random }) {
    for (let i = random.between(1, 4); i > 0; i -= 1) {
      const leader = await world.cluster.someLeader();
      const others = world.cluster.alive.filter((member) => member !== leader);
      if (others.length > 0) await world.cluster.moveLeader(leader, random.pick(others));
      await sleep(random.between(100, 800));
    }
  },

  async 'rolling restart'({ world, random, measured, say }) {
    for (const member of random.shuffled(world.cluster.members)) {
      const wasLeader = (await world.cluster.leader()) === member;
      const others = world.cluster.alive.filter((other) => other !== member);
      const stopping = member.stop(stopTimeoutMs);
      if (wasLeader) measured('stop leader', await timeToFirstWrite(world, others));
      if (!(await stopping)) say(`${member.name} did not stop in ${stopTimeoutMs} ms`);
      world.cluster.startMember(member);
      if (!(await world.cluster.healthy(30_000))) return;
    }
  },

  async 'replace member'(context) {
    const { world, random } = context;
    const { members } = world.cluster;
    await replace(
      context,
      random.chance(0.3) ? await world.cluster.someLeader() : random.pick(members),
    );
  },

  /** A killed leader while the wires are slow: elections over bad wires. */
  async 'kill leader on slow wires'(context) {
    const { world, random } = context;
    everywhere(context, { ...fair, delayMsMin: 25, delayMsMax: 125, lossChance: 0.1 });
    await sleep(random.between(500, 1500));
    const leader = await world.cluster.someLeader();
    await leader.kill();
    await lasts(context);
  },
};

/** Undoes what a fault left. */
export async function heal({ world }: FaultContext): Promise<void> {
  world.cluster.wires.heal();
  world.cluster.revive();
}

/** Up to half a minute, mostly a second or two. */
function pauseFor(random: SimRandom): number {
  const spread = Math.log(pauseMs.max / pauseMs.min);
  const ms = pauseMs.min * Math.exp(spread * random.float());
  // The longest are rare: a run has other things to do.
  return ms > 8000 && random.chance(0.7) ? ms / 4 : ms;
}

function lasts({ random }: FaultContext): Promise<void> {
  return sleep(random.between(slowMs.min, slowMs.max));
}

function split({ world }: FaultContext, group: readonly ChaosMember[]): void {
  const { members, wires } = world.cluster;
  for (const inside of group) {
    for (const outside of members) {
      if (group.includes(outside)) continue;
      wires.set(inside.name, outside.name, cut);
      wires.set(outside.name, inside.name, cut);
    }
  }
}

function everywhere({ world }: FaultContext, weather: typeof fair): void {
  const { members, wires } = world.cluster;
  for (const a of members) {
    for (const b of members) if (a !== b) wires.set(a.name, b.name, weather);
  }
}

/** Removes a member, loses its disk, and adds it anew at the same address. */
async function replace(context: FaultContext, member: ChaosMember): Promise<void> {
  const { world, random, say } = context;
  const { cluster, report } = world;
  const by = random.pick(cluster.alive.filter((other) => other !== member));
  const id = (await member.status())?.id;
  if (id === undefined) return;
  const isRemoved = await cluster.remove(by, id, changeTimeoutMs);
  report.check('members: removed', isRemoved, () => `${member.name}: ${by.lastError}`);
  if (!isRemoved) return;
  const isInTime = await member.leave(stopTimeoutMs);
  if (!isInTime) say(`${member.name} did not end after its removal`);
  member.wipe();
  const asLearner = random.chance(0.5);
  const added = await cluster.add(by, member.peerUrl, asLearner, changeTimeoutMs);
  report.check('members: added', added !== undefined, () => `${member.name}: ${by.lastError}`);
  if (added === undefined) return;
  cluster.startMember(member);
  if (!asLearner) return;
  const isPromoted = await cluster.promote(by, added, changeTimeoutMs);
  report.check('members: promoted', isPromoted, () => `${member.name}: ${by.lastError}`);
}
