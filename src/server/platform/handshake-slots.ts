/**
 * Bounds the TLS handshakes that are under way at a listener: each holds some tens of kilobytes,
 * and whoever begins one need not go on. Above the bound a connection waits for its turn with
 * nothing read of it, which costs little; and while it is full, who has not come to an end within
 * a second makes room (CVE-2026-73500).
 *
 * A handshake takes 1 to 2 ms of the one thread, and what has come of a thousand of them would be
 * handled in one turn of the event loop: so few begin in a turn, and whoever is connected already
 * has his turn in between.
 */

import {
  type Clock,
  type Timer,
  tlsHandshakesMax,
  tlsHandshakesPerTurnMax,
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
  /** Handshakes that have begun since the turn began. */
  #begunInTurn = 0;

  constructor(options: HandshakeSlotsOptions<Socket>) {
    this.#options = options;
  }

  /** Calls `begin` now or when it is the turn of this socket. Whatever closes, makes room. */
  take(socket: Socket, begin: () => void): void {
    if (this.#waiting.size === 0 && this.#mayBegin()) {
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
    if (this.#underWay.delete(socket)) this.#beginWaiting();
  }

  #mayBegin(): boolean {
    return this.#underWay.size < tlsHandshakesMax && this.#begunInTurn < tlsHandshakesPerTurnMax;
  }

  #beginWaiting(): void {
    for (const [socket, { begin }] of this.#waiting) {
      if (!this.#mayBegin()) return;
      this.#waiting.delete(socket);
      this.#begin(socket, begin);
    }
  }

  #begin(socket: Socket, begin: () => void): void {
    const { clock } = this.#options;
    this.#underWay.set(socket, clock.nowMs());
    if (this.#begunInTurn === 0) clock.afterTurn(() => this.#nextTurn());
    this.#begunInTurn += 1;
    begin();
  }

  #nextTurn(): void {
    this.#begunInTurn = 0;
    this.#beginWaiting();
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
      const isFull = this.#waiting.size > 0 && this.#underWay.size >= tlsHandshakesMax;
      if (!isFull || nowMs - sinceMs < tlsHandshakeYieldMs || left === 0) break;
      left -= 1;
      refuse(socket, 'the TLS handshake took its time while others waited for theirs');
      this.release(socket);
    }
    this.#timer = this.#waiting.size > 0 ? clock.after(tickMs, () => this.#tick()) : undefined;
  }
}
