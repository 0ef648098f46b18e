/**
 * What all locks and elections are made of: a key attached to the session's lease, which waits its
 * turn among the contending keys in the order of their create revisions. The layout and the order
 * are those of etcd's Go package `concurrency` (client/v3/concurrency: facts, not code).
 *
 * Invariants: a grant rests on one transaction that saw the own key there and fewer than `permits`
 * older contenders, all at one revision, and on a session that was alive after its reply; so what
 * expired while it waited is not granted (L-21). Creating and deleting the key are
 * idempotent and are repeated until their outcome is certain; a name can be used again by its
 * session only after that, so no two grants have the same fencing revision.
 */

import { assert, type Revision, sleep } from '../../common/index.js';
import { callShape } from '../call/index.js';
import { atCaller, EtcdClientError, invalidOption, isEtcdError } from '../errors.js';
import type { Bytes, KeyInfo, KeyRange, KeyValue } from '../keyspace/index.js';
import type { Kv } from '../kv/index.js';
import { lateRequestMsMax } from '../limits.js';
import { checkOptions, described, wholeNumber } from '../strict/index.js';
import { HeldKey, notOwnerError } from './held-key.js';
import { checkSession } from './option-shapes.js';
import { persist, type Scope, scopeOf, unlessAborted } from './scope.js';
import type { AcquireOptions, Session } from './types.js';

/** What is to be owned. */
export interface Claim {
  readonly kv: Kv<Buffer, Bytes>;
  readonly key: string;
  readonly value: Bytes;
  /** Which keys stand in its way if they are older. */
  readonly contenders: KeyRange;
  /** How many may own at a time. */
  readonly permits: number;
  /** The key is named after the session alone, so the session may use it once at a time. */
  readonly oneASession: boolean;
  /** Throws if those who own it mean something else by it. */
  readonly check?: (contenders: readonly KeyValue<Buffer>[]) => void;
}

/** Waits for its turn. Rejects with LEASE_LOST, CLOSED, ABORTED, CALL_TIMEOUT, NOT_OWNER. */
export async function acquire(
  session: Session,
  claim: Claim,
  options: AcquireOptions = {},
): Promise<HeldKey> {
  checkOptions('acquire', options, callShape);
  const scope = scopeOf(session.client.runtime.clock, options, session.signal);
  try {
    alive(session, scope);
    const leave = claim.oneASession
      ? await session.work.enter(nameOf(claim), scope.signal)
      : () => undefined;
    const ticket = new Ticket(session, claim, leave);
    return await ticket.guarded(scope, async () => {
      if (!(await ticket.create(scope))) await ticket.wait(scope);
      return ticket.grant(scope);
    });
  } catch (error) {
    throw atCaller(error);
  } finally {
    scope.end();
  }
}

/** Undefined if somebody else owns it. */
export async function tryAcquire(
  session: Session,
  claim: Claim,
  options: AcquireOptions = {},
): Promise<HeldKey | undefined> {
  checkOptions('tryAcquire', options, callShape);
  const scope = scopeOf(session.client.runtime.clock, options, session.signal);
  try {
    alive(session, scope);
    const leave = claim.oneASession ? session.work.tryEnter(nameOf(claim)) : () => undefined;
    if (leave === undefined) return undefined;
    const ticket = new Ticket(session, claim, leave);
    return await ticket.guarded(scope, async () => {
      if (await ticket.create(scope)) return ticket.grant(scope);
      await unlessAborted(ticket.withdraw(), scope.signal);
      return undefined;
    });
  } catch (error) {
    throw atCaller(error);
  } finally {
    scope.end();
  }
}

/**
 * Everything is made of a view and a name, and then options; from JavaScript it may be something
 * else. Throws INVALID_OPTION.
 */
export function checkPlace(what: string, view: unknown, name: unknown): void {
  const form = `${what}(kv, name)`;
  const as: unknown = typeof view === 'object' && view !== null && (view as { as?: unknown }).as;
  if (typeof as !== 'function') {
    const client = typeof view === 'object' && view !== null && 'kv' in view;
    const hint = client ? '; its client is known by the view' : '';
    throw invalidOption(`${form}: kv must be a view of the store, not ${described(view)}${hint}`);
  }
  if (typeof name !== 'string') {
    throw invalidOption(`${form}: the name must be text, not ${described(name)}`);
  }
}

