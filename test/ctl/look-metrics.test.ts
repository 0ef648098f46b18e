/** What `status`, `top` and `diagnose` make of metrics and of keys. */

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Etcd } from '../../src/client/index.js';
import { RawClient } from '../../src/client/raw/index.js';
import { countPrefixes, Metrics, partOf, quantile, since } from '../../src/ctl/look/ask/index.js';
import { inColumns, printable } from '../../src/ctl/show/index.js';
import { startNode, type TestNode } from '../../src/testing/index.js';

describe('the text of metrics', () => {
  const metrics = new Metrics(
    [
      '# HELP a_total What.',
      '# TYPE a_total counter',
      'a_total{x="1",y="a\\"b\\\\c\\nd"} 3',
      'a_total{x="2",y=""} 4 1700000000000',
      'b +Inf',
      'c NaN',
      't_bucket{le="0.1"} 50',
      't_bucket{le="0.2"} 90',
      't_bucket{le="+Inf"} 100',
      't_sum 12.5',
      't_count 100',
      'no number',
      '',
    ].join('\n'),
  );

  it('has its series by labels, and their sum', () => {
    expect(metrics.value('a_total')).toBe(7);
    expect(metrics.value('a_total', { x: '2' })).toBe(4);
    expect(metrics.value('a_total', { x: '3' })).toBeUndefined();
    expect(metrics.rows('a_total', { x: '1' })[0]?.labels.y).toBe('a"b\\c\nd');
    expect(metrics.value('b')).toBe(Number.POSITIVE_INFINITY);
    expect(metrics.value('c')).toBeUndefined();
  });

  it('has its histograms, with quantiles as Prometheus estimates them', () => {
    const histogram = metrics.histogram('t');
    if (histogram === undefined) throw new Error('no histogram');
    expect(quantile(histogram, 0.5)).toBeCloseTo(0.1);
    expect(quantile(histogram, 0.7)).toBeCloseTo(0.15);
    // Above the last bound nothing is known.
    expect(quantile(histogram, 0.99)).toBeCloseTo(0.2);
    const later = { ...histogram, counts: [50, 100, 110], count: 110 };
    expect(quantile(since(later, histogram), 0.5)).toBeCloseTo(0.15);
    // The member began anew.
    expect(since(histogram, later)).toBe(histogram);
    expect(quantile({ bounds: [1], counts: [0], sum: 0, count: 0 }, 0.5)).toBeUndefined();
  });
});

describe('prefixes', () => {
  it.each([
    ['/registry/pods/default/a', '/registry/pods/', true],
    ['/registry/pods', '/registry/', false],
    ['/registry', '/', false],
    ['a/b/c', 'a/b/', true],
    ['a/b', 'a/', false],
    ['a', '', false],
    ['//x', '//', false],
  ])('of %s is %s', (key, prefix, isWhole) => {
    expect(partOf(key, { delimiter: '/', depth: 2 })).toEqual({ prefix, isWhole });
  });

  it('are prefixes, whatever a key is', () => {
    const part = fc.constantFrom('/', 'a', 'bc', '\u00ff');
    fc.assert(
      fc.property(fc.array(part), fc.integer({ min: 1, max: 4 }), (parts, depth) => {
        const key = parts.join('');
        const { prefix, isWhole } = partOf(key, { delimiter: '/', depth });
        expect(key.startsWith(prefix)).toBe(true);
        if (isWhole) expect(prefix.endsWith('/')).toBe(true);
      }),
    );
  });

  describe('of a store', () => {
    let node: TestNode;
    let client: RawClient;
    beforeAll(async () => {
      node = await startNode();
      client = new RawClient({ endpoints: node.endpoint });
      const db = new Etcd(node.endpoint);
      const names = [
        ...Array.from({ length: 2_500 }, (_, i) => `/big/one/${i}`),
        ...Array.from({ length: 1_100 }, (_, i) => `/many/${i}/x`),
        ...['/big/loose', '/last/one/1', 'flat', 'zz/y/x'],
      ];
      for (let i = 0; i < names.length; i += 50) {
        await Promise.all(names.slice(i, i + 50).map((name) => db.kv.put(name, '')));
      }
      await db.close();
    }, 200_000);
    afterAll(async () => {
      await client.close();
      await node.close();
    });
    const count = (callsMax?: number) =>
      countPrefixes({
        ...{ client, delimiter: '/', depth: 2, timeoutMs: 60_000 },
        signal: new AbortController().signal,
        ...(callsMax === undefined ? {} : { callsMax }),
      });

    it('are all counted, the long ones in one call, and few of the small ones remembered', async () => {
      const { prefixes, keys, otherKeys, isPartial } = await count();
      expect(keys).toBe(3_604);
      expect(prefixes[0]).toEqual({ prefix: '/big/one/', keys: 2_500 });
      expect(prefixes.length).toBeLessThan(400);
      // Of 1,100 prefixes with a key each not all are remembered.
      expect(isPartial).toBe(true);
      expect(prefixes.reduce((sum, one) => sum + one.keys, 0) + otherKeys).toBe(keys);
    });

    it('are said to be part of them when the calls are used up', async () => {
      const { prefixes, keys, otherKeys, isPartial } = await count(2);
      expect(isPartial).toBe(true);
      expect(prefixes).toEqual([
        { prefix: '/big/one/', keys: 2_500 },
        { prefix: '/big/', keys: 1 },
      ]);
      expect(otherKeys).toBe(keys - 2_501);
    });
  });
});

describe('what is shown', () => {
  it('can not move the cursor', () => {
    expect(printable('a\u001b[2Jb\n\u009bc')).toBe('a\\x1b[2Jb\\x0a\\x9bc');
  });

  it('leaves out columns that can be spared, the highest first', () => {
    const columns = [
      { title: 'A', of: (row: string) => row },
      { title: 'B', of: () => 'xxxx', spare: 1, right: true },
      { title: 'C', of: () => 'yy', spare: 2 },
    ];
    expect(inColumns(columns, ['1'], 20)).toEqual(['A     B  C', '1  xxxx  yy']);
    expect(inColumns(columns, ['1'], 8)).toEqual(['A     B', '1  xxxx']);
    expect(inColumns(columns, ['1'], 1)).toEqual(['A', '1']);
  });
});
