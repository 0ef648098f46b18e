/**
 * A downgrade of the cluster (C-6.12): a replicated wish of the operator that members of the minor
 * version below may run here. It is over when all members do, or when it is cancelled.
 *
 * Two steps, as in etcd: it is enabled at once, and the leader lowers the cluster version soon
 * after; cancelled at once, and the leader lets the cluster version rise again soon after. Nothing
 * that kvorum stores depends on it: a directory is one whatever the cluster version is, and a
 * snapshot is in a schema that etcd 3.6 reads anyway. What changes is what members answer, for the
 * tools that do the downgrade.
 */

import { Packr } from 'msgpackr';
import { assertNever, EtcdError } from '../../common/index.js';
import type { MvccWriteTxn, StoredMeta } from '../../storage/index.js';

/** A step of a downgrade, as the log has it. */
export interface DowngradeStep {
  /** `lower`: from now on the cluster version is the target; `raise`: what members make it. */
  readonly type: 'enable' | 'lower' | 'cancel' | 'raise';
  /** "major.minor.0"; '' to cancel and to raise. */
  readonly targetVersion: string;
}

/** How far a downgrade has come; both are "major.minor.0". */
export interface DowngradeState {
  /** Undefined: none is on. */
  readonly targetVersion?: string | undefined;
  /** What the cluster version was lowered to; undefined: it is what members make it. */
  readonly clusterVersion?: string | undefined;
}

/** Name of the meta record, which is there while there is something to know. */
export const downgradeMetaName = 'cluster/downgrade';

// Plain maps only: no structures, no extensions.
const codec = new Packr({ useRecords: false, moreTypes: false });

/** Body of an EntryKind.downgrade. */
export function encodeDowngradeStep({ type, targetVersion }: DowngradeStep): Buffer {
  return codec.pack({ type, targetVersion });
}

export function decodeDowngradeStep(body: Uint8Array): DowngradeStep {
  return codec.unpack(body) as DowngradeStep;
}

/** The meta record of a downgrade. */
export function encodeDowngradeState(state: DowngradeState): Buffer {
  return codec.pack(state);
}

export function decodeDowngradeState(value: Uint8Array): DowngradeState {
  return codec.unpack(value) as DowngradeState;
}

/** What this member knows of the cluster's downgrade. */
export class Downgrade {
  #state: DowngradeState = {};

  get state(): DowngradeState {
    return this.#state;
  }

  /** Reads what is stored, in the place of what was known. */
  restore(store: StoredMeta): void {
    this.#state = {};
    for (const [name, value] of store.metaEntries(downgradeMetaName)) {
      if (name === downgradeMetaName) this.#state = decodeDowngradeState(value);
    }
  }

  /** Throws DOWNGRADE_IN_PROGRESS, changing nothing; a step that comes too late does nothing. */
  apply(txn: Pick<MvccWriteTxn, 'setMeta'>, { type, targetVersion }: DowngradeStep): void {
    const before = this.#state;
    const { clusterVersion } = before;
    const isOn = before.targetVersion !== undefined;
    switch (type) {
      case 'enable':
        // Checked before it was proposed, too; of two at once only the first one is on.
        if (isOn) throw new EtcdError('DOWNGRADE_IN_PROGRESS');
        this.#store(txn, { ...before, targetVersion });
        return;
      case 'lower':
        if (before.targetVersion !== targetVersion || clusterVersion === targetVersion) return;
        this.#store(txn, { targetVersion, clusterVersion: targetVersion });
        return;
      case 'cancel':
        if (isOn) this.#store(txn, clusterVersion === undefined ? {} : { clusterVersion });
        return;
      case 'raise':
        if (!isOn && clusterVersion !== undefined) this.#store(txn, {});
        return;
      default:
        assertNever(type, 'a step of a downgrade');
    }
  }

  #store(txn: Pick<MvccWriteTxn, 'setMeta'>, state: DowngradeState): void {
    this.#state = state;
    const isEmpty = state.targetVersion === undefined && state.clusterVersion === undefined;
    txn.setMeta(downgradeMetaName, isEmpty ? undefined : encodeDowngradeState(state));
  }
}
