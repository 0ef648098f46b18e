/**
 * Limits on what costs the sender nothing and us something: resets (CVE-2023-44487), control
 * frames (CVE-2019-9512, -9515, -9518), and keepalive pings as grpc-go polices them.
 */

import { ConnectionError, ErrorCode } from './frames.js';
import { looksPerControlFrame, pingStrikesMax } from './limits.js';
import type { TransportLimits } from './types.js';

/** Counts of one connection in the current second. */
export class FloodGuard {
  readonly #limits: TransportLimits;
  #secondStartMs = 0;
  #resets = 0;
  #controls = 0;
  #lastPingMs = Number.NEGATIVE_INFINITY;
  #pingStrikes = 0;

  constructor(limits: TransportLimits) {
    this.#limits = limits;
  }

  /** An RST_STREAM from the peer, or one that its malformed stream made us send. */
  countReset(nowMs: number): void {
    this.#roll(nowMs);
    if (++this.#resets > this.#limits.resetsPerSecondMax) throw calm('too many resets');
  }

  /** SETTINGS, idle PING, PRIORITY, CONTINUATION, empty DATA, and frames on closed streams. */
  countControl(nowMs: number): void {
    this.#roll(nowMs);
    if (++this.#controls > this.#limits.controlFramesPerSecondMax) {
      throw calm('too many control frames');
    }
  }

  /** A frame that made us look at so many streams: as many control frames as cost the same. */
  countLooks(nowMs: number, streams: number): void {
    if (streams === 0) return;
    this.#roll(nowMs);
    this.#controls += Math.ceil(streams / looksPerControlFrame);
    if (this.#controls > this.#limits.controlFramesPerSecondMax) {
      throw calm('too many changes of the windows');
    }
  }

  /**
   * A PING. If we sent HEADERS or DATA since the last one (`sent`, reset here) it is free: gRPC's
   * bandwidth estimators send one for each round trip that carries data, thousands a second on a
   * fast network, and it is we who set their pace. Only servers police keepalive (`isServer`), as
   * grpc-go does for etcd: a client without open `streams` has no reason to ping at all.
   */
  countPing(
    nowMs: number,
    sent: { sentSincePing: boolean },
    isServer: boolean,
    streams: number,
  ): void {
    const sinceMs = nowMs - this.#lastPingMs;
    this.#lastPingMs = nowMs;
    if (sent.sentSincePing) {
      sent.sentSincePing = false;
      this.#pingStrikes = 0;
      return;
    }
    this.countControl(nowMs);
    const { keepaliveIdleMinTimeMs, keepaliveMinTimeMs } = this.#limits;
    const isTooEarly = sinceMs < (streams > 0 ? keepaliveMinTimeMs : keepaliveIdleMinTimeMs);
    if (isServer && isTooEarly && ++this.#pingStrikes > pingStrikesMax) {
      throw calm('too_many_pings');
    }
  }

  #roll(nowMs: number): void {
    if (nowMs - this.#secondStartMs < 1000) return;
    this.#secondStartMs = nowMs;
    this.#resets = 0;
    this.#controls = 0;
  }
}

function calm(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, what);
}
