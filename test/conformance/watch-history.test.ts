/**
 * What a watcher of the past is sent, and whether it differs from what a live one was sent. The
 * expected values are etcd 3.7.3's; run against it with KVORUM_TEST_TARGET=etcd.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytes, prefixEnd, RawClient } from '../helpers/grpc.js';
import type { Event, WatchCreateRequest, WatchResponse } from '../helpers/grpc-types.js';
import { useTarget } from '../helpers/server.js';
import { targetKind, targetTool } from '../helpers/target.js';
import { describeWith } from '../helpers/tools.js';
import { createWatch, currentRevision, type WatchStream } from '../helpers/watching.js';

const put = (key: string, value: string) => ({
  request_put: { key: bytes(key), value: bytes(value) },
});
const del = (key: string, end = '') => ({
  request_delete_range: { key: bytes(key), range_end: bytes(end) },
});
const txn = (...success: object[]) => ({ request_txn: { success } });

/** For a machine with others at work. */
const slow = { timeout: 120_000 };

/** Type, key, value and the value before, without revisions. */
function told(event: Event): string {
  const key = event.kv.key.toString('latin1');
  const before = event.prev_kv == null ? 'none' : event.prev_kv.value.toString('latin1');
  const what = event.type === 1 ? `delete ${key}` : `put ${key}=${event.kv.value.toString()}`;
  return `${what} before: ${before}`;
}

