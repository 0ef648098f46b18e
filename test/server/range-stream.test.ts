/**
 * RangeStream by the answers of etcd 3.7.3 to the same requests: which orders, targets and filters
 * are taken, and how what is found is cut into chunks. Where etcd sorts each chunk alone, so that
 * keys get lost or come twice, the promise is that the chunks together are what Range says.
 */

import { beforeAll, describe, expect, it } from 'vitest';
import {
  decodeRangeResponse,
  decodeRangeStreamResponse,
  encodeRangeRequest,
  type RangeRequest,
} from '../../src/proto/index.js';
import { allMethods } from '../../src/server/member.js';
import { SimMachine } from '../crash/sim-node.js';
import { ok, SimClient } from '../faults/sim.js';
import { FakeCall } from './watch-call.js';

const all = { key: 'k', rangeEnd: 'l' };
const few = { key: 'k2', rangeEnd: 'k3' };
const unsupportedSort = '12 RangeStream does not support custom sort orders';
const unsupportedFilter = '12 RangeStream does not support revision filters';
const invalidSort = '3 etcdserver: invalid sort option';

let client: SimClient;

beforeAll(async () => {
  client = await SimClient.start(new SimMachine(3));
  for (let i = 0; i < 25; i += 1) {
    await client.put(`k${String(i).padStart(2, '0')}`, `v${100 - i}`);
  }
  await client.put('k03', 'x');
  await client.put('k22', 'y');
  await client.deleteRange('k05');
  await client.compact({ revision: 5, physical: true });
});

interface Streamed {
  /** Undefined: an orderly end. */
  readonly error: string | undefined;
  readonly chunks: ReadonlyArray<{
    readonly header: boolean;
    readonly keys: readonly string[];
    readonly more: boolean;
    readonly count: number;
    readonly values: readonly string[];
  }>;
}

async function stream(request: Partial<RangeRequest>): Promise<Streamed> {
  const { node } = client.node;
  const handler = allMethods(node).get('/etcdserverpb.KV/RangeStream');
  if (handler?.kind !== 'serverStream') throw new Error('no RangeStream');
  const call = new FakeCall();
  handler.handle(Buffer.from(encodeRangeRequest(request)), call);
  for (let i = 0; i < 1000 && call.ended === 'open'; i += 1) await client.pass(1);
  const { ended } = call;
  if (ended === 'open') throw new Error('it does not end');
  return {
    error: ended === 'ended' ? undefined : `${ended.code} ${ended.text}`,
    chunks: call.sent.map((message) => {
      const { header, kvs, more, count } = decodeRangeStreamResponse(message);
      return {
        header: header !== undefined,
        keys: kvs.map(({ key }) => key),
        more,
        count,
        values: kvs.map(({ value }) => value.toString()),
      };
    }),
  };
}

/** `10,14 of 24 more`: keys in each chunk, count and more of the last; or the error. */
function summary({ error, chunks }: Streamed): string {
  if (error !== undefined) return error;
  const last = chunks[chunks.length - 1];
  const sizes = chunks.map(({ keys }) => keys.length).join(',');
  return `${sizes} of ${last?.count}${last?.more ? ' more' : ''}`;
}

