/**
 * Coordination as users see it: sessions, and what is owned through them. Everything that is owned
 * is a key attached to the session's lease, and the key's create revision is the fencing revision:
 * a later owner always has a larger one, and the store can be asked to refuse an earlier one.
 */

import type { LeaseId, Revision } from '../../common/index.js';
import type { CallOptions } from '../call/index.js';
import type { EtcdClient } from '../client.js';
import type { EtcdClientError } from '../errors.js';
import type { Condition, TxnIf } from '../kv/index.js';
import type { KeepAliveOptions } from '../lease/index.js';

// ---------------------------------------------------------------------------------- sessions

export type SessionState = 'alive' | 'warning' | 'lost' | 'closed';

/** `signal` and `timeoutMs` are for opening it, not for its life. */
export interface SessionOptions
  extends CallOptions,
    Omit<KeepAliveOptions, 'signal' | 'onWarning' | 'onLost'> {
  /** How long the server waits for a client that went silent. Default 15 s. */
  readonly ttlSeconds?: number;
  /** Renewals have failed for a while; the session still has so long. */
  readonly onWarning?: (remainingMs: number) => void;
  /** Everything owned through it is lost. Not called after `close`. */
  readonly onLost?: (error: EtcdClientError) => void;
}

/** A lease kept alive, which any number of locks, leaderships and registrations share. */
export interface Session extends AsyncDisposable {
  readonly client: EtcdClient;
  /** Of its lease. */
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  /** Looks at the clock, too: says `lost` even if timers are late. */
  readonly state: SessionState;
  /**
   * Aborts when the session is over, with an EtcdClientError as reason: LEASE_LOST, before any
   * server can have expired it, or CLOSED, by `close` here or of the client.
   */
  readonly signal: AbortSignal;
  /** Until it counts as lost if no renewal comes. */
  remainingMs(): number;
  /** Gives up everything that is owned through it, by revoking the lease. */
  close(options?: CallOptions): Promise<void>;
  /** For what is built on sessions. */
  readonly work: SessionWork;
}

/** What a session does for what is built on it. */
export interface SessionWork {
  /**
   * One user of a name at a time, in order: two tasks of a session would otherwise own the same
   * key. Resolves with the function that makes room; rejects with the signal's reason.
   */
  enter(name: string, signal: AbortSignal): Promise<() => void>;
  /** The same without waiting; undefined if there is no room. */
  tryEnter(name: string): (() => void) | undefined;
  /** Repeats `attempt` until it succeeds, fails for good (rejects), or the session is over. */
  insist(attempt: (signal: AbortSignal) => Promise<unknown>): Promise<void>;
  /** Renews at once, to learn whether the lease is still there. */
  probe(): void;
}

// -------------------------------------------------------------------------------- ownerships

export interface AcquireOptions extends CallOptions {
  /** Longest wait. Default: none. */
  readonly timeoutMs?: number;
}

/** Something owned through a session: a key, until it is released or lost. */
export interface Ownership extends AsyncDisposable {
  /** Relative to the view that it was made with. */
  readonly key: string;
  /** Larger than that of every earlier owner. Send it along to whatever can check it. */
  readonly fencingRevision: Revision;
  readonly session: Session;
  /**
   * Aborts when the ownership is lost: the session is over, or somebody deleted the key. Not when
   * it is released. (The key is watched once this has been asked for.)
   */
  readonly signal: AbortSignal;
  /** True while it is owned here. */
  readonly owned: boolean;
  /** Holds in a transaction only while it is owned: for `txn().if(...)` and STM `guards`. */
  readonly guard: Condition;
  /** A transaction that only happens while it is owned, and the conditions hold. */
  txn(...conditions: Condition[]): TxnIf;
  /** Asks the store. */
  verify(options?: CallOptions): Promise<boolean>;
  /**
   * Deletes the key, and tries again until that is certain or the session is over. If the options
   * end the wait before, the rest happens in the background. `await using` does this.
   */
  release(options?: AcquireOptions): Promise<void>;
}

/** A lock that is held. */
export type LockHeld = Ownership;
