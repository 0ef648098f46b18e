/** The requests and the state that could hold the loop longest. */

import { setTimeout as sleep } from 'node:timers/promises';
import {
  authRoleAddRequest,
  authRoleGrantPermissionRequest,
  authUserAddRequest,
  authUserGrantRoleRequest,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodeLeaseGrantRequest,
  encodeLeaseRevokeRequest,
  encodeLeaseTimeToLiveRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  encodeWatchCreateRequest,
  PermissionType,
  rangeOf,
} from '../../src/proto/index.js';
import type { GrpcClient } from '../../src/transport/index.js';
import { connect } from '../load/pool.js';
import { methods } from '../load/sources.js';
import { everything, switchAuthOn } from '../security.js';
import { type Rig, txnOpsMax } from './rig.js';

export interface Nastiness {
  readonly members?: number;
  readonly tls?: boolean;
  run(rig: Rig): Promise<void>;
}

const deleteRange = '/etcdserverpb.KV/DeleteRange';
const leaseRevoke = '/etcdserverpb.Lease/LeaseRevoke';
const auth = (name: string): string => `/etcdserverpb.Auth/${name}`;
const all = { key: '\0', rangeEnd: '\0' };

/** In an order without pattern. */
function mixed(i: number): string {
  return `/registry/pods/${(Math.imul(i, 0x9e3779b1) >>> 0).toString().padStart(10, '0')}-${i}`;
}

async function lease(rig: Rig, id: bigint): Promise<void> {
  await rig.call(methods.leaseGrant, encodeLeaseGrantRequest({ ttlSeconds: 86_400, id }));
}

function grantOf(role: string, i: number): Uint8Array {
  const perm = { key: `/granted/${mixed(i)}`, rangeEnd: '', type: PermissionType.READ };
  return authRoleGrantPermissionRequest.encode({ name: role, perm });
}

