/**
 * The key with which a call stands in line: who has the oldest key below `name/` owns. The layout
 * is that of etcd's recipes (C-7.1), so that all who use it, from wherever, exclude each other.
 *
 * Invariant: create revisions only grow. A key that is older than all others below its prefix at
 * some revision is so until it is deleted; that is what makes its create revision a fencing token.
 */

import { type KeyString, type LeaseId, unlessAborted } from '../../common/index.js';
import {
  type RangeRequest,
  rangeOf,
  SortOrder,
  SortTarget,
  type TxnRequest,
} from '../../proto/index.js';
import { untilDeleted } from './inner-watch.js';
import type { Queues } from './queues.js';
import { createdAt, getOp, putOp, type RecipeCalls, rangeAt } from './recipe-calls.js';
import type { Withdrawals } from './withdrawals.js';

/** What the calls of a member share. */
export interface Lines {
  readonly queues: Queues;
  readonly withdrawals: Withdrawals;
}

/** What the transaction found with which a candidate enters. */
export interface Entered {
  /** Of the transaction. */
  readonly revision: number;
  /** The key was there before: its lease has been here before. */
  readonly before: Buffer | undefined;
  /** It is the oldest. */
  readonly owns: boolean;
}

/** One key, from its creation until its call has ended; see {@link Candidate.of}. */
export class Candidate {
  readonly key: KeyString;
  readonly lease: LeaseId;
  readonly #prefix: KeyString;
  readonly #calls: RecipeCalls;
  readonly #lines: Lines;
  /** The lease was granted for this call: nobody else knows it. */
  readonly #isOwnLease: boolean;
  /** The create revision of the key; 0: it is not there yet. */
  #revision = 0;
  /** The key goes if the call ends early. */
  #isOwnKey = false;

  constructor(
    calls: RecipeCalls,
    lines: Lines,
    name: KeyString,
    lease: LeaseId,
    isOwnLease: boolean,
  ) {
    this.#calls = calls;
    this.#lines = lines;
    this.#prefix = `${name}/`;
    this.lease = lease;
    // A negative lease has a sign in front, as Go prints it.
    this.key = `${this.#prefix}${lease.toString(16)}`;
    this.#isOwnLease = isOwnLease;
  }

  /** Under `lease`; 0n: under a new one, which nobody renews (C-7.4). */
  static async of(
    calls: RecipeCalls,
    lines: Lines,
    name: KeyString,
    lease: LeaseId,
  ): Promise<Candidate> {
    if (lease === 0n) return new Candidate(calls, lines, name, await calls.grantSession(), true);
    const candidate = new Candidate(calls, lines, name, lease, false);
    // What an earlier call of the same lease left must not be taken from this one.
    await lines.withdrawals.of(candidate.key);
    return candidate;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Creates the key with that value, or finds it. */
  async enter(value: Buffer): Promise<Entered> {
    this.#calls.signal.throwIfAborted();
    const done = await this.#calls.txn(this.#entrance(value));
    const revision = done.header?.revision ?? 0;
    if (done.succeeded) {
      this.#revision = revision;
      this.#isOwnKey = true;
      // Any other key was there before this one.
      return { revision, before: undefined, owns: rangeAt(done, 1).count === 1 };
    }
    const [own] = rangeAt(done, 0).kvs;
    const [first] = rangeAt(done, 1).kvs;
    this.#revision = own?.createRevision ?? 0;
    return { revision, before: own?.value, owns: first?.createRevision === this.#revision };
  }

  /** Until there is no older key below the prefix. */
  async wait(): Promise<void> {
    const calls = this.#calls;
    calls.signal.throwIfAborted();
    // As etcd: also if an earlier call of the same lease created it.
    this.#isOwnKey = true;
    const place = this.#lines.queues.enter(this.#prefix, this.#revision);
    try {
      await unlessAborted(place.turn, calls.signal);
      for (;;) {
        // The youngest of those that are older is the last one to go, if all wait.
        const { header, kvs } = await calls.range({
          ...this.#all(SortOrder.DESCEND),
          maxCreateRevision: this.#revision - 1,
        });
        const [older] = kvs;
        if (older === undefined) return;
        await untilDeleted(calls, older.key, (header?.revision ?? 0) + 1);
      }
    } finally {
      place.leave();
    }
  }

  /** A revision at which the key was there after all that waiting; undefined: it has gone. */
  async stillThere(): Promise<number | undefined> {
    const { header, kvs } = await this.#calls.range({ key: this.key, keysOnly: true });
    return kvs[0]?.createRevision === this.#revision ? header?.revision : undefined;
  }

  /** Gives the value; undefined: the key is not the one that was created, or found. */
  async propose(value: Buffer): Promise<number | undefined> {
    const { header, succeeded } = await this.#calls.txn({
      compare: [createdAt(this.key, this.#revision)],
      success: [putOp(this.key, value, this.lease)],
      failure: [],
    });
    return succeeded ? header?.revision : undefined;
  }

  /** The call ends early: gives back what nobody will use. */
  withdraw(): void {
    if (this.#isOwnLease) this.#lines.withdrawals.revoke(this.lease);
    else if (this.#isOwnKey) this.#lines.withdrawals.delete(this.key, this.#revision);
  }

  /** The same, but the client may go on with what it knows of. */
  withdrawUnknown(): void {
    if (this.#isOwnLease) this.withdraw();
  }

  /**
   * A new key only has to know whether it is alone: how many there are is known without a look at
   * each, so that it costs the same however many wait.
   */
  #entrance(value: Buffer): TxnRequest {
    const any = { ...rangeOf(this.#prefix, prefixEnd(this.#prefix)), limit: 1, keysOnly: true };
    const first = { ...any, ...this.#all(SortOrder.ASCEND) };
    return {
      compare: [createdAt(this.key, 0)],
      success: [putOp(this.key, value, this.lease), { type: 'range', request: any }],
      failure: [getOp(this.key), { type: 'range', request: first }],
    };
  }

  #all(sortOrder: number): Partial<RangeRequest> {
    return oldestBelow(this.#prefix, sortOrder);
  }
}

/** The first key below a prefix in the order of their creation, or the last one, without value. */
function oldestBelow(prefix: KeyString, sortOrder: number): Partial<RangeRequest> {
  return {
    key: prefix,
    rangeEnd: prefixEnd(prefix),
    limit: 1,
    keysOnly: true,
    sortOrder,
    sortTarget: SortTarget.CREATE,
  };
}

/** Who owns: the oldest key below `name/`, with its value. */
export function ownerOf(name: KeyString): Partial<RangeRequest> {
  return { ...oldestBelow(`${name}/`, SortOrder.ASCEND), keysOnly: false };
}

/** The end of the range of keys that begin with `prefix`, which ends with a slash. */
export function prefixEnd(prefix: KeyString): KeyString {
  return `${prefix.slice(0, -1)}0`;
}