describeWith([targetTool], 'a watcher of the past', () => {
  const server = useTarget({ args: ['--max-txn-ops=4000'] });
  let client: RawClient;
  beforeAll(() => {
    client = new RawClient(server());
  });
  afterAll(() => client.close());

  /** A stream with a watcher, its created reply read. */
  async function watching(request: WatchCreateRequest): Promise<WatchStream> {
    const stream = client.watch();
    await createWatch(stream, request);
    return stream;
  }

  /** Responses until one has an event of revision `last`, and is not to be continued. */
  async function responsesThrough(stream: WatchStream, last: number): Promise<WatchResponse[]> {
    const responses: WatchResponse[] = [];
    for (;;) {
      const response = await stream.reader.next();
      responses.push(response);
      const at = Number(response.events.at(-1)?.kv.mod_revision ?? 0);
      if (at >= last && !response.fragment) return responses;
    }
  }

  describe('in one revision', () => {
    const cases: readonly [string, readonly object[], readonly string[]][] = [
      [
        'a put and a delete of a key that was there',
        [txn(put('x/there', 'new')), txn(del('x/there'))],
        ['put x/there=new before: old', 'delete x/there before: old'],
      ],
      [
        'a put and a delete of a key that was not there',
        [txn(put('x/absent', 'new')), txn(del('x/absent'))],
        ['put x/absent=new before: none', 'delete x/absent before: none'],
      ],
      [
        'a delete and a put',
        [del('x/', '\0'), put('x/there', 'new')],
        ['delete x/there before: old', 'put x/there=new before: none'],
      ],
      [
        'a delete, a put and a delete',
        [del('x/', '\0'), put('x/there', 'new'), del('x/', '\0')],
        [
          'delete x/there before: old',
          'put x/there=new before: none',
          'delete x/there before: old',
        ],
      ],
      [
        'deletes that overlap',
        [del('x/there'), del('x/', 'x0'), del('x/there'), del('x/a', 'x/z')],
        ['delete x/there before: old'],
      ],
    ];
    it.each(cases)('%s: live and from history as etcd', async (_name, ops, expected) => {
      await client.deleteRange({ key: bytes('x/'), range_end: prefixEnd('x/') });
      await client.put({ key: bytes('x/there'), value: bytes('old') });
      const range = { key: bytes('x/'), range_end: prefixEnd('x/'), prev_kv: true };
      const live = await watching(range);
      const reply = await client.txn({ success: ops });
      const revision = Number(reply.header?.revision);
      const sent = await responsesThrough(live, revision);
      const past = await watching({ ...range, start_revision: revision });
      const history = await responsesThrough(past, revision);
      expect(sent.flatMap((r) => r.events.map(told))).toEqual(expected);
      expect(history.flatMap((r) => r.events.map(told))).toEqual(expected);
      live.endSending();
      past.endSending();
    });
  });

  /** A line a response: revisions count from `from`. */
  function shape(responses: readonly WatchResponse[], from: number): string[] {
    return responses.map(({ header, events, fragment }) => {
      const at = (event: Event | undefined): number => Number(event?.kv.mod_revision) - from;
      const tail = fragment ? ' to be continued' : '';
      const revision = Number(header?.revision) - from;
      return `${events.length}: ${at(events[0])} to ${at(events.at(-1))} of ${revision}${tail}`;
    });
  }

  async function history(
    request: WatchCreateRequest,
    last: number,
    by: RawClient = client,
  ): Promise<WatchResponse[]> {
    const stream = by.watch();
    await createWatch(stream, request);
    const responses = await responsesThrough(stream, last);
    stream.endSending();
    return responses;
  }

  it(
    'comes in responses of a thousand revisions, each with the revision of now',
    slow,
    async () => {
      const from = (await currentRevision(client)) + 1;
      const put = (key: string) => client.put({ key: bytes(key), value: bytes('v') });
      await put('p/0');
      await Promise.all(Array.from({ length: 999 }, (_, i) => put(`p/${1 + (i % 7)}`)));
      await put('p/0');
      const all = { key: bytes('p/'), range_end: prefixEnd('p/'), start_revision: from };
      const expected = ['1000: 0 to 999 of 1000', '1: 1000 to 1000 of 1000'];
      for (const options of [{}, { prev_kv: true }, { fragment: true }]) {
        const responses = await history({ ...all, ...options }, from + 1000);
        expect(shape(responses, from)).toEqual(expected);
      }
      await put('elsewhere');
      expect(shape(await history(all, from + 1000), from)).toEqual([
        '1000: 0 to 999 of 1001',
        '1: 1000 to 1000 of 1001',
      ]);
      // What a watcher gets decides, not what there is: a seldom key comes at once.
      const one = { key: bytes('p/0'), start_revision: from };
      expect(shape(await history(one, from + 1000), from)).toEqual(['2: 0 to 1000 of 1001']);
      // What a filter hides counts.
      await client.deleteRange({ key: bytes('p/0') });
      await put('p/0');
      await client.deleteRange({ key: bytes('p/0') });
      const noPuts = { ...all, filters: [0] };
      expect(shape(await history(noPuts, from + 1004), from)).toEqual(['2: 1002 to 1004 of 1004']);
    },
  );

  it('comes as one response, in fragments if those were asked for', slow, async () => {
    const from = (await currentRevision(client)) + 1;
    for (let i = 0; i < 10; i++) {
      await client.put({ key: bytes(`b/${i}`), value: Buffer.alloc(1 << 20, 97) });
    }
    const all = { key: bytes('b/'), range_end: prefixEnd('b/'), start_revision: from };
    const fragments = await history({ ...all, fragment: true }, from + 9);
    expect(shape(fragments, from)).toEqual([
      ...Array.from({ length: 9 }, (_, i) => `1: ${i} to ${i} of 9 to be continued`),
      '1: 9 to 9 of 9',
    ]);
    // As etcd's client for Go says of itself: it receives 2 GiB.
    const go = new RawClient(server(), { 'grpc.primary_user_agent': 'grpc-go/1.79.1' });
    expect(shape(await history(all, from + 9, go), from)).toEqual(['10: 0 to 9 of 9']);
    go.close();
  });

  // etcd ends the watch of such a client with RESOURCE_EXHAUSTED, again and again.
  it.skipIf(targetKind === 'etcd')(
    'fits a client that receives 4 MiB (not so in etcd)',
    async () => {
      const usual = new RawClient(server(), { 'grpc.max_receive_message_length': 4 << 20 });
      const from = (await currentRevision(client)) + 1;
      for (let i = 0; i < 10; i++) {
        await client.put({ key: bytes(`c/${i}`), value: Buffer.alloc(1 << 20, 97) });
      }
      const all = { key: bytes('c/'), range_end: prefixEnd('c/'), start_revision: from };
      const responses = await history(all, from + 9, usual);
      // Headers say what has come, for clients that go on from there.
      for (const { header, events } of responses) {
        expect(header?.revision).toBe(events.at(-1)?.kv.mod_revision);
      }
      expect(responses.flatMap(({ events }) => events)).toHaveLength(10);
      expect(responses.length).toBeLessThan(10);
      usual.close();
    },
  );
});
