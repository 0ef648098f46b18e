/**
 * Both ends of a state that travels from the leader to a member that is too far behind (paper
 * section 7). Raft only says that it has to happen.
 *
 * The receiver fetches the data first and steps Raft's message when they are on disk: until then
 * it goes on serving reads of its old state, and if the leader changes meanwhile nothing is lost
 * but time. What was received is kept for the next offer if Raft can't take it just now.
 */

import {
  assert,
  type Clock,
  type Logger,
  type LogIndex,
  type MemberId,
  present,
} from '../../common/index.js';
import type { InstallSnapshot, Message, Raft, SnapshotMeta } from '../../raft/index.js';
import type { MvccStore, PrepareSwitch, StagedSnapshot } from '../../storage/index.js';
import type { PeerTransport, SnapshotFeed } from '../peers/index.js';

export interface SnapshotReceiverOptions {
  readonly store: Pick<MvccStore, 'openSink' | 'install'>;
  readonly raft: Pick<Raft, 'wantsSnapshot'>;
  /** See NodeLoop. */
  readonly loop: { stepSnapshot(message: InstallSnapshot): boolean };
  readonly peers: Pick<PeerTransport, 'fetchSnapshot'>;
  readonly logger: Logger;
  readonly clock: Clock;
  /** See WalRelease. */
  readonly release: { superseded(index: LogIndex): void };
}

export class SnapshotReceiver {
  readonly #o: SnapshotReceiverOptions;
  /** Ends the fetch that is under way. */
  #fetching: AbortController | undefined;
  #ended: Promise<void> = Promise.resolve();
  /** Complete, but not taken by Raft yet. */
  #spare: StagedSnapshot | undefined;
  /** Taken by Raft, on its way into the store. */
  #taken: StagedSnapshot | undefined;
  #stopped = false;

  constructor(options: SnapshotReceiverOptions) {
    this.#o = options;
  }

  /** The leader's message; one that needs no data is passed on at once. */
  offer(message: InstallSnapshot): void {
    if (this.#stopped || this.#taken !== undefined) return;
    if (!this.#o.raft.wantsSnapshot(message)) {
      // Answered with what is there, or ignored: nothing will be installed.
      this.#o.loop.stepSnapshot(message);
    } else if (this.#spare !== undefined && this.#spare.mark.index >= message.snapshot.index) {
      this.#hand(message, this.#spare);
    } else if (this.#fetching === undefined) {
      const stop = new AbortController();
      this.#fetching = stop;
      this.#ended = this.#fetchFrom(message, stop.signal)
        .catch((error: unknown) => this.#failed(error))
        .finally(() => {
          this.#fetching = undefined;
        });
    }
  }

  /** Step 4 of the loop: changes over to what was received; `prepare`: see MvccStore. */
  async install(snapshot: SnapshotMeta, prepare: PrepareSwitch): Promise<void> {
    const taken = present(this.#taken, 'the data of the snapshot that Raft took');
    assert(taken.mark.index === snapshot.index, 'what is installed is what Raft took');
    await this.#o.store.install(taken, prepare);
    this.#taken = undefined;
    this.#o.logger.info('installed a snapshot', { index: snapshot.index, term: snapshot.term });
  }

  /** Ends what is under way and removes what was not taken. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#fetching?.abort();
    await this.#ended;
    await this.#discardSpare();
  }

  async #fetchFrom(message: InstallSnapshot, signal: AbortSignal): Promise<void> {
    const { store, peers, logger, clock } = this.#o;
    const startMs = clock.nowMs();
    await this.#discardSpare();
    logger.info('too far behind the leader: fetching a snapshot', {
      leader: message.from,
      index: message.snapshot.index,
    });
    const sink = await store.openSink();
    let bytes = 0;
    let staged: StagedSnapshot;
    try {
      const receive = (piece: Uint8Array): Promise<void> => {
        bytes += piece.length;
        return sink.write(piece);
      };
      await peers.fetchSnapshot(message.from, receive, signal);
      staged = await sink.finish();
    } catch (error) {
      await sink.abort();
      throw error;
    }
    const tookMs = Math.round(clock.nowMs() - startMs);
    logger.info('received a snapshot', { index: staged.mark.index, bytes, tookMs });
    this.#hand(message, staged);
  }

  /** Offers the data to Raft under the message's term. */
  #hand(message: InstallSnapshot, staged: StagedSnapshot): void {
    this.#spare = undefined;
    this.#taken = staged;
    if (!this.#stopped && this.#o.loop.stepSnapshot({ ...message, snapshot: staged.mark })) {
      this.#o.release.superseded(staged.mark.index);
      return;
    }
    this.#taken = undefined;
    this.#spare = staged;
  }

  async #discardSpare(): Promise<void> {
    const spare = this.#spare;
    this.#spare = undefined;
    await spare?.discard();
  }

  /** The leader will offer again. */
  #failed(error: unknown): void {
    if (this.#stopped) return;
    const text = error instanceof Error ? error.message : String(error);
    this.#o.logger.warn('could not fetch the snapshot; the leader will offer it again', {
      error: text,
    });
  }
}

export interface SnapshotSenderOptions {
  readonly store: Pick<MvccStore, 'snapshotSource'>;
  readonly raft: Pick<Raft, 'reportSnapshot'>;
  /** See RaftLogTrim. */
  readonly logTrim: { snapshotSent(index: LogIndex): void };
  readonly clock: Clock;
  /** After this time without a word from the receiver the snapshot is offered again. */
  readonly offerAgainMs: number;
}

/**
 * Offers are repeated for as long as the receiver has not caught up. One that is busy fetching
 * ignores them, so nothing has to be known of how far it is.
 */
export class SnapshotSender {
  readonly #o: SnapshotSenderOptions;
  readonly #offeredMs = new Map<MemberId, number>();

  constructor(options: SnapshotSenderOptions) {
    this.#o = options;
  }

  /** Notes the offers among messages that are being sent. */
  sending(messages: readonly Message[]): void {
    for (const message of messages) {
      if (message.type !== 'InstallSnapshot') continue;
      this.#offeredMs.set(message.to, this.#o.clock.nowMs());
    }
  }

  /** Once a tick. */
  tick(): void {
    if (this.#offeredMs.size === 0) return;
    const before = this.#o.clock.nowMs() - this.#o.offerAgainMs;
    for (const [member, offeredMs] of this.#offeredMs) {
      if (offeredMs > before) continue;
      this.#offeredMs.delete(member);
      // No effect if it has answered, or if this member does not lead any more.
      this.#o.raft.reportSnapshot(member, false);
    }
  }

  /** See PeerHandler.openSnapshot. */
  async open(): Promise<SnapshotFeed> {
    const source = await this.#o.store.snapshotSource();
    const index: LogIndex = source.mark.index;
    this.#o.logTrim.snapshotSent(index);
    return {
      next: (position) => {
        this.#o.logTrim.snapshotSent(index);
        return source.next(position);
      },
      close: () => source.close(),
    };
  }
}
