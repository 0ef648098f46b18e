/** What the loop works on, and whom it tells. */

import type { Clock, ErrorReason, Logger, LogIndex, MemberId } from '../../common/index.js';
import type { Entry, Message, Raft, SnapshotMeta } from '../../raft/index.js';
import type { Wal } from '../../storage/index.js';
import type { StepTimes } from '../metrics/index.js';
import type { Proposals } from './proposals.js';
import type { ReadGate } from './read-gate.js';

/** Applies committed entries; see apply.ts. */
export interface EntryApplier {
  /** Undefined: applied. A promise: something had to be read first; nothing else may be applied. */
  apply(entry: Entry): Promise<void> | undefined;
  /** Called after a run of entries, before the turn ends: watch events leave now. */
  afterRun(): void;
}

export interface NodeLoopOptions {
  readonly id: MemberId;
  readonly raft: Raft;
  readonly wal: Wal;
  readonly applier: EntryApplier;
  readonly proposals: Proposals;
  readonly reads: ReadGate;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tickMs: number;
  readonly counts: { proposalsResent: number; readonly steps: StepTimes };
  /** To other members; a cluster of one sends nothing. */
  readonly send: (messages: readonly Message[]) => void;
  /** Runs `work`; what it sends, answers included, leaves with its end if that is little. */
  readonly hurried: (work: () => void) => void;
  /** Within `hurried`: what was sent so far leaves now, if that is little. */
  readonly flush: () => void;
  /**
   * Puts the state that was received in the place of the present one; see `stepSnapshot`. Nothing
   * is applied meanwhile.
   */
  readonly install: (snapshot: SnapshotMeta) => Promise<void>;
  /** The disk failed or an invariant broke: the process must end. */
  readonly onFatal: (error: unknown) => void;
  /** Called once a tick, and after each Ready: the leader may have changed. */
  readonly onTick: () => void;
  readonly onReady: () => void;
  /** Called after entries were applied, with the newest index and the memory that all so far took. */
  readonly onApplied: (index: LogIndex, bytesTotal: number) => void;
  /** Why a proposal made at `startMs` may have timed out. */
  readonly timeoutReason: (startMs: number) => ErrorReason;
  /** True: too much is waiting to be flushed, hold proposals back. */
  readonly overloaded: () => boolean;
}
