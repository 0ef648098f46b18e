/**
 * What each kind of fault does to a world, and how it ends. A fault that finds nothing to do (its
 * machine is down already) does not count as happened.
 */

import { moveLeaderRequest } from '../../src/proto/index.js';
import type { SimRandom } from '../../src/sim/index.js';
import { requestTimeoutMs } from './knobs.js';
import { callWithin } from './kv-client.js';
import type { SimMachine, SimProcess } from './machine.js';
import { chanceOf, type Fault } from './schedule.js';
import type { World } from './world.js';

/** Makes it happen; returns what happened in a few words, or undefined if nothing did. */
export function inflict(world: World, fault: Fault): string | undefined {
  const random = chanceOf(fault);
  const lastsMs = world.knobs.electionMs * random.pick([0.3, 1, 2, 4]);
  switch (fault.kind) {
    case 'kill':
      return onRunning(world, random, (machine) => {
        machine.kill();
        world.startLater(machine, lastsMs);
      });
    case 'crash':
      return onRunning(world, random, (machine) => {
        machine.crash(random);
        world.startLater(machine, lastsMs);
      });
    case 'crash all':
      return crashAll(world, random, lastsMs);
    case 'crash in a disk operation':
      return onRunning(world, random, (machine) => {
        machine.disk.haltAt(machine.disk.operations + random.below(30));
      });
    case 'pause':
      return pause(world, random, lastsMs);
    case 'pause all':
      return pauseAll(world, longMs(world, random));
    case 'failed fsync':
      return onRunning(world, random, ({ disk }) => {
        const kinds = random.pick([
          ['sync', 'writeDurable'],
          ['write'],
          ['open'],
          ['syncDir'],
        ] as const);
        disk.inject({ kinds, nth: 1 + random.below(5), code: 'EIO', sticky: random.chance(0.5) });
      });
    case 'disk full':
      return onRunning(world, random, ({ disk }) => {
        const used = disk.tree().reduce((sum, [, size]) => sum + size, 0);
        disk.setCapacity(used + random.below(2000));
        world.later(lastsMs, () => disk.setCapacity(Number.POSITIVE_INFINITY));
      });
    case 'slow disk':
      return onRunning(world, random, ({ disk }) => {
        disk.slowDown(random.pick([10, 50, 200]));
        world.later(lastsMs, () => disk.slowDown(1));
      });
    case 'clock rate':
      return onRunning(world, random, (machine) => {
        const rate = random.pick([0.5, 0.8, 1.25, 2]);
        machine.rate = rate;
        machine.process?.clock.setRate(rate);
        world.clockRateMax = Math.max(world.clockRateMax, rate);
        world.clockRateMin = Math.min(world.clockRateMin, rate);
      });
    case 'clock jump':
      return onRunning(world, random, (machine) => {
        const byMs = random.pick([-3_600_000, -1000, 1000, 3_600_000]);
        machine.wallOffsetMs += byMs;
        machine.process?.clock.jumpWall(byMs);
      });
    case 'stop and start':
      return onRunning(world, random, (machine) => {
        const { process } = machine;
        if (process === undefined || !process.isOpen) return;
        process.serving = false;
        process.node.stop().then(
          () => {
            if (process.alive) machine.kill();
            world.startLater(machine, lastsMs);
          },
          (error: unknown) => world.processEnded(process, error),
        );
      });
    case 'campaign':
      return onRunning(world, random, ({ process }) => {
        process?.clock.afterTurn(() => {
          process.node.raft.campaign();
          process.node.loop.schedule();
        });
      });
    case 'move leader':
      return moveLeader(world, random);
    case 'add member':
    case 'remove member':
    case 'wipe':
    case 'bit flip':
      return world.members.change(fault.kind, random);
    default:
      return onWire(world, fault, random, lastsMs);
  }
}

function onRunning(
  world: World,
  random: SimRandom,
  act: (machine: SimMachine) => void,
): string | undefined {
  const running = world.machines.filter(({ process }) => process?.isOpen === true);
  if (running.length === 0) return undefined;
  const leader = running.find(({ process }) => process?.isLeader === true);
  const machine = leader !== undefined && random.chance(0.4) ? leader : random.pick(running);
  act(machine);
  return machine.name;
}

function crashAll(world: World, random: SimRandom, lastsMs: number): string | undefined {
  const machines = world.machines.filter(({ retired }) => !retired);
  if (machines.length === 0) return undefined;
  for (const machine of machines) {
    machine.crash(random);
    world.startLater(machine, random.float() * lastsMs);
  }
  return `${machines.length} machines`;
}

function pause(world: World, random: SimRandom, lastsMs: number): string | undefined {
  return onRunning(world, random, ({ process }) => {
    if (process === undefined || process.frozen) return;
    process.freeze();
    world.later(lastsMs, () => {
      if (process.alive) process.unfreeze();
    });
  });
}

/**
 * Nobody notices, so the leader leads on when it goes on, and finds what the others had passed on
 * to it: they are stopped a little later.
 */
