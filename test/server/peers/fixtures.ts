/** Members that only have a peer transport, on whatever the links are to run over. */

import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import {
  type Clock,
  type Logger,
  type MemberId,
  type Network,
  type NetworkAddress,
  silentLogger,
} from '../../../src/common/index.js';
import type { Message } from '../../../src/raft/index.js';
import { PeerMetrics } from '../../../src/server/metrics/peers.js';
import type { PortTls } from '../../../src/server/options/config-tls.js';
import { parseUrl, type ServerUrl } from '../../../src/server/options/urls.js';
import { createPeerTransport } from '../../../src/server/peers/transport.js';
import type {
  PeerAddress,
  PeerHandler,
  PeerHello,
  PeerMethod,
  PeerRefusal,
  PeerTransport,
  SnapshotFeed,
} from '../../../src/server/peers/types.js';
import { nodeClock } from '../../../src/server/platform/clock-node.js';
import { nodeNetwork } from '../../../src/server/platform/network-node.js';
import {
  MemoryNetwork,
  SimClock,
  type SimProcessClock,
  SimRandom,
} from '../../../src/sim/index.js';
import { createSimPeerTransport } from '../../../src/sim/member/peer-transport.js';
import { SimPeerWire, type WireFaults } from '../../../src/sim/member/peer-wire.js';

export const clusterId = 0xc1n;
export const electionMs = 1000;

/** What the conformance suite needs of an implementation. */
export interface PeerBench {
  /** Makes the transport of one more member. */
  make(id: MemberId, hello: () => PeerHello): Made | Promise<Made>;
  /** Lets things happen until `done`. */
  until(done: () => boolean): Promise<void>;
  wait<T>(promise: Promise<T>): Promise<T>;
  /** Lets so much time pass. */
  pass(ms: number): Promise<void>;
  /** Resolves after so much time; for what is called while time passes. */
  sleep(ms: number): Promise<void>;
  /** Nothing gets from one to the other any more, or does again; where that can be done. */
  readonly block?: (from: MemberId, to: MemberId) => void;
  readonly unblock?: (from: MemberId, to: MemberId) => void;
  /** All connections of a member break at once. */
  readonly cut?: (member: MemberId) => void;
}

export interface Made {
  readonly transport: PeerTransport;
  readonly metrics: PeerMetrics;
  /** Known once it has started. */
  urls(): readonly string[];
}

/** A member that writes down what happens to it. */
export class TestMember implements PeerHandler {
  readonly id: MemberId;
  readonly messages: Message[] = [];
  readonly lost: MemberId[] = [];
  readonly ended: MemberId[] = [];
  readonly refusals: Array<readonly [MemberId, PeerRefusal]> = [];
  readonly meetings: PeerHello[] = [];
  readonly calls: Array<readonly [MemberId, PeerMethod, string]> = [];
  incarnation = 7n;
  cluster = clusterId;
  transport: PeerTransport;
  metrics: PeerMetrics;
  urls: readonly string[] = [];
  answer: (body: Uint8Array) => Promise<Uint8Array> = async (body) =>
    Buffer.from(`re: ${Buffer.from(body).toString()}`);
  open: () => Promise<SnapshotFeed> = async () => {
    throw new Error('no snapshot here');
  };
  /** Members that this one wants nothing of. */
  readonly removed = new Set<MemberId>();
  /** Incarnation of each member that it knows of. */
  readonly incarnations = new Map<MemberId, bigint>();

  private constructor(id: MemberId, made: Made) {
    this.id = id;
    this.transport = made.transport;
    this.metrics = made.metrics;
  }

  static async start(bench: PeerBench, id: MemberId, incarnation = 7n): Promise<TestMember> {
    const hello = (): PeerHello => ({
      clusterId: member.cluster,
      memberId: id,
      incarnation: member.incarnation,
      version: '0.1.0',
    });
    const made = await bench.make(id, hello);
    const member = new TestMember(id, made);
    member.incarnation = incarnation;
    await bench.wait(made.transport.start(member));
    member.urls = made.urls();
    return member;
  }

  get address(): PeerAddress {
    return { id: this.id, peerUrls: this.urls };
  }

