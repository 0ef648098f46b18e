/** etcd's own Go packages `concurrency` and `recipes`: the same locks, elections and queues. */

import { expect, it } from 'vitest';
import {
  barrier,
  doubleBarrier,
  election,
  mutex,
  openSession,
  priorityQueue,
  queue,
  readWriteLock,
  text,
} from '../../../src/client/index.js';
import { eventually } from '../../helpers/eventually.js';
import { describeWith, toolPath } from '../../helpers/tools.js';
import { describeTargets } from '../target.js';
import { type Child, startChild } from './child.js';

describeWith(['go-recipes'], 'with Go', () => {
  describeTargets('concurrency', {}, (target) => {
    const go = (...args: string[]): Child =>
      startChild(toolPath('go-recipes'), [target.server().endpoints[0] ?? '', ...args]);

    it('a mutex excludes the other kind, both ways', async () => {
      const client = target.client();
      const name = `${target.prefix()}job`;
      const lock = mutex(client.kv, name);
      await using session = await openSession(client);
      const mine = await lock.acquire(session);
      const theirs = go('lock', name);
      await theirs.line(/^asking/);
      const two = async () => (await client.kv.count({ prefix: `${name}/` })) === 2 || undefined;
      await eventually(two, 'Go waits');
      expect(theirs.said(/^locked/)).toBe(false);
      await mine.release();
      expect(await theirs.line(/^locked/)).toBe(`locked ${(await lock.holder())?.key}`);
      const again = lock.acquire(session);
      await eventually(two, 'we wait');
      theirs.write('\n');
      await using held = await again;
      expect(held.fencingRevision).toBeGreaterThan(mine.fencingRevision);
      expect(await theirs.exited).toBe(0);
    });

    it('an election has one leader of either kind', async () => {
      const client = target.client();
      const name = `${target.prefix()}leader`;
      const vote = election(client.kv.as(text), name);
      await using session = await openSession(client);
      const observer = go('observe', name);
      const first = await vote.campaign(session, 'ours');
      await observer.line(/^leader ours$/);
      const theirs = go('elect', name, 'theirs');
      await theirs.line(/^asking/);
      const two = async () => (await client.kv.count({ prefix: `${name}/` })) === 2 || undefined;
      await eventually(two, 'Go campaigns');
      await first.resign();
      const elected = await theirs.line(/^elected/);
      await theirs.line(/^proclaimed/);
      await observer.line(/^leader theirs again$/);
      const leader = await vote.leader();
      expect(leader?.value).toBe('theirs again');
      expect(elected).toBe(`elected ${leader?.fencingRevision}`);
      const campaign = vote.campaign(session, 'ours again');
      await eventually(two, 'we campaign');
      theirs.write('\n');
      await using term = await campaign;
      await observer.line(/^leader ours again$/);
      expect(term.owned).toBe(true);
      observer.write('\n');
      expect([await theirs.exited, await observer.exited]).toEqual([0, 0]);
    });

    it('a read-write lock has many readers or one writer of either kind', async () => {
      const client = target.client();
      const name = `${target.prefix()}rw`;
      const lock = readWriteLock(client.kv, name);
      await using session = await openSession(client);
      const reading = await lock.read(session);
      const reader = go('read', name);
      await reader.line(/^locked/);
      const writer = go('write', name);
      const three = async () => (await client.kv.count({ prefix: `${name}/` })) === 3 || undefined;
      await eventually(three, 'Go waits to write');
      expect(await lock.tryRead(session)).toBeUndefined();
      await reading.release();
      expect(writer.said(/^locked/)).toBe(false);
      reader.write('\n');
      await writer.line(/^locked/);
      const writing = lock.write(session);
      expect(await lock.tryWrite(session)).toBeUndefined();
      writer.write('\n');
      await using held = await writing;
      expect(held.owned).toBe(true);
      expect([await reader.exited, await writer.exited]).toEqual([0, 0]);
    });

    it('barriers', async () => {
      const client = target.client();
      const prefix = target.prefix();
      const gate = barrier(client.kv, `${prefix}gate`);
      await gate.hold();
      const waiting = go('wait', `${prefix}gate`);
      await waiting.line(/^asking/);
      await gate.release();
      await waiting.line(/^through/);

      await using session = await openSession(client);
      const place = doubleBarrier(client.kv, `${prefix}place`, { count: 3 });
      const theirs = [go('enter', `${prefix}place`, '3'), go('enter', `${prefix}place`, '3')];
      await Promise.all(theirs.map((child) => child.line(/^asking/)));
      const entered = await place.enter(session);
      await Promise.all(theirs.map((child) => child.line(/^entered/)));
      const leaving = entered.leave();
      for (const child of theirs) child.write('\n');
      await Promise.all(theirs.map((child) => child.line(/^left/)));
      await leaving;
      expect(await client.kv.count({ prefix: `${prefix}place` })).toBe(0);
    });

    it('queues', async () => {
      const client = target.client();
      const prefix = target.prefix();
      const jobs = queue(client.kv.as(text), `${prefix}jobs`);
      await jobs.put('ours');
      await go('put', `${prefix}jobs`, 'theirs').line(/^put/);
      expect(await go('take', `${prefix}jobs`).line(/^took/)).toBe('took ours');
      expect((await jobs.take()).value).toBe('theirs');

      const urgent = priorityQueue(client.kv.as(text), `${prefix}urgent`);
      await urgent.put('ours later', { priority: 5 });
      await go('put', `${prefix}urgent`, 'theirs later', '5').line(/^put/);
      await go('put', `${prefix}urgent`, 'theirs now', '1').line(/^put/);
      await urgent.put('ours now', { priority: 1 });
      const took: string[] = [];
      took.push(await go('take', `${prefix}urgent`, 'p').line(/^took/));
      took.push((await urgent.take()).value);
      took.push(await go('take', `${prefix}urgent`, 'p').line(/^took/));
      took.push((await urgent.take()).value);
      expect(took).toEqual(['took theirs now', 'ours now', 'took ours later', 'theirs later']);
    });
  });
});
