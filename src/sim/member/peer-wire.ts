/**
 * What is between the members of a simulation: messages instead of bytes, so that thousands of
 * seconds of a cluster pass in one. Each directed pair of members has its own faults. Messages pass
 * through the codec all the same: what it forgot, the simulation would otherwise never miss.
 */

import { assert, type Clock, type MemberId, type Random } from '../../common/index.js';
import type { PeerHello } from '../../server/peers/index.js';

/** What happens to messages from one member to another; chances are in [0, 1]. */
export interface WireFaults {
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  readonly lossChance: number;
  /** Delivered once more, with a delay of its own. */
  readonly duplicateChance: number;
  /** Not held back for those sent before it; up to `reorderMsMax` later than its delay. */
  readonly reorderChance: number;
  readonly reorderMsMax: number;
  /** One bit is flipped, which the checksum finds: the link breaks. */
  readonly corruptChance: number;
}

/** A quiet local network. */
export const quietWire: WireFaults = {
  delayMsMin: 0.05,
  delayMsMax: 0.5,
  lossChance: 0,
  duplicateChance: 0,
  reorderChance: 0,
  reorderMsMax: 0,
  corruptChance: 0,
};

/** What happened to messages so far, so that a simulation can tell that it tested something. */
export interface WireCounts {
  sent: number;
  delivered: number;
  lost: number;
  duplicated: number;
  reordered: number;
  corrupted: number;
  /** Sent into a block. */
  blocked: number;
}

/** What the wire knows of a transport; member/peer-transport.ts is the only one that there is. */
export interface SimEndpoint {
  readonly id: MemberId;
  readonly urls: readonly string[];
  readonly clock: Clock;
  /** Started, and neither stopped nor crashed. */
  readonly running: boolean;
  hello(): PeerHello;
  /** The links to `other` (all: undefined) break; not those that are to `present` already. */
  breakLinks(other: MemberId | undefined, reason: string, present?: SimEndpoint): void;
  /** The process is gone: nothing is told any more. */
  vanish(): void;
}

export interface SimPeerWireOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Of every pair that has none of its own. */
  readonly faults?: Partial<WireFaults>;
}

/** All members of a simulation; make their transports with `createSimPeerTransport`. */
export class SimPeerWire {
  readonly clock: Clock;
  readonly random: Random;
  readonly counts: WireCounts = {
    sent: 0,
    delivered: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
    blocked: 0,
  };
  #faults: WireFaults;
  readonly #pairFaults = new Map<string, WireFaults>();
  readonly #blocked = new Set<string>();
  /** Pairs between which something else refuses connections. */
  readonly #refused = new Set<string>();
  /** Members whose machine is without power: nobody answers for them. */
  readonly #dark = new Set<MemberId>();
  readonly #endpoints = new Set<SimEndpoint>();

  constructor(options: SimPeerWireOptions) {
    this.clock = options.clock;
    this.random = options.random;
    this.#faults = checked(options.faults);
  }

  /** Faults of every pair without its own; what is left out is quiet. */
  setFaults(faults: Partial<WireFaults>): void {
    this.#faults = checked(faults);
  }

  /** Faults of messages from one to another; undefined: as everywhere. */
  setPairFaults(from: MemberId, to: MemberId, faults: Partial<WireFaults> | undefined): void {
    const key = pairKey(from, to);
    if (faults === undefined) this.#pairFaults.delete(key);
    else this.#pairFaults.set(key, checked(faults));
  }

