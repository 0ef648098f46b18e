/**
 * Step 9 of the data path: turns committed entries into state, in log order, once each. It knows
 * nothing of what entries mean: their types, from the features, stand in a table by kind. Nearly
 * all are applied within one call. One that touches many keys, or whose outcome hangs on a value
 * that is only on disk, takes as many turns as it needs: nothing else is applied meanwhile, and
 * whoever reads sees the revision before it.
 *
 * Nothing that a request can ask for may throw here, but as an EtcdError that every member finds
 * alike: the entry is in the log, so what throws once throws at every start.
 */

import {
  assert,
  type Caller,
  type Clock,
  EtcdError,
  type Logger,
  type LogIndex,
  type MemberId,
  present,
  runSteps,
  Slice,
  type Steps,
} from '../../common/index.js';
import type { Entry, Raft } from '../../raft/index.js';
import type { MvccStore } from '../../storage/index.js';
import type { Permissions } from '../access/index.js';
import {
  callerRefusal,
  type EntryType,
  entryBody,
  entryCaller,
  entryKind,
  entryOrigin,
  entrySequence,
  entryTable,
} from '../entry/index.js';
import type { CommitSink, Feature } from '../feature/index.js';
import type { SpaceGuard } from '../guard/index.js';
import type { Membership } from '../membership/index.js';
import type { Metrics } from '../metrics/index.js';
import { ApplyMeter } from './apply-meter.js';
import { applyConfigChange } from './config-change.js';
import type { EntryApplier } from './loop-options.js';
import type { Pending, Proposals } from './proposals.js';

export interface ApplierOptions {
  readonly self: MemberId;
  readonly store: MvccStore;
  readonly raft: Pick<Raft, 'applyConfigChange'>;
  readonly membership: Membership;
  readonly space: SpaceGuard;
  readonly access: Permissions;
  readonly proposals: Proposals;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Entries that take longer are logged (--warning-apply-duration). */
  readonly slowApplyMs: number;
  /** This member was removed: it should go on for a few election timeouts, then stop. */
  readonly onRemovedSelf: () => void;
}

export class Applier implements EntryApplier {
  readonly #o: ApplierOptions;
  readonly #meter: ApplyMeter;
  /** One entry is applied at a time. */
  readonly #slice: Slice;
  readonly #running: Running = { type: undefined, index: 0, startMs: 0 };
  #types: ReadonlyArray<EntryType | undefined> = [];
  #commits: CommitSink = nobodyListens;

  constructor(options: ApplierOptions) {
    this.#o = options;
    this.#slice = new Slice(options.clock, 'apply');
    this.#meter = new ApplyMeter(options);
  }

