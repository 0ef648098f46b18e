/**
 * Entries that touch very many keys: whatever a client asks for is an error to it or is done, is
 * the same at every start, and never holds the event loop for longer than a slice; who reads
 * meanwhile sees the state before the entry, complete.
 */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { entryCopiedBytesMax, GrpcCode, mvccSliceKeysMax } from '../../src/common/index.js';
import {
  type Compare,
  CompareResult,
  CompareTarget,
  compareOf,
  decodeDeleteRangeResponse,
  decodeRangeResponse,
  decodeTxnResponse,
  decodeWatchResponse,
  encodeDeleteRangeRequest,
  encodeLeaseRevokeRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  encodeWatchCreateRequest,
  type RequestOp,
} from '../../src/proto/index.js';
import { KeyIndex } from '../../src/storage/index/key-index.js';
import { SimMachine } from '../crash/sim-node.js';
import type { Outcome } from '../helpers/in-process-call.js';
import { ok, putOp, SimClient } from './sim.js';

const everything = { key: '\0', rangeEnd: '\0' };

let client: SimClient;

beforeEach(async () => {
  client = await SimClient.start(new SimMachine(7), '--quota-backend-bytes', String(2 ** 40));
});

afterEach(() => {
  vi.restoreAllMocks();
});

function name(i: number): string {
  return `k${String(i).padStart(7, '0')}`;
}

/** Keys from 0 on, 128 in a transaction. */
async function fill(keys: number, lease = 0n): Promise<void> {
  const calls: Promise<Outcome>[] = [];
  for (let i = 0; i < keys; ) {
    const success: RequestOp[] = [];
    for (const end = Math.min(keys, i + 128); i < end; i += 1) {
      const op = putOp(name(i), `v${i % 7}`);
      success.push(op.type === 'put' ? { ...op, request: { ...op.request, lease } } : op);
    }
    const request = encodeTxnRequest({ compare: [], success, failure: [] });
    calls.push(client.node.call('KV/Txn', request));
    if (calls.length % 50 === 0) await client.pass(20);
  }
  await client.machine.clock.runUntil(Promise.all(calls));
}

/** Holds for every key. */
function compareAll(fields: Parameters<typeof compareOf>[0] = {}): Compare {
  const value = Buffer.from('none of them');
  const target = CompareTarget.VALUE;
  const result = CompareResult.NOT_EQUAL;
  return compareOf({ ...everything, result, target, targetUnion: 'value', value, ...fields });
}

function txn(compare: readonly Compare[], success: readonly RequestOp[]): Promise<Outcome> {
  return client.call('KV/Txn', encodeTxnRequest({ compare, success, failure: [] }));
}

/** The most keys that the index handled in one turn of the event loop while `run` went on. */
async function mostKeysInATurn(run: () => Promise<unknown>): Promise<number> {
  const visited = new Map<number, number>();
  const counting =
    <A extends unknown[], R>(visit: (...args: A) => R) =>
    (...args: A): R => {
      const turn = client.machine.clock.eventsFired;
      visited.set(turn, (visited.get(turn) ?? 0) + 1);
      return visit(...args);
    };
  const { walk, killRange, locate } = KeyIndex.prototype;
  vi.spyOn(KeyIndex.prototype, 'walk').mockImplementation(function (this: KeyIndex, ...args) {
    const [start, end, max, visit, quiet] = args;
    return walk.call(this, start, end, max, counting(visit), quiet);
  });
  vi.spyOn(KeyIndex.prototype, 'killRange').mockImplementation(function (this: KeyIndex, ...args) {
    const [start, end, main, kill] = args;
    return killRange.call(this, start, end, main, counting(kill));
  });
  vi.spyOn(KeyIndex.prototype, 'locate').mockImplementation(function (this: KeyIndex, key) {
    return counting(() => locate.call(this, key))();
  });
  await run();
  vi.restoreAllMocks();
  return Math.max(0, ...visited.values());
}

/** A slice of what is applied and one of reads, and the small things beside them. */
const turnKeysMax = 2 * mvccSliceKeysMax + 100;

describe('a compare of the values of more keys than fit on the stack', () => {
  const keys = 130_000;

  it('is decided, at every start again', async () => {
    await fill(keys);
    // With a put it enters the log.
    const reply = await txn([compareAll()], [putOp('done', 'yes')]);
    expect(decodeTxnResponse(ok(reply)).succeeded).toBe(true);
    expect(client.node.fatal).toEqual([]);
    client = await client.restart('--quota-backend-bytes', String(2 ** 40));
    const found = decodeRangeResponse(ok(await client.range({ key: 'done' })));
    expect(found.kvs.map((kv) => kv.value.toString())).toEqual(['yes']);
    expect(client.node.fatal).toEqual([]);
  });

  it('gives way, as do all compares of ranges, and so does one that only reads', async () => {
    await fill(20_000);
    const compares: Compare[] = [
      compareAll(),
      compareAll({ target: CompareTarget.VERSION, targetUnion: 'version', version: 9 }),
      compareAll({ target: CompareTarget.MOD, targetUnion: 'modRevision', modRevision: 1 }),
      compareAll({ target: CompareTarget.LEASE, targetUnion: 'lease', lease: 5n }),
    ];
    const many = [...compares, ...compares, ...compares];
    for (const success of [[putOp('x', '1')], []]) {
      const most = await mostKeysInATurn(async () => {
        const reply = decodeTxnResponse(ok(await txn(many, success)));
        expect(reply.succeeded).toBe(true);
      });
      expect(most).toBeLessThanOrEqual(turnKeysMax);
      // It did look at them.
      expect(most).toBeGreaterThan(mvccSliceKeysMax / 2);
    }
  });
});

