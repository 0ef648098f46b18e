/**
 * A model of etcd's store that is meant to be obviously correct: every revision keeps a whole copy
 * of all keys and a list of its events. It answers each request with the complete reply.
 *
 * It follows 3.7; `minor` selects the few places where an older etcd answered differently, so that
 * the model itself can be checked against the etcd at hand.
 */

import { evaluateRange, inRange, type State, select } from './model-range.js';
import { checkPut, checkShape, type Decided, decide } from './model-txn.js';
import {
  type Answer,
  type DeleteOp,
  failures,
  type ModelEvent,
  type ModelHeader,
  type ModelKv,
  type PutOp,
  type RangeOp,
  Refusal,
  type TxnOp,
  type WatchOp,
} from './model-types.js';

/** What a watch must deliver. */
export type WatchOutcome =
  | { readonly compactRevision: number }
  | { readonly events: readonly ModelEvent[] };

/** What one write request changes, before it becomes a revision. */
interface Draft {
  readonly revision: number;
  readonly state: Map<string, ModelKv>;
  readonly events: Omit<ModelEvent, 'prev_kv'>[];
}

/** The store. */
export class EtcdModel {
  readonly minor: number;
  #revision: number;
  #compacted = -1;
  /** By revision, from the compacted one on. */
  readonly #states = new Map<number, State>();
  readonly #events = new Map<number, readonly Omit<ModelEvent, 'prev_kv'>[]>();
  /** Granted TTL by lease id. */
  readonly #leases = new Map<number, number>();

  /** An empty store at a revision: 1 as in a new server, or any that a used server is at. */
  constructor(minor: number, revision = 1, compacted = -1) {
    this.minor = minor;
    this.#revision = revision;
    this.#compacted = compacted;
    this.#states.set(revision, new Map());
  }

  get revision(): number {
    return this.#revision;
  }

  get compacted(): number {
    return this.#compacted;
  }

  range(request: RangeOp): Answer {
    return answer(() => {
      if (request.key === '') throw new Refusal(failures.emptyKey);
      return this.#range(request, this.#latest(), this.#revision, 'own');
    });
  }

