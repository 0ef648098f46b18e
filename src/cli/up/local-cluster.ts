/** A cluster of processes on this machine, and what can be done to its members. */

import { method, RawClient } from '../../client/raw/index.js';
import { type Clock, sleep } from '../../common/index.js';
import type { LocalClusterPlan } from '../../ctl/index.js';
import { encodePutRequest, statusRequest, statusResponse } from '../../proto/index.js';
import { closeFile, makeFolder, openAppend, writeText } from '../files.js';
import { MemberProcess, type Program } from './member-process.js';
import { type Wire, Wires } from './wires.js';

/** Ports of etcd's own Procfile: 2379, 22379, 32379, ... */
const usualPort = (index: number): number => (index === 0 ? 2379 : 10_000 * (index + 1) + 2379);
const portsApart = 10;
/** A member that is asked how it is and does not say. */
const statusTimeoutMs = 500;
const putTimeoutMs = 5_000;
const lookAgainMs = 5;
const stopMsMax = 15_000;

export interface LocalClusterOptions {
  readonly plan: LocalClusterPlan;
  readonly clock: Clock;
  readonly program: Program;
  readonly dir: string;
  /** Tells of what happens. */
  readonly say: (line: string) => void;
}

/** What is true of a member just now. */
export interface MemberState {
  readonly name: string;
  readonly clientUrl: string;
  /** `runs`, `does not run`, `paused`, `cut off` */
  readonly state: string;
  readonly pid: number | undefined;
  readonly isLeader: boolean;
}

/** A leader that was killed. */
export interface FailOver {
  readonly name: string;
  readonly tookMs: Promise<number | undefined>;
}

interface Member {
  readonly name: string;
  readonly clientUrl: string;
  readonly wire: Wire;
  readonly running: MemberProcess;
}

/** See the head of this file. */
export class LocalCluster {
  readonly #options: LocalClusterOptions;
  readonly #wires: Wires | undefined;
  readonly #members: readonly Member[];
  readonly #client: RawClient;
  #isStopping = false;

