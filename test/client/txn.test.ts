import { expect, it } from 'vitest';
import { Etcd, json, text } from '../../src/client/index.js';
import { describeTargets, everywhere } from './target.js';

describeTargets('txn', { targets: everywhere }, (target) => {
  it('does one thing or the other, and says which', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    const txn = kv
      .txn()
      .if(kv.when('a').missing())
      .then(kv.ops.put('a', '1'), kv.ops.get('a'))
      .else(kv.ops.range({ all: true }, { keysOnly: true }), kv.ops.delete('a', { prev: true }));
    const first = await txn.commit();
    expect(first.ok).toBe(true);
    if (!first.ok) return;
    expect(first.results[1]?.value).toBe('1');
    expect(first.results[0].revision).toBe(first.revision);
    const second = await txn.commit();
    expect(second.ok).toBe(false);
    if (second.ok) return;
    expect(second.results[0].kvs.map(({ key }) => key)).toEqual(['a']);
    expect(second.results[1].prevs[0]?.value).toBe('1');
    expect(second.header.memberId).not.toBe(0n);
  });

  it('compares everything there is to compare', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(text);
    const lease = await client.leases.grant(60);
    const { revision } = await kv.put('a', 'm', { lease });
    const holds = async (...conditions: Parameters<ReturnType<typeof kv.txn>['if']>) =>
      (
        await kv
          .txn()
          .if(...conditions)
          .commit()
      ).ok;
    const a = kv.when('a');
    expect(await holds(a.exists(), a.version('=', 1), a.value('=', 'm'))).toBe(true);
    expect(await holds([a.createRevision('=', revision), a.modRevision('>', revision - 1)])).toBe(
      true,
    );
    expect(await holds(a.value('<', 'n'), a.value('!=', 'x'), a.lease('=', lease))).toBe(true);
    expect(await holds(a.lease('=', 0n))).toBe(false);
    expect(await holds(kv.when('b').value('!=', 'x'))).toBe(false);
    await kv.put('b', 'm');
    expect(await holds(kv.whenAll({ all: true }).value('=', 'm'))).toBe(true);
    expect(await holds(kv.whenAll({ all: true }).lease('=', lease))).toBe(false);
  });

  it('takes operations of several views, and transactions inside', async () => {
    const root = target.client().kv.namespace(target.prefix());
    const users = root.namespace('users/').as(json<{ readonly name: string }>());
    const index = root.namespace('index/').as(text);
    const inner = root
      .txn()
      .if(users.when('u1').exists())
      .then(index.ops.put('by-name/ada', 'u1'))
      .else(index.ops.count({ all: true }));
    const result = await root
      .txn()
      .if()
      .then(users.ops.put('u1', { name: 'ada' }), inner.asOp(), users.ops.get('u1'))
      .commit();
    expect(result.ok).toBe(true);
    if (!result.ok) return;
    const [, nested, user] = result.results;
    expect(user?.value.name).toBe('ada');
    // All conditions are decided before anything is written.
    expect(nested.ok).toBe(false);
    if (!nested.ok) expect(nested.results[0]).toBe(0);
  });

  it('rejects when it is awaited instead of committed', async () => {
    const kv = target.client().kv;
    const stage: unknown = kv.txn().if();
    await expect(Promise.resolve(stage)).rejects.toMatchObject({ reason: 'INVALID_OPTION' });
  });

  it('refuses what the server refuses, before anything happens', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    const twice = kv.txn().then(kv.ops.put('a', '1'), kv.ops.put('a', '2'));
    await expect(twice.commit()).rejects.toMatchObject({
      reason: 'DUPLICATE_KEY',
      outcome: 'failed',
    });
  });
});

