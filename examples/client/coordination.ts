/** Sessions, a lock whose holder is fenced, an election, and a queue. */

import { Etcd, election, json, mutex, openSession, queue, text } from '../../src/client/index.js';
import { type Example, runIfMain } from './run.js';

export const coordinationExample: Example = async (endpoint, print) => {
  await using client = new Etcd(endpoint);
  const kv = client.kv.namespace('/example/coordination/').as(text);
  await kv.deleteRange({ all: true });

  // One lease for all that this process owns.
  await using session = await openSession(client, { ttlSeconds: 10 });
  print(`session ${session.state}`);

  // A lock: `etcdctl lock` with the same name waits for it, and the other way round.
  const nightly = mutex(kv, 'nightly');
  {
    await using held = await nightly.acquire(session, { timeoutMs: 5000 });
    print(`second try: ${await nightly.tryAcquire(session)}`);
    // Happens only if the lock is still held when the server executes it.
    const done = await held.txn().then(kv.ops.put('report', 'written')).commit();
    print(`under the lock: ${done.ok}`);
  } // released
  print(`holder: ${(await nightly.holder())?.key}`);

  // Who holds it no longer writes nothing, whatever it believes.
  const former = await nightly.acquire(session);
  await kv.delete(former.key); // somebody breaks the lock
  const late = await former.txn().then(kv.ops.put('report', 'too late')).commit();
  print(`too late: ${late.ok}, report ${(await kv.get('report'))?.value}`);
  await former.release();

  // An election: campaign waits until this is the leader.
  const vote = election(kv, 'leader');
  await using term = await vote.campaign(session, '10.0.0.1:80');
  await term.proclaim('10.0.0.1:8080');
  for await (const leader of vote.observe()) {
    print(`leader ${leader?.value}, fence ${leader?.fencingRevision === term.fencingRevision}`);
    break;
  }

  // A queue: each entry is handed out once.
  const jobs = queue(kv.as(json<{ readonly job: string }>()), 'jobs');
  await jobs.put({ job: 'first' });
  await jobs.put({ job: 'second' });
  for (let i = 0; i < 2; i += 1) print((await jobs.take()).value.job);
};

runIfMain(import.meta.url, coordinationExample);
