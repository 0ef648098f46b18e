/**
 * What the client's tests are run against: kvorum in this process on real sockets, alone and as a
 * cluster of three, and the newest etcd of this machine. The same tests for all; each target with
 * one of the client's transports, or with both.
 *
 * KVORUM_CLIENT_TARGETS (comma separated names) chooses some of them. With KVORUM_TEST_BIN the
 * target `kvorum` is that program instead of this checkout.
 */

import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import { Etcd, type EtcdOptions, type TransportName } from '../../src/client/index.js';
import { startCluster as startMembers, startNode } from '../../src/testing/index.js';
import { startEtcd, startKvorum } from '../helpers/server.js';
import { reasonToSkip, slow } from '../helpers/tools.js';

export type TargetName = 'kvorum' | 'kvorum of three' | 'etcd';

/** All targets. */
export const everywhere: readonly TargetName[] = ['kvorum', 'kvorum of three', 'etcd'];

/** A running target. */
export interface Running {
  readonly endpoints: readonly string[];
  dispose(): Promise<void>;
  /** Stops one member, or the only one, as by SIGTERM; its data stay. */
  stop(index: number): Promise<void>;
  start(index: number): Promise<void>;
}

export interface TargetOptions {
  /** Flags that all targets know. */
  readonly flags?: readonly string[];
}

export interface TargetKind {
  readonly name: TargetName;
  /** What its tests use if only one transport is tested with it. */
  readonly transport: TransportName;
  start(options: TargetOptions): Promise<Running>;
}

const kinds: readonly TargetKind[] = [
  { name: 'kvorum', transport: 'grpc-js', start: startKvorumTarget },
  { name: 'kvorum of three', transport: 'native', start: startThree },
  { name: 'etcd', transport: 'native', start: startEtcdTarget },
];

async function startKvorumTarget({ flags = [] }: TargetOptions): Promise<Running> {
  if (process.env.KVORUM_TEST_BIN !== undefined) {
    const server = await startKvorum({ args: flags });
    return running(
      [server.endpoint],
      () => server.dispose(),
      () => server.stop(),
      () => server.start(),
    );
  }
  const node = await startNode({ flags });
  return running(
    [node.endpoint],
    async () => node[Symbol.asyncDispose](),
    () => node.stop(),
    () => node.start(),
  );
}

/** Nobody loses the lead because all three, in one process, stood still for a second. */
const steady = ['--heartbeat-interval=500', '--election-timeout=5000'];

async function startThree({ flags = [] }: TargetOptions): Promise<Running> {
  const cluster = await startMembers({ size: 3, flags: [...steady, ...flags] });
  const member = (index: number) => {
    const found = cluster.members[index];
    if (found === undefined) throw new Error(`there is no member ${index}`);
    return found;
  };
  return running(
    cluster.endpoints,
    () => cluster.stop(),
    (index) => member(index).stop(),
    (index) => member(index).start(),
  );
}

async function startEtcdTarget({ flags = [] }: TargetOptions): Promise<Running> {
  const server = await startEtcd({ args: flags });
  return running(
    [server.endpoint],
    () => server.dispose(),
    () => server.stop(),
    () => server.start(),
  );
}

function running(
  endpoints: readonly string[],
  dispose: () => Promise<void>,
  stop: (index: number) => Promise<void>,
  start: (index: number) => Promise<void>,
): Running {
  return { endpoints, dispose, stop, start };
}

/** One target for a describe block, with clients that are closed after each test. */
export interface TargetOfTests {
  readonly kind: TargetKind;
  readonly transport: TransportName;
  server(): Running;
  /** A client of it; closed after the test. */
  client(options?: EtcdOptions): Etcd;
  /** A prefix that no other test uses. */
  prefix(): string;
}

export interface DescribeOptions extends TargetOptions {
  /** Both transports with each target; always so with KVORUM_SLOW=1. */
  readonly bothTransports?: boolean;
  /** Which targets; alone (`kvorum`, `etcd`) if not given. */
  readonly targets?: readonly TargetName[];
}

let prefixes = 0;
/** The client's own limits (10 and 3 s) are too short for a machine that does much else. */
const patience = {
  timeoutMs: 100_000,
  keepalive: { intervalMs: 10_000, timeoutMs: 50_000 },
};

/** The block once for each target; skipped with the reason in its name where it is missing. */
export function describeTargets(
  name: string,
  options: DescribeOptions,
  body: (target: TargetOfTests) => void,
): void {
  const chosen = process.env.KVORUM_CLIENT_TARGETS?.split(',');
  for (const kind of kinds) {
    if (!(options.targets ?? ['kvorum', 'etcd']).includes(kind.name)) continue;
    if (chosen !== undefined && !chosen.includes(kind.name)) continue;
    const reason = kind.name === 'etcd' ? reasonToSkip(['etcd']) : '';
    if (reason !== '') {
      describe.skip(`${name}: etcd${reason}`, () => {
        body(targetOf(kind, kind.transport, options));
      });
      continue;
    }
    const both = options.bothTransports === true || slow;
    for (const transport of both ? transports : [kind.transport]) {
      describe(`${name}: ${kind.name} over ${transport}`, () => {
        body(targetOf(kind, transport, options));
      });
    }
  }
}

const transports: readonly TransportName[] = ['grpc-js', 'native'];

function targetOf(
  kind: TargetKind,
  transport: TransportName,
  options: TargetOptions,
): TargetOfTests {
  let server: Running | undefined;
  const clients: Etcd[] = [];
  const present = (): Running => {
    if (server === undefined) throw new Error('the target did not start');
    return server;
  };
  beforeAll(async () => {
    server = await kind.start(options);
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close();
  });
  afterAll(async () => {
    await server?.dispose();
  });
  return {
    kind,
    transport,
    server: present,
    client(given) {
      const endpoints = present().endpoints;
      const client = new Etcd({ endpoints, transport, ...patience, ...given });
      clients.push(client);
      return client;
    },
    prefix() {
      prefixes += 1;
      return `/t${prefixes}/`;
    },
  };
}
