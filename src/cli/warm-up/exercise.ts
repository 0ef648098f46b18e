/**
 * What is exercised: each kind of call that most clients make, over and over, by several callers at
 * a time and so in batches, as real ones come.
 */

import {
  compareOf,
  decodeLeaseGrantResponse,
  encodeDeleteRangeRequest,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  encodeWatchCreateRequest,
  rangeOf,
} from '../../proto/index.js';
import type { ClientStream, GrpcClient } from '../../transport/index.js';

/** Calls begin while this says so. */
export type Continues = () => boolean;

const callers = 16;
/** Keys of one caller, which are written again and again. */
const keysEach = 64;
const prefix = 'warm-up/';
const value = Buffer.alloc(256, 0x77);
const timeoutMs = 5_000;

/** Method and message. */
type Request = readonly [string, Buffer];

/** Resolves with the number of answers once all callers have stopped; rejects as a call fails. */
export async function exercise(client: GrpcClient, continues: Continues): Promise<number> {
  const grant = encodeLeaseGrantRequest({ ttlSeconds: 600, id: 0n });
  const { id } = decodeLeaseGrantResponse(
    await call(client, '/etcdserverpb.Lease/LeaseGrant', grant),
  );
  const watch = client.stream('/etcdserverpb.Watch/Watch', {});
  const renewals = client.stream('/etcdserverpb.Lease/LeaseKeepAlive', {});
  try {
    const everything = { key: prefix, rangeEnd: 'warm-up0', prevKv: true };
    watch.send(encodeWatchCreateRequest(everything));
    const counts = await Promise.all(
      Array.from({ length: callers }, (_none, i) => caller(client, renewals, id, i, continues)),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  } finally {
    watch.cancel();
    renewals.cancel();
  }
}

async function caller(
  client: GrpcClient,
  renewals: ClientStream,
  lease: bigint,
  number: number,
  continues: Continues,
): Promise<number> {
  let answers = 0;
  for (let round = 0; continues(); round += 1) {
    const key = `${prefix}${number}/${round % keysEach}`;
    for (const [method, request] of requests(key, round, lease)) {
      if (!continues()) return answers;
      await call(client, method, request);
      answers += 1;
    }
    renewals.send(encodeLeaseKeepAliveRequest({ id: lease }));
  }
  return answers;
}

/** Mostly puts and gets, as clients are; each round writes its key and ends with it in place or not. */
function requests(key: string, round: number, lease: bigint): Request[] {
  const put: Request = ['/etcdserverpb.KV/Put', encodePutRequest({ key, value })];
  const range: Request = ['/etcdserverpb.KV/Range', encodeRangeRequest({ key })];
  const write = { key, value, lease, prevKv: false, ignoreValue: false, ignoreLease: false };
  const txn = encodeTxnRequest({
    compare: [compareOf({ key, targetUnion: 'version', result: 0 })],
    success: [{ type: 'put', request: write }],
    failure: [{ type: 'range', request: rangeOf(key) }],
  });
  const calls: Request[] = [put, range, put, range, put, ['/etcdserverpb.KV/Txn', txn]];
  if (round % 4 === 3) {
    calls.push(['/etcdserverpb.KV/DeleteRange', encodeDeleteRangeRequest({ key })]);
  }
  return calls;
}

function call(client: GrpcClient, method: string, request: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.unary(method, request, { timeoutMs }, (status, message) => {
      if (message === undefined) reject(new Error(`${method}: ${status.message}`));
      else resolve(message);
    });
  });
}
