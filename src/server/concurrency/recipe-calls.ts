/**
 * What a call of these services asks of the member: RPCs in its client's name, with its identity
 * and metadata, past the same guards. So it can do what its client could do itself, and no more.
 */

import { GrpcCode, type KeyString, type LeaseId } from '../../common/index.js';
import {
  type Compare,
  CompareResult,
  CompareTarget,
  compareOf,
  type DeleteRangeRequest,
  decodeDeleteRangeResponse,
  decodeLeaseGrantResponse,
  decodeRangeResponse,
  decodeTxnResponse,
  encodeDeleteRangeRequest,
  encodeLeaseGrantRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  type RangeRequest,
  type RangeResponse,
  type RequestOp,
  rangeOf,
  type TxnRequest,
  type TxnResponse,
} from '../../proto/index.js';
import type { MethodHandler, ServerCall } from '../../transport/index.js';
import { callLocally, type LocalCall, type LocalCallOptions } from '../rpc/index.js';
import { innerError } from './recipe-error.js';

/** RPCs by full method name. */
export type Methods = ReadonlyMap<string, MethodHandler>;

/** For Lock and Campaign without a lease, as etcd. */
const sessionTtlSeconds = 60;

/** The calls that one call of these services makes; all reject with a RecipeError. */
export class RecipeCalls {
  readonly #methods: Methods;
  readonly #call: ServerCall;
  readonly #signal: AbortSignal;

  /** Reads end when `signal` aborts; what changes something goes on, for it has to be known. */
  constructor(methods: Methods, call: ServerCall, signal: AbortSignal) {
    this.#methods = methods;
    this.#call = call;
    this.#signal = signal;
  }

  get methods(): Methods {
    return this.#methods;
  }

  get signal(): AbortSignal {
    return this.#signal;
  }

  options(method: string): LocalCallOptions {
    const call = this.#call;
    const { deadlineMs, peer } = call;
    return { method: `/etcdserverpb.${method}`, peer, deadlineMs, metadata: metadataOf(call) };
  }

  /** Rejects with the signal's reason as soon as that aborts. */
  range(request: Partial<RangeRequest>): Promise<RangeResponse> {
    const signal = this.#signal;
    return new Promise((resolve, reject) => {
      let running: LocalCall | undefined;
      const abort = (): void => {
        running?.cancel();
        reject(signal.reason);
      };
      signal.throwIfAborted();
      signal.addEventListener('abort', abort);
      this.#ask('KV/Range', encodeRangeRequest(request), (call) => {
        running = call;
      })
        .then((bytes) => resolve(decodeRangeResponse(bytes)))
        .catch(reject)
        .finally(() => signal.removeEventListener('abort', abort));
    });
  }

  async txn(request: TxnRequest): Promise<TxnResponse> {
    return decodeTxnResponse(await this.#ask('KV/Txn', encodeTxnRequest(request)));
  }

  /** Resolves with the revision. */
  async deleteRange(request: Partial<DeleteRangeRequest>): Promise<number> {
    const bytes = await this.#ask('KV/DeleteRange', encodeDeleteRangeRequest(request));
    return decodeDeleteRangeResponse(bytes).header?.revision ?? 0;
  }

  /** A lease that nobody renews. */
  async grantSession(): Promise<LeaseId> {
    const request = encodeLeaseGrantRequest({ ttlSeconds: sessionTtlSeconds, id: 0n });
    return decodeLeaseGrantResponse(await this.#ask('Lease/LeaseGrant', request)).id;
  }

  async #ask(method: string, request: Buffer, onCall?: (call: LocalCall) => void): Promise<Buffer> {
    const outcome = await callLocally(this.#methods, this.options(method), request, onCall);
    if (outcome.ok) return outcome.message;
    throw innerError(outcome.code, outcome.message);
  }
}

/**
 * The metadata of a call for those that are made in its name. `hasleader` was looked at when the
 * call came in; as in etcd, who waits for a lock waits through the loss of a leader.
 */
function metadataOf(call: ServerCall): (key: string) => string | undefined {
  return (key) => (key === 'hasleader' ? undefined : call.metadata(key));
}

// ------------------------------------------------------------------------ parts of requests

/** That the key was created at that revision; 0: that there is none. */
export function createdAt(key: KeyString, createRevision: number): Compare {
  return compareOf({
    result: CompareResult.EQUAL,
    target: CompareTarget.CREATE,
    key,
    targetUnion: 'createRevision',
    createRevision,
  });
}

export function putOp(key: KeyString, value: Buffer, lease: LeaseId): RequestOp {
  const request = { key, value, lease, prevKv: false, ignoreValue: false, ignoreLease: false };
  return { type: 'put', request };
}

export function getOp(key: KeyString): RequestOp {
  return { type: 'range', request: rangeOf(key) };
}

export function deleteOp(key: KeyString): RequestOp {
  return { type: 'deleteRange', request: { key, rangeEnd: '', prevKv: false } };
}

/** The range that operation `at` of a transaction found. */
export function rangeAt({ responses }: TxnResponse, at: number): RangeResponse {
  const response = responses[at];
  if (response?.type !== 'range') {
    throw innerError(GrpcCode.INTERNAL, 'a transaction did not answer what was asked');
  }
  return response.response;
}
