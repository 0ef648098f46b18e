/**
 * A whole node on a simulated disk, its power cut: at every disk operation of a scenario once, and
 * at random moments many times, each time with another part of what was not synced lost or torn
 * (L-1, L-2, L-5, L-38, L-41). An answered write must be there afterwards, a transaction
 * whole or not at all, and the revision must never go back.
 */
import { describe, expect, it } from 'vitest';
import { SimMachine, type SimProcess } from './sim-node.js';
import { newHistory, violations, writeForever } from './workload.js';

const clients = 6;
const flags = ['--snapshot-count', '25', '--backend-batch-interval', '100ms'];
const seeds = Number(process.env.KVORUM_CRASH_SEEDS ?? 60);

/** Runs clients until the disk halts, time is up, or they have nothing left to do. */
async function runLoad(
  machine: SimMachine,
  node: SimProcess,
  history: ReturnType<typeof newHistory>,
  options: { readonly writes: number; readonly forMs: number },
): Promise<void> {
  let busy = clients;
  for (let i = 0; i < clients; i++) {
    writeForever(node, machine.random.fork(), history, options.writes).then(() => {
      busy--;
    });
  }
  const untilMs = machine.clock.nowMs() + options.forMs;
  while (busy > 0 && machine.clock.nowMs() < untilMs && !machine.disk.halted) {
    await machine.clock.run(machine.clock.nowMs() + 5);
  }
}

async function start(machine: SimMachine): Promise<SimProcess> {
  const node = await machine.start(...flags);
  if (node === undefined) throw new Error('the disk halted although nobody asked it to');
  return node;
}

async function recovered(machine: SimMachine, history: ReturnType<typeof newHistory>) {
  const node = await start(machine);
  const wrong = await machine.clock.runUntil(violations(node, history));
  return { node, wrong };
}

describe('power loss at every disk operation', () => {
  it('loses no answered write and leaves no half transaction', async () => {
    const whole = new SimMachine(1);
    const first = await start(whole);
    const history = newHistory();
    await runLoad(whole, first, history, { writes: 40, forMs: 60_000 });
    const operations = whole.disk.operations;
    expect(history.acknowledged.length).toBeGreaterThan(150);
    expect(operations).toBeGreaterThan(60);
    let checked = 0;
    for (let at = 1; at <= operations; at++) {
      const machine = new SimMachine(1);
      machine.disk.haltAt(at);
      const lost = newHistory();
      const node = await machine.start(...flags);
      if (node !== undefined) await runLoad(machine, node, lost, { writes: 40, forMs: 60_000 });
      machine.crash();
      const { wrong } = await recovered(machine, lost);
      expect(wrong, `halted at disk operation ${at}`).toEqual([]);
      checked++;
    }
    expect(checked).toBe(operations);
  });
});

describe('power loss at random moments', () => {
  it(`loses nothing over several crashes in a row (${seeds} seeds)`, async () => {
    let acknowledged = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      const machine = new SimMachine(seed, { loseAllUnsynced: seed % 2 === 0 });
      const history = newHistory();
      let node = await start(machine);
      for (let crash = 0; crash < 3; crash++) {
        const forMs = 5 + machine.random.below(400);
        await runLoad(machine, node, history, { writes: 1000, forMs });
        machine.crash();
        const after = await recovered(machine, history);
        expect(after.wrong, `seed ${seed}, crash ${crash}`).toEqual([]);
        node = after.node;
      }
      acknowledged += history.acknowledged.length;
    }
    expect(acknowledged).toBeGreaterThan(seeds * 50);
  });
});