/** The number of keys, and whether the first and the last exist, each at its revision. */
async function whatIsThere(keys: number): Promise<string> {
  const requests = [{ ...everything, countOnly: true }, { key: name(0) }, { key: name(keys - 1) }];
  const told: string[] = [];
  for (const request of requests) {
    const bytes = encodeRangeRequest({ ...request, serializable: true });
    const reply = decodeRangeResponse(ok(await client.node.call('KV/Range', bytes)));
    told.push(`${reply.count}@${reply.header?.revision}`);
  }
  return told.join(' ');
}

describe('a delete of very many keys', () => {
  const keys = 30_000;

  it('gives way, and nobody sees a part of it', async () => {
    await fill(keys);
    const { clock } = client.machine;
    const { revision } = client.node.node.store;
    let deleted: Outcome | undefined;
    const asked: Promise<string>[] = [];
    const most = await mostKeysInATurn(async () => {
      const call = client.node.call('KV/DeleteRange', encodeDeleteRangeRequest(everything));
      void call.then((outcome) => {
        deleted = outcome;
      });
      while (deleted === undefined) {
        asked.push(whatIsThere(keys));
        await clock.runEvents(5);
      }
      await clock.runUntil(Promise.all(asked));
    });
    const seen = new Set(await Promise.all(asked));
    expect(decodeDeleteRangeResponse(ok(deleted as unknown as Outcome)).deleted).toBe(keys);
    const before = `${keys}@${revision} 1@${revision} 1@${revision}`;
    expect(seen).toContain(before);
    for (const state of seen) {
      // A count that took several turns may be followed by look-ups after the delete.
      expect(state).toMatch(new RegExp(`^(${keys}@${revision}|0@${revision + 1})`));
      expect(state).toMatch(
        new RegExp(`(1@${revision} 1@${revision}|0@${revision + 1} 0@${revision + 1})$`),
      );
    }
    expect(most).toBeLessThanOrEqual(turnKeysMax);
  });

  it('comes back as it was after power loss at any moment of it', async () => {
    await fill(6_000);
    const { revision } = client.node.node.store;
    for (const eventsLater of [5, 20, 60, 200]) {
      void client.node.call('KV/DeleteRange', encodeDeleteRangeRequest(everything));
      await client.machine.clock.runEvents(eventsLater);
      client = await client.restart('--quota-backend-bytes', String(2 ** 40));
      const found = decodeRangeResponse(ok(await client.range({ ...everything, countOnly: true })));
      const isDone = found.count === 0;
      expect([found.count, found.header?.revision]).toEqual(
        isDone ? [0, revision + 1] : [6_000, revision],
      );
      if (isDone) break;
    }
  });

  it('reaches every watcher whole, in order, and once; what follows comes after it', async () => {
    await fill(keys);
    const { revision } = client.node.node.store;
    const watch = client.stream('Watch/Watch');
    watch.onMessage?.(encodeWatchCreateRequest({ ...everything, watchId: 1 }));
    watch.onMessage?.(encodeWatchCreateRequest({ key: name(17), watchId: 2 }));
    watch.onMessage?.(encodeWatchCreateRequest({ ...everything, watchId: 3, filters: [1] }));
    await client.pass(10);
    const deletion = client.node.call('KV/DeleteRange', encodeDeleteRangeRequest(everything));
    const put = client.node.call(
      'KV/Put',
      encodePutRequest({ key: name(17), value: Buffer.from('') }),
    );
    await client.machine.clock.runUntil(Promise.all([deletion, put]));
    await client.pass(100);
    const told = new Map<number, string[]>();
    for (const message of watch.sent) {
      const { watchId, events } = decodeWatchResponse(message);
      const list = told.get(Number(watchId)) ?? [];
      for (const { type, kv } of events) list.push(`${type} ${kv?.key} ${kv?.modRevision}`);
      told.set(Number(watchId), list);
    }
    const deletes = Array.from({ length: keys }, (_, i) => `1 ${name(i)} ${revision + 1}`);
    const last = `0 ${name(17)} ${revision + 2}`;
    expect(told.get(1)).toEqual([...deletes, last]);
    expect(told.get(2)).toEqual([`1 ${name(17)} ${revision + 1}`, last]);
    // Without deletes.
    expect(told.get(3)).toEqual([last]);
  });
});