/** The options, which have a whole number of this name that is at least 1. */
export function needed<O extends object>(what: string, options: O, name: keyof O & string): O {
  checkOptions<object>(what, options, { [name]: wholeNumber(1) });
  const given: O | undefined = options;
  if (given?.[name] !== undefined) return options;
  throw invalidOption(`${what}(kv, name, { ${name} }): ${name} is missing`);
}

/** Checks what names are made of; `name/` is before all keys of a lock. */
export function prefixOf(name: string): string {
  if (name === '') throw invalidOption('the name must not be empty');
  return `${name}/`;
}

/** The session's key below a prefix: the lease in hexadecimal, as etcd's tools have it. */
export function sessionKey(prefix: string, session: Session): string {
  checkSession('acquire', session);
  return `${prefix}${session.id.toString(16)}`;
}

/** A key of the session that is used once. */
export function uniqueKey(prefix: string, session: Session): string {
  checkSession('acquire', session);
  const { random } = session.client.runtime;
  return `${sessionKey(prefix, session)}-${random.u64().toString(16)}`;
}

/** One key from its creation to its grant, or to its removal. */
class Ticket {
  readonly #session: Session;
  readonly #claim: Claim;
  readonly #leave: () => void;
  /** The key may be there. */
  #touched = false;
  /** A request to create it may still be on its way, and arrive when the key is gone again. */
  #unsure = false;
  #revision: Revision = 0;
  #withdrawn: Promise<void> | undefined;

  constructor(session: Session, claim: Claim, leave: () => void) {
    this.#session = session;
    this.#claim = claim;
    this.#leave = leave;
  }

  /** Runs `body`; if it fails, whatever may be left is taken away in the background. */
  async guarded<T>(scope: Scope, body: () => Promise<T>): Promise<T> {
    try {
      return await body();
    } catch (error) {
      void this.withdraw().catch(() => undefined);
      // What a running call says about its end is less than why it had to end.
      if (scope.signal.aborted) throw scope.signal.reason;
      throw this.#explained(error);
    }
  }

