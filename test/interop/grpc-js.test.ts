/**
 * The server seen by @grpc/grpc-js with nothing but the proto files: every kind of call, the
 * messages in full, and what gRPC itself promises (compression, deadlines, status of bad calls).
 */

import { createHash } from 'node:crypto';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytes, failureOf, hasRpc, prefixEnd, RawClient } from '../helpers/grpc.js';
import type { RangeStreamResponse, SnapshotResponse } from '../helpers/grpc-types.js';
import { useTarget } from '../helpers/server.js';
import { targetMinor, targetTool } from '../helpers/target.js';
import { describeWith } from '../helpers/tools.js';
import { createWatch, currentRevision, describeEvent, readEvents } from '../helpers/watching.js';

const { status } = grpc;

describeWith([targetTool], '@grpc/grpc-js', () => {
  const server = useTarget();
  let client: RawClient;
  beforeAll(() => {
    client = new RawClient(server());
  });
  afterAll(() => client.close());

  describe('kv', () => {
    it('puts, gets and deletes, with complete headers', async () => {
      const before = await currentRevision(client);
      const put = await client.put({ key: bytes('kv/a'), value: bytes('1') });
      expect(put.prev_kv).toBeNull();
      const again = await client.put({ key: bytes('kv/a'), value: bytes('2'), prev_kv: true });
      expect(again.prev_kv?.value.toString()).toBe('1');
      const got = await client.range({ key: bytes('kv/a') });
      expect(got.kvs).toEqual([
        {
          key: bytes('kv/a'),
          value: bytes('2'),
          create_revision: `${before + 1}`,
          mod_revision: `${before + 2}`,
          version: '2',
          lease: '0',
        },
      ]);
      expect(got.count).toBe('1');
      expect(got.more).toBe(false);
      const answering = await client.status();
      for (const header of [put.header, got.header]) {
        expect(header?.cluster_id).toBe(answering.header?.cluster_id);
        expect(header?.member_id).toBe(answering.header?.member_id);
        expect(header?.raft_term).toBe(answering.header?.raft_term);
      }
      const del = await client.deleteRange({ key: bytes('kv/a'), prev_kv: true });
      expect(del.deleted).toBe('1');
      expect(del.prev_kvs).toEqual(got.kvs);
      expect(del.header?.revision).toBe(`${before + 3}`);
    });

    it('keeps every byte of keys and values', async () => {
      const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
      await client.put({ key: all, value: all });
      const got = await client.range({ key: all });
      expect(got.kvs[0]?.key).toEqual(all);
      expect(got.kvs[0]?.value).toEqual(all);
    });

    it('answers a range of several megabytes in one message', async () => {
      const value = Buffer.alloc(1_000_000, 'x');
      for (let i = 0; i < 6; i++) await client.put({ key: bytes(`big/${i}`), value });
      const got = await client.range({ key: bytes('big/'), range_end: prefixEnd('big/') });
      expect(got.kvs.map((kv) => kv.value.length)).toEqual(Array(6).fill(1_000_000));
    });

    it('runs a nested txn in order and answers it in the same shape', async () => {
      const put = (key: string, value: string) => ({
        request_put: { key: bytes(key), value: bytes(value) },
      });
      const reply = await client.txn({
        compare: [{ target: 1, result: 0, key: bytes('txn/a'), create_revision: 0 }],
        success: [
          put('txn/a', '1'),
          {
            request_txn: {
              compare: [{ target: 0, result: 0, key: bytes('txn/a'), version: 0 }],
              success: [put('txn/b', 'inner'), { request_range: { key: bytes('txn/a') } }],
              failure: [put('txn/c', 'not taken')],
            },
          },
          { request_range: { key: bytes('txn/'), range_end: prefixEnd('txn/') } },
        ],
      });
      expect(reply.succeeded).toBe(true);
      const [first, inner, range] = reply.responses;
      const revision = reply.header?.revision;
      expect(first?.response_put?.header?.revision).toBe(revision);
      expect(first?.response_put?.header?.cluster_id).toBe('0');
      expect(inner?.response_txn?.succeeded).toBe(true);
      const seen = inner?.response_txn?.responses[1]?.response_range?.kvs[0];
      expect(seen?.value.toString()).toBe('1');
      expect(range?.response_range?.kvs.map((kv) => kv.mod_revision)).toEqual([revision, revision]);
    });
  });

  describe.skipIf(targetMinor < 7 || !hasRpc('etcdserverpb.KV', 'RangeStream'))(
    `RangeStream${targetMinor < 7 ? ' (skipped: the target has no RangeStream before 3.7)' : ''}`,
    () => {
      const keys = Array.from({ length: 250 }, (_, i) => `rs/${String(i).padStart(4, '0')}`);
      const whole = { key: bytes('rs/'), range_end: prefixEnd('rs/') };
      const stream = (request: object) =>
        client.serverStream<RangeStreamResponse>('etcdserverpb.KV', 'RangeStream', request);
      beforeAll(async () => {
        for (const key of keys) await client.put({ key: bytes(key), value: bytes(`v${key}`) });
      });

      it('merges to the reply of Range', async () => {
        for (const request of [whole, { ...whole, limit: 25 }, { ...whole, keys_only: true }]) {
          const unary = await client.range(request);
          const chunks = (await stream(request).rest()).map((chunk) => chunk.range_response);
          expect(chunks.flatMap((chunk) => chunk?.kvs ?? [])).toEqual(unary.kvs);
          const last = chunks.at(-1);
          expect(last?.count).toBe(unary.count);
          expect(last?.more).toBe(unary.more);
          expect(last?.header?.revision).toBe(unary.header?.revision);
        }
      });

      it('starts with at most ten keys, and has header and count only on the last chunk', async () => {
        const chunks = (await stream(whole).rest()).map((chunk) => chunk.range_response);
        expect(chunks.length).toBeGreaterThan(1);
        expect(chunks[0]?.kvs.length).toBeLessThanOrEqual(10);
        for (const chunk of chunks.slice(0, -1)) {
          expect(chunk?.header).toBeNull();
          expect(chunk?.count).toBe('0');
        }
      });

      it('answers count_only in a single message', async () => {
        const chunks = await stream({ ...whole, count_only: true }).rest();
        expect(chunks.map((chunk) => chunk.range_response?.count)).toEqual(['250']);
      });

      it('refuses custom orders and revision filters', async () => {
        expect(await failureOf(stream({ ...whole, sort_order: 2 }).rest())).toEqual({
          code: status.UNIMPLEMENTED,
          text: 'RangeStream does not support custom sort orders',
        });
        expect(await failureOf(stream({ ...whole, min_mod_revision: 2 }).rest())).toEqual({
          code: status.UNIMPLEMENTED,
          text: 'RangeStream does not support revision filters',
        });
      });
    },
  );

  describe('watch', () => {
    it('answers creations in order, delivers events, and cancels', async () => {
      const stream = client.watch();
      const prefix = { key: bytes('w1/'), range_end: prefixEnd('w1/') };
      for (let i = 0; i < 5; i++) stream.send({ create_request: prefix });
      const ids: string[] = [];
      for (let i = 0; i < 5; i++) ids.push((await stream.reader.next()).watch_id);
      expect(ids).toEqual(['0', '1', '2', '3', '4']);
      for (const id of ids.slice(1)) {
        stream.send({ cancel_request: { watch_id: id } });
        const reply = await stream.reader.next();
        expect([reply.watch_id, reply.canceled, reply.cancel_reason]).toEqual([id, true, '']);
      }
      const base = await currentRevision(client);
      await client.put({ key: bytes('w1/a'), value: bytes('1') });
      await client.deleteRange({ key: bytes('w1/a') });
      const events = await readEvents(stream, 2);
      expect(events.map(describeEvent)).toEqual([
        `put w1/a=1 @${base + 1}`,
        `delete w1/a @${base + 2}`,
      ]);
      stream.reader.cancel();
    });

    it('goes on delivering after the client has closed its sending half', async () => {
      const stream = client.watch();
      await createWatch(stream, { key: bytes('half') });
      stream.endSending();
      await client.put({ key: bytes('half'), value: bytes('closed') });
      const events = await readEvents(stream, 1);
      expect(events[0]?.kv.value.toString()).toBe('closed');
      stream.reader.cancel();
    });

    it('replays history with previous values and filters', async () => {
      const first = Number(
        (await client.put({ key: bytes('w2/a'), value: bytes('1') })).header?.revision,
      );
      await client.put({ key: bytes('w2/a'), value: bytes('2') });
      await client.deleteRange({ key: bytes('w2/a') });
      const stream = client.watch();
      await createWatch(stream, { key: bytes('w2/a'), start_revision: first, prev_kv: true });
      const all = await readEvents(stream, 3);
      expect(all.map((event) => event.prev_kv?.value.toString())).toEqual([undefined, '1', '2']);
      expect(all[2]?.kv).toMatchObject({ version: '0', create_revision: '0' });
      for (const [filter, expected] of [
        [0, [1]],
        [1, [0, 0]],
      ] as const) {
        const filtered = client.watch();
        const request = { key: bytes('w2/a'), start_revision: first, filters: [filter] };
        await createWatch(filtered, request);
        const events = await readEvents(filtered, expected.length);
        expect(events.map((event) => event.type)).toEqual(expected);
        filtered.reader.cancel();
      }
      stream.reader.cancel();
    });

    it('answers a progress request for the whole stream with id -1', async () => {
      const stream = client.watch();
      await createWatch(stream, { key: bytes('w3'), start_revision: 0 });
      const put = await client.put({ key: bytes('w3'), value: bytes('x') });
      await readEvents(stream, 1);
      stream.send({ progress_request: {} });
      const reply = await stream.reader.next();
      expect(reply).toMatchObject({ watch_id: '-1', created: false, canceled: false, events: [] });
      expect(reply.header?.revision).toBe(put.header?.revision);
      stream.reader.cancel();
    });

    it('cuts a large revision into contiguous fragments when asked', async () => {
      const names = ['w4/a', 'w4/b', 'w4/c', 'w4/d'];
      const putAll = (fill: string) =>
        client.txn({
          success: names.map((name) => ({
            request_put: { key: bytes(name), value: Buffer.alloc(360_000, fill) },
          })),
        });
      await putAll('1');
      const revision = (await putAll('2')).header?.revision ?? '';
      const request = {
        key: bytes('w4/'),
        range_end: prefixEnd('w4/'),
        start_revision: revision,
        prev_kv: true,
      };
      const fragmented = client.watch();
      await createWatch(fragmented, { ...request, fragment: true });
      const flags: boolean[] = [];
      const seen: string[] = [];
      do {
        const response = await fragmented.reader.next();
        flags.push(response.fragment);
        seen.push(...response.events.map((event) => event.kv.key.toString()));
      } while (flags.at(-1));
      expect(flags.length).toBeGreaterThan(1);
      expect(flags.slice(0, -1).every(Boolean)).toBe(true);
      expect(seen).toEqual(names);
      const plain = client.watch();
      await createWatch(plain, request);
      const response = await plain.reader.next();
      expect(response.fragment).toBe(false);
      expect(response.events.map((event) => event.kv.key.toString())).toEqual(names);
      fragmented.reader.cancel();
      plain.reader.cancel();
    });

    it('serves many streams on one connection beside unary calls', async () => {
      const streams = Array.from({ length: 300 }, () => client.watch());
      await Promise.all(streams.map((stream) => createWatch(stream, { key: bytes('w5') })));
      await client.put({ key: bytes('w5'), value: bytes('x') });
      const counts = await Promise.all(streams.map((stream) => readEvents(stream, 1)));
      expect(counts.map((events) => events.length)).toEqual(Array(300).fill(1));
      for (const stream of streams) stream.reader.cancel();
    });
  });

  describe('leases', () => {
    it('grants, attaches, keeps alive, tells and revokes', async () => {
      const lease = await client.leaseGrant({ TTL: 600 });
      expect(lease.TTL).toBe('600');
      expect(lease.error).toBe('');
      expect(BigInt(lease.ID)).toBeGreaterThan(0n);
      await client.put({ key: bytes('l/a'), value: bytes('x'), lease: lease.ID });
      const keepAlive = client.keepAlive();
      for (const ID of [lease.ID, '4242', lease.ID]) keepAlive.send({ ID });
      const ttls: string[] = [];
      for (let i = 0; i < 3; i++) ttls.push((await keepAlive.reader.next()).TTL);
      expect(ttls).toEqual(['600', '0', '600']);
      keepAlive.endSending();
      expect(await keepAlive.reader.rest()).toEqual([]);
      const told = await client.leaseTimeToLive({ ID: lease.ID, keys: true });
      expect(told.grantedTTL).toBe('600');
      expect(told.keys.map(String)).toEqual(['l/a']);
      expect((await client.leaseLeases()).leases).toEqual([{ ID: lease.ID }]);
      const before = await currentRevision(client);
      const revoked = await client.leaseRevoke({ ID: lease.ID });
      expect(revoked.header?.revision).toBe(`${before + 1}`);
      expect((await client.range({ key: bytes('l/a') })).kvs).toEqual([]);
      expect(await client.leaseTimeToLive({ ID: lease.ID })).toMatchObject({ TTL: '-1' });
    });

    it('expires a lease by itself, as one delete event for each key', async () => {
      const lease = await client.leaseGrant({ TTL: 1, ID: 991 });
      const stream = client.watch();
      await createWatch(stream, { key: bytes('x/'), range_end: prefixEnd('x/') });
      const success = ['x/b', 'x/a'].map((key) => ({
        request_put: { key: bytes(key), value: bytes('v'), lease: lease.ID },
      }));
      await client.txn({ success });
      const events = await readEvents(stream, 4);
      expect(events.slice(2).map((event) => [event.type, event.kv.key.toString()])).toEqual([
        [1, 'x/a'],
        [1, 'x/b'],
      ]);
      expect(events[2]?.kv.mod_revision).toBe(events[3]?.kv.mod_revision);
      stream.reader.cancel();
    });
  });

  it('streams a snapshot whose last 32 bytes are the digest of the rest', async () => {
    const reader = client.serverStream<SnapshotResponse>(
      'etcdserverpb.Maintenance',
      'Snapshot',
      {},
    );
    const chunks = await reader.rest();
    const content = Buffer.concat(chunks.map((chunk) => chunk.blob));
    expect(content.length % 512).toBe(32);
    const digest = createHash('sha256').update(content.subarray(0, -32)).digest();
    expect(content.subarray(-32)).toEqual(digest);
    expect(chunks.at(-1)?.remaining_bytes).toBe('0');
    expect(chunks.at(-1)?.blob.length).toBe(32);
  });
});
