/**
 * Checks every response of a watch stream against the history of the store: ordered, unique,
 * atomic, reliable, bookmarkable, resumable, and right prev_kv, is_create and filter (the nine of
 * C-2.22), and that no header names a revision that is not applied.
 */

import type { Event, WatchCreateRequest, WatchResponse } from '../../src/proto/index.js';
import { type HistoryStore, line, type Told } from './watch-helpers.js';

/** A watcher as its client knows it. */
export interface KnownWatcher {
  readonly request: WatchCreateRequest;
  readonly from: number;
  /** Events of revisions up to here have been delivered, or there are none. */
  through: number;
  /** Revision of the last event. */
  lastEvent: number;
  events: number;
  compacted: boolean;
}

/** The client's half of one stream. */
export class WatchValidator {
  readonly watchers = new Map<number, KnownWatcher>();
  /** Create requests whose reply has not come. */
  readonly asked: WatchCreateRequest[] = [];
  checked = 0;
  readonly #store: HistoryStore;
  readonly #fullRevisions: number;
  #fragments: Event[] = [];
  #fragmentsOf: number | undefined;

  constructor(store: HistoryStore, fullRevisions: number) {
    this.#store = store;
    this.#fullRevisions = fullRevisions;
  }

  receive(response: WatchResponse): void {
    const problem = this.#check(response);
    if (problem !== undefined) throw new Error(`${problem}: ${line(response)}`);
    this.checked += 1;
  }

  #check(response: WatchResponse): string | undefined {
    const { watchId, events, fragment } = response;
    const revision = response.header?.revision ?? 0;
    if (revision > this.#store.revision) return 'a header is ahead of the store';
    if (this.#fragmentsOf !== undefined && this.#fragmentsOf !== watchId) {
      return 'a message came between fragments';
    }
    if (response.created) return this.#created(response, revision);
    if (watchId === -1) {
      for (const watcher of this.watchers.values()) {
        if (watcher.compacted) return 'progress of a stream with a compacted watcher';
        const problem = this.#covers(watcher, revision);
        if (problem !== undefined) return problem;
      }
      return undefined;
    }
    const watcher = this.watchers.get(watchId);
    if (watcher === undefined) return 'a message for a watcher that is not known';
    if (response.canceled) return this.#canceled(watcher, response, revision);
    if (watcher.compacted) return 'a message for a compacted watcher';
    if (fragment || this.#fragmentsOf !== undefined) {
      this.#fragments.push(...events);
      this.#fragmentsOf = fragment ? watchId : undefined;
      if (fragment) return undefined;
      const all = this.#fragments;
      this.#fragments = [];
      return this.#events(watcher, all, revision);
    }
    return this.#events(watcher, events, revision);
  }

