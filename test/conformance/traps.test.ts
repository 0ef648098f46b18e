/**
 * The ten traps of docs/contract.md (C-0): what breaks clients silently when a server
 * gets it wrong. Each test says which.
 */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { bytes, failureOf, prefixEnd, RawClient } from '../helpers/grpc.js';
import type { MemberListResponse, RequestOp, WatchResponse } from '../helpers/grpc-types.js';
import { useTarget } from '../helpers/server.js';
import { targetKind, targetMinor, targetTool } from '../helpers/target.js';
import { describeWith } from '../helpers/tools.js';
import { createWatch, currentRevision } from '../helpers/watching.js';

const put = (key: string, value = 'x'): RequestOp => ({
  request_put: { key: bytes(key), value: bytes(value) },
});

describeWith([targetTool], 'traps', () => {
  const server = useTarget();
  let client: RawClient;
  beforeAll(() => {
    client = new RawClient(server());
  });
  afterAll(() => client.close());

  // 3.4.23 answers progress requests at once, past events that are still under way.
  it.skipIf(targetMinor < 5)(
    'a progress reply never runs ahead of undelivered events (C-0.1)',
    async () => {
      const value = Buffer.alloc(30_000, 'v');
      const start = (await currentRevision(client)) + 1;
      for (let i = 0; i < 120; i++) await client.put({ key: bytes('t1/k'), value });
      const stream = client.watch();
      stream.send({ create_request: { key: bytes('t1/k'), start_revision: start } });
      stream.send({ create_request: { key: bytes('t1/k') } });
      let seen = start - 1;
      let progress = 0;
      const asking = (async () => {
        for (let i = 0; i < 60; i++) {
          stream.send({ progress_request: {} });
          await client.put({ key: bytes('t1/k'), value });
        }
      })();
      const last = start + 180 - 1;
      while (seen < last || progress === 0) {
        if (seen >= last) stream.send({ progress_request: {} });
        const reply = await stream.reader.next();
        if (reply.watch_id === '-1') {
          progress++;
          expect(Number(reply.header?.revision)).toBeLessThanOrEqual(seen);
        } else if (reply.watch_id === '0') {
          for (const event of reply.events) {
            expect(Number(event.kv.mod_revision)).toBe(seen + 1);
            seen++;
          }
        }
      }
      await asking;
      stream.reader.cancel();
    },
  );

  it.skipIf(targetMinor < 5)(
    'with no watcher on the stream a progress request is not answered (C-0.1)',
    async () => {
      const stream = client.watch();
      stream.send({ progress_request: {} });
      // The reply to the creation is the first message, so nothing came before it.
      expect((await createWatch(stream, { key: bytes('t1/none') })).watch_id).toBe('0');
      stream.reader.cancel();
    },
  );

  it('the fragments of one response are contiguous (C-0.2)', async () => {
    const success = ['a', 'b', 'c', 'd'].map((name) => ({
      request_put: { key: bytes(`t2/${name}`), value: Buffer.alloc(370_000, name) },
    }));
    await client.txn({ success });
    const revision = (await client.txn({ success })).header?.revision ?? '';
    const stream = client.watch();
    const watchers = 4;
    for (let i = 0; i < watchers; i++) {
      stream.send({
        create_request: {
          key: bytes('t2/'),
          range_end: prefixEnd('t2/'),
          start_revision: revision,
          prev_kv: true,
          fragment: true,
        },
      });
    }
    let within: string | undefined;
    let complete = 0;
    let fragments = 0;
    while (complete < watchers) {
      const reply = await stream.reader.next();
      if (within !== undefined) expect([reply.watch_id, reply.created]).toEqual([within, false]);
      if (reply.fragment) fragments++;
      within = reply.fragment ? reply.watch_id : undefined;
      if (!reply.fragment && reply.events.length > 0) complete++;
    }
    // How many there are is the server's: etcd sometimes has one of the watchers' in one piece.
    expect(fragments).toBeGreaterThan(0);
    stream.reader.cancel();
  });

  it('created replies come in the order of the requests (C-0.2)', async () => {
    const stream = client.watch();
    const start = await currentRevision(client);
    const wanted: string[] = [];
    for (let i = 0; i < 40; i++) {
      const refused = i % 5 === 4;
      const watch_id = 100 + ((i * 7) % 40);
      wanted.push(refused ? '-1' : `${watch_id}`);
      stream.send({
        create_request: {
          key: bytes('t2b'),
          watch_id,
          // History for some, so that their work takes longer; nothing to watch for others.
          ...(i % 3 === 0 ? { start_revision: start } : {}),
          ...(refused ? { range_end: bytes('t2a') } : {}),
        },
      });
    }
    const created: string[] = [];
    while (created.length < 40) {
      const reply = await stream.reader.next();
      if (reply.created) created.push(reply.watch_id);
    }
    expect(created).toEqual(wanted);
    stream.reader.cancel();
  });

  it('a compacted watch is a created reply and then a cancellation without reason (C-0.3)', async () => {
    for (let i = 0; i < 3; i++) await client.put({ key: bytes('t3'), value: bytes(`${i}`) });
    const revision = await currentRevision(client);
    await client.compact({ revision });
    const stream = client.watch();
    const created = await createWatch(stream, { key: bytes('t3'), start_revision: revision - 1 });
    expect(created).toMatchObject({ watch_id: '0', canceled: false, compact_revision: '0' });
    const canceled = await stream.reader.next();
    expect(canceled).toMatchObject({
      watch_id: '0',
      created: false,
      canceled: true,
      compact_revision: `${revision}`,
      cancel_reason: '',
      events: [],
    });
    expect(canceled.header?.revision ?? '0').toBe('0');
    const atCompacted = await createWatch(stream, { key: bytes('t3'), start_revision: revision });
    expect(atCompacted.canceled).toBe(false);
    expect((await stream.reader.next()).events.map((e) => e.kv.value.toString())).toEqual(['2']);
    stream.reader.cancel();
  });

  it('every reply that is created and canceled at once has id -1 (C-0.3)', async () => {
    const stream = client.watch();
    await createWatch(stream, { key: bytes('t3'), watch_id: 5 });
    const refusals: readonly (readonly [object, string])[] = [
      [{ key: bytes('b'), range_end: bytes('a') }, 'mvcc: watcher range is empty'],
      [{ key: bytes('b'), range_end: bytes('b'), watch_id: 9 }, 'mvcc: watcher range is empty'],
      [{ key: bytes('t3'), watch_id: 5 }, 'mvcc: duplicate watch ID provided on the WatchStream'],
    ];
    for (const [request, reason] of refusals) {
      const reply: WatchResponse = await createWatch(stream, request);
      expect(reply).toMatchObject({ watch_id: '-1', canceled: true, cancel_reason: reason });
    }
    stream.reader.cancel();
  });

  it('headers: nested, old revisions, members, defragment, move leader (C-0.4)', async () => {
    const reply = await client.txn({
      success: [
        put('t4/a'),
        { request_range: { key: bytes('t4/a') } },
        { request_delete_range: { key: bytes('t4/none') } },
        { request_txn: { success: [put('t4/b')] } },
      ],
    });
    const revision = reply.header?.revision;
    const nothing = { cluster_id: '0', member_id: '0', raft_term: '0' };
    const [first, second, third, fourth] = reply.responses;
    for (const nested of [
      first?.response_put,
      second?.response_range,
      third?.response_delete_range,
      fourth?.response_txn?.responses[0]?.response_put,
    ]) {
      expect(nested?.header).toEqual({ ...nothing, revision });
    }
    expect(fourth?.response_txn?.header).toEqual({ ...nothing, revision: '0' });

    const old = await client.range({ key: bytes('t4/a'), revision: revision ?? '0' });
    await client.put({ key: bytes('t4/a') });
    const again = await client.range({ key: bytes('t4/a'), revision: revision ?? '0' });
    expect(again.kvs).toEqual(old.kvs);
    expect(Number(again.header?.revision)).toBe(Number(revision) + 1);

    const members: MemberListResponse = await client.memberList();
    expect(members.header?.revision).toBe('0');
    expect(members.header?.member_id).toBe(reply.header?.member_id);
    expect(Number(members.header?.raft_term)).toBeGreaterThan(0);
    expect(members.members).toHaveLength(1);
    const defragmented = await client.unary<{ readonly header: unknown }>(
      'etcdserverpb.Maintenance',
      'Defragment',
      {},
    );
    expect(defragmented.header).toBeNull();
  });

  it('sort NONE with a target other than KEY sorts after limiting by key (C-0.5)', async () => {
    const whole = { key: bytes('t5/'), range_end: prefixEnd('t5/') };
    for (const [key, value] of [
      ['t5/a', '3'],
      ['t5/b', '2'],
      ['t5/c', '1'],
      ['t5/d', '0'],
    ] as const) {
      await client.put({ key: bytes(key), value: bytes(value) });
    }
    const values = async (request: object) => {
      const got = await client.range({ ...whole, ...request });
      return [got.kvs.map((kv) => kv.value.toString()), got.more, got.count];
    };
    // Three keys by key order (limit + 1), sorted by value, cut to two.
    expect(await values({ sort_target: 4, limit: 2 })).toEqual([['1', '2'], true, '4']);
    expect(await values({ sort_target: 4, sort_order: 1, limit: 2 })).toEqual([
      ['0', '1'],
      true,
      '4',
    ]);
    expect(await values({ sort_target: 4 })).toEqual([['0', '1', '2', '3'], false, '4']);
  });

  it('count ignores the limit and the revision filters (C-0.5)', async () => {
    const whole = { key: bytes('t5/'), range_end: prefixEnd('t5/') };
    const all = await client.range(whole);
    const newest = all.kvs.at(-1)?.mod_revision ?? '';
    const filtered = await client.range({ ...whole, min_mod_revision: newest, limit: 3 });
    expect([filtered.kvs.length, filtered.count, filtered.more]).toEqual([1, '4', false]);
    const limited = await client.range({ ...whole, limit: 1 });
    expect([limited.kvs.length, limited.count, limited.more]).toEqual([1, '4', true]);
    const counted = await client.range({ ...whole, limit: 1, count_only: true });
    expect([counted.kvs.length, counted.count, counted.more]).toEqual([0, '4', false]);
  });

  it('all compares of the tree are decided before the first write (C-0.6)', async () => {
    const missing = { key: bytes('t6/a'), target: 0, result: 0, version: 0 };
    const reply = await client.txn({
      success: [put('t6/a'), { request_txn: { compare: [missing], success: [put('t6/b')] } }],
    });
    expect(reply.responses[1]?.response_txn?.succeeded).toBe(true);
  });

  it('a missing key compares as zero, except by value, which is always false (C-0.6)', async () => {
    const succeeds = async (compare: object) =>
      (await client.txn({ compare: [{ key: bytes('t6/none'), ...compare }] })).succeeded;
    for (const target of [0, 1, 2, 4]) expect(await succeeds({ target, result: 0 })).toBe(true);
    expect(await succeeds({ target: 1, result: 2, create_revision: 1 })).toBe(true);
    for (const result of [0, 1, 2, 3]) {
      expect(await succeeds({ target: 3, result, value: bytes('x') })).toBe(false);
    }
    expect(await succeeds({ target: 0, result: 0, range_end: bytes('t6/nonf') })).toBe(true);
  });

  it('duplicate keys are found in the request, whichever branch would be taken (C-0.6)', async () => {
    const duplicate = { code: 3, text: 'etcdserver: duplicate key given in txn request' };
    const prefix = { key: bytes('t6/'), range_end: prefixEnd('t6/') };
    const never = [{ key: bytes('t6/none'), target: 3, result: 0, value: bytes('x') }];
    const refused: readonly object[] = [
      { compare: never, success: [put('t6/x'), put('t6/x')] },
      { success: [put('t6/x'), { request_delete_range: prefix }] },
      { success: [put('t6/x'), { request_txn: { failure: [put('t6/x')] } }] },
      { failure: [{ request_delete_range: prefix }, { request_txn: { success: [put('t6/x')] } }] },
    ];
    for (const txn of refused) expect(await failureOf(client.txn(txn))).toEqual(duplicate);
    const accepted: readonly object[] = [
      { success: [put('t6/x')], failure: [put('t6/x')] },
      { success: [{ request_delete_range: prefix }, { request_delete_range: prefix }] },
      { success: [{ request_txn: { success: [put('t6/x')], failure: [put('t6/x')] } }] },
      { success: [put('t6/x'), { request_range: prefix }] },
    ];
    for (const txn of accepted) expect((await client.txn(txn)).succeeded).toBe(true);
  });

  it('a nested txn has what is left of the budget of 128 operations (C-0.6)', async () => {
    const gets = (count: number): RequestOp[] =>
      Array.from({ length: count }, () => ({ request_range: { key: bytes('t6/a') } }));
    const nested = (outer: number, inner: number) =>
      client.txn({ success: [...gets(outer - 1), { request_txn: { success: gets(inner) } }] });
    const tooMany = { code: 3, text: 'etcdserver: too many operations in txn request' };
    expect((await client.txn({ success: gets(128), failure: gets(128) })).succeeded).toBe(true);
    expect(await failureOf(client.txn({ success: gets(129) }))).toEqual(tooMany);
    expect((await nested(100, 28)).succeeded).toBe(true);
    expect(await failureOf(nested(100, 29))).toEqual(tooMany);
  });

  it('a put with lease 0 detaches the key from its lease (C-0.7)', async () => {
    const { ID } = await client.leaseGrant({ TTL: 600 });
    await client.put({ key: bytes('t7/a'), lease: ID });
    await client.put({ key: bytes('t7/b'), lease: ID });
    await client.put({ key: bytes('t7/a') });
    expect((await client.leaseTimeToLive({ ID, keys: true })).keys.map(String)).toEqual(['t7/b']);
    await client.leaseRevoke({ ID });
    const left = await client.range({ key: bytes('t7/'), range_end: prefixEnd('t7/') });
    expect(left.kvs.map((kv) => [kv.key.toString(), kv.lease])).toEqual([['t7/a', '0']]);
  });

  it('a dead lease is no error for TimeToLive and KeepAlive (C-0.7)', async () => {
    expect(await client.leaseTimeToLive({ ID: 77, keys: true })).toMatchObject({
      ID: '77',
      TTL: '-1',
      grantedTTL: '0',
      keys: [],
    });
    const stream = client.keepAlive();
    stream.send({ ID: 77 });
    expect(await stream.reader.next()).toMatchObject({ ID: '77', TTL: '0' });
    stream.endSending();
    expect(await stream.reader.rest()).toEqual([]);
  });

  it('key not found is InvalidArgument (C-0.8)', async () => {
    for (const request of [{ ignore_value: true }, { ignore_lease: true }]) {
      expect(await failureOf(client.put({ key: bytes('t8/none'), ...request }))).toEqual({
        code: 3,
        text: 'etcdserver: key not found',
      });
    }
    expect(await failureOf(client.txn({ success: [{}] }))).toEqual({
      code: 3,
      text: 'etcdserver: key not found',
    });
  });

  it('versions look like those of a released etcd (C-0.9)', async () => {
    const { version } = await client.status();
    expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
    if (targetKind === 'kvorum') {
      expect(major * 1e6 + minor * 1e3 + patch).toBeGreaterThanOrEqual(3_005_013);
    }
    const told = await eventually(async () => {
      const reply = await fetch(`${server().clientUrl}/version`);
      expect(reply.headers.get('content-type')).toContain('application/json');
      const body = (await reply.json()) as Readonly<Record<string, string>>;
      return body.etcdcluster === 'not_decided' ? undefined : body;
    }, 'the cluster version is decided');
    expect(told.etcdserver).toBe(version);
    expect(told.etcdcluster).toMatch(/^\d+\.\d+\.\d+$/);
    if (targetMinor >= 6) expect(told.storage).toMatch(/^\d+\.\d+\.\d+$/);
  });

  it('disarming member 0 disarms nothing; NOSPACE allows what frees space (C-0.10)', async () => {
    const memberID = (await client.status()).header?.member_id ?? '';
    const { ID } = await client.leaseGrant({ TTL: 600 });
    await client.put({ key: bytes('t10'), lease: ID });
    await client.alarm({ action: 1, memberID, alarm: 1 });
    const noSpace = { code: 8, text: 'etcdserver: mvcc: database space exceeded' };
    expect((await client.alarm({ action: 2, memberID: 0, alarm: 1 })).alarms).toEqual([]);
    expect((await client.alarm({ action: 2, memberID, alarm: 2 })).alarms).toEqual([]);
    expect((await client.alarm({ action: 0 })).alarms).toEqual([{ memberID, alarm: 1 }]);
    expect((await client.status()).errors).toHaveLength(1);
    expect(await failureOf(client.put({ key: bytes('t10') }))).toEqual(noSpace);
    expect(await failureOf(client.txn({ failure: [put('t10')] }))).toEqual(noSpace);
    expect(await failureOf(client.leaseGrant({ TTL: 600 }))).toEqual(noSpace);
    expect((await client.range({ key: bytes('t10') })).count).toBe('1');
    const stream = client.keepAlive();
    stream.send({ ID });
    expect((await stream.reader.next()).TTL).toBe('600');
    stream.endSending();
    const deletion = { request_delete_range: { key: bytes('t10/none') } };
    expect((await client.txn({ success: [deletion] })).succeeded).toBe(true);
    await client.leaseRevoke({ ID });
    expect((await client.range({ key: bytes('t10') })).count).toBe('0');
    await client.compact({ revision: await currentRevision(client) });
    await client.unary('etcdserverpb.Maintenance', 'Defragment', {});
    const disarmed = await client.alarm({ action: 2, memberID, alarm: 1 });
    expect(disarmed.alarms).toEqual([{ memberID, alarm: 1 }]);
    expect((await client.put({ key: bytes('t10') })).header).not.toBeNull();
  });
});
