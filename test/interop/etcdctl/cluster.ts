/**
 * Clusters that etcdctl can be shown side by side: the founding members of each bear their names in
 * the order of their ids, because that is the order in which etcdctl prints them.
 */

import { memberIdOf } from '../../../src/server/membership/identity.js';
import { type EtcdctlRunner, EtcdctlSession } from '../../helpers/etcdctl.js';
import { eventually } from '../../helpers/eventually.js';
import { RawClient } from '../../helpers/grpc.js';
import {
  freePort,
  type ServerKind,
  type ServerOptions,
  type ServerPorts,
  ServerProcess,
} from '../../helpers/server.js';

const token = 'etcd-cluster';
/** Nobody loses the lead because the machine is busy: who leads is part of what is compared. */
const patience = ['--heartbeat-interval', '300', '--election-timeout', '4000'];

/** A cluster of processes and what etcdctl says of it. */
export class ShownCluster {
  readonly kind: ServerKind;
  /** By name; removed ones, too. */
  readonly members: Map<string, ServerProcess>;
  /** Talks to m2, a follower, unless a step says otherwise. */
  readonly session: EtcdctlSession;
  readonly #options: ServerOptions;

  private constructor(
    kind: ServerKind,
    options: ServerOptions,
    members: Map<string, ServerProcess>,
    session: EtcdctlSession,
  ) {
    this.kind = kind;
    this.#options = options;
    this.members = members;
    this.session = session;
  }

  /** Founds a cluster of three, led by m1, and shown by this etcdctl. */
  static async start(
    kind: ServerKind,
    etcdctl: string | EtcdctlRunner,
    given: ServerOptions,
  ): Promise<ShownCluster> {
    const options = { ...given, args: [...patience, ...(given.args ?? [])] };
    const ports = await foundingPorts(3);
    const names = ports.map((_, i) => `m${i + 1}`);
    const initialCluster = ports.map(({ peer }, i) => `${names[i]}=${peerUrl(peer)}`).join(',');
    const founders = new Map(
      ports.map((pair, i) => {
        const name = names[i] ?? '';
        return [name, new ServerProcess(kind, { ...options, name, initialCluster, ports: pair })];
      }),
    );
    try {
      await Promise.all([...founders.values()].map((member) => member.start()));
      const session = await EtcdctlSession.open(get(founders, 'm2'), etcdctl);
      const cluster = new ShownCluster(kind, options, founders, session);
      for (const [name, pair] of ports.map((pair, i) => [names[i] ?? '', pair] as const)) {
        session.introduce(name, memberIdOf([peerUrl(pair.peer)], token));
        cluster.#introduceUrls(name, pair);
      }
      await cluster.lead('m1');
      return cluster;
    } catch (error) {
      await Promise.all([...founders.values()].map((member) => member.dispose()));
      throw error;
    }
  }

  member(name: string): ServerProcess {
    return get(this.members, name);
  }

  /** Takes ports for a member that will be added, so that `<p4>` can be said of m4. */
  async prepare(name: string): Promise<void> {
    const ports = { client: await freePort(), peer: await freePort() };
    this.#introduceUrls(name, ports);
    const urls = [...this.members.values()]
      .filter(({ running }) => running)
      .map((member) => `${member.name}=${member.peerUrl}`);
    const initialCluster = [...urls, `${name}=${peerUrl(ports.peer)}`].join(',');
    const args = [...(this.#options.args ?? []), '--initial-cluster-state', 'existing'];
    const options = { ...this.#options, name, ports, initialCluster, args };
    this.members.set(name, new ServerProcess(this.kind, options));
  }

  /** Waits until the named member leads. */
  async lead(name: string): Promise<void> {
    const id = this.session.captured(name) ?? '';
    await eventually(async () => {
      const { leader } = await this.status(name);
      if (BigInt(leader) === BigInt(`0x${id}`)) return true;
      const running = [...this.members.values()].filter((member) => member.running);
      const from = running.map(({ endpoint }) => endpoint).join(',');
      await this.session.exec(['--endpoints', from, 'move-leader', id]);
      return undefined;
    }, `${name} leads`);
  }

  /** Waits until all members that run have applied the same, and follow one of them. */
  async settle(): Promise<void> {
    const running = [...this.members.values()].filter((member) => member.running);
    await eventually(async () => {
      const all = await Promise.all(running.map(({ name }) => this.status(name)));
      const applied = new Set(all.map(({ raftAppliedIndex }) => raftAppliedIndex));
      // One that has ended is followed until its time is over: 4 s (see `patience`).
      const ids = new Set(all.map(({ header }) => header?.member_id));
      const isLed = all.every(({ leader }) => ids.has(leader) && leader === all[0]?.leader);
      return applied.size === 1 && isLed ? true : undefined;
    }, 'all members are equal');
  }

  /** Starts an added member; it has caught up and told its client URLs then. */
  async join(name: string): Promise<void> {
    const member = this.member(name);
    await member.start();
    await eventually(async () => {
      const { stdout } = await this.session.exec(['member', 'list']);
      return stdout.includes(member.clientUrl) ? true : undefined;
    }, `${name} has told its client URLs`);
    await this.settle();
  }

  /** Waits until a removed member has stopped by itself. */
  async ended(name: string): Promise<void> {
    const member = this.member(name);
    await eventually(() => (member.running ? undefined : true), `${name} has stopped`);
  }

  async status(name: string) {
    const client = new RawClient(this.member(name));
    try {
      return await client.status();
    } finally {
      client.close();
    }
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.members.values()].map((member) => member.dispose()));
  }

  #introduceUrls(name: string, { client, peer }: ServerPorts): void {
    const number = name.slice(1);
    this.session.introduce(`e${number}`, `127.0.0.1:${client}`);
    this.session.introduce(`p${number}`, peerUrl(peer));
    this.session.introduce(`q${number}`, `http://localhost:${peer}`);
  }
}

/** Ports so that ids ascend with them. */
async function foundingPorts(count: number): Promise<ServerPorts[]> {
  const ports: ServerPorts[] = [];
  for (let i = 0; i < count; i += 1) {
    ports.push({ client: await freePort(), peer: await freePort() });
  }
  const id = ({ peer }: ServerPorts): bigint => memberIdOf([peerUrl(peer)], token);
  return ports.sort((a, b) => (id(a) < id(b) ? -1 : 1));
}

function peerUrl(port: number): string {
  return `http://127.0.0.1:${port}`;
}

function get(members: ReadonlyMap<string, ServerProcess>, name: string): ServerProcess {
  const member = members.get(name);
  if (member === undefined) throw new Error(`there is no ${name}`);
  return member;
}