function pauseAll(world: World, lastsMs: number): string | undefined {
  const leader = world.leader();
  const paused: SimProcess[] = [];
  const pause = (process: SimProcess | undefined): void => {
    if (process === undefined || process.frozen || !process.alive) return;
    process.freeze();
    paused.push(process);
  };
  if (leader === undefined || leader.frozen) return undefined;
  pause(leader);
  world.later(world.knobs.electionMs / 2, () => {
    for (const { process } of world.machines) pause(process);
  });
  world.later(lastsMs, () => {
    for (const process of paused) if (process.alive) process.unfreeze();
  });
  return `${leader.name}, then all, for ${Math.round(lastsMs)} ms`;
}

/** Long enough for calls to time out, or for what they wanted to be too old for anybody. */
function longMs({ knobs }: World, random: SimRandom): number {
  return requestTimeoutMs(knobs) * random.pick([1.2, 3, 3]);
}

function moveLeader(world: World, random: SimRandom): string | undefined {
  const leader = world.leader();
  const others = world.machines.filter(({ process }) => process?.isOpen && process !== leader);
  if (leader === undefined || others.length === 0) return undefined;
  const targetId = random.pick(others).process?.node.memberId ?? 0n;
  const bytes = moveLeaderRequest.encode({ targetId });
  const path = '/etcdserverpb.Maintenance/MoveLeader';
  callWithin(world, leader, path, bytes, world.knobs.electionMs * 3);
  return `${leader.name} to ${targetId.toString(16)}`;
}

/** Partitions and bad weather; a new partition takes the place of the one before. */
function onWire(
  world: World,
  { kind }: Fault,
  random: SimRandom,
  lastsMs: number,
): string | undefined {
  const { wire } = world;
  const names = world.machines.filter(({ retired }) => !retired).map(({ name }) => name);
  if (names.length < 2) return undefined;
  const shuffled = random.shuffled(names);
  const cut: Array<readonly [string, string]> = [];
  const refused: Array<readonly [string, string]> = [];
  const split = (left: readonly string[], right: readonly string[], oneWay: boolean): void => {
    for (const a of left) {
      for (const b of right) {
        cut.push([a, b]);
        if (!oneWay) cut.push([b, a]);
      }
    }
  };
  switch (kind) {
    case 'partition': {
      const at = 1 + random.below(names.length - 1);
      split(shuffled.slice(0, at), shuffled.slice(at), false);
      break;
    }
    case 'one-way partition': {
      const at = 1 + random.below(names.length - 1);
      split(shuffled.slice(0, at), shuffled.slice(at), true);
      break;
    }
    case 'isolate leader': {
      const leader = world.leader()?.machine.name ?? shuffled[0] ?? '';
      split(
        [leader],
        names.filter((name) => name !== leader),
        random.chance(0.2),
      );
      break;
    }
    case 'lagging member': {
      // Long enough that it needs a snapshot if the log is short.
      const name = shuffled[0] ?? '';
      split(
        [name],
        names.filter((other) => other !== name),
        false,
      );
      lastsMs = world.knobs.electionMs * 8;
      break;
    }
    case 'no leader':
      for (const name of names) {
        split(
          [name],
          names.filter((other) => other > name),
          false,
        );
      }
      lastsMs = longMs(world, random);
      break;
    case 'refused connections': {
      // Those of some to the leader, and often also those of the leader to them: it seems dead.
      const leader = world.leader()?.machine.name ?? shuffled[0] ?? '';
      const others = shuffled.filter((name) => name !== leader);
      const bothWays = random.chance(0.7);
      for (const other of others.slice(0, 1 + random.below(others.length))) {
        refused.push([other, leader]);
        if (bothWays) refused.push([leader, other]);
      }
      break;
    }
    case 'ring':
      // Each member hears its neighbours only: every majority overlaps, none sees all.
      for (const [i, a] of shuffled.entries()) {
        for (const [j, b] of shuffled.entries()) {
          const apart = Math.abs(i - j);
          if (apart > 1 && apart < shuffled.length - 1) cut.push([a, b]);
        }
      }
      if (shuffled.length === 3) split([shuffled[0] ?? ''], [shuffled[2] ?? ''], false);
      break;
    case 'loss':
      wire.change({ loss: random.pick([0.1, 0.3, 0.5]) });
      break;
    case 'duplication':
      wire.change({ duplication: random.pick([0.3, 0.5]) });
      break;
    case 'delay':
      wire.change({ slowness: random.pick([5, 20, 100]) });
      break;
    case 'reordering':
      wire.change({ straggling: random.pick([0.1, 0.3]) });
      break;
    case 'corruption':
      wire.change({ corruption: random.pick([0.01, 0.1]) });
      break;
    case 'cut connections':
      wire.cut(shuffled[0] ?? '');
      return shuffled[0];
    default:
      return undefined;
  }
  for (const [from, to] of cut) wire.block(from, to);
  for (const [from, to] of refused) wire.refuse(from, to);
  const pairs = [...cut, ...refused];
  world.later(lastsMs, () => {
    for (const [from, to] of cut) wire.unblock(from, to);
    for (const [from, to] of refused) wire.admit(from, to);
    if (pairs.length === 0) wire.calm();
  });
  const ends = pairs.length > 0 ? pairs.map(([from, to]) => `${from}>${to}`).join(' ') : 'all';
  return `${ends} for ${Math.round(lastsMs)} ms`;
}