  /** Does not start anything. */
  constructor(options: LocalClusterOptions, hasWires: boolean) {
    this.#options = options;
    this.#wires = hasWires ? new Wires() : undefined;
    const places = Array.from({ length: options.plan.nodes }, (_, i) =>
      placeOf(options.plan, i, hasWires),
    );
    const initialCluster = places.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',');
    this.#members = places.map((place) => this.#member(place, initialCluster));
    this.#client = new RawClient({
      endpoints: this.endpoints,
      requireLeader: false,
      retry: { attemptsMax: 1 },
    });
  }

  /** `http://127.0.0.1:2379` of each. */
  get endpoints(): readonly string[] {
    return this.#members.map(({ clientUrl }) => clientUrl);
  }

  get names(): readonly string[] {
    return this.#members.map(({ name }) => name);
  }

  get canCut(): boolean {
    return this.#wires !== undefined;
  }

  /** Starts all; resolves once a write succeeds. False: somebody stopped it before. */
  async start(signal: AbortSignal): Promise<boolean> {
    await Promise.all(this.#members.map((member) => this.#start(member)));
    while (!signal.aborted) {
      if (this.#members.every(({ running }) => running.pid === undefined)) return false;
      if (await this.#put(this.endpoints, signal)) return true;
      await sleep(this.#options.clock, lookAgainMs, signal);
    }
    return false;
  }

  /** kill -9. */
  async kill(name: string): Promise<void> {
    await this.#named(name).running.kill();
  }

  pause(name: string): void {
    this.#named(name).running.pause();
  }

  /** False: there are no wires. */
  cut(name: string): boolean {
    this.#wires?.cut(this.#named(name).wire);
    return this.canCut;
  }

  /** Undoes whatever was done to it: starts it, lets it go on, joins its links. */
  async bringBack(name: string): Promise<void> {
    const member = this.#named(name);
    this.#wires?.mend(member.wire);
    member.running.resume();
    await this.#start(member);
  }

  /** The name of the leader, as the members tell; undefined: none. */
  async leader(): Promise<string | undefined> {
    const told = await this.#statuses();
    // One that is cut off may not know yet that another leads: the newer term is right.
    const best = told.filter(({ leads }) => leads).sort((a, b) => b.term - a.term)[0];
    return best?.name;
  }

  /** Who is there, and how. */
  async states(): Promise<readonly MemberState[]> {
    const leader = await this.leader();
    return this.#members.map(({ name, clientUrl, wire, running }) => {
      const { pid, isPaused } = running;
      const isCut = this.#wires?.isCut(wire) === true;
      const state =
        pid === undefined ? 'does not run' : isPaused ? 'paused' : isCut ? 'cut off' : 'runs';
      return { name, clientUrl, pid, state, isLeader: name === leader };
    });
  }

  /**
   * Kills the leader with kill -9; `tookMs` resolves with the time from then until a write succeeds
   * at one of the others, which is never without a majority, or with undefined once the signal
   * aborts. Undefined: nobody leads.
   */
  async killLeader(signal: AbortSignal): Promise<FailOver | undefined> {
    const { clock } = this.#options;
    const name = await this.leader();
    if (name === undefined) return undefined;
    const others = this.#members
      .filter((member) => member.name !== name && member.running.pid !== undefined)
      .map(({ clientUrl }) => clientUrl);
    // Nobody should measure how long it takes to connect.
    await this.#put(others, signal);
    const killedMs = clock.nowMs();
    const gone = this.kill(name);
    const tookMs = this.#untilPut(others, signal).then((succeeded) => {
      return succeeded ? clock.nowMs() - killedMs : undefined;
    });
    await gone;
    return { name, tookMs };
  }

  async #untilPut(endpoints: readonly string[], signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      if (await this.#put(endpoints, signal)) return true;
      await sleep(this.#options.clock, lookAgainMs, signal);
    }
    return false;
  }

  /** Ends all of them, those that are paused too. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const { running, wire } of this.#members) {
      this.#wires?.mend(wire);
      running.stop();
    }
    const late = this.#options.clock.after(stopMsMax, () => {
      for (const { running } of this.#members) void running.kill();
    });
    await Promise.all(this.#members.map(({ running }) => running.ended));
    late.cancel();
    this.#wires?.end();
    await this.#client.close();
  }

  async #start(member: Member): Promise<void> {
    await this.#wires?.open(member.wire);
    member.running.start();
  }

  /** A write at any of these; true if one has it. */
  async #put(endpoints: readonly string[], signal: AbortSignal): Promise<boolean> {
    const won = new AbortController();
    const either = AbortSignal.any([signal, won.signal]);
    const request = encodePutRequest({ key: 'kvorum-up', value: Buffer.from('x') });
    const puts = endpoints.map((endpoint) =>
      this.#client.call(method.put, 'write', request, {
        ...{ endpoint, timeoutMs: putTimeoutMs, signal: either },
      }),
    );
    try {
      await Promise.any(puts);
      return true;
    } catch {
      return false;
    } finally {
      won.abort();
    }
  }

  async #statuses() {
    const request = statusRequest.encode({});
    const asked = this.#members.map(async ({ name, clientUrl, running }) => {
      const none = { name, leads: false, term: 0 };
      if (running.pid === undefined || running.isPaused) return none;
      try {
        const bytes = await this.#client.call(method.status, 'read', request, {
          ...{ endpoint: clientUrl, timeoutMs: statusTimeoutMs },
        });
        const { header, leader, raftTerm } = statusResponse.decode(bytes);
        return { name, leads: leader !== 0n && leader === header?.memberId, term: raftTerm };
      } catch {
        return none;
      }
    });
    return Promise.all(asked);
  }

  #named(name: string): Member {
    const found = this.#members.find((member) => member.name === name);
    if (found === undefined) throw new Error(`there is no member ${name}`);
    return found;
  }

  #member(place: Place, initialCluster: string): Member {
    const { plan, program, dir, say } = this.#options;
    const { name, clientUrl, peerUrl, listenPeerUrl, wire } = place;
    const flags = [
      ...['--name', name, '--data-dir', `${dir}/${name}`],
      ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
      ...['--listen-peer-urls', listenPeerUrl, '--initial-advertise-peer-urls', peerUrl],
      ...['--initial-cluster', initialCluster, '--initial-cluster-token', `up-${plan.nodes}`],
      ...(this.#wires === undefined ? [] : ['--feature-gates', 'SetMemberLocalAddr=true']),
      ...plan.flags,
    ];
    const running = new MemberProcess({
      ...{ program, flags, closeLog: closeFile, writeLog: writeText },
      openLog: () => {
        makeFolder(dir);
        return openAppend(`${dir}/${name}.log`);
      },
      onLine: plan.logs ? (line) => say(`${name} | ${line}`) : undefined,
      onEnd: (how) => {
        this.#wires?.close(wire);
        if (!this.#isStopping) say(`${name} ended (${how}); its log is ${dir}/${name}.log`);
      },
    });
    return { name, clientUrl, wire, running };
  }
}

interface Place {
  readonly name: string;
  readonly clientUrl: string;
  readonly peerUrl: string;
  readonly listenPeerUrl: string;
  readonly wire: Wire;
}

/** Addresses of 127.0.0.0/8 that nobody else uses: each member's own. */
export const wireHost = (index: number): string => `127.0.0.${11 + index}`;

function placeOf({ basePort }: LocalClusterPlan, index: number, hasWires: boolean): Place {
  const port = basePort === undefined ? usualPort(index) : basePort + portsApart * index;
  const host = hasWires ? wireHost(index) : '127.0.0.1';
  return {
    name: `m${index + 1}`,
    clientUrl: `http://127.0.0.1:${port}`,
    peerUrl: `http://${host}:${port + 1}`,
    listenPeerUrl: `http://${host}:${port + (hasWires ? 2 : 1)}`,
    wire: { host, port: port + 1, targetPort: port + 2 },
  };
}
