/**
 * A start that is ended at any of its steps ends: everything is closed again, nothing goes on, and
 * the data directory starts.
 */

import { describe, expect, it } from 'vitest';
import { type Clock, silentLogger } from '../../src/common/index.js';
import { defaultConfig, type ServerConfig } from '../../src/server/options/config.js';
import { nodeClock } from '../../src/server/platform/clock-node.js';
import { openNodeRandom } from '../../src/server/platform/random-node.js';
import { type RunningServer, type ServerPorts, startServer } from '../../src/server/server.js';
import { MemoryNetwork, SimKvDisk } from '../../src/sim/index.js';
import { createMemoryDisk } from '../../src/sim/member/memory-disk.js';
import { memoryPorts } from '../../src/sim/member/memory-ports.js';
import { countedPorts, PortLedger } from '../helpers/counted-ports.js';

const wires = { latencyMsMin: 0, latencyMsMax: 0, splitChance: 0 };
const timing = ['--heartbeat-interval=10', '--election-timeout=100'];

/** A disk for one member, and what a process has beside it. */
function machine(network: MemoryNetwork, name: string): ServerPorts {
  const random = openNodeRandom();
  const disk = createMemoryDisk();
  const host = network.host(name);
  return {
    ...memoryPorts(silentLogger),
    disk,
    openKvStore: new SimKvDisk({ clock: nodeClock, random, disk, forgetsRemoved: true }).open,
    network: host,
    peerNetwork: host,
  };
}

const newNetwork = () => new MemoryNetwork(nodeClock, openNodeRandom(), wires);

function configOf(names: readonly string[], name: string, ...more: readonly string[]) {
  const peerUrl = (one: string) => `http://127.0.0.${1 + names.indexOf(one)}:2380`;
  const clientUrl = `http://127.0.0.${1 + names.indexOf(name)}:2379`;
  return defaultConfig(
    ...['--name', name, '--data-dir', '/data', ...timing],
    ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
    ...['--listen-peer-urls', peerUrl(name), '--initial-advertise-peer-urls', peerUrl(name)],
    ...['--initial-cluster', names.map((one) => `${one}=${peerUrl(one)}`).join(',')],
    ...more,
  );
}

const alone = configOf(['a'], 'a');

const sleep = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));

/** How long to look whether something goes on: ten heartbeats. */
const lookMs = 100;

/** Starts and ends at step `at`; false: the start was over before. */
async function endAt(config: ServerConfig, ports: ServerPorts, at: number): Promise<boolean> {
  const ledger = new PortLedger();
  const stop = new AbortController();
  const reason = new Error(`asked to stop at step ${at}`);
  let where = '';
  ledger.onStep = (step, what) => {
    if (step !== at) return;
    where = what;
    stop.abort(reason);
  };
  let server: RunningServer | undefined;
  try {
    server = await startServer(config, countedPorts(ports, ledger), { signal: stop.signal });
  } catch (error) {
    expect(error, `${at}: ${where}`).toBe(reason);
  }
  if (server !== undefined) {
    const ignored = stop.signal.aborted;
    await server.stop();
    expect(ignored, `serves although it was asked to stop at ${at}: ${where}`).toBe(false);
    return false;
  }
  // What closes itself in the same turn.
  await sleep(1);
  expect([...ledger.open], `left open after ${at}: ${where}`).toEqual([]);
  const { timers } = ledger;
  const seen: string[] = [];
  // A timer that was armed before may fire: it does nothing, and arms no other.
  ledger.onStep = (_step, what) => {
    if (what !== 'a timer') seen.push(what);
  };
  await sleep(lookMs);
  expect(seen, `goes on after ${at}: ${where}`).toEqual([]);
  expect(ledger.timers, `arms timers after ${at}: ${where}`).toBe(timers);
  return true;
}

/** Ends a start at each of its first `steps`, each on a machine of its own, then starts there. */
async function endAtEach(
  config: ServerConfig,
  steps: number,
  prepare: () => Promise<ServerPorts>,
  canStart = true,
): Promise<number> {
  const all = Array.from({ length: steps }, async (_, i) => {
    const ports = await prepare();
    const wasEnded = await endAt(config, ports, i + 1);
    if (canStart) await (await startServer(config, ports)).stop();
    return wasEnded;
  });
  return (await Promise.all(all)).filter((wasEnded) => wasEnded).length;
}

