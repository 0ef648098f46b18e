/**
 * The network between the machines: the server's own simulated links (server/peers/sim-wire.ts), by
 * names of machines, and with the weather of a run.
 */

import type { Clock, MemberId } from '../../src/common/index.js';
import type { PeerHello } from '../../src/server/peers/types.js';
import type { SimClock, SimRandom } from '../../src/sim/index.js';
import {
  createSimPeerTransport,
  type SimPeerTransport,
} from '../../src/sim/member/peer-transport.js';
import { SimPeerWire, type WireCounts } from '../../src/sim/member/peer-wire.js';

export interface WireOptions {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly latencyMs: { readonly min: number; readonly max: number };
  readonly loss: number;
  readonly duplication: number;
  readonly electionMs: number;
}

/** What faults change; starts as the knobs have it. */
export interface Weather {
  loss: number;
  duplication: number;
  /** Multiplies all latencies. */
  slowness: number;
  /** Chance that a message is overtaken by later ones. */
  straggling: number;
  corruption: number;
}

export class SimWire {
  readonly #o: WireOptions;
  readonly #wire: SimPeerWire;
  readonly #ids = new Map<string, MemberId>();

  constructor(options: WireOptions) {
    this.#o = options;
    this.#wire = new SimPeerWire({ clock: options.clock, random: options.random });
    this.calm();
  }

  get counts(): Readonly<WireCounts> {
    return this.#wire.counts;
  }

  /** The member that lives on a machine, from now on. */
  settle(machine: string, id: MemberId): void {
    this.#ids.set(machine, id);
  }

  /** The links of a process that starts on `machine`. */
  connect(machine: string, url: string, clock: Clock, hello: () => PeerHello): SimPeerTransport {
    return createSimPeerTransport({
      wire: this.#wire,
      id: this.#id(machine),
      urls: [url],
      clock,
      electionMs: this.#o.electionMs,
      hello,
    });
  }

  /** Nothing sent by `from` reaches `to` from now on. */
  block(from: string, to: string): void {
    this.#wire.block(this.#id(from), this.#id(to));
  }

  unblock(from: string, to: string): void {
    this.#wire.unblock(this.#id(from), this.#id(to));
  }

  /** Connections from one to the other break, and are refused from now on, though both live. */
  refuse(from: string, to: string): void {
    this.#wire.refuse(this.#id(from), this.#id(to));
  }

  admit(from: string, to: string): void {
    this.#wire.admit(this.#id(from), this.#id(to));
  }

  /** A machine loses its power: it is silent until a process starts on it again. */
  powerOff(machine: string): void {
    this.#wire.powerOff(this.#id(machine));
  }

  /** Connections of a machine break, and come back. */
  cut(machine: string): void {
    this.#wire.cut(this.#id(machine));
  }

  /** As it is without faults. */
  calm(): void {
    const { loss, duplication } = this.#o;
    this.change({ loss, duplication });
  }

  /** No faults at all, not even those that the knobs have. */
  heal(): void {
    this.#wire.heal();
    this.change({});
  }

  change(weather: Partial<Weather>): void {
    const { min, max } = this.#o.latencyMs;
    const { loss = 0, duplication = 0, slowness = 1, straggling = 0, corruption = 0 } = weather;
    this.#wire.setFaults({
      delayMsMin: min * slowness,
      delayMsMax: max * slowness,
      lossChance: loss,
      duplicateChance: duplication,
      reorderChance: straggling,
      reorderMsMax: 20 * max,
      corruptChance: corruption,
    });
  }

  #id(machine: string): MemberId {
    return this.#ids.get(machine) ?? 0n;
  }
}
