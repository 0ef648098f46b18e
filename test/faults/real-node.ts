import { failureOf } from '../../src/cli/failure.js';
import { silentLogger } from '../../src/common/index.js';
import {
  alarmRequest,
  alarmResponse,
  decodeLeaseLeasesResponse,
  decodeRangeResponse,
  encodeDeleteRangeRequest,
  encodeLeaseGrantRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  hashKvRequest,
  hashKvResponse,
} from '../../src/proto/index.js';
import { nodeClock, nodeDisk } from '../../src/server/index.js';
import { openMember } from '../../src/server/member.js';
import { Metrics } from '../../src/server/metrics/metrics.js';
import { defaultConfig } from '../../src/server/options/config.js';
import { nodePasswords } from '../../src/server/platform/passwords-node.js';
import { openNodeRandom } from '../../src/server/platform/random-node.js';
import { openLevelStore } from '../../src/storage/index.js';
import { SimProcess } from '../crash/sim-node.js';
import { putOp } from './sim.js';

/** A node in this process, on the real disk and LevelDB, without sockets. */
export async function startRealNode(
  dataDir: string,
  ...flags: readonly string[]
): Promise<SimProcess> {
  const fatal: unknown[] = [];
  const ports = {
    clock: nodeClock,
    random: openNodeRandom(),
    disk: nodeDisk,
    openKvStore: openLevelStore,
    passwords: nodePasswords,
    logger: silentLogger,
  };
  const config = defaultConfig('--data-dir', dataDir, ...flags);
  const node = await openMember(config, ports, new Metrics(), (error) => fatal.push(error));
  const process = new SimProcess(node, fatal);
  await node.start();
  return process;
}

/** Hundreds of writes of all kinds; numbered from `first`, so that runs can follow each other. */
export async function writeSome(node: SimProcess, first: number, count: number): Promise<void> {
  const put = (key: string, value: string, lease = 0n) => ({
    key,
    value: Buffer.from(value),
    lease,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  });
  for (let i = first; i < first + count; i++) {
    const value = `value ${i} ${'.'.repeat((i * 37) % 300)}`;
    const kind = i % 10;
    if (kind < 6) await must(node, 'KV/Put', encodePutRequest(put(`key/${i % 97}`, value)));
    else if (kind < 8) {
      const success = ['a', 'b', 'c'].map((part) => ({
        type: 'put' as const,
        request: put(`txn/${i}/${part}`, value),
      }));
      await must(node, 'KV/Txn', encodeTxnRequest({ compare: [], success, failure: [] }));
    } else if (kind < 9) {
      await must(node, 'KV/DeleteRange', encodeDeleteRangeRequest({ key: `key/${i % 89}` }));
    } else {
      const id = BigInt(i);
      await must(node, 'Lease/LeaseGrant', encodeLeaseGrantRequest({ id, ttlSeconds: 100_000 }));
      if (i % 20 === 9) {
        await must(node, 'KV/Put', encodePutRequest(put(`leased/${i}`, value, id)));
      }
    }
  }
}

/** Puts keys in one transaction. */
export async function putAll(
  node: SimProcess,
  keys: readonly string[],
  value: string,
): Promise<void> {
  const success = keys.map((key) => putOp(key, value));
  await must(node, 'KV/Txn', encodeTxnRequest({ compare: [], success, failure: [] }));
}

/** The message of a call that must succeed. */
export async function must(node: SimProcess, method: string, request: Uint8Array): Promise<Buffer> {
  const outcome = await node.call(method, request);
  if (!outcome.ok) throw new Error(`${method}: ${outcome.text}`);
  return outcome.message;
}

/** Everything a client can see of a node, as one text; an error in its place if there was one. */
export async function fingerprint(node: SimProcess): Promise<string> {
  const all = await must(node, 'KV/Range', encodeRangeRequest({ key: '\0', rangeEnd: '\0' }));
  const hash = hashKvResponse.decode(
    await must(node, 'Maintenance/HashKV', hashKvRequest.encode({ revision: 0 })),
  );
  const leases = decodeLeaseLeasesResponse(
    await must(node, 'Lease/LeaseLeases', Buffer.alloc(0)),
  ).leases;
  const alarms = alarmResponse.decode(
    await must(node, 'Maintenance/Alarm', alarmRequest.encode({ action: 0 })),
  ).alarms;
  const { kvs, header } = decodeRangeResponse(all);
  const { clusterId, memberId, members } = {
    ...node.node,
    members: node.node.membership.list(),
  };
  return JSON.stringify(
    {
      hash: [hash.hash, hash.compactRevision, hash.hashRevision],
      revision: header?.revision,
      kvs: kvs.map((kv) => ({ ...kv, value: kv.value.toString('latin1') })),
      leases: [...leases].sort((a, b) => (a < b ? -1 : 1)),
      alarms,
      clusterId,
      memberId,
      members,
    },
    (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value),
  );
}

/** The line that the program would end with; throws if it would be a bug's. */
export function refusalOf(error: unknown): string {
  const failure = failureOf(error);
  if (failure.isBug || failure.exitCode !== 1 || failure.message.includes('\n')) {
    throw new Error(`not a refusal: ${failure.message}`, { cause: error });
  }
  return failure.message;
}
