/**
 * Clients with leases: they grant one, put keys on it, keep it alive for a while, now and then too
 * late, and stop; some revoke it.
 */

import {
  decodeLeaseGrantResponse,
  decodeLeaseTimeToLiveResponse,
  encodeLeaseGrantRequest,
  encodeLeaseRevokeRequest,
  encodeLeaseTimeToLiveRequest,
} from '../../src/proto/index.js';
import type { SimRandom } from '../../src/sim/index.js';
import { deleteRequest, putRequest, type Request } from '../checkers/history.js';
import type { LeaseRecord } from '../checkers/lease-checker.js';
import type { Workload } from './workload.js';

/** A lease, and whether a client asked to end it. */
export interface HeldLease extends LeaseRecord {
  /** For people. */
  readonly name: string;
  /** Under which its keys are. */
  readonly prefix: string;
  askedToEnd: boolean;
}

/** What became of a call, and when it was made. */
export interface LeaseAnswer<T> {
  readonly callMs: number;
  /** Undefined: none came that says anything. */
  readonly answer: T | undefined;
}

/** How the calls are made. */
export interface LeaseCalls {
  /** Of `LeaseGrant`, `LeaseRevoke` or `LeaseTimeToLive`. */
  ask(lease: HeldLease, method: string, bytes: Buffer): Promise<LeaseAnswer<Buffer>>;
  /** Seconds that it has from now on; 0: it is gone. */
  keepAlive(lease: HeldLease): Promise<LeaseAnswer<number>>;
}

export interface LeaseHolderOptions {
  readonly number: number;
  readonly random: SimRandom;
  readonly workload: Workload;
  readonly calls: LeaseCalls;
  /** Of the client through which its keys are written. */
  readonly call: (request: Request) => Promise<{ readonly revision: number } | undefined>;
  readonly nowMs: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly isStopping: () => boolean;
  /** Between two leases, at the most. */
  readonly pauseMsMax: number;
  readonly idOf: (count: number) => bigint;
  readonly prefixOf: (count: number) => string;
  readonly ttlSeconds: (random: SimRandom) => number;
  /** Whether a key may leave its lease by a put without one, or a delete. */
  readonly keysLeave: boolean;
}

export class LeaseHolder {
  readonly leases: HeldLease[] = [];
  readonly #o: LeaseHolderOptions;
  /** Of the newest answer to a write: whatever is asked later knows of it. */
  #seenRevision = 0;

  constructor(options: LeaseHolderOptions) {
    this.#o = options;
  }

  async run(): Promise<void> {
    const { isStopping, sleep, pauseMsMax, random } = this.#o;
    while (!isStopping()) {
      await sleep(pauseMsMax * random.float());
      if (isStopping()) return;
      await this.#hold();
    }
  }

  async #hold(): Promise<void> {
    const { number, random, workload, sleep, isStopping } = this.#o;
    const count = this.leases.length + 1;
    const lease: HeldLease = {
      ...{ id: this.#o.idOf(count), name: `lease ${number}/${count}` },
      prefix: this.#o.prefixOf(count),
      ...{ renewals: [], goneCallsMs: [], listings: [], end: undefined, askedToEnd: false },
    };
    this.leases.push(lease);
    const ttlSeconds = await this.#grant(lease);
    if (ttlSeconds === undefined) return;
    const keys = Array.from({ length: 1 + random.below(2) }, (_, i) => `${lease.prefix}${i}`);
    for (const key of keys) await this.#write(putRequest(key, workload.value(), lease.id));
    const renewals = random.below(6);
    for (let i = 0; i < renewals && !isStopping(); i += 1) {
      await sleep(ttlSeconds * 1000 * random.pick([0.1, 0.3, 0.3, 0.9, 1.1]));
      await this.#keepAlive(lease);
      if (this.#o.keysLeave) await this.#leave(keys[0] ?? '');
      if (random.chance(0.3)) await this.#list(lease, keys);
    }
    if (random.chance(0.3)) {
      lease.askedToEnd = true;
      const { calls } = this.#o;
      await calls.ask(lease, 'LeaseRevoke', encodeLeaseRevokeRequest({ id: lease.id }));
    }
  }

  /** Returns what it was granted for; undefined: that is not known. */
  async #grant(lease: HeldLease): Promise<number | undefined> {
    const { calls, nowMs, random } = this.#o;
    const request = { id: lease.id, ttlSeconds: this.#o.ttlSeconds(random) };
    const bytes = encodeLeaseGrantRequest(request);
    const { callMs, answer } = await calls.ask(lease, 'LeaseGrant', bytes);
    if (answer === undefined) return undefined;
    const { ttlSeconds } = decodeLeaseGrantResponse(answer);
    lease.renewals.push({ callMs, returnMs: nowMs(), ttlSeconds });
    return ttlSeconds;
  }

  async #keepAlive(lease: HeldLease): Promise<void> {
    const { calls, nowMs } = this.#o;
    const { callMs, answer: ttlSeconds } = await calls.keepAlive(lease);
    if (ttlSeconds === undefined) return;
    if (ttlSeconds > 0) lease.renewals.push({ callMs, returnMs: nowMs(), ttlSeconds });
    else lease.goneCallsMs.push(callMs);
  }

  /** Asks which keys it has. */
  async #list(lease: HeldLease, keys: readonly string[]): Promise<void> {
    const fromRevision = this.#seenRevision;
    const bytes = encodeLeaseTimeToLiveRequest({ id: lease.id, keys: true });
    const { answer } = await this.#o.calls.ask(lease, 'LeaseTimeToLive', bytes);
    if (answer === undefined) return;
    const { header, ttlSeconds, keys: listed } = decodeLeaseTimeToLiveResponse(answer);
    if (ttlSeconds < 0) return;
    const toRevision = header?.revision ?? 0;
    lease.listings.push({ fromRevision, toRevision, listed, put: keys });
  }

  /** Now and then. */
  async #leave(key: string): Promise<void> {
    const { random, workload } = this.#o;
    const dice = random.below(10);
    if (dice === 0) await this.#write(putRequest(key, workload.value()));
    if (dice === 1) await this.#write(deleteRequest(key));
  }

  async #write(request: Request): Promise<void> {
    const response = await this.#o.call(request);
    this.#seenRevision = Math.max(this.#seenRevision, response?.revision ?? 0);
  }
}
