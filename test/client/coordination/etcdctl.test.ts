/** etcdctl, the real program, and the client's locks and elections: the same ones. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import {
  election,
  mutex,
  openSession,
  readWriteLock,
  semaphore,
  text,
} from '../../../src/client/index.js';
import { eventually } from '../../helpers/eventually.js';
import { describeWith, toolPath } from '../../helpers/tools.js';
import { describeTargets, type TargetOfTests } from '../target.js';
import { type Child, startChild } from './child.js';

function etcdctl(target: TargetOfTests, ...args: string[]): Child {
  const endpoint = target.server().endpoints[0] ?? '';
  return startChild(toolPath('etcdctl'), ['--endpoints', endpoint, ...args]);
}

describeWith(['etcdctl'], 'with etcdctl', () => {
  describeTargets('lock', {}, (target) => {
    it('etcdctl waits for the mutex, and the mutex for etcdctl', async () => {
      const client = target.client();
      const name = `${target.prefix()}job`;
      const lock = mutex(client.kv, name);
      const queued = (n: number) =>
        eventually(
          async () => ((await client.kv.count({ prefix: `${name}/` })) === n ? true : undefined),
          `${n} keys`,
        );
      await using session = await openSession(client);
      const mine = await lock.acquire(session);
      const theirs = etcdctl(target, 'lock', name);
      await queued(2);
      expect(theirs.said(/./)).toBe(false);
      await mine.release();
      const key = await theirs.line(/./);
      const holder = await lock.holder();
      expect(holder?.key).toBe(key);
      expect(holder?.fencingRevision).toBeGreaterThan(mine.fencingRevision);
      expect(await lock.tryAcquire(session)).toBeUndefined();
      const again = lock.acquire(session);
      await queued(2);
      expect(await theirs.interrupt()).toBe(0);
      await using held = await again;
      expect(held.fencingRevision).toBeGreaterThan(holder?.fencingRevision ?? Infinity);
    });

    it('a command that etcdctl runs under the lock excludes it, too', async () => {
      const client = target.client();
      const name = `${target.prefix()}job`;
      await using session = await openSession(client);
      const folder = mkdtempSync(join(tmpdir(), 'kvorum-lock-'));
      const until = `echo inside; until [ -e ${folder}/go ]; do sleep 0.05; done`;
      const theirs = etcdctl(target, 'lock', '--', name, 'sh', '-c', until);
      await theirs.line(/inside/);
      expect(await mutex(client.kv, name).tryAcquire(session)).toBeUndefined();
      expect(await semaphore(client.kv, name, { permits: 1 }).tryAcquire(session)).toBeUndefined();
      expect(await readWriteLock(client.kv, name).tryWrite(session)).toBeUndefined();
      writeFileSync(join(folder, 'go'), '');
      await using held = await mutex(client.kv, name).acquire(session);
      expect(held.owned).toBe(true);
      await theirs.exited;
      rmSync(folder, { recursive: true });
    });
  });

  describeTargets('elect', {}, (target) => {
    it('sees one leader: first ours, then etcdctl, then ours again', async () => {
      const client = target.client();
      const name = `${target.prefix()}leader`;
      const vote = election(client.kv.as(text), name);
      await using session = await openSession(client);
      const observer = etcdctl(target, 'elect', '-l', name);
      const first = await vote.campaign(session, 'ours');
      await observer.line(/^ours$/);
      await first.proclaim('ours still');
      await observer.line(/^ours still$/);
      const theirs = etcdctl(target, 'elect', name, 'theirs');
      const two = async () => (await client.kv.count({ prefix: `${name}/` })) === 2 || undefined;
      await eventually(two, 'etcdctl campaigns');
      expect(theirs.said(/./)).toBe(false);
      await first.resign();
      await theirs.line(/^theirs$/);
      await observer.line(/^theirs$/);
      const leader = await vote.leader();
      expect(leader?.value).toBe('theirs');
      const campaign = vote.campaign(session, 'ours again');
      await eventually(two, 'we campaign');
      await theirs.interrupt();
      await using term = await campaign;
      await observer.line(/^ours again$/);
      expect(term.fencingRevision).toBeGreaterThan(leader?.fencingRevision ?? Infinity);
      await observer.interrupt();
    });
  });
});
