import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { barrier, doubleBarrier, openSession } from '../../../src/client/index.js';
import { eventually } from '../../helpers/eventually.js';
import { describeTargets } from '../target.js';

describeTargets('barrier', {}, (target) => {
  it('holds who waits until it is taken down', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    const gate = barrier(kv, 'gate');
    await gate.wait(); // not up
    const up = await gate.hold();
    expect((await kv.get('gate'))?.createRevision).toBe(up.fencingRevision);
    await expect(gate.hold()).rejects.toMatchObject({ reason: 'CONFLICT' });
    await expect(gate.wait({ timeoutMs: 30 })).rejects.toMatchObject({ reason: 'CALL_TIMEOUT' });
    await expect(gate.wait({ signal: AbortSignal.abort() })).rejects.toMatchObject({
      reason: 'ABORTED',
    });
    let through = 0;
    const waiting = [1, 2, 3].map(() => gate.wait().then(() => (through += 1)));
    await kv.put('other', '');
    expect(through).toBe(0);
    await gate.release();
    await Promise.all(waiting);
    expect(through).toBe(3);
  });

  it('with a lease, does not outlive it', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    const gate = barrier(kv, 'gate');
    const session = await openSession(client);
    await gate.hold({ lease: session });
    const waiting = gate.wait();
    await session.close();
    await waiting;
  });
});

describeTargets('double barrier', {}, (target) => {
  it('lets all begin together and end together, round after round', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    const place = doubleBarrier(kv, 'place', { count: 3 });
    const sessions = await Promise.all([1, 2, 3].map(() => openSession(client)));
    const log: string[] = [];
    for (const round of ['a', 'b']) {
      const inside = sessions.map(async (session, i) => {
        if (i > 0) {
          const before = async () =>
            (await kv.count({ prefix: 'place/waiters/' })) >= i || undefined;
          await eventually(before, 'the one before');
          expect(log.filter((line) => line === `${round} in`)).toHaveLength(0);
        }
        const entered = await place.enter(session);
        log.push(`${round} in`);
        expect(await entered.verify()).toBe(true);
        await entered.leave();
        log.push(`${round} out`);
        return entered.fencingRevision;
      });
      expect(new Set(await Promise.all(inside)).size).toBe(3);
    }
    for (const round of ['a', 'b']) {
      const at = log.indexOf(`${round} in`);
      expect(log.slice(at, at + 6)).toEqual([
        ...Array(3).fill(`${round} in`),
        ...Array(3).fill(`${round} out`),
      ]);
    }
    expect(await kv.count({ all: true })).toBe(0);
    for (const session of sessions) await session.close();
  });

  it('goes on when somebody inside dies, and begins anew after all have died', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    const place = doubleBarrier(kv, 'place', { count: 2 });
    await using one = await openSession(client);
    const two = await openSession(client);
    const entering = [place.enter(one), place.enter(two)] as const;
    const [first] = await Promise.all(entering);
    const leaving = first.leave();
    await two.close();
    await leaving;
    await kv.put('place/ready', '1'); // as left by the dead
    await expect(place.enter(one, { timeoutMs: 100 })).rejects.toMatchObject({
      reason: 'CALL_TIMEOUT',
    });
    const gone = async () => ((await kv.count({ all: true })) === 0 ? true : undefined);
    await eventually(gone, 'nothing is left');
  });

  // Of those who leave, Go's recipe lets the first that came delete `ready`, and the others look
  // before they delete their own key. Ours used to go first, and then nobody took `ready`.
  it('leaves nothing behind when others leave at the same time', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    const place = doubleBarrier(kv, 'place', { count: 2 });
    await using session = await openSession(client);
    const entering = place.enter(session);
    const mine = async () => (await kv.count({ prefix: 'place/waiters/' })) === 1 || undefined;
    await eventually(mine, 'the first one');
    await kv.put('place/waiters/other', '');
    const entered = await entering;
    let left = false;
    const leaving = entered.leave().then(() => {
      left = true;
    });
    await sleep(100);
    expect(left).toBe(false);
    await kv.delete('place/waiters/other');
    await leaving;
    expect(await kv.count({ all: true })).toBe(0);
  });

  it('is left by one that can not wait', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    const place = doubleBarrier(kv, 'place', { count: 2 });
    await using one = await openSession(client);
    await using two = await openSession(client);
    const [first, second] = await Promise.all([place.enter(one), place.enter(two)]);
    await expect(first.leave({ timeoutMs: 50 })).rejects.toMatchObject({ reason: 'CALL_TIMEOUT' });
    await first.release();
    await second.leave();
    expect(await kv.count({ all: true })).toBe(0);
  });
});
