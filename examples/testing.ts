/**
 * A real server, or a real cluster, inside a unit test: no Docker, no port to choose, nothing on the
 * disk. How to run it: README.md beside this file.
 *
 * In a program of your own the imports are from 'kvorum/testing' and 'kvorum/client'.
 */

import { pathToFileURL } from 'node:url';
import { Etcd, text } from '../src/client/index.js';
import { startCluster, startNode, type TestMember } from '../src/testing/index.js';

/** What the examples tell. */
export type Print = (line: string) => void;

/** One node for the tests of a file: begin with this. */
export async function oneNode(print: Print): Promise<void> {
  const startedMs = performance.now();
  await using node = await startNode();
  await using client = new Etcd(node.endpoint);
  const greetings = client.kv.as(text);
  await greetings.put('greeting', 'hello');
  const took = performance.now() - startedMs;
  print(`one node says ${(await greetings.get('greeting'))?.value}`);
  print(`(${Math.round(took)} ms from nothing to the first write)`);
}

/** A node that restarts keeps its data and its address, also in memory. */
export async function restarts(print: Print): Promise<void> {
  await using node = await startNode();
  await using client = new Etcd(node.endpoint);
  await client.kv.put('kept', 'yes');
  await node.stop();
  await node.start();
  const kept = await client.kv.as(text).get('kept');
  print(`after a restart: ${kept?.value}`);
}

/** How does a program take the loss of the leader? It can be seen in a second. */
export async function leaderLost(print: Print): Promise<void> {
  const startedMs = performance.now();
  await using cluster = await startCluster({ size: 3 });
  print(`(${Math.round(performance.now() - startedMs)} ms until three members serve)`);
  await using client = new Etcd(cluster.endpoints);
  const counter = client.kv.as(text);
  await counter.put('n', '1');
  const leader = await cluster.leader();
  await leader.stop();
  await written(counter, '2');
  await leader.start();
  await using old = new Etcd(leader.endpoint);
  print(`the old leader knows ${(await old.kv.as(text).get('n'))?.value}`);
}

/** Members that can't reach each other; clients still reach both sides. */
export async function splitBrain(print: Print): Promise<void> {
  await using cluster = await startCluster({ size: 3 });
  const leader = await cluster.leader();
  const others = cluster.members.filter((member) => member !== leader);
  const [other] = others as [TestMember, TestMember];
  await using there = new Etcd({ endpoints: [leader.endpoint], timeoutMs: 500 });
  await using here = new Etcd(other.endpoint);
  await there.kv.put('side', 'before');
  cluster.partition([leader], others);
  const alone = there.kv.put('side', 'minority').then(
    () => 'was written',
    () => 'was not answered',
  );
  print(`what the minority was told ${await alone}`);
  await written(here.kv.as(text), 'majority', 'side');
  const stale = await there.kv.as(text).get('side', { serializable: true });
  print(`it may still be asked, and says "${stale?.value}"`);
  cluster.heal();
  print(`then all say "${(await here.kv.as(text).get('side'))?.value}"`);
}

/** Until a write gets through: while there is no leader it may not, and that is known or not. */
async function written(
  kv: { put(key: string, value: string): Promise<unknown> },
  value: string,
  key = 'n',
): Promise<void> {
  for (;;) {
    try {
      await kv.put(key, value);
      return;
    } catch (error) {
      // The same value again does no harm here.
      if (!(error instanceof Error)) throw error;
    }
  }
}

async function main(): Promise<void> {
  for (const example of [oneNode, restarts, leaderLost, splitBrain]) await example(console.log);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