describe('a lease with very many keys and keepalives', () => {
  it('is revoked in slices: keys go in order, and who waits for its end is answered', async () => {
    const keys = 10_000;
    ok(await client.grant(5n, 2));
    await fill(keys, 5n);
    const { store, lessor, loop } = client.node.node;
    const watch = client.stream('Watch/Watch');
    watch.onMessage?.(encodeWatchCreateRequest({ ...everything, watchId: 1 }));
    // It expires, but what the lessor proposes is lost: so those who would keep it alive wait.
    const lost = vi.spyOn(loop, 'propose').mockImplementation(() => {});
    await client.pass(6_000);
    const answered: number[] = [];
    const waiters = 150_000;
    for (let i = 0; i < waiters; i += 1) {
      lessor.renew(5n, { renewed: (_error, ttlSeconds) => answered.push(ttlSeconds) });
    }
    expect(answered).toEqual([]);
    lost.mockRestore();
    const most = await mostKeysInATurn(async () => {
      const revoked = client.node.call('Lease/LeaseRevoke', encodeLeaseRevokeRequest({ id: 5n }));
      await client.machine.clock.runUntil(revoked);
    });
    await client.pass(100);
    expect(most).toBeLessThanOrEqual(turnKeysMax);
    expect(answered).toEqual(new Array(waiters).fill(0));
    expect(store.keyCount).toBe(0);
    const events = watch.sent.flatMap((message) => decodeWatchResponse(message).events);
    expect(events.map((event) => event.kv?.key)).toEqual(
      Array.from({ length: keys }, (_, i) => name(i)),
    );
  });

  it('ends its keepalives when this member does not lead any more, however many there are', async () => {
    ok(await client.grant(6n, 1));
    const { lessor } = client.node.node;
    const errors: string[] = [];
    // Two seconds are the least that a lease gets; nobody applies its revocation here.
    vi.spyOn(client.node.node.loop, 'propose').mockImplementation(() => {});
    await client.pass(3_000);
    const waiters = 150_000;
    for (let i = 0; i < waiters; i += 1) {
      lessor.renew(6n, { renewed: (error) => errors.push(error?.message ?? '') });
    }
    lessor.demote();
    expect(errors.length).toBeLessThan(waiters / 10);
    await client.pass(100);
    expect(errors.length).toBe(waiters);
    expect(new Set(errors)).toEqual(new Set(['etcdserver: not leader']));
  });
});

describe('a transaction of more operations than can be looked through at once', () => {
  const nest = (success: RequestOp[]): RequestOp => {
    return { type: 'txn', request: { compare: [], success, failure: [] } };
  };
  /** `width` to the power of `depth` puts of keys of their own. */
  const tree = (depth: number, width: number): RequestOp[] => {
    let made = 0;
    const level = (left: number): RequestOp[] =>
      Array.from({ length: width }, () => {
        made += 1;
        return left === 1 ? putOp(`t${made}`, '') : nest(level(left - 1));
      });
    return level(depth);
  };
  const tooMany = {
    ok: false,
    code: GrpcCode.INVALID_ARGUMENT,
    text: 'etcdserver: too many operations in txn request',
  };

  it('is refused before it is looked through, nested or flat', async () => {
    expect(await txn([], tree(3, 42))).toEqual(tooMany);
    expect(await txn(new Array(70_000).fill(compareOf({ key: 'a' })), [])).toEqual(tooMany);
    expect(client.node.fatal).toEqual([]);
  });

  it('is done as before, below that, in slices', async () => {
    const most = await mostKeysInATurn(async () => {
      const reply = decodeTxnResponse(ok(await txn([], tree(2, 63))));
      expect(reply.responses).toHaveLength(63);
    });
    expect(client.node.node.store.keyCount).toBe(63 * 63);
    expect(most).toBeLessThanOrEqual(3 * turnKeysMax);
  });
});

describe('puts that keep their values', () => {
  it('are refused, and change nothing, if one request copies more than an entry may', async () => {
    const keys = 200;
    await fill(keys);
    const { store } = client.node.node;
    const { revision } = store;
    const keep = (i: number): RequestOp => {
      const op = putOp(name(i), '');
      return op.type === 'put' ? { ...op, request: { ...op.request, ignoreValue: true } } : op;
    };
    const nested = (from: number): RequestOp => {
      const success = Array.from({ length: keys / 2 }, (_, i) => keep(from + i));
      return { type: 'txn', request: { compare: [], success, failure: [] } };
    };
    const all = [nested(0), nested(keys / 2)];
    // As if all of them were large.
    const stored = vi.spyOn(store.present, 'storedBytes');
    stored.mockReturnValue(Math.floor(entryCopiedBytesMax / keys) + 1);
    const refused = await txn([], all);
    expect(refused).toEqual({
      ok: false,
      code: GrpcCode.INVALID_ARGUMENT,
      text: 'etcdserver: request is too large',
    });
    expect(store.revision).toBe(revision);
    stored.mockReturnValue(Math.floor(entryCopiedBytesMax / keys));
    ok(await txn([], all));
    expect(store.revision).toBe(revision + 1);
    expect(client.node.fatal).toEqual([]);
  });
});