  #created(response: WatchResponse, revision: number): string | undefined {
    const request = this.asked.shift();
    if (request === undefined) return 'created without a request';
    if (response.canceled) return response.watchId === -1 ? undefined : 'refused with an id';
    const id = response.watchId;
    if (this.watchers.has(id)) return 'an id was given twice';
    const from = request.startRevision === 0 ? revision + 1 : request.startRevision;
    const through = from - 1;
    const watcher = { request, from, through, lastEvent: 0, events: 0, compacted: false };
    this.watchers.set(id, watcher);
    return undefined;
  }

  #canceled(watcher: KnownWatcher, response: WatchResponse, revision: number): string | undefined {
    const { compactRevision } = response;
    if (compactRevision === 0) {
      this.watchers.delete(response.watchId);
      return undefined;
    }
    if (revision !== 0) return 'a compacted message has revision 0';
    if (compactRevision !== this.#store.compactRevision) return 'not the compacted revision';
    if (watcher.through + 1 >= compactRevision) return 'compacted, but what is needed is there';
    watcher.compacted = true;
    return undefined;
  }

  #events(watcher: KnownWatcher, events: readonly Event[], revision: number): string | undefined {
    if (revision < watcher.through) return 'a header goes back';
    if (events.length === 0 && revision < watcher.from - 1) return 'progress before the start';
    const all = this.#expected(watcher, watcher.through + 1, revision);
    const through = this.#through(watcher, events, revision, all);
    if (through === undefined) return `${events.length} events instead of ${all.length}`;
    const expected = all.filter((told) => told.modRevision <= through);
    for (const [i, event] of events.entries()) {
      const problem = this.#event(watcher, event, expected[i] as Told);
      if (problem !== undefined) return `${problem} (event ${i})`;
    }
    watcher.through = Math.max(watcher.through, through);
    watcher.events += events.length;
    return undefined;
  }

  /**
   * How far the response goes: to its header's revision, but a full one says how far the store is
   * (etcd). Undefined if events are missing although it is not full.
   */
  #through(
    watcher: KnownWatcher,
    events: readonly Event[],
    revision: number,
    all: readonly Told[],
  ): number | undefined {
    if (all.length === events.length) return revision;
    const missing = all[events.length];
    const last = all[events.length - 1];
    if (missing === undefined || last === undefined) return undefined;
    if (missing.modRevision === last.modRevision || revision !== this.#store.revision) {
      return undefined;
    }
    const unfiltered = { ...watcher, request: { ...watcher.request, filters: [] } };
    const found = this.#expected(unfiltered, watcher.through + 1, missing.modRevision - 1);
    const revisions = new Set(found.map((told) => told.modRevision)).size;
    return revisions >= this.#fullRevisions ? last.modRevision : undefined;
  }

  #event(watcher: KnownWatcher, event: Event, told: Told): string | undefined {
    const { kv, prevKv } = event;
    if (kv === undefined) return 'no kv';
    if ((event.type === 1 ? 'delete' : 'put') !== told.type) return 'wrong type';
    if (kv.key !== told.key || kv.modRevision !== told.modRevision) return 'wrong event';
    if (kv.createRevision !== told.createRevision) return 'wrong is_create';
    if (kv.version !== told.version) return 'wrong version';
    if (kv.value.toString('latin1') !== told.value) return 'wrong value';
    watcher.lastEvent = told.modRevision;
    const previous = prevKv?.value.toString('latin1');
    if (!watcher.request.prevKv) return previous === undefined ? undefined : 'prev_kv unasked';
    if (previous === told.previous) return undefined;
    const lost = told.modRevision - 1 < this.#store.compactRevision;
    return lost && previous === undefined ? undefined : 'wrong prev_kv';
  }

  /** Progress at `revision`: everything up to it must have come. */
  #covers(watcher: KnownWatcher, revision: number): string | undefined {
    if (revision < watcher.from - 1) return 'progress before the start';
    if (this.#expected(watcher, watcher.through + 1, revision).length > 0) {
      return 'progress ahead of an event';
    }
    watcher.through = Math.max(watcher.through, revision);
    return undefined;
  }

  /** Undefined if everything up to now has come, or can not come any more. */
  missing(): string | undefined {
    for (const [id, watcher] of this.watchers) {
      if (watcher.compacted) continue;
      const left = this.#expected(watcher, watcher.through + 1, this.#store.revision);
      if (left.length > 0) return `watcher ${id} misses ${left.length} events`;
    }
    return this.asked.length > 0 ? 'a create request has no reply' : undefined;
  }

  #expected(watcher: KnownWatcher, from: number, through: number): Told[] {
    const { key: asked, rangeEnd, filters } = watcher.request;
    const key = asked === '' ? '\0' : asked;
    return this.#store.between(from, through).filter((told) => {
      if (rangeEnd === '' && told.key !== key) return false;
      if (told.key < key) return false;
      if (rangeEnd !== '' && rangeEnd !== '\0' && told.key >= rangeEnd) return false;
      return !filters.includes(told.type === 'put' ? 0 : 1);
    });
  }
}
