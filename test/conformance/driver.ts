/** Runs operations against a server and the model at once, and compares complete answers. */

import { expect } from 'vitest';
import type { RawClient } from '../helpers/grpc.js';
import type { WatchResponse } from '../helpers/grpc-types.js';
import type { WatchStream } from '../helpers/watching.js';
import { answerOf, fromWire, type Identity, toWire } from './canonical.js';
import { EtcdModel } from './model.js';
import { sortKey } from './model-range.js';
import type { Answer, ModelEvent, ModelKv, RangeOp, WatchOp } from './model-types.js';
import { leaseIds, type Operation, resolve } from './operations.js';

/** A watcher that is open during a run. */
interface LiveWatcher {
  readonly id: number;
  readonly request: WatchOp;
}

/** A server, the model of it, and the watchers of the current run. */
export class Driver {
  readonly #client: RawClient;
  readonly #identity: Identity;
  readonly #model: EtcdModel;
  #stream: WatchStream | undefined;
  #watchers: LiveWatcher[] = [];

  private constructor(client: RawClient, identity: Identity, model: EtcdModel) {
    this.#client = client;
    this.#identity = identity;
    this.#model = model;
  }

  /** Takes over a new, empty server. */
  static async open(client: RawClient, minor: number): Promise<Driver> {
    const header = (await client.status()).header;
    if (header === null) throw new Error('Status has no header');
    const identity = { clusterId: header.cluster_id, memberId: header.member_id };
    return new Driver(client, identity, new EtcdModel(minor, Number(header.revision)));
  }

  /** One run: from an empty keyspace through all operations. */
  async run(operations: readonly Operation[]): Promise<void> {
    await this.#clear();
    this.#stream = this.#client.watch();
    this.#watchers = [];
    try {
      for (const operation of operations) {
        const before = this.#model.revision;
        await this.#step(resolve(operation, before));
        await this.#expectLiveEvents(before);
      }
      await this.#closeWatchers();
    } finally {
      this.#stream.reader.cancel();
    }
  }

