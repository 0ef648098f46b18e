/**
 * How much of its answers the gateway holds for clients that have not taken them: above a bound
 * what would make a large one waits. A client that takes nothing meanwhile is cut off, or it would
 * hold up all others.
 */

import {
  type Clock,
  gatewayBacklogBytesMax,
  gatewayStalledMs,
  type Timer,
} from '../../common/index.js';
import type { AnswerRoom } from '../rpc/index.js';

/** Calls that go on in one turn once there is room. */
const runsMax = 16;

/** One answer, or stream of them, as far as it has been made and not taken. */
export class HeldAnswer {
  readonly #room: GatewayRoom;
  readonly drop: () => void;
  #bytes = 0;
  /** When the client last took something, or there was nothing to take. */
  takenMs: number;

  constructor(room: GatewayRoom, drop: () => void) {
    this.#room = room;
    this.drop = drop;
    this.takenMs = room.clock.nowMs();
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** So much more waits. */
  add(bytes: number): void {
    if (this.#bytes === 0) this.takenMs = this.#room.clock.nowMs();
    this.#bytes += bytes;
    this.#room.count(this, bytes);
  }

  /** So much was taken. */
  take(bytes: number): void {
    this.takenMs = this.#room.clock.nowMs();
    this.#bytes -= bytes;
    this.#room.count(this, -bytes);
  }

  /** Part of what waits was taken. */
  touch(): void {
    this.takenMs = this.#room.clock.nowMs();
  }

  /** It is over. */
  end(): void {
    this.take(this.#bytes);
  }
}

/** The room that all answers of one gateway share. */
export class GatewayRoom implements AnswerRoom {
  readonly clock: Clock;
  readonly #held = new Set<HeldAnswer>();
  #bytes = 0;
  #waiting: Array<() => void> = [];
  #isArmed = false;
  #watch: Timer | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get hasRoom(): boolean {
    return this.#bytes <= gatewayBacklogBytesMax;
  }

  whenRoom(run: () => void): void {
    if (this.hasRoom && this.#waiting.length === 0) {
      run();
      return;
    }
    this.#waiting.push(run);
    this.#arm();
    this.#watch ??= this.clock.after(gatewayStalledMs, () => this.#cutOff());
  }

  count(answer: HeldAnswer, bytes: number): void {
    this.#bytes += bytes;
    if (answer.bytes > 0) this.#held.add(answer);
    else this.#held.delete(answer);
    this.#arm();
  }

  #arm(): void {
    if (this.#isArmed || this.#waiting.length === 0 || !this.hasRoom) return;
    this.#isArmed = true;
    this.clock.afterTurn(() => {
      this.#isArmed = false;
      for (const run of this.#waiting.splice(0, runsMax)) run();
      this.#arm();
    });
  }

  /** Others wait for room, and have for a while. */
  #cutOff(): void {
    this.#watch = undefined;
    if (this.#waiting.length === 0) return;
    const lateMs = this.clock.nowMs() - gatewayStalledMs;
    for (const answer of [...this.#held]) if (answer.takenMs <= lateMs) answer.drop();
    this.#watch = this.clock.after(gatewayStalledMs, () => this.#cutOff());
  }
}
