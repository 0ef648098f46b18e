/**
 * What these commands ask of a cluster: ranges page by page at one revision, transactions, leases.
 * A read ends when somebody interrupts; a write does not, so that nobody has to guess what became
 * of it: then nothing follows it.
 */

import { isEtcdError } from '../../client/index.js';
import { method, type RawClient } from '../../client/raw/index.js';
import type { KeyString } from '../../common/index.js';
import {
  decodeLeaseGrantResponse,
  decodeLeaseTimeToLiveResponse,
  decodeRangeResponse,
  decodeTxnResponse,
  encodeLeaseGrantRequest,
  encodeLeaseRevokeRequest,
  encodeLeaseTimeToLiveRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  type KeyValue,
  type LeaseTimeToLiveResponse,
  type RangeRequest,
  type RangeResponse,
  type TxnRequest,
  type TxnResponse,
} from '../../proto/index.js';
import { type CommandContext, CommandError, exit } from '../command/index.js';
import { firstPageKeys, pageBytesTarget, pageKeysMax, valuePageKeysMax } from './limits.js';
import type { Span } from './span.js';

/** What is needed of a client. */
export type Calls = Pick<RawClient, 'call' | 'stream'>;

/** Some keys in order, all of one revision. */
export interface Page {
  readonly kvs: readonly KeyValue[];
  /** The same in all pages. */
  readonly revision: number;
  /** Keys from the first of this page to the end of the range. */
  readonly left: number;
}

export interface PageOptions {
  /** 0, or not there: now, which the first page fixes. */
  readonly revision?: number;
  readonly keysOnly?: boolean;
}

/** How a command ends that somebody ended. `left`: what it leaves, as a half sentence. */
export function interruptedError(left = ''): CommandError {
  return new CommandError(left === '' ? 'interrupted' : `interrupted: ${left}`, exit.interrupted);
}

/** See the head of this file. */
export class Store {
  readonly #calls: Calls;
  readonly interrupted: AbortSignal;

  constructor(calls: Calls, interrupted: AbortSignal) {
    this.#calls = calls;
    this.interrupted = interrupted;
  }

  /** That of a command. */
  static async of({ client, io }: CommandContext): Promise<Store> {
    return new Store(await client(), io.interrupted);
  }

  /** The client itself, for watches. */
  get calls(): Calls {
    return this.#calls;
  }

  async range(request: Partial<RangeRequest>): Promise<RangeResponse> {
    const { revision = 0 } = request;
    return decodeRangeResponse(
      await this.#read(method.range, encodeRangeRequest(request), revision),
    );
  }

  /** The key as it is, or was; undefined: it is not there. */
  async get(key: KeyString, revision = 0): Promise<KeyValue | undefined> {
    const { kvs } = await this.range({ key, revision });
    return kvs[0];
  }

  /** The newest revision. Asks for `span`, which is what may be read. */
  async revision({ key, rangeEnd }: Span): Promise<number> {
    const { header } = await this.range({ key, rangeEnd, limit: 1, keysOnly: true });
    return header?.revision ?? 0;
  }

  /** All keys of `span` in order. Rejects with CommandError if their revision is compacted. */
  async *pages(span: Span, options: PageOptions = {}): AsyncGenerator<Page, undefined, void> {
    const { keysOnly = false } = options;
    let { revision = 0 } = options;
    let { key } = span;
    let limit = keysOnly ? pageKeysMax : firstPageKeys;
    for (;;) {
      const response = await this.range({
        key,
        rangeEnd: span.rangeEnd,
        revision,
        limit,
        keysOnly,
      });
      const { kvs, count, more, header } = response;
      // The header has the newest revision, whatever was asked for; the first page was read at it.
      if (revision === 0) revision = header?.revision ?? 0;
      yield { kvs, revision, left: count };
      const last = kvs.at(-1);
      if (!more || last === undefined) return;
      key = `${last.key}\0`;
      if (!keysOnly) limit = nextLimit(limit, kvs);
    }
  }

  /** Rejects with CommandError before it is sent, if the command was interrupted. */
  async txn(request: TxnRequest, kind: 'read' | 'write' = 'write'): Promise<TxnResponse> {
    const bytes = encodeTxnRequest(request);
    if (kind === 'read') return decodeTxnResponse(await this.#read(method.txn, bytes, 0));
    return decodeTxnResponse(await this.#write(method.txn, bytes));
  }

  /** `ttlSeconds` is -1 for a lease that has ended. */
  async lease(id: bigint): Promise<LeaseTimeToLiveResponse> {
    const request = encodeLeaseTimeToLiveRequest({ id, keys: false });
    return decodeLeaseTimeToLiveResponse(await this.#read(method.leaseTimeToLive, request, 0));
  }

  async grantLease(ttlSeconds: number): Promise<bigint> {
    const request = encodeLeaseGrantRequest({ id: 0n, ttlSeconds });
    return decodeLeaseGrantResponse(await this.#write(method.leaseGrant, request)).id;
  }

  /** Also after an interruption: it is what tidies up. */
  async revokeLease(id: bigint): Promise<void> {
    await this.#calls.call(method.leaseRevoke, 'write', encodeLeaseRevokeRequest({ id }));
  }

  #write(name: string, request: Uint8Array): Promise<Buffer> {
    if (this.interrupted.aborted) return Promise.reject(interruptedError());
    return this.#calls.call(name, 'write', request);
  }

  async #read(name: string, request: Uint8Array, revision: number): Promise<Buffer> {
    if (this.interrupted.aborted) throw interruptedError();
    try {
      return await this.#calls.call(name, 'read', request, { signal: this.interrupted });
    } catch (error) {
      if (this.interrupted.aborted) throw interruptedError();
      throw explained(error, revision);
    }
  }
}

/** What an answer means for who asked for a revision; 0 is the newest, which is always there. */
function explained(error: unknown, revision: number): unknown {
  if (!isEtcdError(error) || revision === 0) return error;
  if (error.reason === 'COMPACTED') {
    return new CommandError(
      `revision ${revision} can't be read: the store was compacted beyond it (${error.message})`,
    );
  }
  if (error.reason !== 'FUTURE_REVISION') return error;
  return new CommandError(`revision ${revision} is not there yet (${error.message})`);
}

/** Towards pages of `pageBytesTarget`. */
function nextLimit(limit: number, kvs: readonly KeyValue[]): number {
  const bytes = kvs.reduce((sum, kv) => sum + kv.key.length + kv.value.length, 0);
  if (bytes < pageBytesTarget / 2) return Math.min(valuePageKeysMax, limit * 2);
  return bytes > pageBytesTarget * 2 ? Math.max(1, Math.floor(limit / 2)) : limit;
}
