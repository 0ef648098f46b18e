/** Clusters of any size inside one process; see index.ts. */

import { join } from 'node:path';
import { type Logger, silentLogger, sleep } from '../common/index.js';
import { nodeClock, openNodeRandom } from '../server/index.js';
import { MemoryNetwork } from '../sim/index.js';
import { LocalMember, type TestMember } from './member.js';

export interface ClusterOptions {
  /** Number of members; 3 if not given. */
  readonly size?: number;
  /** 'memory' (the default), or a directory for the data of all members. */
  readonly storage?: 'memory' | { readonly dir: string };
  /** Flags of the server, as on its command line: `['--quota-backend-bytes=100000']`. */
  readonly flags?: readonly string[];
  readonly logger?: Logger;
}

/** A running cluster. `await using` stops it. */
export interface TestCluster extends AsyncDisposable {
  readonly members: readonly TestMember[];
  /** `127.0.0.1:port` of each member. */
  readonly endpoints: readonly string[];
  /** The member that leads; waits for one, at most ten seconds. */
  leader(): Promise<TestMember>;
  /**
   * Cuts the wires between the groups, in both directions; members that are in none are alone.
   * Clients still reach every member.
   */
  partition(...groups: ReadonlyArray<readonly TestMember[]>): void;
  /** Mends all wires. */
  heal(): void;
  stop(): Promise<void>;
  /** The same: stops all members for good, and frees their ports. A process may end then. */
  close(): Promise<void>;
}

/** A cluster of one. */
export interface TestNode extends TestMember, AsyncDisposable {
  /** Stops it for good, and frees its port; `stop` keeps the port for another start. */
  close(): Promise<void>;
}

/** From JavaScript, `nodes: 3` must not be three by chance. */
function checkClusterOptions(options: ClusterOptions): void {
  const known = ['size', 'storage', 'flags', 'logger'];
  const wrong = Object.keys(options).find((name) => !known.includes(name));
  if (wrong === undefined) return;
  throw new RangeError(`unknown option ${JSON.stringify(wrong)}; there are ${known.join(', ')}`);
}

const leaderWaitMs = 10_000;
/** A member whose word was lost tells the others again after some five seconds. */
const meetWaitMs = 60_000;
const lookAgainMs = 2;
/** Fast enough for tests, slow enough for a machine that is busy with them. */
const timing = ['--heartbeat-interval=20', '--election-timeout=200'];

/** Starts a cluster; resolves once every member serves, and knows where the others do. */
export async function startCluster(options: ClusterOptions = {}): Promise<TestCluster> {
  checkClusterOptions(options);
  const { size = 3, storage = 'memory', flags = [], logger = silentLogger } = options;
  if (!Number.isInteger(size) || size < 1) throw new RangeError(`a cluster of ${size} members`);
  const names = Array.from({ length: size }, (_, i) => `m${i + 1}`);
  const wires = new MemoryNetwork(nodeClock, openNodeRandom(), {
    latencyMsMin: 0,
    latencyMsMax: 0,
    splitChance: 0,
  });
  // Addresses of the wires in memory: nothing outside can connect to them.
  const peerUrl = (name: string): string => `http://127.0.0.${1 + names.indexOf(name)}:2380`;
  const initialCluster = names.map((name) => `${name}=${peerUrl(name)}`).join(',');
  const members = await Promise.all(
    names.map((name) =>
      LocalMember.create({
        name,
        initialCluster,
        flags: [...timing, ...flags],
        dataDir: storage === 'memory' ? undefined : join(storage.dir, name),
        peerNetwork: wires.host(name),
        peerUrl: peerUrl(name),
        logger,
      }),
    ),
  );
  const stop = async (): Promise<void> => {
    await Promise.all(members.map((member) => member.dispose()));
  };
  try {
    await Promise.all(members.map((member) => member.start()));
    await haveMet(members);
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
  return {
    members,
    endpoints: members.map(({ endpoint }) => endpoint),
    leader: () => waitForLeader(members),
    partition(...groups) {
      wires.heal();
      const groupOf = (member: TestMember): number =>
        groups.findIndex((group) => group.includes(member));
      for (const from of members) {
        for (const to of members) {
          const together = groupOf(from) === groupOf(to) && groupOf(from) >= 0;
          if (from !== to && !together) wires.block(from.name, to.name);
        }
      }
    },
    heal: () => wires.heal(),
    stop,
    close: stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Starts a single server. */
export async function startNode(options: Omit<ClusterOptions, 'size'> = {}): Promise<TestNode> {
  const cluster = await startCluster({ ...options, size: 1 });
  const member = cluster.members[0] as TestMember;
  const close = (): Promise<void> => cluster.stop();
  return Object.assign(member, { close, [Symbol.asyncDispose]: close });
}

function waitForLeader(members: readonly TestMember[]): Promise<TestMember> {
  const find = () => members.find(({ isLeader }) => isLeader);
  return found(find, leaderWaitMs, 'the cluster has no leader');
}

/**
 * A member serves when the leader has its URLs; the other followers hear of them a heartbeat later,
 * and a client that asks one of them for all endpoints would miss some.
 */
async function haveMet(members: readonly LocalMember[]): Promise<void> {
  const meet = () => members.every((one) => one.knownClientUrls.length >= members.length);
  const complaint = 'the members of the cluster do not know each other';
  await found(() => meet() || undefined, meetWaitMs, complaint);
}

/** What `find` finds, looked for again and again; throws with `complaint` after `waitMs`. */
async function found<T>(find: () => T | undefined, waitMs: number, complaint: string): Promise<T> {
  const untilMs = nodeClock.nowMs() + waitMs;
  for (;;) {
    const result = find();
    if (result !== undefined) return result;
    if (nodeClock.nowMs() > untilMs) throw new Error(complaint);
    await sleep(nodeClock, lookAgainMs);
  }
}