  message(message: Message): void {
    this.messages.push(message);
  }

  unreachable(member: MemberId): void {
    this.lost.push(member);
  }

  gone(member: MemberId): void {
    this.ended.push(member);
  }

  refused(member: MemberId, refusal: PeerRefusal): void {
    this.refusals.push([member, refusal]);
  }

  admit(hello: PeerHello, to: MemberId): PeerRefusal | undefined {
    if (hello.clusterId !== this.cluster) return 'clusterIdMismatch';
    if (to !== this.id) return 'notForThisMember';
    if (this.removed.has(hello.memberId)) return 'removed';
    const known = this.incarnations.get(hello.memberId) ?? hello.incarnation;
    return known === hello.incarnation ? undefined : 'otherIncarnation';
  }

  met(hello: PeerHello): void {
    this.meetings.push(hello);
  }

  async call(from: MemberId, method: PeerMethod, body: Uint8Array): Promise<Uint8Array> {
    this.calls.push([from, method, Buffer.from(body).toString()]);
    return this.answer(body);
  }

  openSnapshot(): Promise<SnapshotFeed> {
    return this.open();
  }
}

/** Members 1, 2, ... `count`, each with links to all others that are up. */
export async function connected(bench: PeerBench, count: number): Promise<TestMember[]> {
  const members: TestMember[] = [];
  for (let i = 1; i <= count; i++) members.push(await TestMember.start(bench, BigInt(i)));
  const peers = members.map(({ address }) => address);
  for (const { transport, id } of members) {
    transport.setPeers(peers.filter((peer) => peer.id !== id));
  }
  await bench.until(() => members.every((member) => linked(member, members)));
  return members;
}

export function linked(member: TestMember, others: readonly TestMember[]): boolean {
  return others.every(
    ({ id }) => id === member.id || member.transport.connectedSinceMs(id) !== undefined,
  );
}

interface SocketBenchOptions {
  readonly clock: Clock;
  readonly networkOf: (id: MemberId) => Network;
  readonly urlOf: (id: MemberId) => string;
  readonly tls?: PortTls | undefined;
  readonly logger?: Logger;
}

function socketMaker(options: SocketBenchOptions): PeerBench['make'] {
  return (memberId, hello) => {
    const metrics = new PeerMetrics();
    const transport = createPeerTransport({
      clock: options.clock,
      random: new SimRandom(memberId),
      network: options.networkOf(memberId),
      logger: options.logger ?? silentLogger,
      metrics,
      listenUrls: [urlOf(options.urlOf(memberId))],
      tls: options.tls,
      electionMs,
      hello,
    });
    return { transport, metrics, urls: () => transport.listeningUrls };
  };
}

export function urlOf(text: string): ServerUrl {
  const url = parseUrl(text);
  if (typeof url === 'string') throw new Error(url);
  return url;
}

/** Over the simulated network: every byte, in simulated time. */
export class MemoryBench implements PeerBench {
  readonly clock = new SimClock();
  readonly network: MemoryNetwork;
  readonly dials: Array<{ readonly atMs: number; readonly address: NetworkAddress }> = [];
  /** Of those who dialled. */
  writes = 0;
  readonly make: PeerBench['make'];

  constructor(seed: number, logger?: Logger) {
    this.network = new MemoryNetwork(this.clock, new SimRandom(seed), { splitChance: 0.3 });
    this.make = socketMaker({
      clock: this.clock,
      networkOf: (id) => this.#counted(this.network.host(hostOf(id))),
      urlOf: (id) => `http://127.0.0.${id}:2380`,
      ...(logger !== undefined && { logger }),
    });
  }

