/**
 * Keys and leases that calls leave behind when they end early, taken back by the member itself: the
 * client's token may be invalid by then, and only what its call made is taken.
 *
 * The member tries for a while if there is no leader. After that a key goes when its lease goes.
 */

import {
  type Clock,
  type KeyString,
  type LeaseId,
  recipeWithdrawPauseMs,
  recipeWithdrawTriesMax,
  sleep,
} from '../../common/index.js';
import { encodeLeaseRevokeRequest, encodeTxnRequest } from '../../proto/index.js';
import { type Access, memberCaller } from '../access/index.js';
import { callLocally, type LocalCallOptions, type LocalOutcome } from '../rpc/index.js';
import { createdAt, deleteOp, type Methods } from './recipe-calls.js';

const itself = { commonName: '', certificateVerified: false };

/** What it needs of the member. */
export interface WithdrawalPorts {
  readonly clock: Clock;
  readonly access: Access;
}

/** Takes back, one try after the other. */
export class Withdrawals {
  readonly #methods: () => Methods;
  readonly #clock: Clock;
  readonly #access: Access;
  /** Keys that are being taken back. */
  readonly #pending = new Map<KeyString, Promise<void>>();
  #isOver = false;

  /** `methods`: those of the member, without guards. */
  constructor(methods: () => Methods, { access, clock }: WithdrawalPorts) {
    this.#methods = methods;
    this.#clock = clock;
    this.#access = access;
  }

  /** Resolves when the key is not being taken back (any more). */
  of(key: KeyString): Promise<void> {
    return this.#pending.get(key) ?? Promise.resolve();
  }

  delete(key: KeyString, createRevision: number): void {
    const success = [deleteOp(key)];
    const request = { compare: [createdAt(key, createRevision)], success, failure: [] };
    const done = this.#insist('KV/Txn', encodeTxnRequest(request)).finally(() => {
      if (this.#pending.get(key) === done) this.#pending.delete(key);
    });
    this.#pending.set(key, done);
  }

  revoke(id: LeaseId): void {
    void this.#insist('Lease/LeaseRevoke', encodeLeaseRevokeRequest({ id }));
  }

  /** The member stops. */
  end(): void {
    this.#isOver = true;
  }

  async #insist(method: string, request: Buffer): Promise<void> {
    for (let tries = 1; !this.#isOver; tries += 1) {
      const outcome = await this.#ask(`/etcdserverpb.${method}`, request);
      if (outcome.ok || tries === recipeWithdrawTriesMax) return;
      await sleep(this.#clock, recipeWithdrawPauseMs);
    }
  }

  #ask(method: string, request: Buffer): Promise<LocalOutcome> {
    const peer = { address: '', identity: itself };
    const options: LocalCallOptions = {
      method,
      peer,
      metadata: () => undefined,
      caller: memberCaller(this.#access),
    };
    return callLocally(this.#methods(), options, Buffer.from(request));
  }
}
