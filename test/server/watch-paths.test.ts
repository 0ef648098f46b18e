/**
 * What a watcher is told does not depend on how it is told: live, from the records in memory, from
 * disk, after a restart, as fragments. Held to etcd's rules (server/etcdserver/api/v3rpc/watch.go
 * and server/storage/mvcc, facts only): prev_kv is the value before the revision, and none for a
 * put whose create revision is its mod revision.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mvccSliceKeysMax } from '../../src/common/index.js';
import type { Event, WatchCreateRequest } from '../../src/proto/index.js';
import { WatchHub } from '../../src/server/watch/hub.js';
import { defaultWatchLimits } from '../../src/server/watch/limits.js';
import { SimRandom } from '../../src/sim/index.js';
import { type MvccStore, openLevelStore } from '../../src/storage/index.js';
import { apply, type Change, inTempDir, openStore, realClock } from '../storage/mvcc/helpers.js';
import { createRequest, TestClient, testHeaders } from './watch-helpers.js';

const keys = ['a', 'b', 'c'];

/** What etcd tells of a random history, as lines. */
class EtcdModel {
  revision = 1;
  readonly lines: { revision: number; key: string; type: 'put' | 'delete'; text: string }[] = [];
  #live = new Map<string, { value: string; created: number; version: number }>();

  apply(changes: readonly Change[]): void {
    const main = this.revision + 1;
    const before = new Map(this.#live);
    for (const change of changes) {
      if (change.type === 'put') {
        const old = this.#live.get(change.key);
        const created = old?.created ?? main;
        const version = (old?.version ?? 0) + 1;
        this.#live.set(change.key, { value: change.value, created, version });
        const previous = created === main ? undefined : before.get(change.key);
        this.#tell(main, 'put', change.key, change.value, created, version, previous?.value);
        continue;
      }
      const end = change.end ?? `${change.key}\0`;
      for (const key of [...this.#live.keys()].sort()) {
        if (key < change.key || (end !== '\0' && key >= end)) continue;
        this.#live.delete(key);
        this.#tell(main, 'delete', key, '', 0, 0, before.get(key)?.value);
      }
    }
    if (this.lines.at(-1)?.revision === main) this.revision = main;
  }

  #tell(
    revision: number,
    type: 'put' | 'delete',
    key: string,
    value: string,
    created: number,
    version: number,
    previous: string | undefined,
  ): void {
    const text = `${type} ${key}=${value} ${created}/${revision} v${version} <- ${previous}`;
    this.lines.push({ revision, key, type, text });
  }

  /** What a watcher from `from` on gets. */
  expected(from: number, wanted: Wanted): string[] {
    return this.lines
      .filter(({ revision, key, type }) => {
        if (revision < from || (wanted.key !== undefined && key !== wanted.key)) return false;
        return !wanted.filters.includes(type === 'put' ? 0 : 1);
      })
      .map(({ text }) => (wanted.prevKv ? text : text.replace(/ <- .*/, ' <- undefined')));
  }
}

interface Wanted {
  readonly key: string | undefined;
  readonly filters: readonly (0 | 1)[];
  readonly prevKv: boolean;
  readonly fragment: boolean;
}

function requestOf(wanted: Wanted, startRevision: number): WatchCreateRequest {
  const { key, filters, prevKv, fragment } = wanted;
  const range = key === undefined ? { key: '\0', rangeEnd: '\0' } : { key, rangeEnd: '' };
  return createRequest({ ...range, filters: [...filters], prevKv, fragment, startRevision });
}

function lineOf({ type, kv, prevKv }: Event): string {
  if (kv === undefined) return 'event without kv';
  const what = type === 1 ? 'delete' : 'put';
  const revisions = `${kv.createRevision}/${kv.modRevision} v${kv.version}`;
  return `${what} ${kv.key}=${kv.value} ${revisions} <- ${prevKv?.value}`;
}

/** A hub with one watcher, which checks what must hold of its responses. */
class Told {
  readonly client = new TestClient();
  readonly hub: WatchHub;

  constructor(store: MvccStore, wanted: Wanted, startRevision: number, fragmentBytes = 100) {
    this.hub = new WatchHub({
      store,
      clock: realClock,
      random: new SimRandom(1),
      header: (revision) => testHeaders.header(revision, 3),
      fatal: (error) => {
        throw error;
      },
      limits: { ...defaultWatchLimits, fragmentBytes, catchUpRevisionsMax: 3 },
    });
    const stream = this.hub.open(this.client);
    stream.create(requestOf(wanted, startRevision), undefined);
  }

