/**
 * Who is concerned by what the loop does: each of its duties that leads out of Raft, the log and
 * the state machine.
 */

import { assert, type Clock, type MemberId, runSteps, Slice } from '../../common/index.js';
import type { SnapshotMeta } from '../../raft/index.js';
import type { MvccStore, StoredMeta } from '../../storage/index.js';
import type { AuthState, Tokens } from '../access/index.js';
import type { Feature } from '../feature/index.js';
import type { Alarms } from '../guard/index.js';
import type { Membership } from '../membership/index.js';
import type { PeerTransport } from '../peers/index.js';
import type { SnapshotReceiver, SnapshotSender } from '../transfer/index.js';
import type { Leadership } from './leadership.js';
import type { NodeLoopOptions } from './loop.js';
import type { MemberLinks } from './member-links.js';
import type { RaftLogTrim } from './raft-log-trim.js';
import { timeoutReason } from './timeout-reason.js';
import type { WalRelease } from './wal-release.js';

export interface LoopEventsOptions {
  readonly self: MemberId;
  readonly electionMs: number;
  readonly clock: Clock;
  readonly store: MvccStore;
  readonly membership: Membership;
  readonly alarms: Alarms;
  readonly authState: AuthState;
  readonly tokens: Tokens;
  readonly leaderWatch: Leadership;
  readonly release: WalRelease;
  readonly logTrim: RaftLogTrim;
  readonly sender: SnapshotSender;
  /** Undefined: this member is alone and stays so. */
  readonly peers: PeerTransport | undefined;
  /** Records waiting for LevelDB above which proposals wait. */
  readonly unflushedBytesMax: number;
}

/** Both ends of what comes from other members. */
export interface Links {
  readonly members: MemberLinks;
  readonly receiver: SnapshotReceiver;
}

/** The duties of the loop that lead out of it. */
export type LoopDuties = Pick<
  NodeLoopOptions,
  'install' | 'onApplied' | 'onReady' | 'onTick' | 'overloaded' | 'send' | 'timeoutReason'
>;

export class LoopEvents {
  readonly #o: LoopEventsOptions;
  #features: readonly Feature[] = [];
  #links: Links | undefined;

  constructor(options: LoopEventsOptions) {
    this.#o = options;
  }

  /** The second half of the construction; before the loop starts. `links`: with other members. */
  attach(features: readonly Feature[], links: Links | undefined): void {
    this.#features = features;
    this.#links = links;
  }

  /** Closures made once: the loop calls them all the time. */
  duties(): LoopDuties {
    const { logTrim, leaderWatch, peers, release, sender, store, tokens, unflushedBytesMax } =
      this.#o;
    return {
      // Step 7 of the data path.
      send(messages) {
        sender.sending(messages);
        peers?.send(messages);
      },
      install: (snapshot) => this.#install(snapshot),
      onTick() {
        leaderWatch.tick();
        sender.tick();
      },
      onReady: () => leaderWatch.update(),
      onApplied(index, bytesTotal) {
        release.applied(index);
        logTrim.applied(index, bytesTotal);
        tokens.applied(index);
      },
      timeoutReason: (startMs) => timeoutReason(this.#o, startMs),
      overloaded: () => store.unflushedBytes > unflushedBytesMax,
    };
  }

  /** Bound. */
  readonly removedSelf = (): void => this.#links?.members.removedSelf();

  /** The state of another member takes the place of ours: everybody reads it anew. */
  #install(snapshot: SnapshotMeta): Promise<void> {
    assert(this.#links !== undefined, 'a snapshot comes from another member');
    return this.#links.receiver.install(snapshot, async (next) => {
      const { alarms, authState, clock, membership } = this.#o;
      const takes = await restoreSteps([authState, ...this.#features], next, clock);
      return () => {
        membership.restore(next, []);
        alarms.restore(next);
        for (const take of takes) take();
      };
    });
  }
}

/**
 * Reads anew what each of them has in memory of what is stored, in slices; nothing else is applied
 * meanwhile. What it resolves with puts all that in its place, one after the other.
 */
export async function restoreSteps(
  each: ReadonlyArray<Pick<Feature, 'restore'>>,
  stored: StoredMeta,
  clock: Clock,
): Promise<ReadonlyArray<() => void>> {
  const slice = new Slice(clock, 'apply');
  const takes: Array<() => void> = [];
  for (const one of each) {
    if (one.restore !== undefined) takes.push(await runSteps(one.restore(stored, slice)));
  }
  return takes;
}
