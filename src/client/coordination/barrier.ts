/**
 * Barriers. A barrier is a key: who waits goes on when it is gone. A double barrier lets `count`
 * sessions begin together and end together. Keys as in etcd's recipes for Go.
 */

import type { Revision } from '../../common/index.js';
import { EtcdClientError, invalidOption } from '../errors.js';
import { bytes, type KeyValue } from '../keyspace/index.js';
import type { ClientOfView, Kv, LeaseRef } from '../kv/index.js';
import { notOwnerError } from './held-key.js';
import { followRange, type LiveState } from './live-range.js';
import { acquire, type Claim, checkPlace, needed, prefixOf, uniqueKey } from './owned-key.js';
import { persist, scopeOf } from './scope.js';
import type { AcquireOptions, Ownership, Session } from './types.js';

type Client = ClientOfView;

export interface Barrier {
  readonly key: string;
  /** Puts it up. CONFLICT if it is up already. With a lease it does not outlive that. */
  hold(options?: AcquireOptions & { readonly lease?: LeaseRef }): Promise<{
    readonly fencingRevision: Revision;
  }>;
  /** Takes it down, whoever put it up. */
  release(options?: AcquireOptions): Promise<void>;
  /** Until it is down; at once if it is not up. */
  wait(options?: AcquireOptions): Promise<void>;
}

/** The barrier that is this key of a view. */
export function barrier<V, In>(view: Kv<V, In>, key: string): Barrier {
  checkPlace('barrier', view, key);
  const { client } = view;
  const kv = view.as(bytes);
  if (key === '') throw invalidOption('the key must not be empty');
  return {
    key,
    hold: async ({ lease, ...options } = {}) => {
      const done = await kv.create(key, '', lease === undefined ? options : { ...options, lease });
      if (done.ok) return { fencingRevision: done.revision };
      throw conflict(`the barrier ${JSON.stringify(key)} is up already`);
    },
    release: async (options) => {
      await bounded(client, options, (signal) =>
        persist(client.runtime, signal, () => kv.delete(key, { signal })),
      );
    },
    wait: (options) =>
      bounded(client, options, async (signal) => {
        for await (const { entries } of followRange(client.runtime, kv, { key }, signal)) {
          if (entries.size === 0) return;
        }
      }),
  };
}

/** Being inside a double barrier. */
export interface Entered extends Ownership {
  /**
   * Leaves, and waits until everybody who was inside has left. When the wait is given up, the first
   * that came is still inside (`release` does not wait), the others are not.
   */
  leave(options?: AcquireOptions): Promise<void>;
}

export interface DoubleBarrier {
  readonly name: string;
  readonly count: number;
  /**
   * Resolves when `count` have come. Who comes when a round is complete begins the next one. A
   * session that comes twice counts twice.
   */
  enter(session: Session, options?: AcquireOptions): Promise<Entered>;
}

export interface DoubleBarrierOptions {
  /** How many sessions begin and end together. */
  readonly count: number;
}

/** The double barrier of this name in a view. */
export function doubleBarrier<V, In>(
  view: Kv<V, In>,
  name: string,
  options: DoubleBarrierOptions,
): DoubleBarrier {
  checkPlace('doubleBarrier', view, name);
  const { count } = needed('doubleBarrier', options, 'count');
  const kv = view.as(bytes);
  const prefix = prefixOf(name);
  const place: Place = { kv, name, prefix, waiters: `${prefix}waiters/`, ready: `${prefix}ready` };
  return {
    name,
    count,
    enter: async (session, options = {}) => {
      const claim: Claim = {
        kv,
        key: uniqueKey(place.waiters, session),
        value: '',
        contenders: { prefix: place.waiters },
        permits: Number.MAX_SAFE_INTEGER, // nobody has to wait to be counted
        oneASession: false,
      };
      await sweep(place, session, options);
      const held = await acquire(session, claim, options);
      try {
        const last = await bounded(session.client, options, (signal) =>
          complete(place, held, count, signal),
        );
        return entered(place, held, last);
      } catch (error) {
        void held.release().catch(() => undefined);
        throw error;
      }
    },
  };
}

interface Place {
  readonly kv: Kv<Buffer, string | Uint8Array>;
  readonly name: string;
  readonly prefix: string;
  readonly waiters: string;
  readonly ready: string;
}