  faultsOf(from: MemberId, to: MemberId): WireFaults {
    if (this.#pairFaults.size === 0) return this.#faults;
    return this.#pairFaults.get(pairKey(from, to)) ?? this.#faults;
  }

  /** Nothing gets from one to the other, until `unblock` or `heal`. The other way stays open. */
  block(from: MemberId, to: MemberId): void {
    assert(from !== to, 'what a member says to itself is on no wire');
    this.#blocked.add(pairKey(from, to));
  }

  unblock(from: MemberId, to: MemberId): void {
    this.#blocked.delete(pairKey(from, to));
  }

  /**
   * Connections from one to the other break and are refused until `admit` or `heal`, though both
   * live: what a firewall or a proxy between them can do.
   */
  refuse(from: MemberId, to: MemberId): void {
    assert(from !== to, 'what a member says to itself is on no wire');
    this.#refused.add(pairKey(from, to));
    for (const endpoint of [...this.#endpoints]) {
      if (endpoint.id === from) endpoint.breakLinks(to, 'connection reset');
    }
  }

  admit(from: MemberId, to: MemberId): void {
    this.#refused.delete(pairKey(from, to));
  }

  isRefused(from: MemberId, to: MemberId): boolean {
    return this.#refused.size > 0 && this.#refused.has(pairKey(from, to));
  }

  /** Ends all blocks, refusals and the faults of pairs; those of everybody stay. */
  heal(): void {
    this.#blocked.clear();
    this.#refused.clear();
    this.#pairFaults.clear();
  }

  isBlocked(from: MemberId, to: MemberId): boolean {
    return this.#blocked.size > 0 && this.#blocked.has(pairKey(from, to));
  }

  /** Packets between the two get lost, one way at least: no connection is made or noticed to end. */
  isSilent(from: MemberId, to: MemberId): boolean {
    return this.#dark.has(to) || this.isBlocked(from, to) || this.isBlocked(to, from);
  }

  /** Breaks the connections of a member (only those with `other`, if given); they come back. */
  cut(member: MemberId, other?: MemberId): void {
    for (const endpoint of [...this.#endpoints]) {
      if (endpoint.id === member) endpoint.breakLinks(other, 'connection reset');
      else if (other === undefined || endpoint.id === other) {
        endpoint.breakLinks(member, 'connection reset');
      }
    }
  }

  /** The member's process is gone: it is told nothing, the others see their connections break. */
  crash(member: MemberId): void {
    for (const endpoint of [...this.#endpoints]) if (endpoint.id === member) endpoint.vanish();
  }

  /** The member's machine is without power: as `crash`, but the others are told nothing, either. */
  powerOff(member: MemberId): void {
    this.#dark.add(member);
    this.crash(member);
  }

  /** For transports: one way, drawn anew each time. */
  delayMs(from: MemberId, to: MemberId): number {
    const { delayMsMin, delayMsMax } = this.faultsOf(from, to);
    return delayMsMin + this.random.float() * Math.max(0, delayMsMax - delayMsMin);
  }

  /** For transports. */
  add(endpoint: SimEndpoint): void {
    assert(!this.#endpoints.has(endpoint), 'a member is on the wire twice');
    this.#endpoints.add(endpoint);
    // Connections to the machine as it was before it lost its power are reset now.
    if (this.#dark.delete(endpoint.id)) this.#breakLinksTo(endpoint.id, endpoint);
  }

  /** For transports: stopped or crashed; others notice soon, unless nothing gets through to them. */
  remove(endpoint: SimEndpoint): void {
    if (this.#endpoints.delete(endpoint)) this.#breakLinksTo(endpoint.id, undefined);
  }

  #breakLinksTo(member: MemberId, present: SimEndpoint | undefined): void {
    for (const other of [...this.#endpoints]) {
      other.clock.after(this.delayMs(member, other.id), () => {
        if (this.isSilent(other.id, member)) return;
        other.breakLinks(member, 'connection reset by peer', present);
      });
    }
  }

  /** For transports: who listens at one of `urls`. */
  listenerAt(urls: readonly string[]): SimEndpoint | undefined {
    for (const endpoint of this.#endpoints) {
      if (endpoint.running && endpoint.urls.some((url) => urls.includes(url))) return endpoint;
    }
    return undefined;
  }
}

/** The whole of it: what is left out is quiet. */
function checked(faults: Partial<WireFaults> | undefined): WireFaults {
  const whole = { ...quietWire, ...faults };
  assert(whole.delayMsMin >= 0 && whole.reorderMsMax >= 0, 'a message arrives before it is sent');
  for (const chance of [
    ...[whole.lossChance, whole.duplicateChance, whole.reorderChance, whole.corruptChance],
  ]) {
    assert(chance >= 0 && chance <= 1, 'a chance is between never and always');
  }
  return whole;
}

function pairKey(from: MemberId, to: MemberId): string {
  return `${from}>${to}`;
}
