/**
 * Tells `PeerHandler.unreachable` after the turn, once for each member: whoever sends is in the
 * middle of handling what its Raft wants, and may drop a thousand messages to the same member.
 */

import { assert, type Clock, type MemberId } from '../../common/index.js';

export class UnreachableTeller {
  readonly #clock: Clock;
  readonly #tell: (member: MemberId) => void;
  readonly #members = new Set<MemberId>();
  #stopped = false;

  constructor(clock: Clock, tell: (member: MemberId) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  add(member: MemberId): void {
    if (this.#stopped) return;
    const isFirst = this.#members.size === 0;
    this.#members.add(member);
    if (!isFirst) return;
    this.#clock.afterTurn(() => {
      const members = [...this.#members];
      assert(members.length > 0, 'a turn was asked for, and nobody is to be told of');
      this.#members.clear();
      for (const id of members) if (!this.#stopped) this.#tell(id);
    });
  }

  stop(): void {
    this.#stopped = true;
  }
}
