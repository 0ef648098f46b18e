/**
 * Lets go of the log behind the state machine: when enough entries have been applied since the last
 * time, everything is written to the KvStore with an fsync, the log notes that point, and segments
 * before it are deleted. In this order: the log is what a crash replays, so it may only lose what
 * the KvStore is sure to have (L-41).
 *
 * The log lets go of the point before the last: what came since stays on disk, so that a member has
 * entries for those a little behind after a restart as well, and sends no snapshot for a trifle.
 */

import { assert, type Clock, type Logger, type LogIndex } from '../../common/index.js';
import type { AppliedMark, MvccStore, Wal } from '../../storage/index.js';

export interface WalReleaseOptions {
  readonly store: MvccStore;
  readonly wal: Wal;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Entries between two releases, --snapshot-count. */
  readonly entriesMin: number;
  readonly onFatal: (error: unknown) => void;
}

/** Not more often than this, however many entries there are: each release costs an fsync. */
const intervalMsMin = 2000;

export class WalRelease {
  readonly #o: WalReleaseOptions;
  /** Where the store was last synced for a release. */
  #releasedIndex: LogIndex;
  /** What the log has noted: marks never go back. */
  #markedIndex: LogIndex;
  #lastMs = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;
  /** Synced the last time, and to be let go of at the next. */
  #synced: AppliedMark | undefined;

  constructor(options: WalReleaseOptions, released: LogIndex) {
    this.#o = options;
    this.#releasedIndex = released;
    this.#markedIndex = released;
  }

  /** Called after entries were applied. */
  applied(index: LogIndex): void {
    if (index - this.#releasedIndex < this.#o.entriesMin || this.#running !== undefined) return;
    const now = this.#o.clock.nowMs();
    if (now - this.#lastMs < intervalMsMin) return;
    this.#lastMs = now;
    this.#running = this.release()
      .catch(this.#o.onFatal)
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** The log has just noted a snapshot of another member in the place of our state. */
  superseded(index: LogIndex): void {
    assert(index >= this.#markedIndex, 'marks of the log never go back');
    this.#releasedIndex = index;
    this.#markedIndex = index;
    this.#synced = undefined;
  }

  /** Syncs the store, and releases the log before the point that was synced last time. */
  async release(): Promise<void> {
    const { store, wal, logger } = this.#o;
    const mark = await store.flushSync();
    if (mark.index <= this.#releasedIndex) return;
    const earlier = this.#synced;
    this.#synced = mark;
    this.#releasedIndex = mark.index;
    if (earlier === undefined || earlier.index <= this.#markedIndex) return;
    const { index, term, configuration } = earlier;
    this.#markedIndex = index;
    await wal.markSnapshot({ index, term, configuration });
    await wal.release(index);
    logger.debug('released the log', { index, wal_bytes: wal.sizeBytes });
  }

  /** Resolves when no release is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }
}
