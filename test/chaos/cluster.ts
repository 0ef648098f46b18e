/** The cluster under test: its processes, the wires between them, and who leads. */

import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { everything, type Security, switchAuthOn } from '../../bench/security.js';
import {
  memberAddRequest,
  memberAddResponse,
  memberListRequest,
  memberListResponse,
  memberPromoteRequest,
  memberRemoveRequest,
  moveLeaderRequest,
} from '../../src/proto/index.js';
import type { SimRandom } from '../../src/sim/index.js';
import { ChaosMember } from './member.js';
import { Wires } from './wires.js';

export interface ClusterSetup {
  readonly size: number;
  readonly command: readonly string[];
  readonly flags: readonly string[];
  readonly dir: string;
  readonly random: SimRandom;
  /** Undefined: everything is open. */
  readonly security: Security | undefined;
}

const callTimeoutMs = 6000;
const clusterPath = '/etcdserverpb.Cluster/';

export class ChaosCluster {
  readonly members: ChaosMember[];
  readonly wires: Wires;
  readonly security: Security | undefined;
  #isFounded = false;

  private constructor(members: ChaosMember[], wires: Wires, security: Security | undefined) {
    this.members = members;
    this.wires = wires;
    this.security = security;
  }

  /** Founds a cluster; resolves when all members serve. */
  static async start(setup: ClusterSetup): Promise<ChaosCluster> {
    const { size, command, flags, dir, random, security } = setup;
    mkdirSync(dir, { recursive: true });
    const members: ChaosMember[] = [];
    const processes = (): Map<number, string> =>
      new Map(members.flatMap(({ pid, name }) => (pid === undefined ? [] : [[pid, name]])));
    const wires = new Wires(random.fork(), processes);
    for (let i = 1; i <= size; i += 1) {
      const name = `m${i}`;
      const [clientPort, peerPort] = [await freePort(), await freePort()];
      const scheme = security === undefined ? 'http' : 'https';
      const peerUrl = `${scheme}://127.0.0.1:${await wires.expose(name, peerPort)}`;
      members.push(
        new ChaosMember({
          ...{ name, command, clientPort, peerPort, peerUrl, flags, security },
          dir: join(dir, name),
        }),
      );
    }
    const cluster = new ChaosCluster(members, wires, security);
    for (const member of members) cluster.startMember(member);
    if (!(await cluster.healthy(60_000))) {
      const said = members.map(({ name, unasked, lastError, logFile }) => {
        return `${name}: ${[...unasked, lastError].join(', ')} (${logFile})`;
      });
      await cluster.dispose();
      throw new Error(`the cluster does not serve\n${said.join('\n')}`);
    }
    cluster.#isFounded = true;
    const [first] = members;
    if (security !== undefined && first !== undefined) {
      const ask = (method: string, request: Uint8Array) =>
        first.ask(method, request, callTimeoutMs);
      await switchAuthOn(ask, [everything]);
    }
    return cluster;
  }

  startMember(member: ChaosMember): void {
    const state = this.#isFounded ? 'existing' : 'new';
    member.start(this.members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(','), state);
  }

  /** Starts again what does not run, and resumes what is stopped. */
  revive(): void {
    for (const member of this.members) {
      if (!member.running) this.startMember(member);
      else if (member.stopped) member.resume();
    }
  }

  /** Those that run and are not stopped. */
  get alive(): ChaosMember[] {
    return this.members.filter(({ running, stopped }) => running && !stopped);
  }

  /** The member that most say leads, and leads itself; undefined if there is none. */
  async leader(): Promise<ChaosMember | undefined> {
    const all = await Promise.all(
      this.alive.map(async (member) => ({ member, status: await member.status() })),
    );
    let found: ChaosMember | undefined;
    let term = -1;
    for (const { member, status } of all) {
      if (status === undefined || status.leader !== status.id || status.term <= term) continue;
      found = member;
      term = status.term;
    }
    return found;
  }

  /** Waits for a leader, up to ten seconds. */
  async someLeader(): Promise<ChaosMember> {
    for (const until = performance.now() + 10_000; performance.now() < until; ) {
      const leader = await this.leader();
      if (leader !== undefined) return leader;
      await sleep(100);
    }
    return this.alive[0] ?? (this.members[0] as ChaosMember);
  }

  /** True once every member answers a linearizable question; false if that took too long. */
  async healthy(timeoutMs: number): Promise<boolean> {
    const request = memberListRequest.encode({ linearizable: true });
    const until = performance.now() + timeoutMs;
    for (;;) {
      const answers = await Promise.all(
        this.members.map((member) => member.ask(`${clusterPath}MemberList`, request, 2000)),
      );
      if (answers.every((answer) => answer !== undefined)) return true;
      const isFailed = this.members.some(({ running, unasked }) => !running && unasked.length > 0);
      if (isFailed || performance.now() > until) return false;
      await sleep(100);
    }
  }

  /** Moves the lead; false if that did not work, which is no fault. */
  async moveLeader(from: ChaosMember, to: ChaosMember): Promise<boolean> {
    const targetId = (await to.status())?.id ?? 0n;
    const request = moveLeaderRequest.encode({ targetId });
    const method = '/etcdserverpb.Maintenance/MoveLeader';
    return (await from.ask(method, request, callTimeoutMs)) !== undefined;
  }

  async memberList(by: ChaosMember) {
    const request = memberListRequest.encode({ linearizable: true });
    const bytes = await by.ask(`${clusterPath}MemberList`, request, callTimeoutMs);
    return bytes === undefined ? undefined : memberListResponse.decode(bytes).members;
  }

  /** Asks again until the list shows it: an answer may be lost. */
  async remove(by: ChaosMember, id: bigint, timeoutMs: number): Promise<boolean> {
    return this.#until(timeoutMs, async () => {
      await by.ask(`${clusterPath}MemberRemove`, memberRemoveRequest.encode({ id }), callTimeoutMs);
      const list = await this.memberList(by);
      return list?.every((member) => member.id !== id) === true;
    });
  }

  /** Resolves with the new id. */
  async add(
    by: ChaosMember,
    peerUrl: string,
    isLearner: boolean,
    timeoutMs: number,
  ): Promise<bigint | undefined> {
    let id: bigint | undefined;
    const request = memberAddRequest.encode({ peerUrls: [peerUrl], isLearner });
    await this.#until(timeoutMs, async () => {
      const bytes = await by.ask(`${clusterPath}MemberAdd`, request, callTimeoutMs);
      if (bytes !== undefined) id = memberAddResponse.decode(bytes).member?.id;
      const list = await this.memberList(by);
      id ??= list?.find(({ peerUrls }) => peerUrls.includes(peerUrl))?.id;
      return id !== undefined;
    });
    return id;
  }

  async promote(by: ChaosMember, id: bigint, timeoutMs: number): Promise<boolean> {
    return this.#until(timeoutMs, async () => {
      const request = memberPromoteRequest.encode({ id });
      await by.ask(`${clusterPath}MemberPromote`, request, callTimeoutMs);
      const list = await this.memberList(by);
      return list?.find((member) => member.id === id)?.isLearner === false;
    });
  }

  async #until(timeoutMs: number, attempt: () => Promise<boolean>): Promise<boolean> {
    for (const until = performance.now() + timeoutMs; performance.now() < until; ) {
      if (await attempt()) return true;
      await sleep(250);
    }
    return false;
  }

  async dispose(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
    this.wires.close();
  }
}

/** A port of the loopback below those that the kernel gives to outgoing connections. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    const isFree = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}
