/**
 * What may still be added. Two things decide: the alarms, which are replicated, and the quota. The
 * size that counts is the logical one, equal on all members, so that they agree on what the quota
 * allows (C-1.7, C-6).
 *
 * Each request passes here twice, on purpose. At the door ({@link SpaceGuard.refusal}), so that
 * what can't be done is not replicated first; and when its entry is applied, because the alarms and
 * the size are only then those that all members decide by.
 */

import { type ErrorReason, EtcdError } from '../../common/index.js';
import type { MvccStore } from '../../storage/index.js';
import type { EntryType } from '../entry/index.js';
import type { Alarms } from './alarms.js';

export interface SpaceGuardOptions {
  readonly alarms: Pick<Alarms, 'corrupt' | 'noSpace'>;
  readonly store: Pick<MvccStore, 'sizeBytes'>;
  /** --quota-backend-bytes; Infinity: none. */
  readonly quotaBytes: number;
  /** Has the alarm NOSPACE raised for this member; `done` when that has come to an end. */
  readonly raise: (done: () => void) => void;
}

export class SpaceGuard {
  readonly #o: SpaceGuardOptions;
  #raising = false;

  constructor(options: SpaceGuardOptions) {
    this.#o = options;
  }

  /** At the door: undefined, or why a request that adds so much must not be proposed. */
  refusal(costBytes: number): ErrorReason | undefined {
    const { alarms } = this.#o;
    // As at apply, where CORRUPT comes first.
    if (alarms.corrupt) return 'CORRUPT';
    if (alarms.noSpace) return 'NO_SPACE';
    if (!this.isExceededBy(costBytes)) return undefined;
    this.exceeded();
    return 'NO_SPACE';
  }

  /** At apply, once more: throws what all members find alike. */
  refuseIfAlarmed(type: EntryType, costBytes: number): void {
    const { alarms } = this.#o;
    if (type.refusedWhenCorrupt && alarms.corrupt) throw new EtcdError('CORRUPT');
    if (costBytes > 0 && alarms.noSpace) throw new EtcdError('NO_SPACE');
  }

  /** Asked before the write, as in etcd, so that it counts once. */
  isExceededBy(costBytes: number): boolean {
    return costBytes > 0 && this.#o.store.sizeBytes + costBytes >= this.#o.quotaBytes;
  }

  /** A write went over the quota, or would have: the cluster gets to know. */
  exceeded(): void {
    if (this.#raising || this.#o.alarms.noSpace) return;
    this.#raising = true;
    this.#o.raise(() => {
      this.#raising = false;
    });
  }
}
