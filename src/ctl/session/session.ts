/** A lease that is kept for as long as a command holds something. */

import { method, type RawClient } from '../../client/raw/index.js';
import { idToHex, type KeyString } from '../../common/index.js';
import {
  decodeLeaseGrantResponse,
  decodeLeaseKeepAliveResponse,
  encodeLeaseGrantRequest,
} from '../../proto/index.js';
import { keepAliveAnswers } from './keep-alive.js';

/** See the head of this file. Use {@link close}, which does not end the lease. */
export class Session {
  readonly lease: bigint;
  /** Resolves when the lease is lost. */
  readonly lost: Promise<void>;
  readonly #closing = new AbortController();

  /** Keeps a lease that there is. */
  constructor(client: RawClient, lease: bigint) {
    this.lease = lease;
    this.lost = this.#keep(client);
  }

  /** Makes a lease of `ttlSeconds`. Rejects with EtcdClientError. */
  static async open(client: RawClient, ttlSeconds: number): Promise<Session> {
    const request = encodeLeaseGrantRequest({ ttlSeconds, id: 0n });
    const bytes = await client.call(method.leaseGrant, 'write', request, {
      timeoutMs: Number.POSITIVE_INFINITY,
    });
    return new Session(client, decodeLeaseGrantResponse(bytes).id);
  }

  /** The key of this session below `prefix`. */
  keyBelow(prefix: KeyString): KeyString {
    return `${prefix}${idToHex(this.lease)}`;
  }

  /** Renews it no more. */
  close(): void {
    this.#closing.abort();
  }

  async #keep(client: RawClient): Promise<void> {
    const { signal } = this.#closing;
    try {
      for await (const bytes of keepAliveAnswers(client, this.lease, signal)) {
        if (decodeLeaseKeepAliveResponse(bytes).ttlSeconds <= 0) return;
      }
    } catch {
      // Whoever holds something by it has lost it then, too.
    }
    if (signal.aborted) await new Promise<never>(() => {});
  }
}
