/**
 * The client over a network that drops, delays and cuts at any byte: no write runs twice, what it
 * says about each write is true, and a watch neither loses nor repeats. The server's own history,
 * read without the bad network, is the truth.
 *
 * 10,000 operations for each target with KVORUM_SLOW=1, fewer without.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { EtcdClientError, type Kv, text } from '../../src/client/index.js';
import { slow } from '../helpers/tools.js';
import { type BadNetwork, startProxy } from './proxy.js';
import { describeTargets, everywhere } from './target.js';

const operations = slow ? 10_000 : 1_500;
const workers = 10;

/** A small generator with a seed, so that a failure can be told. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How many kinds of harm there are. */
const harmKinds = 7;
/** The mean number of operations from one harm to the next. */
const operationsPerHarm = 15;

/**
 * Does harm until `over`, and counts in `counts` how often it did which. It waits for operations to
 * end, not for time to pass: on a slow machine nothing would get through.
 */
async function harm(
  proxies: readonly BadNetwork[],
  random: () => number,
  ended: () => number,
  over: () => boolean,
  counts: Map<string, number>,
): Promise<void> {
  type Act = (proxy: BadNetwork) => Promise<void> | void;
  const kinds: ReadonlyArray<readonly [string, Act]> = [
    ['cut', (proxy) => proxy.cut()],
    ['cut in requests', (proxy) => proxy.cutAfter('requests', 1 + Math.floor(random() * 2000))],
    ['cut in replies', (proxy) => proxy.cutAfter('replies', 1 + Math.floor(random() * 2000))],
    [
      'lost replies',
      async (proxy) => {
        proxy.dropReplies();
        await pause(random() * 40);
        proxy.cut();
        proxy.resume();
      },
    ],
    [
      'lost requests',
      async (proxy) => {
        proxy.dropRequests();
        await pause(random() * 40);
        proxy.cut();
        proxy.resume();
      },
    ],
    [
      'delay',
      async (proxy) => {
        proxy.pause();
        await pause(random() * 60);
        proxy.resume();
      },
    ],
    [
      'refused',
      async (proxy) => {
        await proxy.refuse();
        await pause(random() * 60);
        await proxy.accept();
      },
    ],
  ];
  while (!over()) {
    const until = ended() + random() * 2 * operationsPerHarm;
    while (ended() < until && !over()) await pause(5);
    const [name, act] = kinds[Math.floor(random() * kinds.length)] ?? ['', () => undefined];
    counts.set(name, (counts.get(name) ?? 0) + 1);
    const proxy = proxies[Math.floor(random() * proxies.length)];
    if (proxy !== undefined) await act(proxy);
  }
  for (const proxy of proxies) proxy.resume();
}

type Said = 'done' | 'failed' | 'unknown';

async function said(write: Promise<unknown>): Promise<Said> {
  try {
    await write;
    return 'done';
  } catch (error) {
    if (error instanceof EtcdClientError) return error.outcome;
    throw error;
  }
}

/** One worker: writes each of its values once, in one of several ways. */
async function work(
  kv: Kv<string>,
  id: number,
  random: () => number,
  next: () => number | undefined,
  outcomes: Map<string, Said>,
  onEnd: () => void,
): Promise<void> {
  for (let i = next(); i !== undefined; i = next()) {
    const value = `${id}-${i}`;
    const key = `k${Math.floor(random() * 20)}`;
    const way = random();
    if (way < 0.5) outcomes.set(value, await said(kv.put(key, value)));
    else if (way < 0.8) {
      const txn = kv.txn().then(kv.ops.put(key, value), kv.ops.put(`${key}/shadow`, value));
      outcomes.set(value, await said(txn.commit()));
    } else expect(await said(kv.get(key))).not.toBe('unknown');
    onEnd();
  }
}

const options = { targets: everywhere, bothTransports: true };

describeTargets('over a bad network', options, (target) => {
  it(
    `of ${operations} operations none runs twice, and no event is lost or repeated (L-35)`,
    async () => {
      const seed = Number(process.env.KVORUM_SEED ?? Math.floor(Math.random() * 2 ** 31));
      const random = randomOf(seed);
      const proxies = await Promise.all(target.server().endpoints.map(startProxy));
      const prefix = target.prefix();
      const endpoints = proxies.map(({ endpoint }) => endpoint);
      const options = { endpoints, timeoutMs: 100_000 };
      const direct = target.client().kv.namespace(prefix).as(text);
      const watching = target.client(options).kv.namespace(prefix).as(text);
      const { revision: start } = await direct.put('start', 'start');
      const fromRevision = start + 1;
      await using truth = direct.watch({ all: true }, { fromRevision, bufferEventsMax: 100_000 });
      // Small enough to be parked now and then.
      await using watcher = watching.watch({ all: true }, { fromRevision, bufferEventsMax: 200 });
      const outcomes = new Map<string, Said>();
      const harms = new Map<string, number>();
      const count = (outcome: Said) => [...outcomes.values()].filter((o) => o === outcome).length;
      let asked = 0;
      let over = false;
      // Some more if the harness has not harmed, or the client not worked, in every way by then.
      const next = () => {
        const hasBeenTried = asked >= operations && harms.size === harmKinds;
        if (hasBeenTried && count('unknown') > 0 && count('done') > 0) return undefined;
        asked += 1;
        return asked;
      };
      let ended = 0;
      const harming = harm(
        proxies,
        random,
        () => ended,
        () => over,
        harms,
      );
      const crowd = Array.from({ length: workers }, (_, id) => {
        const kv = target.client(options).kv.namespace(prefix).as(text);
        return work(kv, id, random, next, outcomes, () => {
          ended += 1;
        });
      });
      await Promise.all(crowd);
      over = true;
      await harming;
      const { revision: end } = await direct.put('end', 'end');
      const seen: string[][] = [[], []];
      for (const [i, each] of [truth, watcher].entries()) {
        for await (const event of each) {
          const value = event.type === 'put' ? event.value : 'deleted';
          seen[i]?.push(`${event.revision} ${event.key} ${value}`);
          if (event.revision >= end) break;
        }
      }
      const [true_ = [], watched = []] = seen;
      const context = `seed ${seed}`;
      expect(watched, context).toEqual(true_);
      const executed = new Map<string, number>();
      for (const line of true_) {
        const [, key = '', value = ''] = line.split(' ');
        if (!key.endsWith('/shadow')) executed.set(value, (executed.get(value) ?? 0) + 1);
      }
      const wrong = [...outcomes].filter(([value, outcome]) => {
        const times = executed.get(value) ?? 0;
        if (outcome === 'done') return times !== 1;
        return outcome === 'failed' ? times !== 0 : times > 1;
      });
      expect(wrong, context).toEqual([]);
      const applied = [...outcomes].filter(([v, o]) => o === 'unknown' && executed.has(v)).length;
      const connections = proxies.reduce((sum, { accepted }) => sum + accepted, 0);
      const harmed = [...harms].map(([name, n]) => `${name} ${n}`).join(', ');
      process.stdout.write(
        `${target.kind.name} over ${target.transport}: ${asked} operations, ${outcomes.size} writes: ${count('done')} done, ` +
          `${count('failed')} failed, ${count('unknown')} unknown (${applied} of them executed); ` +
          `${true_.length} events seen; ${connections} connections; ${harmed} (${context})\n`,
      );
      await Promise.all(proxies.map((proxy) => proxy[Symbol.asyncDispose]()));
    },
    slow ? 1_800_000 : 300_000,
  );
});
