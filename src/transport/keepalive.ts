/** Pings a connection that has been silent, and gives it up if it stays silent. */

import { assert, type Clock, type Timer } from '../common/index.js';
import type { TransportLimits } from './types.js';

/** What a keepalive does to its connection. */
export interface KeepaliveTarget {
  /** Streams open now. */
  readonly streams: { readonly size: number };
  sendKeepalivePing(): void;
  onSilence(): void;
}

/** One timer for each connection, set again only when it fires: traffic costs nothing. */
export class Keepalive {
  readonly #clock: Clock;
  readonly #limits: TransportLimits;
  readonly #target: KeepaliveTarget;
  #timer: Timer | undefined;
  #stopped = false;
  #lastReceivedMs: number;
  /** When the ping that waits for an answer was sent; undefined if none does. */
  #pingedMs: number | undefined;

  constructor(clock: Clock, limits: TransportLimits, target: KeepaliveTarget) {
    this.#clock = clock;
    this.#limits = limits;
    this.#target = target;
    this.#lastReceivedMs = clock.nowMs();
  }

  start(): void {
    assert(this.#timer === undefined, 'a keepalive starts once');
    if (this.#stopped) return; // the socket closed while it was handed over
    this.#arm(this.#limits.keepaliveIntervalMs);
  }

  /** Anything at all arrived. */
  received(nowMs: number): void {
    this.#lastReceivedMs = nowMs;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(delayMs: number): void {
    if (!Number.isFinite(delayMs) || delayMs <= 0) return;
    this.#timer = this.#clock.after(delayMs, () => this.#fire());
  }

  #fire(): void {
    assert(!this.#stopped, 'nobody looks after the end');
    const nowMs = this.#clock.nowMs();
    const { keepaliveIntervalMs, keepaliveTimeoutMs } = this.#limits;
    // Anything that came after the ping answers it, however long ago that is by now.
    if (this.#pingedMs !== undefined && this.#lastReceivedMs >= this.#pingedMs) {
      this.#pingedMs = undefined;
    }
    const idleMs = nowMs - this.#lastReceivedMs;
    if (this.#pingedMs !== undefined) {
      this.#judge(this.#pingedMs);
    } else if (idleMs < keepaliveIntervalMs) {
      // A whole millisecond at least: less may be nothing when added to a large clock value.
      this.#arm(Math.max(1, keepaliveIntervalMs - idleMs));
    } else if (!this.#limits.keepaliveWithoutStreams && this.#target.streams.size === 0) {
      this.#arm(keepaliveIntervalMs); // nobody waits for anything
    } else {
      this.#pingedMs = nowMs;
      this.#target.sendKeepalivePing();
      this.#arm(keepaliveTimeoutMs);
    }
  }

  /**
   * A process that was stalled finds its timers due before it has read what is waiting in its
   * sockets: it must not take its own silence for that of the other side.
   */
  #judge(pingedMs: number): void {
    this.#timer = undefined;
    this.#clock.afterTurn(() => {
      if (this.#stopped) return;
      if (this.#lastReceivedMs >= pingedMs) this.#fire();
      else this.#target.onSilence();
    });
  }
}