  /** Creates the key, or finds it again. True if it is its turn at once. */
  async create(scope: Scope): Promise<boolean> {
    const { kv, key, value, contenders, permits } = this.#claim;
    const view = { sort: { by: 'createRevision', order: 'ascending' }, limit: permits } as const;
    const first = kv.ops.range(contenders, view);
    // Made anew each time: one that is never committed would be told of.
    const txn = () =>
      kv
        .txn()
        .if(kv.when(key).missing())
        .then(kv.ops.put(key, value, { lease: this.#session.id }), first)
        .else(kv.ops.get(key), first);
    const done = await persist(this.#session.client.runtime, scope.signal, async () => {
      try {
        return await txn().commit({ signal: scope.signal });
      } catch (error) {
        if (!isEtcdError(error) || error.outcome === 'unknown') {
          this.#touched = true;
          this.#unsure = true;
        }
        throw error;
      }
    });
    this.#touched = true;
    if (done.ok) {
      this.#revision = done.revision;
    } else {
      // Left by an attempt whose reply never came.
      const [mine] = done.results;
      if (mine === undefined || mine.lease !== this.#session.id) throw takenError(key);
      this.#revision = mine.createRevision;
      if (!mine.value.equals(Buffer.from(value))) await this.#propose(scope);
    }
    const before = done.results[1].kvs.filter((kv) => kv.createRevision < this.#revision);
    this.#claim.check?.(before);
    return before.length < permits;
  }

  /** Until fewer than `permits` older contenders are left. */
  async wait(scope: Scope): Promise<void> {
    assert(this.#touched, 'who waits has a key');
    const { kv, contenders, permits } = this.#claim;
    const look = () =>
      kv
        .txn()
        .if(this.#guard())
        .then(
          kv.ops.range(contenders, {
            keysOnly: true,
            createRevisionMax: this.#revision - 1,
            sort: { by: 'createRevision', order: 'descending' },
            // Only the next in the queue has to be known, unless several may own.
            ...(permits === 1 ? { limit: 1 } : {}),
          }),
        );
    const { runtime } = this.#session.client;
    for (;;) {
      const seen = await persist(runtime, scope.signal, () =>
        look().commit({ signal: scope.signal }),
      );
      if (!seen.ok) throw notOwnerError(this.#claim.key);
      const { kvs } = seen.results[0];
      if (kvs.length < permits) return;
      await this.#someGone(kvs, kvs.length - permits + 1, seen.revision, scope);
    }
  }

  grant(scope: Scope): HeldKey {
    assert(this.#touched && this.#withdrawn === undefined, 'what is granted was not taken away');
    alive(this.#session, scope);
    const { kv, key } = this.#claim;
    return new HeldKey(this.#session, kv, key, this.#revision, () => this.#finish());
  }

  /** Takes the key away, surely, and then lets the next of this session have the name. */
  withdraw(): Promise<void> {
    this.#withdrawn ??= this.#withdraw();
    return this.#withdrawn;
  }

  async #withdraw(): Promise<void> {
    try {
      if (this.#touched) await this.#drop();
    } finally {
      this.#finish();
    }
  }

  #finish(): void {
    this.#leave();
    if (this.#unsure) void this.#dropLater().catch(() => undefined);
  }

  /** While the session's turn is ours, a key of its lease can only be of this use of the name. */
  #drop(): Promise<void> {
    const { kv, key } = this.#claim;
    const mine = kv.when(key).lease('=', this.#session.id);
    return this.#session.work.insist((signal) =>
      kv.txn().if(mine).then(kv.ops.delete(key)).commit({ signal }),
    );
  }

  /** When a request that was on its way has arrived, or never will. */
  async #dropLater(): Promise<void> {
    const { work, client, signal } = this.#session;
    await sleep(client.runtime.clock, lateRequestMsMax, signal);
    if (signal.aborted) return;
    const { oneASession } = this.#claim;
    const leave = oneASession ? await work.enter(nameOf(this.#claim), signal) : () => undefined;
    try {
      await this.#drop();
    } finally {
      leave();
    }
  }

  /** Resolves when `count` of these keys were deleted after `revision`. */
  async #someGone(
    keys: readonly KeyInfo[],
    count: number,
    revision: Revision,
    scope: Scope,
  ): Promise<void> {
    assert(count >= 1 && count <= keys.length, 'it waits for some of them');
    const { kv, contenders } = this.#claim;
    const waiting = new Set(keys.map(({ key }) => key));
    const left = waiting.size - count;
    const [only] = keys;
    const range = keys.length === 1 && only !== undefined ? { key: only.keyBytes } : contenders;
    await using watcher = kv.watch(range, {
      only: 'delete',
      fromRevision: revision + 1,
      signal: scope.signal,
    });
    try {
      for await (const { key } of watcher) {
        waiting.delete(key);
        if (waiting.size <= left) return;
      }
    } catch (error) {
      if (!isEtcdError(error, 'COMPACTED')) throw error; // otherwise: look again
    }
    scope.signal.throwIfAborted();
  }

  async #propose(scope: Scope): Promise<void> {
    const { kv, key, value } = this.#claim;
    const put = kv.ops.put(key, value, { lease: this.#session.id });
    const done = await persist(this.#session.client.runtime, scope.signal, () =>
      kv.txn().if(this.#guard()).then(put).commit({ signal: scope.signal }),
    );
    if (!done.ok) throw notOwnerError(key);
  }

  #guard() {
    const { kv, key } = this.#claim;
    return kv.when(key).createRevision('=', this.#revision);
  }

  #explained(error: unknown): unknown {
    if (!isEtcdError(error, 'LEASE_NOT_FOUND')) return error;
    this.#session.work.probe();
    return new EtcdClientError({
      code: 'ABORTED',
      reason: 'LEASE_LOST',
      outcome: 'failed',
      message: `the server has no lease ${this.#session.id.toString(16)}`,
      cause: error,
    });
  }
}

/** The same for all views that lead to this key. */
function nameOf({ kv, key }: Claim): string {
  return `${kv.prefix.toString('latin1')}\0${key}`;
}

/** Looks at the clock, not only at what timers have noticed. */
function alive(session: Session, scope: Scope): void {
  const { state } = session;
  scope.signal.throwIfAborted();
  if (state === 'lost' || state === 'closed') session.signal.throwIfAborted();
}

function takenError(key: string): EtcdClientError {
  return new EtcdClientError({
    code: 'FAILED_PRECONDITION',
    reason: 'CONFLICT',
    outcome: 'failed',
    message: `the key ${JSON.stringify(key)} is there, but belongs to another lease`,
  });
}