  /** Counts writes, and notes who is dialled when. */
  #counted(network: Network): Network {
    return {
      listen: network.listen,
      resolve: network.resolve,
      connect: async (address, tls, timeoutMs, signal) => {
        this.dials.push({ atMs: this.clock.nowMs(), address });
        const stream = await network.connect(address, tls, timeoutMs, signal);
        const { write, cork } = stream;
        let corked = false;
        stream.write = (chunk) => {
          if (!corked) this.writes++;
          return write.call(stream, chunk);
        };
        stream.cork = () => {
          this.writes++;
          corked = true;
          this.clock.afterTurn(() => {
            corked = false;
          });
          cork.call(stream);
        };
        return stream;
      },
    };
  }

  until(done: () => boolean): Promise<void> {
    return runUntil(this.clock, done);
  }

  wait<T>(promise: Promise<T>): Promise<T> {
    return this.clock.runUntil(promise);
  }

  pass(ms: number): Promise<void> {
    return this.clock.run(this.clock.nowMs() + ms);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.after(ms, resolve));
  }

  block(from: MemberId, to: MemberId): void {
    this.network.block(hostOf(from), hostOf(to));
  }

  unblock(from: MemberId, to: MemberId): void {
    this.network.unblock(hostOf(from), hostOf(to));
  }

  cut(member: MemberId): void {
    this.network.cut(hostOf(member));
  }

  /** The process is gone; its clock is everybody's, so whoever calls it stops it first. */
  crash(member: MemberId): void {
    this.network.crash(hostOf(member));
  }

  powerOff(member: MemberId): void {
    this.network.powerOff(hostOf(member));
  }

  stopListening(member: MemberId): void {
    this.network.stopListening(hostOf(member));
  }
}

/** Over the wire of the simulator: every message, in simulated time. */
export class WireBench implements PeerBench {
  readonly clock = new SimClock();
  readonly processes = new Map<MemberId, SimProcessClock>();
  readonly wire: SimPeerWire;

  constructor(seed: number, faults: Partial<WireFaults> = {}) {
    this.wire = new SimPeerWire({ clock: this.clock, random: new SimRandom(seed), faults });
  }

  make(id: MemberId, hello: () => PeerHello): Made {
    const metrics = new PeerMetrics();
    const urls = [`http://m${id}:2380`];
    const clock = this.clock.process();
    this.processes.set(id, clock);
    const transport = createSimPeerTransport({
      wire: this.wire,
      id,
      clock,
      urls,
      metrics,
      electionMs,
      hello,
    });
    return { transport, metrics, urls: () => urls };
  }

  until(done: () => boolean): Promise<void> {
    return runUntil(this.clock, done);
  }

  wait<T>(promise: Promise<T>): Promise<T> {
    return this.clock.runUntil(promise);
  }

  pass(ms: number): Promise<void> {
    return this.clock.run(this.clock.nowMs() + ms);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.after(ms, resolve));
  }

  block(from: MemberId, to: MemberId): void {
    this.wire.block(from, to);
  }

  unblock(from: MemberId, to: MemberId): void {
    this.wire.unblock(from, to);
  }

  cut(member: MemberId): void {
    this.wire.cut(member);
  }

  crash(member: MemberId): void {
    this.processes.get(member)?.kill();
    this.wire.crash(member);
  }

  powerOff(member: MemberId): void {
    this.processes.get(member)?.kill();
    this.wire.powerOff(member);
  }
}

async function runUntil(clock: SimClock, done: () => boolean): Promise<void> {
  const endMs = clock.nowMs() + 120_000;
  while (!done()) {
    if (clock.nowMs() > endMs) throw new Error('not within two minutes');
    await clock.run(clock.nowMs() + 5);
  }
}

function hostOf(id: MemberId): string {
  return `m${id}`;
}

/** Over this machine's sockets, in real time. `path`: unix sockets there instead of TCP. */
export function socketBench(options: { tls?: PortTls; path?: string } = {}): PeerBench {
  const scheme = options.tls === undefined ? 'http' : 'https';
  return {
    make: socketMaker({
      clock: nodeClock,
      networkOf: () => nodeNetwork,
      urlOf: (id) =>
        options.path === undefined ? `${scheme}://127.0.0.1:0` : `unix://${options.path}-${id}`,
      tls: options.tls,
    }),
    async until(done) {
      const endMs = nodeClock.nowMs() + 100_000;
      while (!done()) {
        if (nodeClock.nowMs() > endMs) throw new Error('not within 100 seconds');
        await turn();
      }
    },
    wait: (promise) => promise,
    pass: sleep,
    sleep,
  };
}
