/**
 * What a watcher of the past is sent, and whether it differs from what a live one was sent. The
 * expected values are etcd 3.7.3's; run against it with KVORUM_TEST_TARGET=etcd.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytes, prefixEnd, RawClient } from '../helpers/grpc.js';
import type { Event, WatchCreateRequest, WatchResponse } from '../helpers/grpc-types.js';
import { useTarget } from '../helpers/server.js';
import { targetTool } from '../helpers/target.js';
import { describeWith } from '../helpers/tools.js';
import { createWatch, type WatchStream } from '../helpers/watching.js';

const put = (key: string, value: string) => ({
  request_put: { key: bytes(key), value: bytes(value) },
});
const del = (key: string, end = '') => ({
  request_delete_range: { key: bytes(key), range_end: bytes(end) },
});
const txn = (...success: object[]) => ({ request_txn: { success } });

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
});
