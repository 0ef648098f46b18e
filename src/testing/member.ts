/** One member of a test's cluster: a server that can be stopped and started again on its data. */

import type { Disk, Logger, MemberId, Network, OpenKvStore } from '../common/index.js';
import {
  defaultConfig,
  nodeClock,
  nodeNetwork,
  nodePorts,
  openNodeRandom,
  type RunningServer,
  type ServerPorts,
  startServer,
} from '../server/index.js';
import { SimKvDisk } from '../sim/index.js';
import { createMemoryDisk } from '../sim/member/index.js';
import { type BoundPort, bindPort } from './bound-port.js';

/** What a test may do with a member. */
export interface TestMember {
  readonly name: string;
  /** `http://127.0.0.1:port`; the same after a restart. */
  readonly clientUrl: string;
  /** `127.0.0.1:port` */
  readonly endpoint: string;
  readonly running: boolean;
  /** Undefined while it does not run. */
  readonly id: MemberId | undefined;
  /** It runs and leads. */
  readonly isLeader: boolean;
  /** An orderly stop, also of a start that is under way. The data stay. */
  stop(): Promise<void>;
  /** Starts it again; resolves once it serves. */
  start(): Promise<void>;
}

export interface MemberSetup {
  readonly name: string;
  readonly initialCluster: string;
  readonly flags: readonly string[];
  /** A directory; undefined: everything in memory. */
  readonly dataDir: string | undefined;
  /** The wires between members. */
  readonly peerNetwork: Network;
  readonly peerUrl: string;
  readonly logger: Logger;
}

const host = '127.0.0.1';

export class LocalMember implements TestMember {
  readonly name: string;
  readonly endpoint: string;
  readonly clientUrl: string;
  readonly #setup: MemberSetup;
  readonly #port: BoundPort;
  readonly #disk: Disk;
  readonly #openKvStore: OpenKvStore;
  #server: RunningServer | undefined;
  #starting: { readonly abort: AbortController; readonly ended: Promise<void> } | undefined;

  /** On a port that is taken already; see {@link create}. */
  constructor(setup: MemberSetup, port: BoundPort) {
    this.name = setup.name;
    this.endpoint = `${host}:${port.port}`;
    this.clientUrl = `http://${this.endpoint}`;
    this.#setup = setup;
    this.#port = port;
    this.#disk = createMemoryDisk();
    const random = openNodeRandom();
    const disk = this.#disk;
    const kvDisk = new SimKvDisk({ clock: nodeClock, random, disk, forgetsRemoved: true });
    this.#openKvStore = kvDisk.open;
  }

  /** Takes a port; does not start yet. */
  static async create(setup: MemberSetup): Promise<LocalMember> {
    return new LocalMember(setup, await bindPort(nodeNetwork, host));
  }

  get running(): boolean {
    return this.#server !== undefined;
  }

  get id(): MemberId | undefined {
    return this.#server?.memberId;
  }

  get isLeader(): boolean {
    return this.#server?.node.leaderWatch.isLeader ?? false;
  }

  /** The URLs for clients that it has been told of, its own among them. */
  get knownClientUrls(): readonly string[] {
    const members = this.#server?.node.membership.list() ?? [];
    return members.flatMap(({ clientUrls }) => clientUrls);
  }

  async start(): Promise<void> {
    if (this.#server !== undefined) return;
    if (this.#starting !== undefined) return this.#starting.ended;
    const abort = new AbortController();
    this.#port.keepAlive(true);
    const ended = this.#startServer(abort.signal).finally(() => {
      this.#starting = undefined;
      if (this.#server === undefined) this.#port.keepAlive(false);
    });
    this.#starting = { abort, ended };
    return ended;
  }

  async #startServer(signal: AbortSignal): Promise<void> {
    const { name, initialCluster, flags, dataDir, peerUrl } = this.#setup;
    const config = defaultConfig(
      ...['--name', name, '--data-dir', dataDir ?? '/data'],
      ...['--listen-client-urls', this.clientUrl, '--advertise-client-urls', this.clientUrl],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
      ...['--initial-cluster', initialCluster, ...flags],
    );
    const ports = this.#ports(nodePorts(config, this.#setup.logger));
    this.#server = await startServer(config, ports, { signal });
  }

  async stop(options?: { readonly handOver?: boolean }): Promise<void> {
    const starting = this.#starting;
    starting?.abort.abort(new Error(`the start of ${this.name} was stopped`));
    // Whoever waits for the start is told what became of it.
    await starting?.ended.catch(() => {});
    const server = this.#server;
    this.#server = undefined;
    await server?.stop(options);
    // It stays taken for the next start, but nobody has to stay for it.
    if (!this.running && this.#starting === undefined) this.#port.keepAlive(false);
  }

  /** Stops for good. */
  async dispose(): Promise<void> {
    await this.stop({ handOver: false });
    await this.#port.close();
  }

  #ports(real: ServerPorts): ServerPorts {
    const { dataDir, peerNetwork } = this.#setup;
    const outside = { ...real, network: this.#port.network, peerNetwork };
    if (dataDir !== undefined) return outside;
    return { ...outside, disk: this.#disk, openKvStore: this.#openKvStore };
  }
}