export const nastinesses: Readonly<Record<string, Nastiness>> = {
  'lease-grants': {
    async run(rig) {
      const count = 400_000;
      const grant = (i: number) =>
        encodeLeaseGrantRequest({ ttlSeconds: 86_400, id: BigInt(i + 1) * 7_919n });
      await rig.measure('400,000 leases granted', () => rig.many(count, methods.leaseGrant, grant));
      await rig.measure('all of them listed', () =>
        rig.call('/etcdserverpb.Lease/LeaseLeases', Buffer.alloc(0)),
      );
    },
  },
  'lease-keys': {
    async run(rig) {
      await lease(rig, 7n);
      await rig.measure('one lease given 1,000,000 keys', () => rig.load(1_000_000, mixed, 16, 7n));
      const ask = encodeLeaseTimeToLiveRequest({ id: 7n, keys: true });
      await rig.measure('its keys listed', () =>
        rig.call('/etcdserverpb.Lease/LeaseTimeToLive', ask),
      );
      await rig.measure('it is revoked', () =>
        rig.call(leaseRevoke, encodeLeaseRevokeRequest({ id: 7n })),
      );
    },
  },
  'large-requests': {
    async run(rig) {
      await rig.load(1_000_000, mixed);
      for (const keysOnly of [false, true]) {
        await rig.measure(`range of 1,000,000 keys${keysOnly ? ', keys only' : ''}`, () =>
          rig.call(methods.range, encodeRangeRequest({ ...all, keysOnly })),
        );
      }
      await rig.measure('the same sorted by value', () =>
        rig.call(methods.range, encodeRangeRequest({ ...all, sortOrder: 2, sortTarget: 4 })),
      );
      const read = { type: 'range', request: rangeOf('/registry/pods/0', '/registry/pods/01') };
      const ranges = Array.from({ length: txnOpsMax }, () => read as never);
      await rig.measure(`transaction of ${txnOpsMax} ranges`, () =>
        rig.call(methods.txn, encodeTxnRequest({ compare: [], success: ranges, failure: [] })),
      );
      await rig.measure('delete of 1,000,000 keys', () =>
        rig.call(deleteRange, encodeDeleteRangeRequest({ ...all, prevKv: false })),
      );
      await rig.load(100_000, mixed);
      await rig.measure('delete of 100,000 keys, prev_kv', () =>
        rig.call(deleteRange, encodeDeleteRangeRequest({ ...all, prevKv: true })),
      );
      await rig.measure('compaction of all that', async () => {
        const revision = 2 + Math.ceil(1_100_000 / txnOpsMax);
        const request = encodeCompactionRequest({ revision, physical: true });
        await rig.call('/etcdserverpb.KV/Compact', request);
      });
    },
  },
  watchers: {
    async run(rig) {
      await rig.load(100_000, mixed);
      await rig.measure('100,000 watchers of keys made', () => watchAll(rig, mixed, 0));
      await rig.measure('100,000 puts in transactions, each to one watcher', () =>
        rig.load(100_000, mixed),
      );
      await rig.measure('100,000 watchers from the first revision on', () =>
        watchAll(rig, mixed, 2),
      );
      await rig.measure('100,000 watchers of one range made, and ten puts', async () => {
        await watchAll(rig, () => '/all/', 0, '/all0');
        const put = (i: number) => encodePutRequest({ key: `/all/${i}`, value: Buffer.from('1') });
        await rig.many(10, methods.put, put, 1);
        await sleep(5_000);
      });
    },
  },
  auth: {
    tls: true,
    async run(rig) {
      await switchAuthOn((method, request) => rig.call(method, request), [everything]);
      await rig.many(10, auth('RoleAdd'), (i) => authRoleAddRequest.encode({ name: `r${i}` }));
      await rig.measure('10,000 permissions granted', () =>
        rig.many(10_000, auth('RoleGrantPermission'), (i) => grantOf(`r${i % 10}`, i)),
      );
      await rig.measure('their ten roles to a user', () =>
        rig.many(10, auth('UserGrantRole'), (i) =>
          authUserGrantRoleRequest.encode({ user: 'worker', role: `r${i}` }),
        ),
      );
      await rig.measure('that user watches again and again while users change', () =>
        watchesAsWorker(rig),
      );
    },
  },
  'snapshot-install': {
    members: 3,
    async run(rig) {
      const role = authRoleAddRequest.encode({ name: 'r' });
      await rig.call(auth('RoleAdd'), role);
      rig.cluster.processes()[2]?.kill('SIGKILL');
      await sleep(2_000);
      await rig.measure('150,000 permissions and 150,000 users made', async () => {
        await rig.many(150_000, auth('RoleGrantPermission'), (i) => grantOf('r', i));
        await rig.many(150_000, auth('UserAdd'), (i) =>
          authUserAddRequest.encode({ name: `user-${i}`, options: { noPassword: true } }),
        );
      });
      await rig.many(100_000, methods.leaseGrant, (i) =>
        encodeLeaseGrantRequest({ ttlSeconds: 86_400, id: BigInt(i + 1) }),
      );
      await rig.cluster.startAgain(2);
      await rig.measure('a member far behind takes them', () => sleep(20_000), 2);
    },
  },
  handshakes: {
    tls: true,
    async run(rig) {
      await rig.measure('1,000 clients connect by mutual TLS at once', async () => {
        const asked = await Promise.allSettled(Array.from({ length: 1_000 }, () => rig.connect()));
        const clients = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
        for (const client of clients) client.destroy();
        if (clients.length < 1_000) process.stdout.write(`${clients.length} of them did\n`);
      });
    },
  },
};

/** Watchers of 100,000 keys on a hundred streams of connections of their own. */
async function watchAll(
  rig: Rig,
  keyOf: (i: number) => string,
  startRevision: number,
  rangeEnd = '',
): Promise<void> {
  const streams = 100;
  const share = 1_000;
  const connections: GrpcClient[] = [];
  for (let i = 0; i < 10; i += 1) connections.push(await rig.connect());
  rig.clients.push(...connections);
  const made = Array.from({ length: streams }, (_, s) => {
    const stream = (connections[s % connections.length] as GrpcClient).stream(methods.watch, {});
    return new Promise<void>((resolve, reject) => {
      let left = share;
      stream.onStatus = (status) => reject(new Error(status.message));
      stream.onMessage = () => {
        left -= 1;
        if (left === 0) resolve();
      };
      for (let i = 0; i < share; i += 1) {
        const key = keyOf(s * share + i);
        stream.send(encodeWatchCreateRequest({ key, rangeEnd, startRevision }));
      }
    });
  });
  await Promise.all(made);
}

async function watchesAsWorker(rig: Rig): Promise<void> {
  const client = await connect(rig.cluster.endpoints[0] ?? '', 60_000, rig.worker);
  const stream = client.stream(methods.watch, {});
  for (let round = 0; round < 30; round += 1) {
    await rig.call(auth('RoleGrantPermission'), grantOf('r0', 20_000 + round));
    await new Promise<void>((resolve, reject) => {
      stream.onStatus = (status) => reject(new Error(status.message));
      stream.onMessage = () => resolve();
      stream.send(encodeWatchCreateRequest({ key: '/granted/' }));
    });
  }
  client.destroy();
}
