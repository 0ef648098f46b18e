import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  getRequest,
  History,
  type Kv,
  type OpResult,
  putRequest,
  type Request,
  txnRequest,
} from './history.js';
import { checkLinearizable } from './linearizability.js';

/** [call, return, request, what a get found: a value, null, or nothing to tell]. */
type Line = readonly [number, number, Request, (string | null)?, boolean?];

const kv = (key: string, value: string): Kv => {
  return { key, value, create: 1, mod: 1, version: 1, lease: 0n };
};

function history(...lines: readonly Line[]): History {
  const result = new History();
  for (const [callMs, returnMs, request, found, succeeded = true] of lines) {
    const id = result.begin(id0(), callMs, request);
    if (!Number.isFinite(returnMs)) {
      result.lose(id, 'timeout');
      continue;
    }
    const ops = succeeded ? request.success : request.failure;
    const results = ops.map((op): OpResult => {
      if (op.type === 'put') return { type: 'put' };
      if (op.type === 'txn') throw new Error('only hostile requests are nested');
      if (op.type === 'delete') return { type: 'delete', deleted: found === null ? 0 : 1 };
      return { type: 'get', kvs: typeof found === 'string' ? [kv(op.key, found)] : [] };
    });
    result.succeed(id, returnMs, { revision: 1, succeeded, results });
  }
  return result;
}

let nextClient = 0;
function id0(): number {
  nextClient += 1;
  return nextClient;
}

function isFine(h: History, windowOps?: number): boolean {
  const options = windowOps === undefined ? {} : { windowOps };
  const { report, windows } = checkLinearizable(h, options);
  expect(windows).toBeGreaterThan(0);
  return report.violationCount === 0;
}

const put = (value: string): Request => putRequest('a', value);
const get = getRequest('a');
const never = Number.POSITIVE_INFINITY;
const swap = (from: string, to: string): Request =>
  txnRequest(
    [{ target: 'value', key: 'a', result: '=', value: from }],
    [{ type: 'put', key: 'a', value: to, lease: 0n }],
    [{ type: 'get', key: 'a', end: '', revision: 0 }],
  );

describe('the search for an order', () => {
  it('accepts what one store could have said', () => {
    expect(isFine(history([0, 9, put('1')], [1, 8, get, null], [2, 7, get, '1']))).toBe(true);
    expect(isFine(history([0, 1, put('1')], [2, 3, put('2')], [4, 5, get, '2']))).toBe(true);
    expect(isFine(history([0, 1, put('1')], [2, 9, swap('1', '2')], [3, 4, get, '1']))).toBe(true);
  });

  it('finds a stale read', () => {
    expect(isFine(history([0, 1, put('1')], [2, 3, put('2')], [4, 5, get, '1']))).toBe(false);
  });

  it('finds reads that see the new value and then the old one', () => {
    const lines: Line[] = [
      [0, 1, put('1')],
      [2, 20, put('2')],
      [3, 4, get, '2'],
      [5, 6, get, '1'],
    ];
    expect(isFine(history(...lines))).toBe(false);
  });

  it('finds a lost update', () => {
    const lines: Line[] = [
      [0, 1, put('1')],
      [2, 9, swap('1', '2')],
      [2, 9, swap('1', '3')],
    ];
    expect(isFine(history(...lines))).toBe(false);
  });

  it('finds a condition that failed though it held', () => {
    expect(isFine(history([0, 1, put('1')], [2, 3, swap('1', '2'), '1', false]))).toBe(false);
    expect(isFine(history([0, 1, put('1')], [2, 3, swap('7', '2'), '1', false]))).toBe(true);
  });

  it('lets an unknown write take effect late, or never', () => {
    expect(isFine(history([0, 1, put('1')], [2, never, put('2')], [4, 5, get, '1']))).toBe(true);
    expect(
      isFine(history([0, 1, put('1')], [2, never, put('2')], [4, 5, get, '1'], [6, 7, get, '2'])),
    ).toBe(true);
    const twice: Line[] = [
      [0, 1, put('1')],
      [2, never, put('2')],
      [4, 5, get, '2'],
      [6, 7, put('3')],
      [8, 9, get, '2'],
    ];
    expect(isFine(history(...twice))).toBe(false);
  });

  it('lets an unknown write that nobody read be why a key existed', () => {
    const overwrite = txnRequest(
      [{ target: 'version', key: 'a', result: '>', number: 0 }],
      [
        { type: 'put', key: 'a', value: '2', lease: 0n },
        { type: 'get', key: 'a', end: '', revision: 0 },
      ],
    );
    expect(isFine(history([0, never, put('1')], [2, 3, overwrite, '2']))).toBe(true);
    expect(isFine(history([2, 3, overwrite, '2'], [4, never, put('1')]))).toBe(false);
  });

  it('does not let an unknown write take effect before its call', () => {
    expect(isFine(history([4, 5, get, '2'], [6, never, put('2')]))).toBe(false);
  });

  it('finds the same in windows that begin in the middle', () => {
    const lines: Line[] = [];
    for (let i = 0; i < 100; i += 1)
      lines.push([4 * i, 4 * i + 1, put(`${i}`)], [4 * i + 2, 4 * i + 3, get, `${i}`]);
    expect(isFine(history(...lines), 10)).toBe(true);
    lines[151] = [302, 303, get, '73'];
    expect(isFine(history(...lines), 10)).toBe(false);
  });

  it('does not take operations around a window for violations', () => {
    // Random truthful histories: each operation takes effect at a moment between call and return.
    const step = fc.record({
      kind: fc.constantFrom('put', 'get', 'lost'),
      before: fc.integer({ min: 0, max: 30 }),
      after: fc.integer({ min: 1, max: 30 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 80 }), (steps) => {
        const lines: Line[] = [];
        let value: string | null = null;
        for (const [i, { kind, before, after }] of steps.entries()) {
          const at = 40 + i * 3;
          const done = kind === 'lost' && after % 2 === 0 ? false : kind !== 'get';
          if (done) value = `${i}`;
          const until = kind === 'lost' ? never : at + after;
          if (kind === 'get') lines.push([at - before, until, get, value]);
          else lines.push([at - before, until, put(`${i}`)]);
        }
        lines.sort((a, b) => a[0] - b[0]);
        return isFine(history(...lines), 8) && isFine(history(...lines), 100);
      }),
      { numRuns: 100 },
    );
  });
});
