/**
 * kill -9 under load, again and again on the same data directory: every acknowledged write is
 * there after the restart with the revision it was acknowledged with, no transaction is there in
 * part, what was seen once stays, and revisions never go back.
 *
 * KVORUM_SLOW=1 kills 50 times instead of 5; KVORUM_CRASH_SEED repeats a run.
 */

import { expect, it } from 'vitest';
import { bytes, prefixEnd, RawClient } from '../helpers/grpc.js';
import type { KeyValue } from '../helpers/grpc-types.js';
import { useTarget } from '../helpers/server.js';
import { targetTool } from '../helpers/target.js';
import { describeWith, slow } from '../helpers/tools.js';

const kills = slow ? 50 : 5;
const writers = 8;
const seed = Number(process.env.KVORUM_CRASH_SEED ?? Date.now() % 2 ** 31);

/** All keys that one request writes: one for a put, three for a txn. */
type Write = readonly string[];

/** What is known about the writes of all rounds. */
interface Ledger {
  /** Revision by request, for those that must be there. */
  readonly certain: Map<Write, number>;
  /** Requests of the last round without an answer: they may be there or not. */
  readonly doubtful: Set<Write>;
  highestRevision: number;
}

describeWith([targetTool], 'kill -9 under load', () => {
  const server = useTarget();

  it(`loses no acknowledged write in ${kills} kills (seed ${seed})`, {
    timeout: 180_000 + kills * 30_000,
  }, async () => {
    const random = randomFrom(seed);
    const ledger: Ledger = { certain: new Map(), doubtful: new Set(), highestRevision: 1 };
    for (let round = 0; round < kills; round++) {
      await loadUntilKilled(round, 1 + Math.floor(random() * 400), ledger);
      await server().start();
      await verify(ledger);
    }
    expect(ledger.certain.size).toBeGreaterThan(kills);
  });

  /** Writes from all sides; after `killAfter` answers the server is killed in the middle of it. */
  async function loadUntilKilled(round: number, killAfter: number, ledger: Ledger): Promise<void> {
    const client = new RawClient(server());
    let answers = 0;
    let killing: Promise<void> | undefined;
    const work = async (writer: number) => {
      for (let i = 0; ; i++) {
        const name = `${round}/${writer}/${i}`;
        const write: Write = i % 3 === 2 ? [`${name}/a`, `${name}/b`, `${name}/c`] : [name];
        try {
          const revision = await send(client, write);
          ledger.certain.set(write, revision);
          ledger.highestRevision = Math.max(ledger.highestRevision, revision);
        } catch {
          ledger.doubtful.add(write);
          return;
        }
        if (++answers >= killAfter) killing ??= server().kill();
      }
    };
    await Promise.all(Array.from({ length: writers }, (_, writer) => work(writer)));
    client.close();
    await killing;
    expect(answers).toBeGreaterThanOrEqual(killAfter);
  }

  async function verify(ledger: Ledger): Promise<void> {
    const client = new RawClient(server());
    try {
      const { revision, kvs } = await readAll(client);
      expect(revision).toBeGreaterThanOrEqual(ledger.highestRevision);
      ledger.highestRevision = revision;
      for (const [write, acknowledged] of ledger.certain) {
        expect([write, revisionsOf(write, kvs)]).toEqual([write, write.map(() => acknowledged)]);
      }
      for (const write of ledger.doubtful) {
        const [first, ...others] = revisionsOf(write, kvs);
        expect([write, others]).toEqual([write, others.map(() => first)]);
        if (first !== undefined) ledger.certain.set(write, first);
      }
      // What is not there after the restart may not turn up later: it would be one key too many.
      ledger.doubtful.clear();
      const known = [...ledger.certain.keys()].reduce((sum, write) => sum + write.length, 0);
      expect(kvs.size).toBe(known);
      expect(new Set(ledger.certain.values()).size).toBe(ledger.certain.size);
    } finally {
      client.close();
    }
  }
});

/** Sends one write and returns its revision. */
async function send(client: RawClient, write: Write): Promise<number> {
  const [first = '', ...others] = write;
  const put = (key: string) => ({ key: bytes(`crash/${key}`), value: bytes(key) });
  const reply =
    others.length === 0
      ? await client.put(put(first), { deadlineMs: 100_000 })
      : await client.txn(
          { success: write.map((key) => ({ request_put: put(key) })) },
          { deadlineMs: 100_000 },
        );
  return Number(reply.header?.revision);
}

async function readAll(
  client: RawClient,
): Promise<{ readonly revision: number; readonly kvs: ReadonlyMap<string, KeyValue> }> {
  const request = { key: bytes('crash/'), range_end: prefixEnd('crash/') };
  const reply = await client.range(request);
  const kvs = new Map<string, KeyValue>();
  for (const kv of reply.kvs) {
    const key = kv.key.toString('latin1').slice('crash/'.length);
    expect(kv.value.toString('latin1')).toBe(key);
    expect(kv.version).toBe('1');
    kvs.set(key, kv);
  }
  return { revision: Number(reply.header?.revision), kvs };
}

/** The revision of each key of a write; undefined for a key that is not there. */
function revisionsOf(
  write: Write,
  kvs: ReadonlyMap<string, KeyValue>,
): readonly (number | undefined)[] {
  return write.map((key) => {
    const kv = kvs.get(key);
    return kv === undefined ? undefined : Number(kv.mod_revision);
  });
}

/** Numbers in [0, 1) from a seed (a linear congruential generator is random enough here). */
function randomFrom(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
