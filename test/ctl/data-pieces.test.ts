/** The pieces of the commands about data, without a store. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RawStreamEvents } from '../../src/client/raw/index.js';
import { jsonChanges } from '../../src/ctl/data/json-changes.js';
import { historyBufferBytesMax, lineBytesMax } from '../../src/ctl/data/limits.js';
import { linesOf } from '../../src/ctl/data/lines.js';
import { PastEvents } from '../../src/ctl/data/past-events.js';
import { PrefixTree, type TreeNode } from '../../src/ctl/data/prefix-tree.js';
import { type Calls, Store } from '../../src/ctl/data/store.js';
import { bytesText, counted, shortened } from '../../src/ctl/data/text.js';
import {
  decodeWatchRequest,
  encodeEvent,
  encodeKeyValue,
  encodeWatchResponse,
} from '../../src/proto/index.js';
import { nodeClock } from '../../src/server/index.js';

describe('a tree of prefixes', () => {
  const options = { prefix: '', separator: '/', depth: 9, nodesMax: 1_000, withKeys: true };
  const key = fc.array(fc.constantFrom('a', 'b', 'c', '/', '//'), { minLength: 1, maxLength: 8 });
  const keys = fc.uniqueArray(
    key.map((parts) => parts.join('')),
    { maxLength: 60 },
  );

  /** Keys of the leaves, by adding up. */
  const namesOf = (node: TreeNode, above = ''): string[] => {
    const name = `${above}${node.name}`;
    const below = [...node.children.values()].flatMap((child) => namesOf(child, name));
    return node.isKey ? [name, ...below] : below;
  };

  it('has every key, and counts it once on each level', () => {
    fc.assert(
      fc.property(keys, (all) => {
        const tree = new PrefixTree(options);
        for (const one of all) tree.add(one, 2, 3);
        expect(namesOf(tree.root).sort()).toEqual([...all].sort());
        const check = (node: TreeNode): void => {
          const children = [...node.children.values()];
          if (children.length > 0) {
            expect(children.reduce((sum, child) => sum + child.keys, 0)).toBe(node.keys);
          }
          expect([node.bytes, node.revisions]).toEqual([2 * node.keys, 3 * node.keys]);
          for (const child of children) check(child);
        };
        check(tree.root);
      }),
    );
  });

  it('remembers no more than it may, and loses no key of the sum', () => {
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 20 }), (all, nodesMax) => {
        const tree = new PrefixTree({ ...options, nodesMax });
        for (const one of all) tree.add(one, 1, 1);
        const nodes = (node: TreeNode): number =>
          [...node.children.values()].reduce((sum, child) => sum + 1 + nodes(child), 0);
        expect(nodes(tree.root)).toBeLessThanOrEqual(nodesMax);
        expect(tree.root.keys).toBe(all.length);
        const named = [...tree.root.children.values()].reduce((sum, child) => sum + child.keys, 0);
        expect(named + tree.rest.keys).toBe(all.length);
      }),
    );
  });
});

describe('lines', () => {
  async function split(chunks: readonly string[]): Promise<string[]> {
    const lines: string[] = [];
    const input = (async function* () {
      for (const chunk of chunks) yield Buffer.from(chunk);
    })();
    for await (const line of linesOf(input, new AbortController().signal))
      lines.push(line.toString());
    return lines;
  }

  it('are the same however they come', async () => {
    const chunk = fc.array(fc.constantFrom('a', 'b', '\n'), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(fc.array(chunk.map((parts) => parts.join(''))), async (chunks) => {
        const whole = chunks.join('').split('\n');
        if (whole.at(-1) === '') whole.pop();
        expect(await split(chunks)).toEqual(whole);
      }),
    );
  });

  it('are refused when they do not end', async () => {
    const piece = 'x'.repeat(lineBytesMax / 4);
    await expect(split([piece, piece, piece, piece, 'x'])).rejects.toThrow('is none of an export');
  });
});

