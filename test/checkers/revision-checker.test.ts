import { describe, expect, it } from 'vitest';
import {
  compactRequest,
  deleteRequest,
  getRequest,
  History,
  type Kv,
  type OpResult,
  putRequest,
  type Request,
  txnRequest,
} from './history.js';
import { checkRevisions, type RevisionInput } from './revision-checker.js';
import { deleted, Truth } from './truth.js';

const put: OpResult = { type: 'put' };
const got = (...kvs: Kv[]): OpResult => ({ type: 'get', kvs });

function kv(key: string, value: string, mod: number, create = mod, version = 1): Kv {
  return { key, value, mod, create, version, lease: 0n };
}

/** A truthful store with a client's notes, to be spoiled by each test. */
class Bench {
  readonly truth = new Truth();
  readonly history = new History();
  #now = 0;

  /** Done by the store, answered as it should be. */
  did(request: Request, revision?: number): number {
    const effect = this.truth.effect(request, this.truth.revision);
    if (effect.changes.length > 0) this.truth.append(effect.changes);
    return this.says(request, revision ?? this.truth.revision, effect.results, effect.succeeded);
  }

  /** Just answered. */
  says(request: Request, revision: number, results: readonly OpResult[], succeeded = true): number {
    const id = this.history.begin(1, this.#now, request);
    this.history.succeed(id, this.#now + 1, { revision, succeeded, results });
    this.#now += 2;
    return id;
  }

  lost(request: Request): void {
    this.history.lose(this.history.begin(1, this.#now, request), 'timeout');
    this.#now += 2;
  }

  failed(request: Request, error: string): void {
    this.history.fail(this.history.begin(1, this.#now, request), this.#now + 1, error);
    this.#now += 2;
  }

  broken(more: Partial<RevisionInput> = {}): string[] {
    const { history, truth } = this;
    return checkRevisions({ history, truth, leaseRevisions: new Set(), ...more }).rules();
  }
}

describe('the revision checker', () => {
  it('is content with a truthful history', () => {
    const bench = new Bench();
    bench.did(putRequest('a', '1'));
    bench.did(putRequest('b', '2'));
    bench.did(getRequest('a', { end: '\0' }));
    bench.did(
      txnRequest(
        [{ target: 'mod', key: 'a', result: '=', number: 2 }],
        [{ type: 'put', key: 'a', value: '3', lease: 0n }],
      ),
    );
    bench.did(
      txnRequest(
        [{ target: 'value', key: 'a', result: '=', value: '1' }],
        [{ type: 'delete', key: 'a', end: '' }],
        [{ type: 'get', key: 'a', end: '', revision: 0 }],
      ),
    );
    bench.did(deleteRequest('b'));
    bench.did(compactRequest(3));
    bench.did(getRequest('a', { revision: 3 }));
    const { history, truth } = bench;
    const report = checkRevisions({ history, truth, leaseRevisions: new Set() });
    expect(report.violations).toEqual([]);
    expect(report.checkCount).toBeGreaterThan(20);
  });

  it('finds a stale read', () => {
    const bench = new Bench();
    bench.did(putRequest('a', '1'));
    bench.did(putRequest('a', '2'));
    bench.says(getRequest('a'), 2, [got(kv('a', '1', 2))]);
    expect(bench.broken()).toEqual(['order: read']);
  });

  it('finds a read older than an event that was seen', () => {
    const bench = new Bench();
    bench.did(putRequest('a', '1'));
    bench.says(getRequest('a'), 2, [got(kv('a', '1', 2))]);
    bench.truth.append([{ type: 'put', key: 'x', value: 'y', create: 3, version: 1, lease: 0n }]);
    const seen = [{ atMs: 1.5, revision: 3 }];
    expect(bench.broken({ seen, leaseRevisions: new Set() })).toContain('order: read');
  });

  it('lets a serializable read be stale, but not wrong', () => {
    const bench = new Bench();
    bench.did(putRequest('a', '1'));
    bench.did(putRequest('a', '2'));
    bench.says(getRequest('a', { serializable: true }), 2, [got(kv('a', '1', 2))]);
    expect(bench.broken()).toEqual([]);
    bench.says(getRequest('a', { serializable: true }), 2, [got(kv('a', '2', 3, 2, 2))]);
    expect(bench.broken()).toEqual(['revision: serializable read']);
  });

  it('finds a read of a value that was never there', () => {
    const bench = new Bench();
    bench.did(putRequest('a', '1'));
    bench.says(getRequest('a'), 2, [got(kv('a', 'other', 2))]);
    expect(bench.broken()).toEqual(['revision: read']);
  });

  it('finds a range that misses a key', () => {
    const bench = new Bench();
    bench.did(putRequest('a', '1'));
    bench.did(putRequest('b', '2'));
    bench.says(getRequest('a', { end: '\0' }), 3, [got(kv('a', '1', 2))]);
    expect(bench.broken()).toEqual(['revision: read']);
  });

  it('finds a revision that does not exist', () => {
    const bench = new Bench();
    bench.did(putRequest('a', '1'));
    bench.says(getRequest('a'), 9, [got(kv('a', '1', 2))]);
    expect(bench.broken()).toContain('revision: exists');
  });

  it('finds a transaction that took the wrong branch', () => {
    const bench = new Bench();
    bench.did(putRequest('a', '1'));
    const request = txnRequest(
      [{ target: 'version', key: 'a', result: '=', number: 7 }],
      [{ type: 'put', key: 'a', value: '2', lease: 0n }],
    );
    bench.truth.append([{ type: 'put', key: 'a', value: '2', create: 2, version: 2, lease: 0n }]);
    bench.says(request, 3, [put]);
    expect(bench.broken()).toContain('revision: write');
  });

  it('finds an acknowledged write that is not in the log', () => {
    const bench = new Bench();
    bench.did(putRequest('a', '1'));
    bench.did(putRequest('a', '2'));
    bench.says(putRequest('a', '3'), 3, [put]);
    expect(bench.broken()).toEqual(
      expect.arrayContaining(['revision: unique', 'revision: write is in the log', 'order: write']),
    );
  });

  it('finds the revision of a write going back in time', () => {
    const bench = new Bench();
    bench.truth.append([{ type: 'put', key: 'b', value: '2', create: 2, version: 1, lease: 0n }]);
    bench.truth.append([{ type: 'put', key: 'a', value: '1', create: 3, version: 1, lease: 0n }]);
    bench.says(putRequest('a', '1'), 3, [put]);
    bench.says(putRequest('b', '2'), 2, [put]);
    expect(bench.broken()).toEqual(['order: write']);
  });

  it('takes an unknown write as done or not done', () => {
    const bench = new Bench();
    bench.lost(putRequest('a', '1'));
    bench.lost(putRequest('a', '2'));
    bench.truth.append([{ type: 'put', key: 'a', value: '2', create: 2, version: 1, lease: 0n }]);
    bench.did(getRequest('a'));
    expect(bench.broken()).toEqual([]);
  });

  it('finds an unknown write that was executed twice (L-35)', () => {
    const bench = new Bench();
    bench.lost(putRequest('a', '1'));
    bench.truth.append([{ type: 'put', key: 'a', value: '1', create: 2, version: 1, lease: 0n }]);
    bench.truth.append([{ type: 'put', key: 'a', value: '1', create: 2, version: 2, lease: 0n }]);
    expect(bench.broken()).toContain('log: at most once');
  });

  it('finds an unknown write that took effect before it was called', () => {
    const bench = new Bench();
    bench.truth.append([{ type: 'put', key: 'a', value: '1', create: 2, version: 1, lease: 0n }]);
    bench.did(getRequest('a'));
    bench.lost(putRequest('a', '1'));
    expect(bench.broken()).toEqual(['order: write']);
  });

  it('finds a failed write that was executed', () => {
    const bench = new Bench();
    bench.failed(putRequest('a', '1'), 'lease not found');
    bench.truth.append([{ type: 'put', key: 'a', value: '1', create: 2, version: 1, lease: 0n }]);
    expect(bench.broken()).toEqual(['log: failed means nothing happened']);
  });

  it('finds what was done long after its call had timed out', () => {
    const bench = new Bench();
    bench.lost(putRequest('a', 'old'));
    // Called at 2 ms.
    bench.did(putRequest('a', 'new'));
    bench.truth.append([{ type: 'put', key: 'a', value: 'old', create: 2, version: 2, lease: 0n }]);
    expect(bench.broken()).toEqual([]);
    expect(bench.broken({ lateMsMax: 3 })).toEqual([]);
    expect(bench.broken({ lateMsMax: 1 })).toEqual(['timeout: before later writes']);
    // As long as it comes first it may come at any time.
    const early = new Bench();
    early.lost(putRequest('a', 'old'));
    early.truth.append([{ type: 'put', key: 'a', value: 'old', create: 2, version: 1, lease: 0n }]);
    early.did(putRequest('a', 'new'));
    const { history, truth } = early;
    const report = checkRevisions({ history, truth, leaseRevisions: new Set(), lateMsMax: 1 });
    expect(report.rules()).toEqual([]);
    expect(report.checks.get('timeout: before later writes')).toBe(1);
  });

  it('knows what hostile requests do', () => {
    const bench = new Bench();
    const inner = txnRequest(
      [{ target: 'version', key: '~a', end: '~c', result: '>', number: 1 }],
      [{ type: 'delete', key: '~', end: '\0' }],
      [{ type: 'put', key: '~d', value: '', lease: 0n }],
    );
    const hostile = {
      ...txnRequest(
        [
          { target: 'unknown', key: '~x', end: '~', result: '=' },
          { target: 'lease', key: '~x', result: 'any', lease: 7n },
        ],
        [
          { type: 'put', key: '}', value: 't1', lease: 0n },
          { type: 'put', key: '~b', value: '', lease: 0n, ignoreValue: true, ignoreLease: true },
          { type: 'txn', request: inner },
        ],
      ),
      isHostile: true,
    };
    bench.did(putRequest('~a', '1'));
    bench.did(putRequest('~b', '2'));
    bench.did(hostile);
    const rest = bench.truth.range('~', '\0', 4).map(({ key, value }) => `${key}=${value}`);
    expect(rest).toEqual(['~a=1', '~b=2', '~d=']);
    expect(bench.broken()).toEqual([]);
    const state = { leases: new Set<bigint>(), compactRevision: -1 };
    expect(bench.truth.refuses(hostile, 4, state)).toBe(false);
    expect(bench.truth.refuses(hostile, 1, state)).toBe(true);
    const [token, ...ops] = hostile.success;
    const again = { ...hostile, success: [{ ...token, value: 't2' } as typeof token, ...ops] };
    const wrong: OpResult = { type: 'txn', succeeded: true, results: [put] };
    bench.says(again as typeof hostile, 4, [put, put, wrong]);
    expect(bench.broken()).toContain('revision: write');
  });

  it('finds changes that nobody asked for', () => {
    const bench = new Bench();
    bench.did(putRequest('a', '1'));
    bench.truth.append([deleted('a')]);
    expect(bench.broken()).toEqual(['log: asked for']);
    expect(bench.broken({ leaseRevisions: new Set([3]) })).toEqual([]);
    bench.lost(deleteRequest('a'));
    expect(bench.broken()).toEqual([]);
  });

  it('finds a read below the compacted revision, and a refusal without a reason', () => {
    const bench = new Bench();
    bench.did(putRequest('a', '1'));
    bench.did(putRequest('a', '2'));
    bench.failed(getRequest('a', { revision: 2 }), 'required revision has been compacted');
    expect(bench.broken()).toEqual(['compaction: refused for a reason']);
    bench.did(compactRequest(3));
    bench.did(getRequest('a', { revision: 2 }), 3);
    expect(bench.broken()).toContain('compaction: no read below it');
  });

  it('keeps up with tens of thousands of operations', () => {
    const bench = new Bench();
    for (let i = 0; i < 15_000; i += 1) {
      bench.did(putRequest(`k${i % 100}`, `v${i}`));
      bench.did(getRequest(`k${(i * 7) % 100}`));
    }
    expect(bench.broken()).toEqual([]);
  });
});