/** So many steps none of these starts has. */
const stepsMax = 150;

describe('a start that is stopped at any of its steps ends, and leaves nothing open', () => {
  it('in an empty data directory', async () => {
    const ended = await endAtEach(alone, stepsMax, async () => machine(newNetwork(), 'a'));
    expect(ended).toBeGreaterThan(20);
    expect(ended).toBeLessThan(stepsMax);
  });

  it('with data', async () => {
    const ended = await endAtEach(alone, stepsMax, async () => {
      const ports = machine(newNetwork(), 'a');
      await (await startServer(alone, ports)).stop();
      return ports;
    });
    expect(ended).toBeGreaterThan(20);
    expect(ended).toBeLessThan(stepsMax);
  });

  it('with data, made the only member of its cluster', async () => {
    const config = configOf(['a'], 'a', '--force-new-cluster');
    const ended = await endAtEach(config, stepsMax, async () => {
      const ports = machine(newNetwork(), 'a');
      await (await startServer(alone, ports)).stop();
      return ports;
    });
    expect(ended).toBeGreaterThan(20);
    expect(ended).toBeLessThan(stepsMax);
  });
});

const three = ['a', 'b', 'c'];

/** After some seconds a start serves without a leader: on a busy machine that is too soon. */
const patient: Clock = {
  ...nodeClock,
  after: (ms, run) => nodeClock.after(ms >= 5000 ? 100 * ms : ms, run),
};

describe('a start that waits for others', () => {
  it('ends while it founds a cluster with members that are not there', async () => {
    const config = configOf(three, 'a');
    const prepare = async () => ({ ...machine(newNetwork(), 'a'), clock: patient });
    expect(await endAtEach(config, stepsMax, prepare, false)).toBe(stepsMax);
  });

  it('ends while it asks members that do not answer whom to join', async () => {
    const config = configOf(three, 'a', '--initial-cluster-state=existing');
    const network = newNetwork();
    await network.host('b').listen({ host: '127.0.0.2', port: 2380 }, undefined, () => {});
    network.block('a', 'b');
    const stop = new AbortController();
    const ledger = new PortLedger();
    const starting = startServer(config, countedPorts(machine(network, 'a'), ledger), {
      signal: stop.signal,
    });
    const ended = starting.catch((error: unknown) => error);
    await sleep(20);
    expect([...ledger.open]).toEqual([expect.stringMatching(/^dialling .*127\.0\.0\.2/)]);
    const reason = new Error('stop');
    stop.abort(reason);
    expect(await ended).toBe(reason);
    expect([...ledger.open]).toEqual([]);
  });
});

describe('a member of a running cluster', () => {
  it('ends at any step of its start, also of the check of its data', async () => {
    const network = newNetwork();
    const config = (name: string) => configOf(three, name);
    const machines = new Map(three.map((name) => [name, machine(network, name)]));
    const portsOf = (name: string) => machines.get(name) as ServerPorts;
    const start = (name: string) => startServer(config(name), portsOf(name));
    const [a, ...others] = await Promise.all(three.map(start));
    await a?.stop();
    const checking = configOf(three, 'a', '--feature-gates=InitialCorruptCheck=true');
    let ended = 0;
    for (let at = 1; at < stepsMax; at += 8) {
      if (await endAt(checking, portsOf('a'), at)) ended++;
    }
    expect(ended).toBeGreaterThan(5);
    // It is not worse off for it.
    const again = await start('a');
    expect(again.members).toBe(3);
    await Promise.all([again, ...others].map((server) => server.stop({ handOver: false })));
  });

  it('stops once, however often it is asked to', async () => {
    const ledger = new PortLedger();
    const server = await startServer(alone, countedPorts(machine(newNetwork(), 'a'), ledger));
    await Promise.all([server.stop(), server.stop()]);
    const { steps } = ledger;
    await server.stop();
    expect(ledger.steps).toBe(steps);
    expect([...ledger.open]).toEqual([]);
  });

  it('is stopped by its signal only while it starts', async () => {
    const stop = new AbortController();
    const { signal } = stop;
    const server = await startServer(alone, machine(newNetwork(), 'a'), { signal });
    stop.abort();
    await new Promise<void>((resolve, reject) => {
      server.node.compact(1, (error) => (error === undefined ? resolve() : reject(error)));
    });
    await server.stop();
  });
});
