/** `kvorum bench` on a member that runs, and the histogram that it measures with. */

import fc from 'fast-check';
import { build } from 'hdr-histogram-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Etcd } from '../../src/client/index.js';
import { Histogram } from '../../src/ctl/benchmark/histogram.js';
import { startNode, type TestNode } from '../../src/testing/index.js';
import { eventually } from '../helpers/eventually.js';
import { type CtlSetup, ctl } from './run-ctl.js';

describe('a histogram', () => {
  it('has the quantiles of hdr-histogram-js', () => {
    const values = fc.array(fc.integer({ min: 1, max: 600_000_000 }), {
      minLength: 1,
      maxLength: 300,
    });
    fc.assert(
      fc.property(values, (all) => {
        const ours = new Histogram();
        const theirs = build({
          highestTrackableValue: 600_000_000,
          numberOfSignificantValueDigits: 3,
        });
        for (const value of all) {
          ours.record(value);
          theirs.recordValue(value);
        }
        for (const percent of [1, 25, 50, 90, 99, 99.9, 100]) {
          const theirValue = theirs.getValueAtPercentile(percent);
          const far = Math.abs(ours.quantile(percent / 100) - theirValue);
          expect(far).toBeLessThanOrEqual(theirValue / 400 + 1);
        }
        expect(ours.count).toBe(all.length);
        expect([ours.min, ours.max]).toEqual([Math.min(...all), Math.max(...all)]);
        const steps = ours.steps(11);
        expect(steps.reduce((sum, { count }) => sum + count, 0)).toBe(all.length);
      }),
    );
  });

  it('is empty without values', () => {
    const none = new Histogram();
    expect([none.mean, none.deviation, none.quantile(0.99)]).toEqual([0, 0, 0]);
  });
});

describe('kvorum bench', () => {
  let node: TestNode;
  let db: Etcd;
  beforeAll(async () => {
    node = await startNode();
    db = new Etcd(node.endpoint);
  }, 60_000);
  afterAll(async () => {
    await db.close();
    await node.close();
  });
  const bench = (words: readonly string[], setup?: CtlSetup) =>
    ctl(['bench', ...words, '--endpoints', node.endpoint], setup);
  const json = async (...words: string[]) => {
    const { stdout, stderr } = await bench([...words, '-w', 'json']);
    expect(stderr).toBe('');
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  };

  it('puts as many keys of the size and number that it was told', async () => {
    const words = ['put', '--total', '200', '--clients', '8', '--conns', '2', '--key-size', '12'];
    const [told] = await json(
      ...words,
      '--val-size',
      '100',
      '--key-space-size',
      '50',
      '--sequential-keys',
    );
    expect(told).toMatchObject({ name: 'put', requests: 200, failed: 0, errors: {} });
    expect(told.latencySeconds.p50).toBeGreaterThan(0);
    const kvs = await db.kv.range({ prefix: 'kvorum-bench/' });
    expect(kvs.kvs).toHaveLength(50);
    for (const { key, value, version } of kvs.kvs) {
      expect(key.toString()).toMatch(/^kvorum-bench\/\d{12}$/);
      expect(value).toHaveLength(100);
      expect(version).toBe(4);
    }
  });

  it("reports in the form of etcd's benchmark", async () => {
    const { code, stdout } = await bench(['put', '--total', '50']);
    expect(code).toBe(0);
    expect(stdout.replaceAll(/\d+\.\d+/g, 'X').replaceAll(/\[\d+\]\t\|∎*/g, '[N]\t|')).toBe(
      [
        '\nput:\n\nSummary:',
        '  Total:\tX secs.',
        '  Slowest:\tX secs.',
        '  Fastest:\tX secs.',
        '  Average:\tX secs.',
        '  Stddev:\tX secs.',
        '  Requests/sec:\tX',
        '\nResponse time histogram:',
        ...new Array(11).fill('  X [N]\t|'),
        '\nLatency distribution:',
        ...['10', '25', '50', '75', '90', '95', '99', 'X'].map(
          (percent) => `  ${percent}% in X secs.`,
        ),
        '',
      ].join('\n'),
    );
  });

  it('reads, in transactions puts, and renews', async () => {
    expect(
      await json('range', 'kvorum-bench/', '--total', '40', '--consistency', 's'),
    ).toMatchObject([{ name: 'range', requests: 40, failed: 0 }]);
    const txn = [
      'txn-put',
      '--total',
      '10',
      '--txn-ops',
      '5',
      '--key-space-size',
      '20',
      '--prefix',
      'txn/',
    ];
    expect(await json(...txn)).toMatchObject([{ name: 'txn-put', requests: 10, failed: 0 }]);
    expect((await db.kv.range({ prefix: 'txn/' })).kvs).toHaveLength(20);
    expect(await json('lease', '--total', '30', '--clients', '3')).toMatchObject([
      { name: 'lease-keepalive', requests: 30, failed: 0 },
    ]);
  });

  it('counts every event of every watcher', async () => {
    const words = ['--streams', '2', '--put-total', '20', '--key-size', '8'];
    const both = await json(
      'watch',
      ...words,
      '--watch-per-stream',
      '5',
      '--watched-key-total',
      '2',
    );
    expect(both).toMatchObject([
      { name: 'watch creation', requests: 10, failed: 0 },
      // Five watchers for each of the two keys.
      { name: 'events', requests: 100, failed: 0 },
    ]);
    const latency = ['watch-latency', ...words, '--watchers-per-stream', '3', '--put-rate', '0'];
    expect(await json(...latency, '--val-size', '64')).toMatchObject([
      { name: 'events', requests: 60, failed: 0 },
    ]);
  });

  it('says what failed, and ends with 1', async () => {
    const { code, stdout } = await ctl([
      ...['bench', 'txn-put', '--txn-ops', '200', '--key-space-size', '200', '--total', '2'],
      ...['--endpoints', node.endpoint],
    ]);
    expect(code).toBe(1);
    expect(stdout).toContain('Error distribution:\n  [2]\t');
    expect(stdout).toContain('too many operations');
  });

  it.each([
    [['put', '--clients', '0'], '--clients must be above 0'],
    [
      ['put', '--key-size', '1', '--key-space-size', '100'],
      '--key-size 1 has no room for 100 keys',
    ],
    [['range'], 'bench range needs a key, and perhaps the end of a range'],
  ])('refuses %j', async (words, message) => {
    expect(await bench(words)).toMatchObject({
      code: 128,
      stdout: '',
      stderr: `Error: ${message}\n`,
    });
  });

  it('moves on a terminal, and q ends it', async () => {
    let press: (key: string) => void = () => undefined;
    let screen = '';
    const keys = {
      size: () => ({ columns: 100, rows: 40 }),
      read(pressed: (key: string) => void) {
        press = pressed;
        return { stop: () => undefined };
      },
    };
    const running = bench(['put', '--total', '100000000', '--clients', '2'], {
      columns: 100,
      keys,
      onStdout: (text) => {
        screen = text;
      },
    });
    await eventually(() => /of 100,000,000, [\d,]+ a second/.test(screen) || undefined, 'it moves');
    press('q');
    const { code, stdout } = await running;
    expect(code).toBe(5);
    expect(stdout).toContain('Latency distribution:');
  });
});
