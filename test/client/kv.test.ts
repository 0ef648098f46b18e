import { describe, expect, it } from 'vitest';
import { EtcdClientError, json, text } from '../../src/client/index.js';
import { describeTargets, everywhere } from './target.js';

describeTargets('kv', { targets: everywhere }, (target) => {
  it('puts and gets', async () => {
    const kv = target.client().kv.namespace(target.prefix());
    const { revision } = await kv.put('a', 'hello');
    const got = await kv.get('a');
    expect(got).toMatchObject({ key: 'a', version: 1, modRevision: revision, lease: 0n });
    expect(got?.value.toString()).toBe('hello');
    expect(got?.createRevision).toBe(revision);
    expect(got?.keyBytes).toEqual(Buffer.from('a'));
    expect(await kv.get('b')).toBeUndefined();
    expect(await kv.exists('a')).toBe(true);
    expect(await kv.exists('b')).toBe(false);
  });

  it('reads the past', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    const first = await kv.put('a', '1');
    await kv.put('a', '2');
    expect((await kv.get('a', { revision: first.revision }))?.value).toBe('1');
    expect((await kv.get('a', { serializable: true }))?.value).toBeDefined();
  });

  it('keeps keys that are not text, and text that is not ASCII', async () => {
    const kv = target.client().kv.namespace(target.prefix());
    const key = Buffer.from([0xff, 0x00, 0x80]);
    await kv.put(key, 'x');
    await kv.put('schlüssel €', 'y');
    const { kvs } = await kv.range({ all: true });
    expect(kvs.map(({ keyBytes }) => keyBytes)).toContainEqual(key);
    expect(kvs.map((each) => each.key)).toContain('schlüssel €');
    expect((await kv.get('schlüssel €'))?.value.toString()).toBe('y');
    expect((await kv.delete(key)).deleted).toBe(1);
  });

  it('returns what was there before, if asked', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    expect((await kv.put('a', '1', { prev: true })).prev).toBeUndefined();
    expect((await kv.put('a', '2', { prev: true })).prev?.value).toBe('1');
    expect('prev' in (await kv.put('a', '3'))).toBe(false);
    const deleted = await kv.delete('a', { prev: true });
    expect(deleted.prevs.map(({ value }) => value)).toEqual(['3']);
    expect((await kv.delete('a')).deleted).toBe(0);
  });

  it('ranges by prefix, from a key, sorted, limited, without values', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    for (const [key, value] of Object.entries({ a1: '3', a2: '2', a3: '1', b: '0' })) {
      await kv.put(key, value);
    }
    const keys = async (...args: Parameters<typeof kv.range>) =>
      (await kv.range(...args)).kvs.map(({ key }) => key);
    expect(await keys({ prefix: 'a' })).toEqual(['a1', 'a2', 'a3']);
    expect(await keys({ from: 'a2' })).toEqual(['a2', 'a3', 'b']);
    expect(await keys({ from: 'a2', to: 'b' })).toEqual(['a2', 'a3']);
    expect(await keys({ from: 'b', to: 'b' })).toEqual([]);
    expect(await keys({ from: 'a', to: '' })).toEqual([]);
    // On the wire an end of one zero byte means all keys; nobody deletes them by mistake.
    const none = await target.client().kv.deleteRange({ from: 'a', to: '\0' });
    expect(none.deleted).toBe(0);
    expect(await keys({ all: true }, { sort: { by: 'value', order: 'ascending' } })).toEqual([
      ...['b', 'a3', 'a2', 'a1'],
    ]);
    const limited = await kv.range(
      { all: true },
      { limit: 2, sort: { by: 'key', order: 'descending' }, keysOnly: true },
    );
    expect(limited.kvs.map(({ key }) => key)).toEqual(['b', 'a3']);
    expect(limited).toMatchObject({ count: 4, more: true });
    expect('value' in (limited.kvs[0] ?? {})).toBe(false);
    expect(await kv.count({ prefix: 'a' })).toBe(3);
    await expect(kv.range({ all: true }, { limit: 0 })).rejects.toMatchObject({
      reason: 'INVALID_OPTION',
    });
  });

  it('reads large ranges page by page at one revision', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    const names = Array.from({ length: 25 }, (_, i) => `k${String(i).padStart(2, '0')}`);
    await Promise.all(names.map((name) => kv.put(name, name)));
    const seen: string[] = [];
    for await (const { key } of kv.scan({ prefix: 'k' }, { pageSize: 10 })) {
      if (seen.length === 0) await kv.put('k99', 'late');
      seen.push(key);
    }
    expect(seen).toEqual(names);
    const pages = [];
    for await (const page of kv.pages({ all: true }, { pageSize: 13, keysOnly: true })) {
      pages.push(page.kvs.length);
    }
    expect(pages).toEqual([13, 13]);
    const chunks: string[] = [];
    for await (const chunk of kv.stream({ all: true })) {
      for (const { key } of chunk) chunks.push(key);
    }
    expect(chunks).toEqual([...names, 'k99']);
  });

  it('stops reading pages when the reader stops', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    for (let i = 0; i < 5; i += 1) await kv.put(`k${i}`, 'v');
    for await (const { key } of kv.scan({ all: true }, { pageSize: 1 })) {
      expect(key).toBe('k0');
      break;
    }
    for await (const chunk of kv.stream({ all: true })) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    expect(await kv.count({ all: true })).toBe(5);
  });

  it('creates, replaces and deletes only what it expects', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    const created = await kv.create('a', '1');
    expect(created.ok).toBe(true);
    const again = await kv.create('a', '2');
    expect(again).toMatchObject({ ok: false, current: { value: '1' } });
    const { modRevision } = (await kv.get('a')) ?? { modRevision: 0 };
    expect((await kv.replace('a', '3', { modRevision: modRevision + 1 })).ok).toBe(false);
    expect((await kv.replace('a', '3', { modRevision })).ok).toBe(true);
    expect((await kv.deleteIf('a', { modRevision })).ok).toBe(false);
    expect((await kv.get('a'))?.value).toBe('3');
    expect(await kv.replace('b', 'x', { modRevision: 1 })).toMatchObject({
      ok: false,
      current: undefined,
    });
  });

  it('modifies in spite of others', async () => {
    const prefix = target.prefix();
    const count = json<number>();
    const views = [1, 2, 3].map(() => target.client().kv.namespace(prefix).as(count));
    const rounds = views.flatMap((kv) =>
      Array.from({ length: 5 }, () => kv.modify('n', (n) => (n ?? 0) + 1, { attemptsMax: 100 })),
    );
    await Promise.all(rounds);
    expect((await views[0]?.get('n'))?.value).toBe(15);
    const left = await views[0]?.modify('n', () => undefined);
    expect(left).toMatchObject({ written: false, before: { value: 15 } });
  });

  it('attaches leases, keeps them and takes them off', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(text);
    const lease = await client.leases.grant(60);
    await kv.put('a', '1', { lease });
    expect((await kv.get('a'))?.lease).toBe(lease.id);
    await kv.put('a', '2', { keepLease: true });
    expect((await kv.get('a'))?.lease).toBe(lease.id);
    await kv.touch('a');
    expect(await kv.get('a')).toMatchObject({ lease: 0n, value: '2' });
    await kv.touch('a', { lease: lease.id });
    await client.leases.revoke(lease.id);
    expect(await kv.exists('a')).toBe(false);
  });

  it('says what is wrong in code, reason and outcome', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    const { revision } = await kv.put('a', '1');
    await expect(kv.get('a', { revision: revision + 1000 })).rejects.toMatchObject({
      name: 'EtcdClientError',
      code: 'OUT_OF_RANGE',
      reason: 'FUTURE_REVISION',
      outcome: 'failed',
      method: '/etcdserverpb.KV/Range',
      attempts: 1,
    });
    await expect(kv.put('a', '1', { lease: 12345n })).rejects.toMatchObject({
      reason: 'LEASE_NOT_FOUND',
      outcome: 'failed',
    });
    await expect(kv.touch('missing')).rejects.toMatchObject({ reason: 'KEY_NOT_FOUND' });
    await expect(client.kv.get('')).rejects.toBeInstanceOf(EtcdClientError);
    await expect(kv.put('big', Buffer.alloc(3_000_000))).rejects.toMatchObject({
      reason: 'MESSAGE_TOO_LARGE',
      outcome: 'failed',
    });
  });

  it('compacts, and tells who comes too late', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(text);
    const { revision } = await kv.put('a', '1');
    const { revision: last } = await kv.put('a', '2');
    await client.maintenance.compact(last);
    await expect(kv.get('a', { revision })).rejects.toMatchObject({ reason: 'COMPACTED' });
    await expect(client.maintenance.compact(revision)).rejects.toMatchObject({
      reason: 'COMPACTED',
      outcome: 'failed',
    });
  });
});

describe('nothing', () => {
  it('is connected before the first call', async () => {
    const events: string[] = [];
    const { Etcd } = await import('../../src/client/index.js');
    const client = new Etcd({ endpoints: '127.0.0.1:1', onEvent: ({ type }) => events.push(type) });
    await client.close();
    expect(events).toEqual([]);
  });
});
