/**
 * Calls that must be refused, or that ask for something extreme and may be answered: as bytes,
 * because no encoder makes most of them. Each says which answers are right; that nobody could
 * answer now (UNAVAILABLE, UNKNOWN) always is.
 */

import { GrpcCode } from '../../src/common/index.js';
import type { SimRandom } from '../../src/sim/index.js';
import type { Outcome } from '../helpers/in-process-call.js';

export interface HostileCall {
  readonly name: string;
  readonly path: string;
  readonly bytes: Buffer;
  /** Codes that are right; OK is 0. */
  readonly right: readonly number[];
}

const { INVALID_ARGUMENT, NOT_FOUND, OUT_OF_RANGE, FAILED_PRECONDITION } = GrpcCode;
const ok = 0;
/** With a text of its own: the request is no request. */
const malformed = GrpcCode.INTERNAL;

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function number(field: number, value: bigint): Buffer {
  return Buffer.concat([varint(BigInt(field << 3)), varint(value)]);
}

function bytes(field: number, value: Uint8Array | string): Buffer {
  const content = Buffer.from(value as string);
  const head = varint(BigInt((field << 3) | 2));
  return Buffer.concat([head, varint(BigInt(content.length)), content]);
}

/** A transaction in the success branch of a transaction, and so on: made from the inside. */
function nested(depth: number): Buffer {
  const heads: Buffer[] = [];
  let length = 0;
  for (let level = 0; level < depth; level += 1) {
    for (const field of [4, 2]) {
      const head = Buffer.concat([varint(BigInt((field << 3) | 2)), varint(BigInt(length))]);
      heads.push(head);
      length += head.length;
    }
  }
  return Buffer.concat(heads.reverse());
}

const int64s: readonly bigint[] = [
  ...[0n, 1n, -1n, 2n ** 31n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)],
];

/** Of KV.Range and others: key 1, range_end 2. */
const put = (key: string, value: string): Buffer => Buffer.concat([bytes(1, key), bytes(2, value)]);
const opPut = (key: string, value: string): Buffer => bytes(2, bytes(2, put(key, value)));

/** The next one; `leases` are ids that may be granted, `revision` one that is not far. */
export function drawHostileCall(
  random: SimRandom,
  revision: number,
  leases: readonly bigint[],
): HostileCall {
  const kv = (name: string, method: string, body: Buffer, right: readonly number[]) => {
    return { name, path: `/etcdserverpb.KV/${method}`, bytes: body, right };
  };
  const lease = (name: string, method: string, body: Buffer, right: readonly number[]) => {
    return { name, path: `/etcdserverpb.Lease/${method}`, bytes: body, right };
  };
  const extreme = random.pick(int64s);
  const id = random.pick([...leases, extreme]);
  const invalid = [INVALID_ARGUMENT];
  const future = BigInt(revision) + 1_000_000n;
  const dice = random.below(24);
  if (dice >= 20) return drawRecipe(random);
  switch (dice) {
    case 0:
      return kv('put without a key', 'Put', bytes(2, 'v'), invalid);
    case 1:
      return kv('range without a key', 'Range', number(3, 5n), invalid);
    case 2:
      return kv('delete without a key', 'DeleteRange', bytes(2, '\0'), invalid);
    case 3:
      return kv('compare without a key', 'Txn', bytes(1, bytes(9, '\0')), invalid);
    case 4:
      return kv('ignored value', 'Put', Buffer.concat([put('~', 'v'), number(5, 1n)]), invalid);
    case 5: {
      const body = Buffer.concat([put('~', 'v'), number(3, 7n), number(6, 1n)]);
      return kv('ignored lease', 'Put', body, invalid);
    }
    case 6: {
      const puts = Array.from({ length: 129 }, (_, i) => opPut(`~${i}`, 'v'));
      return kv('too many operations', 'Txn', Buffer.concat(puts), invalid);
    }
    case 7: {
      const depth = random.pick([129, 1000, 20_000]);
      return kv(`${depth} levels`, 'Txn', nested(depth), [INVALID_ARGUMENT, malformed]);
    }
    case 8:
      return kv('one key twice', 'Txn', Buffer.concat([opPut('~', '1'), opPut('~', '2')]), invalid);
    case 9: {
      const field = random.pick([5, 6]);
      const body = Buffer.concat([
        bytes(1, '~'),
        number(field, random.pick([-1n, 7n, 2n ** 31n - 1n])),
      ]);
      return kv('unknown order', 'Range', body, invalid);
    }
    case 10: {
      const op = random.pick([Buffer.alloc(0), bytes(15, 'x'), number(9, 1n)]);
      return kv('unknown operation', 'Txn', bytes(2, op), invalid);
    }
    case 11: {
      const body = Buffer.concat([bytes(1, '\0'), bytes(2, '\0'), number(4, future)]);
      return kv('range in the future', 'Range', body, [OUT_OF_RANGE]);
    }
    case 12: {
      const body = Buffer.concat([bytes(1, '~'), bytes(2, '\0'), number(4, extreme)]);
      return kv(`range at ${extreme}`, 'Range', body, [ok, OUT_OF_RANGE]);
    }
    case 13: {
      // 1 could be right, and would be a compaction that nobody knows of.
      const wanted = random.pick([-1n, -(2n ** 63n), 2n ** 53n, 2n ** 63n - 1n, future]);
      return kv(`compact ${wanted}`, 'Compact', number(1, wanted), [OUT_OF_RANGE]);
    }
    case 14: {
      const method = random.pick(['Put', 'Range', 'DeleteRange', 'Txn', 'Compact']);
      return kv('cut short', method, Buffer.from([10, 100, 1, 2, 3]), [malformed]);
    }
    case 15:
      return kv('too large', 'Put', put('~', 'v'.repeat(1_572_864)), invalid);
    case 16: {
      const ttl = random.pick([0n, -1n, 1n, 9_000_000_000n, 9_000_000_001n, extreme]);
      const body = Buffer.concat([number(1, ttl), number(2, id)]);
      const right = [ok, FAILED_PRECONDITION, OUT_OF_RANGE];
      return lease(`grant ${id} for ${ttl} s`, 'LeaseGrant', body, right);
    }
    case 17:
      return lease(`revoke ${id}`, 'LeaseRevoke', number(1, id), [ok, NOT_FOUND]);
    case 18: {
      const body = Buffer.concat([number(1, id), number(2, 1n)]);
      return lease(`time to live of ${id}`, 'LeaseTimeToLive', body, [ok, NOT_FOUND]);
    }
    default: {
      const body = Buffer.concat([put('~', 'v'), number(3, random.pick([-77n, 77n - 2n ** 63n]))]);
      return kv('put on a lease that is not there', 'Put', body, [NOT_FOUND]);
    }
  }
}