describe('JSON by its fields', () => {
  const changes = (a: unknown, b: unknown) =>
    jsonChanges(Buffer.from(JSON.stringify(a)), Buffer.from(JSON.stringify(b)));

  it.each([
    [{ a: 1 }, { a: 2 }, [{ path: 'a', before: 1, after: 2 }]],
    [{ a: [1, 2] }, { a: [1] }, [{ path: 'a[1]', before: 2, after: undefined }]],
    [[], [null], [{ path: '[0]', before: undefined, after: null }]],
    [{ 'a.b': 1 }, {}, [{ path: '"a.b"', before: 1, after: undefined }]],
    [{ a: {} }, { a: [] }, [{ path: 'a', before: {}, after: [] }]],
    [{ __proto__: null, a: 1 }, { a: 1, toString: 2 }, [{ path: 'toString', after: 2 }]],
  ])('%j and %j', (a, b, expected) => {
    expect(changes(a, b)).toMatchObject(expected);
  });

  it('is text where it is no object or array, or too deep, or the same', () => {
    expect(changes(1, 2)).toBeUndefined();
    expect(jsonChanges(Buffer.from('{'), Buffer.from('{}'))).toBeUndefined();
    expect(jsonChanges(Buffer.from('{"a":1}'), Buffer.from('{ "a": 1 }'))).toBeUndefined();
    const nested = (value: string) => Buffer.from('['.repeat(5_000) + value + ']'.repeat(5_000));
    expect(jsonChanges(nested('1'), nested('2'))).toBeUndefined();
    const long = (value: number) => Array.from({ length: 1_000 }, () => value);
    expect(changes(long(1), long(2))).toBeUndefined();
  });

  it('finds nothing but what differs', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        for (const { before, after } of changes([a], [b]) ?? []) {
          expect(JSON.stringify(before)).not.toBe(JSON.stringify(after));
        }
        expect(changes([a], [a])).toBeUndefined();
      }),
    );
  });
});

describe('a watch of the past', () => {
  it('is given up when it is not read, and says so once that has been read', async () => {
    const value = Buffer.alloc(historyBufferBytesMax / 2 + 1);
    const header = undefined;
    const put = (modRevision: number) => {
      const kv = { key: 'k', createRevision: 1, version: modRevision, lease: 0n, value };
      const encoded = encodeKeyValue({ ...kv, modRevision });
      return encodeEvent('put', encoded, undefined);
    };
    const asked: number[] = [];
    let cancelled = 0;
    const calls = {
      stream: (_method: string, _kind: string, events: RawStreamEvents) => {
        return Promise.resolve({
          send: (message: Uint8Array) => {
            const request = decodeWatchRequest(Buffer.from(message));
            if (request.type !== 'create') return;
            asked.push(request.startRevision);
            const respond = (...revisions: number[]) => {
              const fields = { header, watchId: 0, created: revisions.length === 0 };
              const parts = encodeWatchResponse(fields, revisions.map(put));
              events.message(Buffer.concat(Array.isArray(parts) ? parts : [parts]));
            };
            respond();
            for (let at = request.startRevision; at <= 5; at += 1) respond(at);
          },
          end: () => undefined,
          cancel: () => {
            cancelled += 1;
          },
        });
      },
    } as unknown as Calls;
    const store = new Store(calls, new AbortController().signal);
    const past = { key: 'k', from: 1, until: 5, last: 5 };
    const events = new PastEvents(store, past, nodeClock).read();
    const seen: unknown[] = [];
    let step = await events.next();
    for (; step.done !== true; step = await events.next()) seen.push(step.value.kv?.modRevision);
    expect({ seen, end: step.value, cancelled }).toEqual({
      ...{ seen: [1, 2], end: { kind: 'behind' }, cancelled: 1 },
    });
    expect(asked).toEqual([1]);
  });
});

describe('text', () => {
  it.each([
    ['plain', 'plain'],
    ['ümläut 漢字', 'ümläut 漢字'],
    ['two\nlines', '"two\\nlines"'],
    ['\u001b[2J', '"\\x1b[2J"'],
    ['\u202egnp', '"\\u202egnp"'],
  ])('%j is shown as %s', (text, shown) => {
    expect(bytesText(Buffer.from(text))).toBe(shown);
  });

  it('is cut to its room, and counted', () => {
    expect(shortened('0123456789', 9)).toBe('01234567…');
    expect([counted(1, 'key'), counted(1_234_567, 'key')]).toEqual(['1 key', '1,234,567 keys']);
  });
});