describeTargets('stm', { targets: everywhere }, (target) => {
  const number = json<number>();

  it('moves money and loses none', async () => {
    const prefix = target.prefix();
    const clients = [target.client(), target.client(), target.client()];
    const accounts = clients.map((client) => client.kv.namespace(prefix).as(number));
    const kv = accounts[0];
    if (kv === undefined) return;
    for (const id of ['a', 'b', 'c']) await kv.put(id, 100);
    const transfer = (view: typeof kv, from: string, to: string) =>
      view.stm(async (tx) => {
        const [have, other] = [(await tx.get(from)) ?? 0, (await tx.get(to)) ?? 0];
        tx.put(from, have - 7);
        tx.put(to, other + 7);
        return tx.attempt;
      });
    const pairs = [
      ['a', 'b'],
      ['b', 'c'],
      ['c', 'a'],
    ] as const;
    const runs = accounts.flatMap((view) => pairs.map(([from, to]) => transfer(view, from, to)));
    const attempts = await Promise.all(runs);
    expect(Math.max(...attempts)).toBeGreaterThan(1);
    const { kvs } = await kv.range({ all: true });
    expect(kvs.map(({ value }) => value)).toEqual([100, 100, 100]);
  });

  it('sees one revision, or the newest, as the isolation says', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    await kv.put('a', '1');
    await kv.put('b', '1');
    const read = (isolation: 'serializable' | 'repeatable-read') =>
      kv.stm(
        async (tx) => {
          const a = await tx.get('a');
          if (tx.attempt === 1) await kv.put('b', isolation);
          return [a, await tx.get('b'), await tx.get('a')];
        },
        { isolation },
      );
    expect(await read('serializable')).toEqual(['1', '1', '1']);
    expect(await read('repeatable-read')).toEqual(['1', 'repeatable-read', '1']);
  });

  it('reads its own writes, and nobody else does before it commits', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    await kv.put('gone', 'x');
    const seen = await kv.stm(async (tx) => {
      tx.put('a', 'mine');
      tx.delete('gone');
      return [await tx.get('a'), await tx.get('gone'), await kv.exists('a')];
    });
    expect(seen).toEqual(['mine', undefined, false]);
    expect((await kv.get('a'))?.value).toBe('mine');
    expect(await kv.exists('gone')).toBe(false);
  });

  it('does not overwrite blindly what changed since its snapshot', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    await kv.put('a', '1');
    const run = (isolation: 'serializable' | 'serializable-snapshot') =>
      kv.stm(
        async (tx) => {
          await tx.get('a');
          if (tx.attempt === 1) await kv.put('blind', 'by another');
          tx.put('blind', isolation);
          return tx.attempt;
        },
        { isolation },
      );
    expect(await run('serializable')).toBe(1);
    expect(await run('serializable-snapshot')).toBe(2);
  });

  it('gives up after the attempts it has', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    const run = kv.stm(
      async (tx) => {
        await tx.get('a');
        await kv.put('a', String(tx.attempt));
        tx.put('a', 'never');
      },
      { attemptsMax: 3 },
    );
    await expect(run).rejects.toMatchObject({ reason: 'CONFLICT', outcome: 'failed', attempts: 3 });
    expect((await kv.get('a'))?.value).toBe('3');
  });

  it('stops at a guard that fails, at once', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    const guards = [kv.when('lock').exists()];
    const run = kv.stm((tx) => tx.put('a', '1'), { guards });
    await expect(run).rejects.toMatchObject({ reason: 'CONFLICT', attempts: 1 });
    await kv.put('lock', 'held');
    await kv.stm((tx) => tx.put('a', '1'), { guards });
    expect(await kv.exists('a')).toBe(true);
  });

  it('works across views, and passes on what the function throws', async () => {
    const root = target.client().kv.namespace(target.prefix());
    const names = root.namespace('names/').as(text);
    const counts = root.namespace('counts/').as(number);
    await names.stm(async (tx) => {
      const count = tx.in(counts);
      count.put('n', ((await count.get('n')) ?? 0) + 1);
      tx.put('last', 'ada');
    });
    expect((await counts.get('n'))?.value).toBe(1);
    const failing = names.stm(() => {
      throw new RangeError('mine');
    });
    await expect(failing).rejects.toThrow(RangeError);
    expect(Etcd).toBeDefined();
  });
});
