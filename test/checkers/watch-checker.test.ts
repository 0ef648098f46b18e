import { describe, expect, it } from 'vitest';
import type { Kv } from './history.js';
import { deleted, Truth } from './truth.js';
import { checkWatches, type SeenEvent, type Watcher, type WatchMessage } from './watch-checker.js';

const truth = new Truth();
const at = (key: string, value: string, create: number, version: number) =>
  ({ type: 'put', key, value, create, version, lease: 0n }) as const;
truth.append([at('a', '1', 2, 1)]);
truth.append([at('a', '2', 2, 2), at('b', '3', 3, 1)]);
truth.append([deleted('a')]);
truth.append([at('c', '4', 5, 1)]);
truth.append([at('a', '5', 6, 1)]);

function event(key: string, revision: number, spoil: Partial<Kv> = {}): SeenEvent {
  const change = truth.commit(revision)?.changes.find((one) => one.key === key);
  if (change === undefined) throw new Error(`no ${key} at ${revision}`);
  const { type, value, create, version, lease } = change;
  const kv = { key, value, create, mod: revision, version, lease, ...spoil };
  return { type, kv, previous: truth.at(key, revision - 1) };
}

function message(revision: number, ...events: SeenEvent[]): WatchMessage {
  return { atMs: revision, revision, events, compactRevision: 0, isProgress: events.length === 0 };
}

const all = [
  message(2, event('a', 2)),
  message(3, event('a', 3), event('b', 3)),
  message(4, event('a', 4)),
  message(5, event('c', 5)),
  message(6, event('a', 6)),
];

function broken(messages: readonly WatchMessage[], more: Partial<Watcher> = {}): string[] {
  const watcher: Watcher = {
    name: 'w',
    key: 'a',
    end: '\0',
    startRevision: 2,
    createdRevision: 1,
    previous: true,
    noPut: false,
    noDelete: false,
    messages: [...messages],
    completeThrough: 6,
    ...more,
  };
  return checkWatches({ truth, watchers: [watcher], compactedMax: 0 }).rules();
}

describe('the watch checker', () => {
  it('is content with what should come', () => {
    expect(broken(all)).toEqual([]);
    expect(broken([message(6, ...all.flatMap(({ events }) => events))])).toEqual([]);
    expect(broken([message(4), ...all.slice(3)], { startRevision: 0, createdRevision: 4 })).toEqual(
      [],
    );
    expect(broken(all.slice(3, 4), { key: 'c', end: '' })).toEqual([]);
  });

  it('ordered: finds an event before an earlier one', () => {
    expect(broken([all[1], all[0]].map((one) => one as WatchMessage))).toContain('watch: ordered');
  });

  it('unique: finds an event that comes twice', () => {
    expect(broken([...all.slice(0, 1), ...all])).toContain('watch: unique');
  });

  it('atomic: finds a revision that comes in two messages', () => {
    const split = [all[0], message(3, event('a', 3)), message(3, event('b', 3)), ...all.slice(2)];
    expect(broken(split.map((one) => one as WatchMessage))).toContain('watch: atomic');
  });

  it('reliable: finds a gap, and an end that never comes', () => {
    expect(broken([...all.slice(0, 2), ...all.slice(3)])).toEqual(['watch: reliable']);
    expect(broken(all.slice(0, 4))).toEqual(['watch: reliable']);
    expect(broken(all.slice(0, 4), { completeThrough: 0 })).toEqual([]);
  });

  it('resumable: finds that it did not begin where it was told to', () => {
    expect(broken(all.slice(1))).toEqual(['watch: resumable']);
  });

  it('bookmarkable: finds progress ahead of an event', () => {
    expect(broken([...all.slice(0, 2), message(5), ...all.slice(2)])).toContain(
      'watch: bookmarkable',
    );
  });

  it('filter: finds what was not asked for', () => {
    expect(broken(all, { noDelete: true })).toContain('watch: filter');
    expect(broken(all, { key: 'b' })).toContain('watch: filter');
  });

  it('prevKV: finds a wrong one, and one that is missing', () => {
    const wrong = { ...event('a', 3), previous: event('a', 6).kv };
    const none = { ...event('a', 3), previous: undefined };
    for (const bad of [wrong, none]) {
      const messages = [all[0], message(3, bad, event('b', 3)), ...all.slice(2)];
      expect(broken(messages.map((one) => one as WatchMessage))).toEqual(['watch: prevKV']);
    }
  });

  it('isCreate: finds a wrong create revision or version', () => {
    for (const spoil of [{ create: 1 }, { version: 9 }]) {
      expect(broken([message(2, event('a', 2, spoil)), ...all.slice(1)])).toEqual([
        'watch: isCreate',
      ]);
    }
  });

  it('finds a wrong value', () => {
    expect(broken([message(2, event('a', 2, { value: 'x' })), ...all.slice(1)])).toEqual([
      'watch: event',
    ]);
  });

  it('finds what was never committed (L-37)', () => {
    expect(broken([...all, message(9)])).toEqual(['watch: nothing uncommitted']);
  });

  it('finds a watcher that is ended as compacted though it is not', () => {
    const end = { ...message(3), compactRevision: 3 };
    expect(broken([all[0] as WatchMessage, all[1] as WatchMessage, end])).toEqual([
      'watch: compacted only if it is',
    ]);
  });
});
