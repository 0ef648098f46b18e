/**
 * The links of one member to all others, as many as the list of its peers says: on sockets and in a
 * simulation alike. They begin with `start` and end with `end`, and neither comes back.
 */

import { assert, type MemberId } from '../../common/index.js';
import type { Message } from '../../raft/index.js';
import type { PeerMetrics } from '../metrics/index.js';
import { labelOf } from './peer-context.js';
import type { PeerAddress } from './types.js';

/** What goes to one member. */
export interface PeerLink {
  /** False: dropped. */
  send(message: Message): boolean;
  /** The URLs may have changed. */
  update(peerUrls: readonly string[]): void;
  /** For good; the reason is for whoever waits on it. */
  stop(reason: string): void;
}

export interface LinkSetOptions<L extends PeerLink> {
  /** The member that they belong to; it has no link to itself. */
  readonly self: MemberId;
  readonly metrics: PeerMetrics;
  open(peer: PeerAddress): L;
  /** A message found no link, or no room on it. */
  dropped(member: MemberId): void;
}

export class LinkSet<L extends PeerLink> {
  readonly #links = new Map<MemberId, L>();
  #peers: readonly PeerAddress[] = [];
  #options: LinkSetOptions<L> | undefined;
  #ended = false;

  /** Opens those to the peers that are known by now. */
  start(options: LinkSetOptions<L>): void {
    assert(this.#options === undefined && !this.#ended, 'links start once');
    this.#options = options;
    this.#connect(options);
  }

  /** Whom to have links with; before the start it is only remembered. */
  setPeers(peers: readonly PeerAddress[]): void {
    this.#peers = peers;
    if (this.#options !== undefined && !this.#ended) this.#connect(this.#options);
  }

  get(member: MemberId): L | undefined {
    return this.#links.get(member);
  }

  [Symbol.iterator](): IterableIterator<[MemberId, L]> {
    return this.#links[Symbol.iterator]();
  }

  /** See `PeerTransport.send`. Nothing is sent, nor dropped, before the start and after the end. */
  send(messages: readonly Message[]): void {
    const options = this.#options;
    if (options === undefined || this.#ended) return;
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i] as Message;
      const link = this.#links.get(message.to);
      if (link === undefined || !link.send(message)) options.dropped(message.to);
    }
  }

  /** Ends them, each by `end`. */
  end(end: (link: L) => void): void {
    this.#ended = true;
    for (const link of this.#links.values()) end(link);
    this.#links.clear();
  }

  /** Makes the links what `#peers` says. */
  #connect({ self, metrics, open }: LinkSetOptions<L>): void {
    const wanted = new Map<MemberId, PeerAddress>();
    for (const peer of this.#peers) if (peer.id !== self) wanted.set(peer.id, peer);
    for (const [id, link] of this.#links) {
      if (wanted.has(id)) continue;
      this.#links.delete(id);
      link.stop('it is no member any more');
    }
    for (const [id, peer] of wanted) {
      const link = this.#links.get(id);
      if (link === undefined) this.#links.set(id, open(peer));
      else link.update(peer.peerUrls);
    }
    assert(this.#links.size === wanted.size, 'a link for each peer, and no other');
    metrics.setKnown(labelOf(self), [...wanted.keys()].map(labelOf));
  }
}
