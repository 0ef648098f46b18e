/**
 * Leases: granted, kept alive, and known to be lost before the server can have acted on it.
 *
 * The clock of a lease starts when its request was *sent*, and stops a margin before the TTL: at
 * the moment `signal` aborts, no server can have expired it yet.
 */

import type { LeaseId } from '../../common/index.js';
import type { CallOptions, Header } from '../call/index.js';
import type { EtcdClientError } from '../errors.js';

export interface LeaseGrant {
  readonly id: LeaseId;
  /** What the server granted; may be more than was asked for. */
  readonly ttlSeconds: number;
  readonly header: Header;
  /** On the client's clock: when the request was sent. The lease lives at least a TTL from it. */
  readonly sentMs: number;
}

export interface LeaseTimeToLive {
  readonly id: LeaseId;
  /** Left; -1: there is no such lease. */
  readonly ttlSeconds: number;
  readonly grantedTtlSeconds: number;
  /** If they were asked for. */
  readonly keys: readonly Buffer[];
  readonly header: Header;
}

/**
 * `alive`: renewed lately. `warning`: renewals have failed for a while. `lost`: expired, revoked
 * or possibly expired; final. `stopped`: no longer kept alive, by the user; final.
 */
export type LeaseState = 'alive' | 'warning' | 'lost' | 'stopped';

export interface KeepAliveOptions {
  /** Stops keeping alive (state `stopped`). */
  readonly signal?: AbortSignal;
  /** Between renewals. Default a third of the TTL. */
  readonly intervalMs?: number;
  /** Without a renewal for this part of the TTL: `warning`. Default 0.6. */
  readonly warnAfter?: number;
  /** Lost this long before the TTL has passed. Default a tenth of the TTL, at most 1 s. */
  readonly marginMs?: number;
  readonly onWarning?: (remainingMs: number) => void;
  /** A renewal succeeded after a warning. */
  readonly onRecovered?: () => void;
  readonly onLost?: (error: EtcdClientError) => void;
}

/** A lease that is being kept alive. */
export interface LeaseHandle extends AsyncDisposable {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  readonly state: LeaseState;
  /** Aborts when it is lost, with the error as reason; not when it is stopped or revoked. */
  readonly signal: AbortSignal;
  /** Until it counts as lost if no renewal comes; 0 once it is. */
  remainingMs(): number;
  /** Renews at once; rejects with LEASE_LOST if it is gone. */
  renew(options?: CallOptions): Promise<void>;
  /** No more renewals; the lease runs out by itself. */
  stop(): void;
  /** Stops and revokes; keys attached to it are deleted. `await using` does this. */
  revoke(options?: CallOptions): Promise<void>;
}

export interface Leases {
  /** A lease of at least `ttlSeconds`; nobody keeps it alive. */
  grant(
    ttlSeconds: number,
    options?: CallOptions & {
      /** Chosen by the caller, which makes the call idempotent; not 0n. */
      readonly id?: LeaseId;
    },
  ): Promise<LeaseGrant>;
  /** Grants and keeps alive. */
  create(ttlSeconds: number, options?: CallOptions & KeepAliveOptions): Promise<LeaseHandle>;
  /** Keeps one alive that was granted. */
  keepAlive(
    lease: Pick<LeaseGrant, 'id' | 'ttlSeconds'> & Partial<Pick<LeaseGrant, 'sentMs'>>,
    options?: KeepAliveOptions,
  ): LeaseHandle;
  /** One renewal; rejects with LEASE_NOT_FOUND. */
  keepAliveOnce(id: LeaseId, options?: CallOptions): Promise<{ readonly ttlSeconds: number }>;
  revoke(id: LeaseId, options?: CallOptions): Promise<{ readonly header: Header }>;
  timeToLive(
    id: LeaseId,
    options?: CallOptions & { readonly keys?: boolean },
  ): Promise<LeaseTimeToLive>;
  list(options?: CallOptions): Promise<readonly LeaseId[]>;
}