  async lines(): Promise<string[]> {
    while (this.hub.counters.slowWatchers > 0 || this.hub.counters.pendingEvents > 0) {
      this.hub.flush();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { responses } = this.client;
    let open = false;
    let shown = 0;
    for (const { events, fragment, header } of responses) {
      const first = events[0]?.kv?.modRevision ?? 0;
      const last = events.at(-1)?.kv?.modRevision ?? 0;
      expect(header?.revision).toBeGreaterThanOrEqual(last);
      // A revision is cut by fragments only.
      if (!open && events.length > 0) expect(first).toBeGreaterThan(shown);
      if (last > 0) shown = last;
      open = fragment;
    }
    expect(open).toBe(false);
    this.hub.close();
    return responses.flatMap((response) => response.events.map(lineOf));
  }
}

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    type: fc.constant('put' as const),
    key: fc.constantFrom(...keys),
    value: fc.string({ unit: 'grapheme-ascii', maxLength: 30 }),
  }),
  fc.record({ type: fc.constant('delete' as const), key: fc.constantFrom(...keys) }),
  fc.record({
    type: fc.constant('delete' as const),
    key: fc.constantFrom(...keys),
    end: fc.constantFrom('\0', 'c', 'zz'),
  }),
);

const wantedOf: fc.Arbitrary<Wanted> = fc.record({
  key: fc.option(fc.constantFrom(...keys), { nil: undefined }),
  filters: fc.constantFrom<(0 | 1)[]>([], [], [0], [1]),
  prevKv: fc.boolean(),
  fragment: fc.boolean(),
});

describe('what a watcher is told', () => {
  it("is etcd's, live, from memory, from disk and after a restart", async () => {
    let repeated = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(change, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 12 }),
        fc.array(wantedOf, { minLength: 3, maxLength: 3 }),
        (txns, wanted) =>
          inTempDir(async (dir) => {
            const model = new EtcdModel();
            const options = { cacheBytesMax: 1024 };
            let store = await openStore(await openLevelStore(dir), realClock, options);
            const live = wanted.map((each) => new Told(store, each, 0));
            const half = wanted.map((each) => new Told(store, each, 0));
            for (const [i, changes] of txns.entries()) {
              model.apply(changes);
              if (new Set(changes.map(({ key }) => key)).size < changes.length) repeated += 1;
              const commit = apply(store, changes);
              for (const { hub } of [...live, ...half]) hub.publish(commit);
              for (const { hub } of live) hub.flush();
              if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
            }
            const history = wanted.map((each) => new Told(store, each, 1));
            const expected = wanted.map((each) => model.expected(1, each));
            for (const told of [live, half, history]) {
              expect(await Promise.all(told.map((each) => each.lines()))).toEqual(expected);
            }
            await store.flushSync();
            await store.close();
            store = await openStore(await openLevelStore(dir), realClock, options);
            const restarted = wanted.map((each) => new Told(store, each, 1));
            expect(await Promise.all(restarted.map((each) => each.lines()))).toEqual(expected);
            await store.close();
          }),
      ),
      { numRuns: 60 },
    );
    expect(repeated).toBeGreaterThan(60);
  }, 60_000);
});

describe('a revision of very many events', () => {
  const count = 8000;
  const cases: readonly [string, Partial<Wanted>][] = [
    ['plain', {}],
    ['with previous values, in fragments', { prevKv: true, fragment: true }],
    ['without puts', { filters: [0] }],
  ];

  it.each(cases)('comes whole, in one response, in slices: %s', (_name, options) =>
    inTempDir(async (dir) => {
      let store = await openStore(await openLevelStore(dir));
      const names = Array.from({ length: count }, (_, i) => `k${String(i).padStart(6, '0')}`);
      apply(
        store,
        names.map((key) => ({ type: 'put', key, value: 'v' })),
      );
      apply(store, [{ type: 'delete', key: 'k', end: 'l' }]);
      const wanted = { key: undefined, filters: [], prevKv: false, fragment: false, ...options };
      const before = wanted.prevKv ? 'v' : undefined;
      const expected = names.map((key) => `delete ${key}= 0/3 v0 <- ${before}`);
      if (wanted.filters.length === 0) {
        expected.unshift(...names.map((key) => `put ${key}=v 2/2 v1 <- undefined`));
      }
      for (const from of ['memory', 'disk']) {
        if (from === 'disk') {
          await store.flushSync();
          await store.close();
          store = await openStore(await openLevelStore(dir));
        }
        let turns = 0;
        const told = new Told(store, wanted, 2, 100_000);
        const counting = (): void => {
          turns += 1;
          if (told.hub.counters.slowWatchers > 0) setImmediate(counting);
        };
        counting();
        expect(await told.lines()).toEqual(expected);
        const ends = told.client.responses.filter(({ created, fragment }) => !created && !fragment);
        expect(ends).toHaveLength(1);
        // Looked at more than once: as read, for its watchers, for each of them.
        expect(turns).toBeGreaterThan((2 * 2 * count) / mvccSliceKeysMax);
      }
      await store.close();
    }),
  );
});