  /** Takes over what the features know of entries; once, before anything is applied. */
  use(features: readonly Feature[]): void {
    assert(this.#types.length === 0, 'an applier is given its features once');
    const types = features.flatMap(({ entries = [] }) => entries);
    this.#types = entryTable(types);
    this.#meter.know(types);
    for (const { commits } of features) {
      if (commits === undefined) continue;
      assert(this.#commits === nobodyListens, 'one feature is told of commits');
      this.#commits = commits;
    }
  }

  apply(entry: Entry): Promise<void> | undefined {
    if (entry.type !== 'normal') {
      this.#applyRaftEntry(entry);
      return undefined;
    }
    const type = this.#typeOf(entry);
    const { access } = this.#o;
    const caller = access.isEnabled ? entryCaller(entry.data) : undefined;
    const waits = caller === undefined ? undefined : access.prepare(caller);
    if (waits !== undefined) return waits.then(() => this.apply(entry));
    this.#running.type = type;
    this.#running.index = entry.index;
    this.#running.startMs = this.#o.clock.nowMs();
    const { proposals } = this.#o;
    const pending = proposals.take(entryOrigin(entry.data), entrySequence(entry.data));
    const request = pending === undefined ? type.decode(entryBody(entry.data)) : pending.request;
    if (type.schedule !== undefined) {
      this.#schedule(entry, type, request, caller, pending);
      return undefined;
    }
    const plan = type.planAtOnce(request, caller);
    if (plan !== undefined) {
      this.#applyAtOnce(entry, type, request, caller, plan, pending);
      return undefined;
    }
    const done = runSteps(this.#applySteps(entry, type, request, caller, pending));
    return done instanceof Promise ? done : undefined;
  }

  afterRun(): void {
    this.#commits.flush();
  }

  #applyRaftEntry(entry: Entry): void {
    if (entry.type === 'configChange') applyConfigChange(this.#o, entry);
    else this.#o.store.setApplied({ index: entry.index, term: entry.term });
  }

  #typeOf(entry: Entry): EntryType {
    const kind = entryKind(entry.data, entry.index);
    const type = this.#types[kind];
    return present(type, 'the feature that applies entries of this kind');
  }

  #applyAtOnce(
    entry: Entry,
    type: EntryType,
    request: unknown,
    caller: Caller | undefined,
    plan: unknown,
    pending: Pending | undefined,
  ): void {
    const { space, store } = this.#o;
    const costBytes = type.costBytes(request);
    const isOver = space.isExceededBy(costBytes);
    const txn = store.begin(entry.index, entry.term);
    let result: unknown;
    let error: EtcdError | undefined;
    try {
      // Checked at the door as well: here because only now all members see the same alarms.
      space.refuseIfAlarmed(type, costBytes);
      if (caller !== undefined) this.#refuseCaller(type, caller, request);
      result = type.apply(txn, request, plan, pending !== undefined);
    } catch (thrown) {
      error = this.#expected(thrown);
      // Everything that can fail is checked before anything is written.
      assert(!txn.changed, 'a failed entry must not have changed anything');
    }
    const commit = txn.commit();
    if (txn.changed) this.#commits.publish(commit);
    this.#answer(pending, error, result, isOver);
  }

  /** The same in steps: decide, do, tell. */
  *#applySteps(
    entry: Entry,
    type: EntryType,
    request: unknown,
    caller: Caller | undefined,
    pending: Pending | undefined,
  ): Steps<void> {
    const { space, store } = this.#o;
    const slice = this.#slice;
    slice.begin();
    const costBytes = type.costBytes(request);
    const isOver = space.isExceededBy(costBytes);
    let plan: unknown;
    let result: unknown;
    let error: EtcdError | undefined;
    try {
      space.refuseIfAlarmed(type, costBytes);
      if (caller !== undefined) this.#refuseCaller(type, caller, request);
      plan = yield* type.plan(request, slice, caller);
    } catch (thrown) {
      error = this.#expected(thrown);
    }
    const txn = store.begin(entry.index, entry.term);
    if (error === undefined) {
      result = yield* type.applySteps(txn, request, plan, pending !== undefined, slice);
    }
    const commit = txn.commit();
    if (txn.changed) yield* this.#commits.publishSteps(commit, slice);
    this.#answer(pending, error, result, isOver);
  }

  /** An entry that only starts something; it notes its place itself, if it does. */
  #schedule(
    entry: Entry,
    type: EntryType,
    request: unknown,
    caller: Caller | undefined,
    pending: Pending | undefined,
  ): void {
    const { space, store } = this.#o;
    const { index, term } = entry;
    let result: unknown;
    let error: EtcdError | undefined;
    try {
      space.refuseIfAlarmed(type, 0);
      if (caller !== undefined) this.#refuseCaller(type, caller, request);
      result = type.schedule?.(index, term, request);
    } catch (thrown) {
      error = this.#expected(thrown);
      store.setApplied({ index, term });
    }
    this.#answer(pending, error, result, false);
  }

  /**
   * Once more: since it was proposed, users and roles may have changed. Throws what all members
   * find alike.
   */
  #refuseCaller(type: EntryType, caller: Caller, request: unknown): void {
    const refusal = callerRefusal(type, this.#o.access, caller, request);
    if (refusal !== undefined) throw new EtcdError(refusal);
  }

  /** Whatever else is thrown is our mistake, and ends the process. */
  #expected(thrown: unknown): EtcdError {
    if (!(thrown instanceof EtcdError)) throw thrown;
    this.#meter.failed = true;
    return thrown;
  }

  #answer(
    pending: Pending | undefined,
    error: EtcdError | undefined,
    result: unknown,
    isOverQuota: boolean,
  ): void {
    const { type, index, startMs } = this.#running;
    const appliedMs = this.#meter.applied(present(type, 'what is applied'), index, startMs);
    pending?.applied(index, appliedMs);
    if (error !== undefined) {
      pending?.finish(error, undefined);
    } else if (isOverQuota) {
      // As in etcd: the write is applied, and answered with the error all the same.
      this.#o.space.exceeded();
      pending?.finish(new EtcdError('NO_SPACE'), undefined);
    } else pending?.finish(undefined, result);
  }
}

/** The entry that is being applied: there is one at a time. */
interface Running {
  type: EntryType | undefined;
  index: LogIndex;
  startMs: number;
}

const nobodyListens: CommitSink = {
  publish() {},
  *publishSteps() {},
  flush() {},
};