  put(request: PutOp): Answer {
    return answer(() => {
      checkPut(request);
      this.#checkPut(request, true);
      const draft = this.#begin();
      const reply = this.#put(request, draft);
      this.#commit(draft);
      return { ...reply, header: this.#own() };
    });
  }

  deleteRange(request: DeleteOp): Answer {
    return answer(() => {
      if (request.key === '') throw new Refusal(failures.emptyKey);
      const draft = this.#begin();
      const reply = this.#delete(request, draft);
      this.#commit(draft);
      return { ...reply, header: this.#own() };
    });
  }

  txn(request: TxnOp): Answer {
    return answer(() => {
      checkShape(request);
      const decided = decide(request, this.#latest());
      if (this.minor < 6) {
        // Older servers looked at all puts first, then at all ranges.
        this.#checkTaken(decided, 'puts');
        this.#checkTaken(decided, 'ranges');
      } else this.#checkTaken(decided, 'both');
      const draft = this.#begin();
      const reply = this.#run(decided, draft);
      this.#commit(draft);
      return { ...reply, header: this.#own() };
    });
  }

  compact(revision: number): Answer {
    return answer(() => {
      if (revision <= this.#compacted) throw new Refusal(failures.compacted);
      if (revision > this.#revision) throw new Refusal(failures.future);
      this.#compacted = revision;
      for (const old of this.#states.keys()) if (old < revision) this.#states.delete(old);
      for (const old of this.#events.keys()) if (old < revision) this.#events.delete(old);
      if (this.minor < 5) {
        // Deletions exactly at the compacted revision were forgotten before 3.4.33 and 3.5.15.
        const kept = (this.#events.get(revision) ?? []).filter((event) => event.type === 0);
        this.#events.set(revision, kept);
      }
      return { header: this.#own() };
    });
  }

  leaseGrant(id: number, ttl: number): Answer {
    return answer(() => {
      if (ttl > 9_000_000_000) throw new Refusal(failures.ttlTooLarge);
      if (this.#leases.has(id)) throw new Refusal(failures.leaseExists);
      const granted = Math.max(ttl, 2);
      this.#leases.set(id, granted);
      return { header: this.#own(), ID: id, TTL: granted, error: '' };
    });
  }

  leaseRevoke(id: number): Answer {
    return answer(() => {
      if (!this.#leases.has(id)) throw new Refusal(failures.leaseNotFound);
      const draft = this.#begin();
      for (const key of this.#keysOf(id)) this.#delete({ key }, draft);
      this.#leases.delete(id);
      this.#commit(draft);
      return { header: this.#own() };
    });
  }

  leaseTimeToLive(id: number, keys: boolean): Answer {
    const ttl = this.#leases.get(id);
    const attached = keys && ttl !== undefined ? this.#keysOf(id) : [];
    const header = this.#own();
    return {
      reply: { header, ID: id, TTL: ttl ?? -1, grantedTTL: ttl ?? 0, keys: attached },
    };
  }

  leaseKeepAlive(id: number): Answer {
    return { reply: { header: this.#own(), ID: id, TTL: this.#leases.get(id) ?? 0 } };
  }

  leaseLeases(): Answer {
    const ids = [...this.#leases.keys()].sort((a, b) => a - b);
    return { reply: { header: this.#own(), leases: ids.map((ID) => ({ ID })) } };
  }

  /** Why a watch is refused when it is created, or undefined if it is not. */
  watchRefusal(request: WatchOp): string | undefined {
    if (request.start_revision < 0) return failures.compacted.text;
    const end = request.range_end ?? '';
    const empty = end !== '' && end !== '\0' && end <= (request.key || '\0');
    return empty ? 'mvcc: watcher range is empty' : undefined;
  }

  /** What a watch delivers that is created now, or was created while `start_revision` was next. */
  watch(request: WatchOp): WatchOutcome {
    const start = request.start_revision;
    if (start < this.#compacted) return { compactRevision: this.#compacted };
    const events: ModelEvent[] = [];
    for (let revision = start; revision <= this.#revision; revision++) {
      events.push(...this.eventsAt(revision, request));
    }
    return { events };
  }

  /** The events of one revision that a watch delivers. */
  eventsAt(revision: number, request: WatchOp): ModelEvent[] {
    const before = this.#states.get(revision - 1);
    return (this.#events.get(revision) ?? [])
      .filter((event) => inRange(event.kv.key, request.key || '\0', request.range_end))
      .filter((event) => !request.filters?.includes(event.type))
      .map((event) => ({
        ...event,
        prev_kv: request.prev_kv ? (before?.get(event.kv.key) ?? null) : null,
      }));
  }

  #latest(): State {
    const state = this.#states.get(this.#revision);
    if (state === undefined) throw new Error('the model lost its state');
    return state;
  }

  #own(): ModelHeader {
    return { revision: this.#revision, ids: 'own' };
  }

  #keysOf(lease: number): string[] {
    return select(this.#latest(), '\0', '\0')
      .filter((kv) => kv.lease === lease)
      .map((kv) => kv.key);
  }

  #begin(): Draft {
    return { revision: this.#revision + 1, state: new Map(this.#latest()), events: [] };
  }

  #commit(draft: Draft): void {
    if (draft.events.length === 0) return;
    this.#revision = draft.revision;
    this.#states.set(draft.revision, draft.state);
    this.#events.set(draft.revision, draft.events);
  }

  #range(request: RangeOp, latest: State, current: number, ids: ModelHeader['ids']): object {
    const wanted = request.revision ?? 0;
    if (wanted > current) throw new Refusal(failures.future);
    if (wanted > 0 && wanted < this.#compacted) throw new Refusal(failures.compacted);
    const state = wanted > 0 && wanted < current ? this.#states.get(wanted) : latest;
    if (state === undefined) throw new Error(`the model lost revision ${wanted}`);
    return { ...evaluateRange(state, request, this.minor), header: { revision: current, ids } };
  }

  #put(request: PutOp, draft: Draft): object {
    const previous = draft.state.get(request.key);
    const kv: ModelKv = {
      key: request.key,
      create_revision: previous?.create_revision ?? draft.revision,
      mod_revision: draft.revision,
      version: (previous?.version ?? 0) + 1,
      value: request.ignore_value ? (previous?.value ?? '') : (request.value ?? ''),
      lease: request.ignore_lease ? (previous?.lease ?? 0) : (request.lease ?? 0),
    };
    draft.state.set(kv.key, kv);
    draft.events.push({ type: 0, kv });
    return {
      header: { revision: draft.revision, ids: 'none' },
      prev_kv: request.prev_kv ? (previous ?? null) : null,
    };
  }

  #delete(request: DeleteOp, draft: Draft): object {
    const gone = select(draft.state, request.key, request.range_end);
    for (const { key } of gone) {
      draft.state.delete(key);
      draft.events.push({ type: 1, kv: tombstone(key, draft.revision) });
    }
    return {
      header: { revision: now(draft), ids: 'none' },
      deleted: gone.length,
      prev_kvs: request.prev_kv ? gone : [],
    };
  }

  #run(decided: Decided, draft: Draft): object {
    const responses = decided.ops.map((op) => {
      if ('nested' in op) {
        const header: ModelHeader = { revision: 0, ids: 'none' };
        return { response_txn: { ...this.#run(op.nested, draft), header } };
      }
      if (op.request_range !== undefined) {
        const range = this.#range(op.request_range, draft.state, now(draft), 'none');
        return { response_range: range };
      }
      if (op.request_put !== undefined) return { response_put: this.#put(op.request_put, draft) };
      if (op.request_delete_range !== undefined) {
        return { response_delete_range: this.#delete(op.request_delete_range, draft) };
      }
      throw new Error('an operation without a request');
    });
    return { succeeded: decided.succeeded, responses };
  }

  /** Refuses before anything is written what would fail later; only on the branches taken. */
  #checkTaken(decided: Decided, what: 'puts' | 'ranges' | 'both'): void {
    for (const op of decided.ops) {
      if ('nested' in op) this.#checkTaken(op.nested, what);
      else if (op.request_put !== undefined && what !== 'ranges') {
        this.#checkPut(op.request_put, false);
      } else if (op.request_range !== undefined && what !== 'puts') {
        const wanted = op.request_range.revision ?? 0;
        if (wanted > this.#revision) throw new Refusal(failures.future);
        if (wanted !== 0 && wanted < this.#compacted) throw new Refusal(failures.compacted);
      }
    }
  }

  #checkPut(request: PutOp, alone: boolean): void {
    const noLease = request.lease && !this.#leases.has(request.lease);
    // The lease is looked at first; older servers did so only for a put on its own.
    if (noLease && (alone || this.minor >= 6)) throw new Refusal(failures.leaseNotFound);
    const needsKey = request.ignore_value || request.ignore_lease;
    if (needsKey && !this.#latest().has(request.key)) throw new Refusal(failures.keyNotFound);
    if (noLease) throw new Refusal(failures.leaseNotFound);
  }
}

/** The revision that later operations of the same txn see. */
function now(draft: Draft): number {
  return draft.events.length > 0 ? draft.revision : draft.revision - 1;
}

function tombstone(key: string, revision: number): ModelKv {
  return { key, create_revision: 0, mod_revision: revision, version: 0, value: '', lease: 0 };
}

function answer(run: () => object): Answer {
  try {
    return { reply: run() };
  } catch (error) {
    if (error instanceof Refusal) return { error: error.failure };
    throw error;
  }
}