/** Of Lock and Election: all of them are refused, so that nothing comes of them. */
function drawRecipe(random: SimRandom): HostileCall {
  const call = (name: string, method: string, body: Buffer): HostileCall => {
    const service =
      method.endsWith('lock') || method === 'Lock' ? 'v3lockpb.Lock' : 'v3electionpb.Election';
    return { name, path: `/${service}/${method}`, bytes: body, right: [] };
  };
  const name = random.pick(['', '/', '~', '\xff', '~'.repeat(1000), '~'.repeat(400_000)]);
  // Nobody grants these.
  const lease = number(2, random.pick([-77n, 77n - 2n ** 63n, 2n ** 62n + 77n]));
  const value = bytes(3, random.pick(['', 'v', 'v'.repeat(100_000)]));
  const nobody = bytes(1, Buffer.concat([bytes(2, '~nobody'), number(3, 7n), number(4, -77n)]));
  switch (random.below(6)) {
    case 0:
      return call(
        'lock on a lease that is not there',
        'Lock',
        Buffer.concat([bytes(1, name), lease]),
      );
    case 1:
      return call('unlock of nothing', 'Unlock', Buffer.alloc(0));
    case 2: {
      const body = Buffer.concat([bytes(1, name), lease, value]);
      return call('campaign on a lease that is not there', 'Campaign', body);
    }
    case 3:
      return call(
        'proclaim by nobody',
        'Proclaim',
        random.pick([nobody, Buffer.alloc(0), bytes(1, '')]),
      );
    case 4:
      return call(
        'resign without a leader',
        'Resign',
        random.pick([Buffer.alloc(0), bytes(1, '')]),
      );
    default:
      return call('leader of nothing', 'Leader', bytes(1, `~nothing${name}`));
  }
}

const notForLearners = 'etcdserver: rpc not supported for learner';

/** Where auth is on: whoever calls has to say anew who he is. */
const credentialsAreOld = /invalid auth token|user name is empty|revision of auth store is old/;

/** Undefined: it is; else what it should have been. */
export function wrongAnswer(call: HostileCall, outcome: Outcome): string | undefined {
  const { name, right } = call;
  const code = outcome.ok ? ok : outcome.code;
  const text = outcome.ok ? 'done' : outcome.text;
  const isNow = code === GrpcCode.UNAVAILABLE || code === GrpcCode.UNKNOWN;
  if (text === notForLearners || credentialsAreOld.test(text)) return undefined;
  const isMalformed = code !== malformed || text.startsWith('grpc: error unmarshalling request');
  if (isMalformed && (isNow || right.includes(code))) return undefined;
  return `${name} was answered ${code} ${text} instead of ${right.join(' or ')}`;
}
