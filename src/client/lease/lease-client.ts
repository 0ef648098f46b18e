/** The Lease service: grant, revoke, look, and keep alive. */

import { keyToBytes, type LeaseId } from '../../common/index.js';
import {
  decodeLeaseGrantResponse,
  decodeLeaseKeepAliveResponse,
  decodeLeaseLeasesResponse,
  decodeLeaseTimeToLiveResponse,
  decodeOnlyHeader,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  encodeLeaseRevokeRequest,
  encodeLeaseTimeToLiveRequest,
} from '../../proto/index.js';
import {
  type Caller,
  type CallOptions,
  callOptionsOf,
  callShape,
  type Header,
  headerOf,
  method,
  serverStream,
} from '../call/index.js';
import { EtcdClientError, isEtcdError } from '../errors.js';
import { checkOptions } from '../strict/index.js';
import { KeptLease } from './kept-lease.js';
import {
  checkLeaseId,
  checkTtl,
  createShape,
  grantShape,
  keepAliveShape,
  timeToLiveShape,
} from './option-shapes.js';
import { LeaseMux } from './renewal-mux.js';
import type {
  KeepAliveOptions,
  LeaseGrant,
  LeaseHandle,
  Leases,
  LeaseTimeToLive,
} from './types.js';

const empty = Buffer.alloc(0);
const takeBackAttemptsMax = 5;

export class LeaseClient implements Leases {
  readonly #caller: Caller;
  readonly #mux: LeaseMux;

  constructor(caller: Caller) {
    this.#caller = caller;
    this.#mux = new LeaseMux(caller);
  }

  async grant(
    ttlSeconds: number,
    options: CallOptions & { readonly id?: LeaseId } = {},
  ): Promise<LeaseGrant> {
    checkTtl(ttlSeconds);
    checkOptions('leases.grant', options, grantShape);
    const request = encodeLeaseGrantRequest({
      ttlSeconds: Math.ceil(ttlSeconds),
      id: options.id ?? 0n,
    });
    const sentMs = this.#caller.options.clock.nowMs();
    const reply = await this.#caller.call(method.leaseGrant, 'write', request, options);
    const response = decodeLeaseGrantResponse(reply);
    return {
      id: response.id,
      ttlSeconds: response.ttlSeconds,
      header: headerOf(response.header),
      sentMs,
    };
  }

  async create(
    ttlSeconds: number,
    options: CallOptions & KeepAliveOptions = {},
  ): Promise<LeaseHandle> {
    checkTtl(ttlSeconds);
    checkOptions('leases.create', options, createShape);
    // An id of our own, so that a grant of unknown outcome can be taken back.
    const id = this.#caller.options.random.u64() >> 1n || 1n;
    try {
      return this.#keep(await this.grant(ttlSeconds, { ...callOptionsOf(options), id }), options);
    } catch (error) {
      if (isEtcdError(error) && error.outcome === 'unknown') {
        void this.#takeBack(id);
      }
      throw error;
    }
  }

  keepAlive(
    lease: Pick<LeaseGrant, 'id' | 'ttlSeconds'> & Partial<Pick<LeaseGrant, 'sentMs'>>,
    options: KeepAliveOptions = {},
  ): LeaseHandle {
    checkOptions('leases.keepAlive', options, keepAliveShape);
    checkLeaseId(lease.id);
    return this.#keep(lease, options);
  }

  #keep(
    lease: Pick<LeaseGrant, 'id' | 'ttlSeconds'> & Partial<Pick<LeaseGrant, 'sentMs'>>,
    options: KeepAliveOptions,
  ): LeaseHandle {
    const { id, ttlSeconds } = lease;
    const sentMs = lease.sentMs ?? this.#caller.options.clock.nowMs();
    const kept = new KeptLease(
      this.#caller,
      this.#mux,
      { id, ttlSeconds, sentMs },
      options,
      (of, o) => this.revoke(of, o),
    );
    // Whose age is not known is renewed at once, to know it.
    if (lease.sentMs === undefined) this.#mux.renew(kept);
    return kept;
  }

  async keepAliveOnce(
    id: LeaseId,
    options: CallOptions = {},
  ): Promise<{ readonly ttlSeconds: number }> {
    checkLeaseId(id);
    checkOptions('leases.keepAliveOnce', options, callShape);
    const request = encodeLeaseKeepAliveRequest({ id });
    const timed = { timeoutMs: this.#caller.options.timeoutMs, ...options };
    const replies = serverStream(this.#caller, method.leaseKeepAlive, 'read', request, timed);
    for await (const reply of replies) {
      const { ttlSeconds } = decodeLeaseKeepAliveResponse(reply);
      if (ttlSeconds <= 0) throw notFound(id);
      return { ttlSeconds };
    }
    throw new EtcdClientError({
      code: 'UNAVAILABLE',
      reason: 'CONNECTION_LOST',
      outcome: 'failed',
      message: 'the keepalive stream ended without a reply',
      method: method.leaseKeepAlive,
    });
  }

  async revoke(id: LeaseId, options?: CallOptions): Promise<{ readonly header: Header }> {
    checkLeaseId(id);
    checkOptions('leases.revoke', options, callShape);
    const request = encodeLeaseRevokeRequest({ id });
    const reply = await this.#caller.call(method.leaseRevoke, 'write', request, options);
    return { header: headerOf(decodeOnlyHeader(reply)) };
  }

  async timeToLive(
    id: LeaseId,
    options: CallOptions & { readonly keys?: boolean } = {},
  ): Promise<LeaseTimeToLive> {
    checkLeaseId(id);
    checkOptions('leases.timeToLive', options, timeToLiveShape);
    const request = encodeLeaseTimeToLiveRequest({ id, keys: options.keys ?? false });
    const reply = await this.#caller.call(method.leaseTimeToLive, 'read', request, options);
    const response = decodeLeaseTimeToLiveResponse(reply);
    return {
      id: response.id,
      ttlSeconds: response.ttlSeconds,
      grantedTtlSeconds: response.grantedTtlSeconds,
      keys: response.keys.map(keyToBytes),
      header: headerOf(response.header),
    };
  }

  async list(options?: CallOptions): Promise<readonly LeaseId[]> {
    checkOptions('leases.list', options, callShape);
    const reply = await this.#caller.call(method.leaseLeases, 'read', empty, options);
    return decodeLeaseLeasesResponse(reply).leases;
  }

  /** Nobody else knows the id, so revoking more than once does no harm. Never rejects. */
  async #takeBack(id: LeaseId): Promise<void> {
    for (let attempt = 1; attempt <= takeBackAttemptsMax; attempt += 1) {
      try {
        await this.revoke(id);
        return;
      } catch (error) {
        // Otherwise, or if it never succeeds, the lease runs out by itself.
        if (!isEtcdError(error) || error.outcome !== 'unknown') return;
      }
    }
  }

  /** Stops keeping alive; nothing is revoked. */
  close(): void {
    this.#mux.close();
  }
}

function notFound(id: LeaseId): EtcdClientError {
  return new EtcdClientError({
    code: 'NOT_FOUND',
    reason: 'LEASE_NOT_FOUND',
    outcome: 'failed',
    message: `there is no lease ${id.toString(16)}`,
    method: method.leaseKeepAlive,
  });
}