describe('sort order and target', () => {
  const valid = [0, 1, 2, 3, 4];
  const taken = new Set(['0 0', '1 0', ...valid.map((target) => `0 ${target}`)]);
  for (const sortOrder of [0, 1, 2, 3, -1, 7]) {
    for (const sortTarget of [...valid, 5, -1]) {
      it(`order ${sortOrder}, target ${sortTarget}`, async () => {
        const isValid = sortOrder >= 0 && sortOrder <= 2 && valid.includes(sortTarget);
        const refusal = isValid ? unsupportedSort : invalidSort;
        const expected = taken.has(`${sortOrder} ${sortTarget}`) ? '10,14 of 24' : refusal;
        expect(summary(await stream({ ...all, sortOrder, sortTarget }))).toBe(expected);
      });
    }
  }

  it('a target without an order sorts up to ten keys as etcd does', async () => {
    const sorted = async (sortTarget: number) => {
      const { chunks } = await stream({ ...few, sortTarget });
      expect(chunks).toHaveLength(1);
      return chunks[0]?.keys.join(' ');
    };
    expect(await sorted(0)).toBe('k20 k21 k22 k23 k24');
    expect(await sorted(1)).toBe('k20 k21 k23 k24 k22');
    expect(await sorted(2)).toBe('k20 k21 k22 k23 k24');
    expect(await sorted(3)).toBe('k20 k21 k23 k24 k22');
    expect(await sorted(4)).toBe('k24 k23 k21 k20 k22');
  });

  const more: ReadonlyArray<Partial<RangeRequest>> = [
    {},
    { limit: 3 },
    { limit: 12 },
    { limit: 24 },
    { limit: 30 },
    { countOnly: true },
    { keysOnly: true },
    { keysOnly: true, limit: 12 },
    { revision: 20 },
    { serializable: true },
  ];
  for (const sortTarget of valid) {
    for (const options of more) {
      it(`target ${sortTarget} and ${JSON.stringify(options)} add up to Range`, async () => {
        const request = { ...all, sortTarget, ...options };
        const { chunks, error } = await stream(request);
        expect(error).toBeUndefined();
        const range = decodeRangeResponse(ok(await client.range(request)));
        const last = chunks[chunks.length - 1];
        expect(chunks.flatMap(({ keys }) => keys)).toEqual(range.kvs.map(({ key }) => key));
        expect(chunks.flatMap(({ values }) => values)).toEqual(
          range.kvs.map(({ value }) => value.toString()),
        );
        expect({ count: last?.count, more: last?.more }).toEqual({
          count: range.count,
          more: range.more,
        });
        for (const chunk of chunks) expect(chunk.header).toBe(chunk === last);
        for (const chunk of chunks) {
          if (chunk !== last) expect(chunk).toMatchObject({ more: false, count: 0 });
        }
      });
    }
  }
});

describe('everything else', () => {
  const table: ReadonlyArray<readonly [Partial<RangeRequest>, string]> = [
    [{ minModRevision: 1 }, unsupportedFilter],
    [{ maxModRevision: 9 }, unsupportedFilter],
    [{ minCreateRevision: -1 }, unsupportedFilter],
    [{ maxCreateRevision: 1 }, unsupportedFilter],
    [{ sortTarget: 4, minModRevision: 3 }, unsupportedFilter],
    [{ sortOrder: 2, minModRevision: 3 }, unsupportedSort],
    [{ sortOrder: 9, minModRevision: 3 }, invalidSort],
    [{ key: '', sortOrder: 9 }, '3 etcdserver: key is not provided'],
    [{ limit: 1 }, '1 of 24 more'],
    [{ limit: 9 }, '9 of 24 more'],
    [{ limit: 10 }, '10 of 24 more'],
    [{ limit: 11 }, '10,1 of 24 more'],
    [{ limit: 24 }, '10,14 of 24'],
    [{ limit: 30 }, '10,14 of 24'],
    [{ countOnly: true }, '0 of 24'],
    [{ countOnly: true, limit: 9 }, '0 of 24'],
    [{ countOnly: true, keysOnly: true }, '0 of 24'],
    [{ countOnly: true, sortTarget: 4 }, '0 of 24'],
    [{ keysOnly: true, limit: 11 }, '10,1 of 24 more'],
    [{ serializable: true }, '10,14 of 24'],
    [{ revision: -1 }, '10,14 of 24'],
    [{ revision: 4 }, '11 etcdserver: mvcc: required revision has been compacted'],
    [{ revision: 4, sortTarget: 4 }, '11 etcdserver: mvcc: required revision has been compacted'],
    [{ revision: 5 }, '4 of 4'],
    [{ revision: 20, limit: 3 }, '3 of 19 more'],
    [{ revision: 20, countOnly: true, serializable: true }, '0 of 19'],
    [{ revision: 99 }, '11 etcdserver: mvcc: required revision is a future revision'],
    [
      { revision: 99, sortTarget: 1 },
      '11 etcdserver: mvcc: required revision is a future revision',
    ],
    [{ key: 'k01', rangeEnd: '' }, '1 of 1'],
    [{ key: 'none', rangeEnd: '' }, '0 of 0'],
    [{ key: 'l', rangeEnd: 'k' }, '0 of 0'],
    [{ key: 'k20', rangeEnd: '\0' }, '5 of 5'],
  ];
  it.each(table)('%j: %s', async (request, expected) => {
    expect(summary(await stream({ ...all, ...request }))).toBe(expected);
  });
});
