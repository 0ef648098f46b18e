/** Members that come and go in one process, joined by wires in memory. */

import { silentLogger } from '../../src/common/index.js';
import { nodeClock, openNodeRandom } from '../../src/server/index.js';
import { MemoryNetwork } from '../../src/sim/index.js';
import { LocalMember } from '../../src/testing/member.js';
import { eventually } from '../helpers/eventually.js';
import { RawClient } from '../helpers/grpc.js';

interface WireMember {
  readonly ID: string;
  readonly name: string;
  readonly peerURLs: readonly string[];
  readonly clientURLs: readonly string[];
  readonly isLearner: boolean;
}
interface Changed {
  readonly header: { readonly revision: string; readonly member_id: string };
  readonly member: WireMember;
  readonly members: readonly WireMember[];
}

/** See the head of this file. */
export class Wires {
  readonly network = new MemoryNetwork(nodeClock, openNodeRandom(), {
    latencyMsMin: 0,
    latencyMsMax: 0,
    splitChance: 0,
  });
  readonly members = new Map<string, LocalMember>();
  /** Of each member, for its next start. */
  readonly flags = new Map<string, string[]>();
  readonly #clients = new Map<string, RawClient>();

  url(name: string): string {
    return `http://127.0.0.${name.slice(1)}:2380`;
  }

  /** A member with an empty directory; it takes the place of an earlier one of the same name. */
  async create(name: string, cluster: readonly string[], ...flags: string[]): Promise<LocalMember> {
    const own = ['--heartbeat-interval=20', '--election-timeout=200', ...flags];
    this.flags.set(name, own);
    const member = await LocalMember.create({
      name,
      initialCluster: cluster.map((one) => `${one}=${this.url(one)}`).join(','),
      flags: own,
      dataDir: undefined,
      peerNetwork: this.network.host(name),
      peerUrl: this.url(name),
      logger: silentLogger,
    });
    this.members.set(name, member);
    return member;
  }

  async found(names: readonly string[], ...flags: string[]): Promise<void> {
    const members = await Promise.all(names.map((name) => this.create(name, names, ...flags)));
    await Promise.all(members.map((member) => member.start()));
  }

  /** Starts a member that was added before. */
  async join(name: string, cluster: readonly string[], ...flags: string[]): Promise<LocalMember> {
    const joining = ['--initial-cluster-state=existing', ...flags];
    const member = await this.create(name, cluster, ...joining);
    await member.start();
    return member;
  }

  at(name: string): RawClient {
    const endpoint = this.members.get(name)?.endpoint ?? '';
    const known = this.#clients.get(endpoint);
    if (known !== undefined) return known;
    const client = new RawClient(endpoint);
    this.#clients.set(endpoint, client);
    return client;
  }

  id(name: string): string {
    return String(this.members.get(name)?.id);
  }

  /** Names of the member that leads, and of the others. */
  async roles(): Promise<{ leader: string; followers: string[] }> {
    const find = () => [...this.members].find(([, { isLeader }]) => isLeader)?.[0];
    const leader = await eventually(find, 'a leader');
    return { leader, followers: [...this.members.keys()].filter((name) => name !== leader) };
  }

  change(at: string, method: string, request: object): Promise<Changed> {
    return this.at(at).unary<Changed>('etcdserverpb.Cluster', method, request);
  }

  async stop(): Promise<void> {
    for (const client of this.#clients.values()) client.channel.close();
    await Promise.all([...this.members.values()].map((member) => member.dispose()));
  }
}

/** Code and text of what a call fails with; zero and nothing if it does not. */
export function failure(call: Promise<unknown>): Promise<{ code: number; details: string }> {
  return call.then(
    () => ({ code: 0, details: '' }),
    ({ code, details }) => ({ code, details }),
  );
}
