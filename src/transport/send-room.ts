/**
 * How much a server may hold of answers that have not left. A message of any size is taken, for
 * what is made can't be unmade; but while too much is unsent nobody makes more: calls wait, in
 * order, first the others of a connection that is not read, then large answers of all connections.
 * Somebody who reads nothing while others wait for all of them is disconnected.
 */

import { assert, type Clock, type Timer } from '../common/index.js';
import { roomRunsMax } from './limits.js';
import type { TransportLimits } from './types.js';

/** The sending half of a connection. */
export interface RoomUser {
  /** Bytes that wait in queues of its streams. */
  readonly queuedBytes: number;
  /** Bytes that have left those queues, ever: tells whether its reader gets on. */
  readonly dequeuedBytes: number;
  /** Its reader got nothing for so long that it has to go. */
  onStalled(): void;
}

interface Lane {
  readonly runs: Array<() => void>;
  next: number;
}

type Limits = Pick<
  TransportLimits,
  'connectionBacklogBytesMax' | 'serverBacklogBytesMax' | 'stalledReaderMs'
>;

/** The room of one server. */
export class SendRoom {
  readonly #clock: Clock;
  readonly #limits: Limits;
  #bytes = 0;
  /** Those with bytes in their queues. */
  readonly #holders = new Set<RoomUser>();
  readonly #lanes = new Map<RoomUser, Lane>();
  #scheduled = false;
  #stallTimer: Timer | undefined;
  /** What each holder had sent at the last look. */
  #seen = new Map<RoomUser, number>();

  constructor(clock: Clock, limits: Limits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Unsent bytes of all connections. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether an answer of unknown size may be made for this connection. */
  has(user: RoomUser): boolean {
    return (
      user.queuedBytes <= this.#limits.connectionBacklogBytesMax &&
      this.#bytes <= this.#limits.serverBacklogBytesMax
    );
  }

  /** What `user` has queued has changed by so much, in its own count already. */
  add(user: RoomUser, bytes: number): void {
    this.#bytes += bytes;
    if (user.queuedBytes === 0) this.#holders.delete(user);
    else if (bytes > 0) this.#holders.add(user);
    assert(this.#bytes >= 0, 'no more leaves than was queued');
    assert(this.#holders.size > 0 || this.#bytes === 0, "what is unsent is somebody's");
    if (bytes < 0 && this.#lanes.size > 0) this.#schedule();
  }

  /** Calls `run` once there is room; never, if the connection is forgotten before. */
  wait(user: RoomUser, run: () => void): void {
    const lane = this.#lanes.get(user);
    if (lane === undefined) this.#lanes.set(user, { runs: [run], next: 0 });
    else lane.runs.push(run);
    this.#schedule();
    this.#watchStalls();
  }

  /** The connection is closed: nobody on it waits any more. */
  forget(user: RoomUser): void {
    this.#lanes.delete(user);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.afterTurn(() => {
      this.#scheduled = false;
      this.#serve();
    });
  }

  /** Some of each connection, so that the calls of one do not hold up those of another. */
  #serve(): void {
    let ran = false;
    for (const [user, lane] of this.#lanes) {
      for (let runs = 0; runs < roomRunsMax && this.has(user); runs++) {
        const run = lane.runs[lane.next];
        if (run === undefined) break;
        lane.next++;
        ran = true;
        run();
      }
      assert(lane.next <= lane.runs.length, 'each waits once');
      if (lane.next === lane.runs.length) this.#lanes.delete(user);
      else if (lane.next > lane.runs.length / 2) {
        lane.runs.splice(0, lane.next);
        lane.next = 0;
      }
    }
    // Else it goes on when something has left.
    if (ran && this.#lanes.size > 0) this.#schedule();
  }

  #watchStalls(): void {
    if (this.#stallTimer !== undefined) return;
    this.#seen = this.#progress();
    this.#stallTimer = this.#clock.after(this.#limits.stalledReaderMs, () => {
      this.#stallTimer = undefined;
      if (this.#lanes.size === 0) return;
      this.#endStalled();
      this.#watchStalls();
    });
  }

  #progress(): Map<RoomUser, number> {
    return new Map([...this.#holders].map((user) => [user, user.dequeuedBytes]));
  }

  /** Those who hold most go first, and no more of them than it takes. */
  #endStalled(): void {
    const stalled = [...this.#holders].filter((user) => {
      return this.#seen.get(user) === user.dequeuedBytes;
    });
    stalled.sort((a, b) => b.queuedBytes - a.queuedBytes);
    let bytes = this.#bytes;
    for (const user of stalled) {
      if (bytes <= this.#limits.serverBacklogBytesMax) return;
      bytes -= user.queuedBytes;
      user.onStalled();
    }
  }
}
