import { expect, it } from 'vitest';
import { election, json, type Leader, openSession, text } from '../../../src/client/index.js';
import { eventually } from '../../helpers/eventually.js';
import { describeTargets, everywhere } from '../target.js';

describeTargets('election', { targets: everywhere }, (target) => {
  it('has one leader at a time, in the order of campaigning', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(text);
    const vote = election(kv, 'leader');
    await using one = await openSession(client);
    await using two = await openSession(client);
    expect(await vote.leader()).toBeUndefined();
    const first = await vote.campaign(one, 'one');
    let elected = false;
    const campaign = vote.campaign(two, 'two').then((term) => {
      elected = true;
      return term;
    });
    await eventually(async () => ((await kv.count({ all: true })) === 2 ? true : undefined), 'two');
    expect(await vote.leader()).toMatchObject({
      value: 'one',
      fencingRevision: first.fencingRevision,
      lease: one.id,
      key: first.key,
    });
    expect(elected).toBe(false);
    await first.resign();
    const second = await campaign;
    expect(second.fencingRevision).toBeGreaterThan(first.fencingRevision);
    expect((await vote.leader())?.value).toBe('two');
    expect(first.owned).toBe(false);
    await expect(first.proclaim('one again')).rejects.toMatchObject({ reason: 'NOT_OWNER' });
    expect((await vote.leader())?.value).toBe('two');
    await second.resign();
    expect(await vote.leader()).toBeUndefined();
    // The same session again: another term.
    await using third = await vote.campaign(one, 'one');
    expect(third.fencingRevision).toBeGreaterThan(second.fencingRevision);
  });

  it('proclaims values, of any kind', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(json<{ url: string }>());
    const vote = election(kv, 'leader');
    await using session = await openSession(client);
    await using term = await vote.campaign(session, { url: 'a' });
    await Promise.all([term.proclaim({ url: 'b' }), term.proclaim({ url: 'c' })]);
    expect(await vote.leader()).toMatchObject({ value: { url: 'c' } });
    await term.proclaim({ url: 'c' });
    // Who was deposed can't proclaim, and hears of it.
    await client.kv.delete(Buffer.concat([kv.prefix, Buffer.from(term.key)]));
    await expect(term.proclaim({ url: 'd' })).rejects.toMatchObject({ reason: 'NOT_OWNER' });
    expect(term.owned).toBe(false);
    expect(await vote.leader()).toBeUndefined();
  });

  it('is observed: each leader, each proclamation, and when there is none', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(text);
    const vote = election(kv, 'leader');
    const seen: (string | undefined)[] = [];
    const end = new AbortController();
    const observing = (async () => {
      for await (const leader of vote.observe({ signal: end.signal })) seen.push(leader?.value);
    })();
    const sees = (value: string | undefined, times: number) =>
      eventually(
        () => (seen.length === times && seen.at(-1) === value ? true : undefined),
        `${value} in ${seen}`,
      );
    await sees(undefined, 1);
    await using one = await openSession(client);
    const two = await openSession(client);
    const first = await vote.campaign(one, 'one');
    await sees('one', 2);
    await first.proclaim('one again');
    await sees('one again', 3);
    const campaign = vote.campaign(two, 'two');
    await eventually(async () => ((await kv.count({ all: true })) === 2 ? true : undefined), 'two');
    await first.resign();
    await sees('two', 4);
    await campaign;
    await two.close();
    await sees(undefined, 5);
    end.abort();
    await observing;
    expect(seen).toEqual([undefined, 'one', 'one again', 'two', undefined]);
  });

  it('observing ends when its reader leaves, and when the client closes', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(text);
    const vote = election(kv, 'leader');
    const leaders: (Leader<string> | undefined)[] = [];
    for await (const leader of vote.observe()) {
      leaders.push(leader);
      break;
    }
    const watching = (async () => {
      for await (const leader of vote.observe()) leaders.push(leader);
    })();
    await eventually(() => (leaders.length === 2 ? true : undefined), 'observes');
    await client.close();
    await watching;
    expect(leaders).toEqual([undefined, undefined]);
  });

  it('"zombie candidate": a campaign ends with its session', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(text);
    const vote = election(kv, 'leader');
    await using one = await openSession(client);
    await using two = await openSession(client, { intervalMs: 50 });
    const first = await vote.campaign(one, 'one');
    const campaign = vote.campaign(two, 'two');
    campaign.catch(() => undefined);
    await eventually(async () => ((await kv.count({ all: true })) === 2 ? true : undefined), 'two');
    await client.leases.revoke(two.id);
    await expect(campaign).rejects.toMatchObject({ reason: 'LEASE_LOST' });
    await first.resign();
    expect(await vote.leader()).toBeUndefined();
  });
});
