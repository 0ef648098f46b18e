/**
 * Bounds the TLS handshakes that are under way at a listener: each holds some tens of kilobytes,
 * and whoever begins one need not go on. Above the bound a connection waits for its turn with
 * nothing read of it, which costs little; and while somebody waits, who has not come to an end
 * within a second makes room (CVE-2026-73500).
 */

import {
  type Clock,
  type Timer,
  tlsHandshakesMax,
  tlsHandshakesWaitingMax,
  tlsHandshakeYieldMs,
} from '../../common/index.js';

/** How often it is looked who has to make room, and how many then have to: 1,000 in a second. */
const tickMs = 50;
const yieldsPerTick = 50;

/** As much of a socket as it takes. */
export interface Closing {
  once(event: 'close', listener: () => void): unknown;
}

export interface HandshakeSlotsOptions<Socket extends Closing> {
  readonly clock: Clock;
  /** Longest time in the queue. */
  readonly waitMsMax: number;
  /** Closes the socket, which is under way or waits, and tells of it. */
  readonly refuse: (socket: Socket, reason: string) => void;
}

/** The handshakes of one listener. */
export class HandshakeSlots<Socket extends Closing> {
  readonly #options: HandshakeSlotsOptions<Socket>;
  /** When each began; the oldest first. */
  readonly #underWay = new Map<Socket, number>();
  /** Since when each waits, and what it waits to do; the oldest first. */
  readonly #waiting = new Map<Socket, { readonly sinceMs: number; readonly begin: () => void }>();
  #timer: Timer | undefined;

  constructor(options: HandshakeSlotsOptions<Socket>) {
    this.#options = options;
  }

  /** Calls `begin` now or when it is the turn of this socket. Whatever closes, makes room. */
  take(socket: Socket, begin: () => void): void {
    if (this.#underWay.size < tlsHandshakesMax) {
      this.#begin(socket, begin);
    } else if (this.#waiting.size < tlsHandshakesWaitingMax) {
      const { clock } = this.#options;
      this.#waiting.set(socket, { sinceMs: clock.nowMs(), begin });
      this.#timer ??= clock.after(tickMs, () => this.#tick());
    } else {
      this.#options.refuse(socket, 'too many TLS handshakes at once');
      return;
    }
    socket.once('close', () => this.release(socket));
  }

  /** The handshake has come to its end; also if it had before. */
  release(socket: Socket): void {
    this.#waiting.delete(socket);
    if (!this.#underWay.delete(socket)) return;
    const [next] = this.#waiting;
    if (next === undefined) return;
    const [waiting, { begin }] = next;
    this.#waiting.delete(waiting);
    this.#begin(waiting, begin);
  }

  #begin(socket: Socket, begin: () => void): void {
    this.#underWay.set(socket, this.#options.clock.nowMs());
    begin();
  }

  #tick(): void {
    const { clock, refuse, waitMsMax } = this.#options;
    const nowMs = clock.nowMs();
    let left = yieldsPerTick;
    for (const [socket, { sinceMs }] of this.#waiting) {
      if (nowMs - sinceMs < waitMsMax || left === 0) break;
      left -= 1;
      this.#waiting.delete(socket);
      refuse(socket, 'too many TLS handshakes at once');
    }
    for (const [socket, sinceMs] of this.#underWay) {
      if (this.#waiting.size === 0 || nowMs - sinceMs < tlsHandshakeYieldMs || left === 0) break;
      left -= 1;
      refuse(socket, 'the TLS handshake took its time while others waited for theirs');
      this.release(socket);
    }
    this.#timer = this.#waiting.size > 0 ? clock.after(tickMs, () => this.#tick()) : undefined;
  }
}
