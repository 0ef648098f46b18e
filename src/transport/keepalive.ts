/** Pings a connection that has been silent, and gives it up if it stays silent. */

import type { Clock, Timer } from '../common/index.js';
import type { TransportLimits } from './types.js';

/** What a keepalive does to its connection. */
export interface KeepaliveTarget {
  sendKeepalivePing(): void;
  onSilence(): void;
}

/** One timer for each connection, set again only when it fires: traffic costs nothing. */
export class Keepalive {
  readonly #clock: Clock;
  readonly #limits: TransportLimits;
  readonly #target: KeepaliveTarget;
  #timer: Timer | undefined;
  #lastReceivedMs: number;
  #pinged = false;

  constructor(clock: Clock, limits: TransportLimits, target: KeepaliveTarget) {
    this.#clock = clock;
    this.#limits = limits;
    this.#target = target;
    this.#lastReceivedMs = clock.nowMs();
  }

  start(): void {
    this.#arm(this.#limits.keepaliveIntervalMs);
  }

  /** Anything at all arrived. */
  received(nowMs: number): void {
    this.#lastReceivedMs = nowMs;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(delayMs: number): void {
    if (!Number.isFinite(delayMs) || delayMs <= 0) return;
    this.#timer = this.#clock.after(delayMs, () => this.#fire());
  }

  #fire(): void {
    const idleMs = this.#clock.nowMs() - this.#lastReceivedMs;
    const { keepaliveIntervalMs, keepaliveTimeoutMs } = this.#limits;
    if (idleMs < keepaliveIntervalMs) {
      this.#pinged = false;
      // A whole millisecond at least: less may be nothing when added to a large clock value.
      this.#arm(Math.max(1, keepaliveIntervalMs - idleMs));
    } else if (this.#pinged) {
      this.#target.onSilence();
    } else {
      this.#pinged = true;
      this.#target.sendKeepalivePing();
      this.#arm(keepaliveTimeoutMs);
    }
  }
}
