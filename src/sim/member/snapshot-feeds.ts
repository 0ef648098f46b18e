/** The snapshots that a member of a simulation hands out; see snapshot-feeds.ts for the rules. */

import {
  assert,
  type Clock,
  GrpcCode,
  type MemberId,
  peerFeedIdleMs,
  type Timer,
} from '../../common/index.js';
import {
  asAnswer,
  makeRoom,
  noSuchFeed,
  PeerError,
  type PeerHandler,
  type SnapshotFeed,
  type SnapshotPiece,
} from '../../server/peers/index.js';
import type { SimPiece } from './peer-link.js';

interface OpenFeed {
  readonly id: number;
  readonly member: MemberId;
  readonly feed: SnapshotFeed;
  idleTimer: Timer | undefined;
  complete: boolean;
}

export class SimFeeds {
  readonly #clock: Clock;
  readonly #handler: PeerHandler;
  readonly #feeds = new Map<number, OpenFeed>();
  #nextId = 1;

  constructor(clock: Clock, handler: PeerHandler) {
    this.#clock = clock;
    this.#handler = handler;
  }

  /** The piece after `position`; `feed` 0 opens a new one. */
  async piece(member: MemberId, id: number, position: Uint8Array): Promise<SimPiece> {
    const open = id === 0 ? await this.#open(member) : this.#feeds.get(id);
    if (open?.member !== member) throw new PeerError(GrpcCode.NOT_FOUND, noSuchFeed);
    this.#touch(open);
    let piece: SnapshotPiece | undefined;
    try {
      piece = await open.feed.next(position);
    } catch (error) {
      await this.#close(open);
      throw asAnswer(error);
    }
    if (piece !== undefined) return { ...piece, feed: open.id, end: false };
    open.complete = true;
    return { data: position, position, feed: open.id, end: true };
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#feeds.values()].map((open) => this.#close(open)));
  }

  async #open(member: MemberId): Promise<OpenFeed> {
    await makeRoom(this.#feeds, member, (other) => this.#close(other));
    const feed = await this.#handler.openSnapshot().catch((error: unknown) => {
      throw asAnswer(error);
    });
    const open: OpenFeed = {
      id: this.#nextId++,
      member,
      feed,
      idleTimer: undefined,
      complete: false,
    };
    assert(!this.#feeds.has(open.id), 'a feed with the id of another');
    this.#feeds.set(open.id, open);
    return open;
  }

  #touch(open: OpenFeed): void {
    open.idleTimer?.cancel();
    open.idleTimer = this.#clock.after(peerFeedIdleMs, () => void this.#close(open));
  }

  async #close(open: OpenFeed): Promise<void> {
    open.idleTimer?.cancel();
    if (this.#feeds.delete(open.id)) await open.feed.close();
  }
}