/** A `ready` that nobody is inside of: of a round that is over, or left by sessions that died. */
async function sweep(place: Place, session: Session, options: AcquireOptions): Promise<void> {
  const { kv, ready } = place;
  const nobody = kv.whenAll({ prefix: place.waiters }).createRevision('=', 0);
  await bounded(session.client, options, (signal) =>
    persist(session.client.runtime, signal, () =>
      kv.txn().if(nobody).then(kv.ops.delete(ready)).commit({ signal }),
    ),
  );
}

/** Waits until it is of a round that is complete; returns the last create revision of that. */
async function complete(
  place: Place,
  held: Ownership,
  count: number,
  signal: AbortSignal,
): Promise<Revision> {
  const { runtime } = held.session.client;
  const { kv, ready, prefix, waiters } = place;
  const scope = scopeOf(runtime.clock, {}, signal, held.session.signal);
  try {
    for await (const state of followRange(runtime, kv, { prefix }, scope.signal)) {
      const mark = state.entries.get(ready);
      const last = mark === undefined ? 0 : lastOfRound(mark);
      if (held.fencingRevision <= last) return last;
      if (!state.entries.has(held.key)) break;
      const round = ranked(state, waiters).filter((w) => w.createRevision > last);
      const closing = round[count - 1];
      if (closing === undefined) continue;
      // Anybody may say so, for the one that came last may be gone again; but only once.
      await persist(runtime, scope.signal, () =>
        held
          .txn(kv.when(ready).modRevision('=', mark?.modRevision ?? 0))
          .then(kv.ops.put(ready, String(closing.createRevision)))
          .commit({ signal: scope.signal }),
      );
    }
    scope.signal.throwIfAborted();
    throw notOwnerError(held.key);
  } catch (error) {
    throw scope.signal.aborted ? scope.signal.reason : error;
  } finally {
    scope.end();
  }
}

/** Go's recipe writes no value: everybody who was there then is of the round. */
function lastOfRound({ value, modRevision }: KeyValue<Buffer>): Revision {
  return value.length === 0 ? modRevision : Number(value.toString());
}

/** Who waits or is inside, in the order of coming. */
function ranked({ entries }: LiveState<Buffer>, waiters: string) {
  return [...entries.values()]
    .filter(({ key }) => key.startsWith(waiters))
    .sort((a, b) => a.createRevision - b.createRevision);
}

function entered(place: Place, held: Ownership, last: Revision): Entered {
  const { kv, waiters } = place;
  const { client } = held.session;
  const leave = async (options?: AcquireOptions): Promise<void> => {
    await bounded(client, options, async (signal) => {
      const range = { prefix: waiters };
      for await (const state of followRange(client.runtime, kv, range, signal)) {
        // Those who came later are not of this round.
        const inside = ranked(state, waiters).filter((w) => w.createRevision <= last);
        const [first] = inside;
        if (first === undefined) return;
        if (first.key === held.key) {
          // The first to come is the last to go, and takes `ready` along. Go's recipe counts on it:
          // others only take their own key, whatever has happened since they looked.
          if (inside.length > 1) continue;
          await held.release({ signal });
          await sweep(place, held.session, { signal });
          return;
        }
        await held.release({ signal });
      }
    });
  };
  return {
    key: held.key,
    fencingRevision: held.fencingRevision,
    session: held.session,
    get signal() {
      return held.signal;
    },
    get owned() {
      return held.owned;
    },
    guard: held.guard,
    txn: (...conditions) => held.txn(...conditions),
    verify: (options) => held.verify(options),
    release: (options) => held.release(options),
    leave,
    [Symbol.asyncDispose]: () => held.release(),
  };
}

/** Runs with a signal made of the options and the client's end, and rejects with its reason. */
async function bounded<T>(
  client: Client,
  options: AcquireOptions | undefined,
  body: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const scope = scopeOf(client.runtime.clock, options ?? {}, client.signal);
  try {
    const result = await body(scope.signal);
    if (result === undefined) scope.signal.throwIfAborted();
    return result;
  } catch (error) {
    throw scope.signal.aborted ? scope.signal.reason : error;
  } finally {
    scope.end();
  }
}

function conflict(message: string): EtcdClientError {
  return new EtcdClientError({
    code: 'FAILED_PRECONDITION',
    reason: 'CONFLICT',
    outcome: 'failed',
    message,
  });
}