  async #clear(): Promise<void> {
    const all = { key: '\0', range_end: '\0' };
    await this.#client.deleteRange(toWire(all));
    this.#model.deleteRange(all);
    for (const id of leaseIds) {
      const gone = this.#model.leaseRevoke(id);
      if ('reply' in gone) await this.#client.leaseRevoke({ ID: id });
    }
  }

  async #step(op: Operation): Promise<void> {
    const { kind } = op;
    if (kind === 'range') return this.#range(op.request);
    if (kind === 'watch history') return this.#watchHistory(op.request);
    if (kind === 'open watch') return this.#openWatch(op.request);
    const [expected, actual] = await this.#call(op);
    expect({ op, answer: actual }).toEqual({ op, answer: expected });
  }

  async #call(
    op: Exclude<Operation, { readonly kind: 'range' | 'watch history' | 'open watch' }>,
  ): Promise<readonly [expected: Answer, actual: Answer]> {
    const model = this.#model;
    const client = this.#client;
    const ask = (call: Promise<object>) => answerOf(call, this.#identity);
    switch (op.kind) {
      case 'put':
        return [model.put(op.request), await ask(client.put(toWire(op.request)))];
      case 'delete':
        return [model.deleteRange(op.request), await ask(client.deleteRange(toWire(op.request)))];
      case 'txn':
        return [model.txn(op.request), await ask(client.txn(toWire(op.request)))];
      case 'compact': {
        // Where the model depends on what was really deleted, the answer must wait for it.
        const physical = op.physical || model.minor < 5;
        const { revision } = op;
        return [model.compact(revision), await ask(client.compact({ revision, physical }))];
      }
      case 'grant':
        return [
          model.leaseGrant(op.id, op.ttl),
          await ask(client.leaseGrant({ ID: op.id, TTL: op.ttl })),
        ];
      case 'revoke':
        return [model.leaseRevoke(op.id), await ask(client.leaseRevoke({ ID: op.id }))];
      case 'time to live': {
        const request = { ID: op.id, keys: op.keys };
        const told = await ask(client.leaseTimeToLive(request));
        return [model.leaseTimeToLive(op.id, op.keys), settleTimeToLive(told)];
      }
      case 'keep alive':
        return [model.leaseKeepAlive(op.id), await ask(this.#keepAlive(op.id))];
      case 'leases':
        return [model.leaseLeases(), settleLeases(await ask(client.leaseLeases()))];
    }
  }

  async #keepAlive(id: number): Promise<object> {
    const stream = this.#client.keepAlive();
    stream.send({ ID: id });
    const reply = await stream.reader.next();
    stream.endSending();
    return reply;
  }

  async #range(request: RangeOp): Promise<void> {
    const expected = this.#model.range(request);
    const actual = await answerOf(this.#client.range(toWire(request)), this.#identity);
    const target = request.sort_target ?? 0;
    if (target === 0 || 'error' in expected || 'error' in actual) {
      expect({ request, answer: actual }).toEqual({ request, answer: expected });
      return;
    }
    // Records that are equal under the sort target may come in any order, and any of them may
    // be the ones that a limit cuts off.
    const { kvs: wanted, ...rest } = expected.reply as { readonly kvs: readonly ModelKv[] };
    const { kvs, ...others } = actual.reply as { readonly kvs: readonly ModelKv[] };
    expect({ request, answer: others }).toEqual({ request, answer: rest });
    const inOrder = (list: readonly ModelKv[]) => list.map((kv) => sortKey(kv, target));
    const named = { request, order: inOrder(kvs) };
    // Without the value (keys_only) the order by value cannot be seen.
    if (!request.keys_only) expect(named).toEqual({ request, order: inOrder(wanted) });
    const unlimited = this.#model.range({ ...request, limit: 0 });
    if (!('reply' in unlimited)) throw new Error('the same range failed without its limit');
    const { kvs: candidates } = unlimited.reply as { readonly kvs: readonly ModelKv[] };
    const byKey = new Map(candidates.map((kv) => [kv.key, kv]));
    expect(kvs).toEqual(kvs.map((kv) => byKey.get(kv.key)));
    expect(new Set(kvs.map((kv) => kv.key)).size).toBe(wanted.length);
  }

  /** A watch of its own on what has happened already: all of it, and nothing else. */
  async #watchHistory(request: WatchOp): Promise<void> {
    // Before 3.6 a negative start was no error, and undefined.
    if (request.start_revision < 0 && this.#model.minor < 6) return;
    const stream = this.#client.watch();
    try {
      if (!(await this.#create(stream, request, 0))) return;
      const outcome = this.#model.watch(request);
      if ('compactRevision' in outcome) {
        const end = fromWire(await stream.reader.next(), this.#identity);
        const compact_revision = outcome.compactRevision;
        expect(end).toMatchObject({ watch_id: 0, canceled: true, compact_revision, events: [] });
        return;
      }
      const events: ModelEvent[] = [];
      const finished = () => events.length >= outcome.events.length;
      while (!finished()) events.push(...this.#read(await stream.reader.next(), request));
      expect({ request, events }).toEqual({ request, events: outcome.events });
      stream.send({ cancel_request: { watch_id: 0 } });
      // Anything too much would come before the answer to the cancellation.
      const last = fromWire(await stream.reader.next(), this.#identity);
      expect(last).toMatchObject({ watch_id: 0, canceled: true, compact_revision: 0, events: [] });
    } finally {
      stream.reader.cancel();
    }
  }

  /** Creates a watcher; false if it was refused, as the model says it must be. */
  async #create(stream: WatchStream, request: WatchOp, id: number): Promise<boolean> {
    stream.send({ create_request: toWire(request) });
    const reply = fromWire(await stream.reader.next(), this.#identity);
    const refusal = this.#model.watchRefusal(request);
    expect({ request, reply }).toEqual({
      request,
      reply: {
        header: { revision: this.#model.revision, ids: 'own' },
        watch_id: refusal === undefined ? id : -1,
        created: true,
        canceled: refusal !== undefined,
        compact_revision: 0,
        cancel_reason: refusal ?? '',
        fragment: false,
        events: [],
      },
    });
    return refusal === undefined;
  }

  /** The events of one response, which must end a revision and have a header that covers it. */
  #read(response: WatchResponse, request: WatchOp): readonly ModelEvent[] {
    const { events } = fromWire(response, this.#identity) as {
      readonly events: readonly ModelEvent[];
    };
    const last = events.at(-1)?.kv.mod_revision ?? 0;
    const header = Number(response.header?.revision);
    expect(header).toBeGreaterThanOrEqual(last);
    expect(header).toBeLessThanOrEqual(this.#model.revision);
    const whole = this.#model.eventsAt(last, request);
    expect(events.slice(-whole.length)).toEqual(whole);
    return events;
  }

  async #openWatch(request: WatchOp): Promise<void> {
    if (this.#stream === undefined) throw new Error('no run is under way');
    const live = { ...request, start_revision: 0 };
    const id = this.#watchers.length;
    if (await this.#create(this.#stream, live, id)) this.#watchers.push({ id, request: live });
  }

  /** Every open watcher gets one response for each new revision that it matches. */
  async #expectLiveEvents(before: number): Promise<void> {
    const expected = new Map<string, readonly ModelEvent[]>();
    for (let revision = before + 1; revision <= this.#model.revision; revision++) {
      for (const { id, request } of this.#watchers) {
        const events = this.#model.eventsAt(revision, request);
        if (events.length > 0) expected.set(`${id}@${revision}`, events);
      }
    }
    while (expected.size > 0) {
      const response = await this.#stream?.reader.next();
      if (response === undefined) throw new Error('the watch stream ended');
      const name = `${response.watch_id}@${response.header?.revision}`;
      const { events } = fromWire(response, this.#identity) as { readonly events: unknown };
      expect({ name, events }).toEqual({ name, events: expected.get(name) });
      expected.delete(name);
    }
  }

  async #closeWatchers(): Promise<void> {
    for (const { id } of this.#watchers) {
      this.#stream?.send({ cancel_request: { watch_id: id } });
      const reply = await this.#stream?.reader.next();
      expect(reply).toMatchObject({ watch_id: `${id}`, canceled: true, events: [] });
    }
    expect(this.#stream?.reader.buffered).toBe(0);
  }
}

/** The remaining time is somewhere below the granted one; the keys have no order. */
function settleTimeToLive(answer: Answer): Answer {
  if ('error' in answer) return answer;
  const reply = answer.reply as {
    readonly TTL: number;
    readonly grantedTTL: number;
    readonly keys: readonly string[];
  };
  const plausible = reply.TTL <= reply.grantedTTL && reply.TTL > reply.grantedTTL - 120;
  const TTL = reply.grantedTTL > 0 && plausible ? reply.grantedTTL : reply.TTL;
  return { reply: { ...reply, TTL, keys: [...reply.keys].sort() } };
}

/** Leases come in the order of their remaining time, which for equal times is chance. */
function settleLeases(answer: Answer): Answer {
  if ('error' in answer) return answer;
  const reply = answer.reply as { readonly leases: readonly { readonly ID: number }[] };
  return { reply: { ...reply, leases: [...reply.leases].sort((a, b) => a.ID - b.ID) } };
}
