/**
 * The {@link PeerTransport} of a simulation: the same promises as on sockets, held to them by the
 * same tests, over a {@link SimPeerWire}.
 */

import {
  assert,
  type Clock,
  EtcdError,
  emptyBytes,
  GrpcCode,
  type MemberId,
  peerBackoffMsMax,
  peerFeedIdleMs,
  sleep,
  unlessAborted,
} from '../../common/index.js';
import type { Message } from '../../raft/index.js';
import {
  asAnswer,
  dialable,
  LinkSet,
  labelOf,
  onlyMembers,
  type PeerAddress,
  PeerError,
  type PeerHandler,
  type PeerHello,
  type PeerMethod,
  PeerMetrics,
  type PeerRefusal,
  type PeerTransport,
  UnreachableTeller,
  unreachable,
} from '../../server/peers/index.js';
import {
  SimLink,
  type SimLinkHost,
  type SimPending,
  type SimPiece,
  type SimTarget,
} from './peer-link.js';
import type { SimEndpoint, SimPeerWire } from './peer-wire.js';
import { SimFeeds } from './snapshot-feeds.js';

export interface SimPeerTransportOptions {
  readonly wire: SimPeerWire;
  readonly id: MemberId;
  /** Where others find it; names that must be those of `setPeers`, nobody looks into them. */
  readonly urls: readonly string[];
  /** Of the member's process; by default that of the wire. */
  readonly clock?: Clock;
  readonly metrics?: PeerMetrics;
  /** As ServerConfig.electionMs: a blocked link is noticed in about this time. */
  readonly electionMs?: number;
  readonly hello: () => PeerHello;
}

const electionMsDefault = 1000;

/** A member's transport; a member that starts again gets a new one. */
export function createSimPeerTransport(options: SimPeerTransportOptions): SimPeerTransport {
  return new SimPeerTransport(options);
}

/** A member that was admitted, and the link that it sends on. */
interface Inbound {
  readonly hello: PeerHello;
  readonly to: MemberId;
  readonly link: SimLink;
}

export class SimPeerTransport implements PeerTransport, SimTarget {
  readonly id: MemberId;
  readonly urls: readonly string[];
  readonly clock: Clock;
  readonly hello: () => PeerHello;
  readonly metrics: PeerMetrics;
  readonly #wire: SimPeerWire;
  readonly #silenceMs: number;
  readonly #links = new LinkSet<SimLink>();
  readonly #inbound = new Map<MemberId, Inbound>();
  readonly #stopping = new AbortController();
  #feeds: SimFeeds | undefined;
  #host: SimLinkHost | undefined;
  #teller: UnreachableTeller | undefined;
  #stopped = false;

  constructor(options: SimPeerTransportOptions) {
    this.id = options.id;
    this.urls = options.urls;
    this.#wire = options.wire;
    this.clock = options.clock ?? options.wire.clock;
    this.hello = options.hello;
    this.metrics = options.metrics ?? new PeerMetrics();
    this.#silenceMs = options.electionMs ?? electionMsDefault;
  }

  get running(): boolean {
    return this.#host !== undefined && !this.#stopped;
  }

  async start(handler: PeerHandler): Promise<void> {
    assert(this.#host === undefined && !this.#stopped, 'a peer transport starts once');
    const taken = this.#wire.listenerAt(this.urls);
    if (taken !== undefined) throw new Error(`address in use: ${this.urls.join()}`);
    const teller = new UnreachableTeller(this.clock, (member) => handler.unreachable(member));
    this.#teller = teller;
    this.#feeds = new SimFeeds(this.clock, handler);
    const host: SimLinkHost = {
      id: this.id,
      wire: this.#wire,
      clock: this.clock,
      metrics: this.metrics,
      handler,
      silenceMs: this.#silenceMs,
      hello: this.hello,
      listenerAt: (urls) => this.listenerAt(urls),
      unreachable: (member) => teller.add(member),
      nobodyListens: (member) => {
        if (!this.#hasLinkOf(member)) handler.gone(member);
      },
    };
    this.#host = host;
    this.#wire.add(this);
    this.#links.start({
      self: this.id,
      metrics: this.metrics,
      open: (peer) => new SimLink(host, peer),
      dropped: (member) => teller.add(member),
    });
  }

  setPeers(peers: readonly PeerAddress[]): void {
    this.#links.setPeers(peers);
    for (const [id, { hello, to, link }] of [...this.#inbound]) {
      const refusal = this.#host?.handler.admit(hello, to);
      if (refusal === undefined) continue;
      this.#inbound.delete(id);
      this.#wire.clock.after(this.#wire.delayMs(this.id, id), () => {
        if (link.target === this) link.onRefused(refusal);
      });
    }
  }

  send(messages: readonly Message[]): void {
    this.#links.send(messages);
  }

  // Nothing waits for the end of a turn here.

  hurried(work: () => void): void {
    work();
  }

  flush(): void {}

  call(member: MemberId, method: PeerMethod, body: Uint8Array, timeoutMs: number): Promise<Buffer> {
    const link = this.#links.get(member);
    if (link === undefined) return Promise.reject(unreachable(member));
    return new Promise((resolve, reject) => {
      const done = (): void => {
        timer.cancel();
        link.pending.delete(pending);
      };
      const ask = (target: SimTarget): void => {
        this.#ask(target, this.id, method, body).then(
          (reply) => {
            done();
            resolve(reply);
          },
          (error: unknown) => {
            done();
            reject(error);
          },
        );
      };
      const pending: SimPending = {
        up: ask,
        down: (error) => {
          done();
          reject(error);
        },
      };
      const timer = this.clock.after(timeoutMs, () => {
        done();
        reject(new EtcdError('TIMEOUT'));
      });
      link.pending.add(pending);
      if (link.target !== undefined) ask(link.target);
    });
  }

  callUrl(
    text: string,
    method: PeerMethod,
    body: Uint8Array,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<Buffer> {
    return unlessAborted(this.#askUrl(text, method, body, timeoutMs), signal);
  }

  async #askUrl(
    text: string,
    method: PeerMethod,
    body: Uint8Array,
    timeoutMs: number,
  ): Promise<Buffer> {
    dialable(text);
    await sleep(this.clock, 2 * this.#wire.delayMs(this.id, 0n));
    const target = this.listenerAt([text]);
    if (target === undefined) {
      throw new PeerError(GrpcCode.UNAVAILABLE, `${text} can't be reached: connection refused`);
    }
    return new Promise((resolve, reject) => {
      const timer = this.clock.after(timeoutMs, () => reject(new EtcdError('TIMEOUT')));
      this.#ask(target, 0n, method, body)
        .finally(() => timer.cancel())
        .then(resolve, reject);
    });
  }

  async fetchSnapshot(
    member: MemberId,
    receive: (piece: Uint8Array) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const aborted = AbortSignal.any([signal, this.#stopping.signal]);
    const label = labelOf(member);
    let feed = 0;
    let position: Uint8Array = emptyBytes;
    let progressMs = this.clock.nowMs();
    try {
      for (;;) {
        aborted.throwIfAborted();
        const target = this.#links.get(member)?.target;
        const piece = target && (await this.#piece(target, feed, position));
        aborted.throwIfAborted();
        if (piece === undefined) {
          // No link, or no answer on it.
          const forMs = this.clock.nowMs() - progressMs;
          if (feed === 0 || forMs >= peerFeedIdleMs) throw unreachable(member);
          await sleep(this.clock, peerBackoffMsMax / 2);
          continue;
        }
        if (piece.end) break;
        feed = piece.feed;
        await receive(piece.data);
        position = piece.position;
        progressMs = this.clock.nowMs();
      }
      this.metrics.snapshotReceive.successes.inc(label);
    } catch (error) {
      this.metrics.snapshotReceive.failures.inc(label);
      throw error;
    }
  }

  connectedSinceMs(member: MemberId): number | undefined {
    return this.#links.get(member)?.upSinceMs;
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#teller?.stop();
    this.#stopping.abort(new EtcdError('STOPPED'));
    this.#end((link) => link.stop('this member stops'));
    await this.#feeds?.stop();
  }

  // SimEndpoint

  breakLinks(other: MemberId | undefined, reason: string, present?: SimEndpoint): void {
    for (const [id, link] of this.#links) {
      if (other !== undefined && id !== other) continue;
      if (present === undefined || link.target !== present) link.break(reason);
    }
  }

  /** The member has a link to us that is up. */
  #hasLinkOf(member: MemberId): boolean {
    return this.#inbound.get(member)?.link.target === this;
  }

  vanish(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#teller?.stop();
    this.#end((link) => link.vanish());
  }

  // For the other side

  greet(hello: PeerHello, to: MemberId, link: SimLink): PeerRefusal | undefined {
    const refusal = this.#host?.handler.admit(hello, to);
    if (refusal === undefined) {
      this.#inbound.set(hello.memberId, { hello, to, link });
      this.#host?.handler.met(hello);
    } else this.metrics.refused.inc(refusal);
    return refusal;
  }

  admits(member: MemberId): boolean {
    return this.#inbound.has(member);
  }

  receive(message: Message, bytes: number): void {
    this.metrics.receivedBytes.of(labelOf(message.from)).value += bytes;
    this.#host?.handler.message(message);
  }

  onDamaged(from: MemberId): void {
    this.metrics.receivedFailures.inc(labelOf(from));
  }

  async answer(from: MemberId, method: PeerMethod, body: Uint8Array): Promise<Buffer> {
    const host = this.#host;
    if (host === undefined || !this.running) throw unreachable(this.id);
    if (from === 0n && method !== 'cluster') {
      throw new PeerError(GrpcCode.PERMISSION_DENIED, onlyMembers);
    }
    if (from !== 0n && !this.admits(from)) {
      throw new PeerError(GrpcCode.FAILED_PRECONDITION, 'refused');
    }
    try {
      return Buffer.from(await host.handler.call(from, method, Buffer.from(body)));
    } catch (error) {
      throw asAnswer(error);
    }
  }

  servePiece(from: MemberId, feed: number, position: Uint8Array): Promise<SimPiece> | undefined {
    return this.#feeds?.piece(from, feed, position);
  }

  listenerAt(urls: readonly string[]): SimPeerTransport | undefined {
    const found = this.#wire.listenerAt(urls);
    return found instanceof SimPeerTransport ? found : undefined;
  }

  #end(end: (link: SimLink) => void): void {
    this.#links.end(end);
    this.#inbound.clear();
    this.#wire.remove(this);
  }

  /** There and back; never settles if either way is blocked. */
  async #ask(
    target: SimTarget,
    from: MemberId,
    method: PeerMethod,
    body: Uint8Array,
  ): Promise<Buffer> {
    await this.#pass(this.id, target.id, target.clock);
    try {
      return await target.answer(from, method, body);
    } finally {
      await this.#pass(target.id, this.id, this.clock);
    }
  }

  async #piece(
    target: SimTarget,
    feed: number,
    position: Uint8Array,
  ): Promise<SimPiece | undefined> {
    const { clock } = this;
    return new Promise((resolve, reject) => {
      const timer = clock.after(2 * this.#silenceMs, () => resolve(undefined));
      const ask = async () => {
        await this.#pass(this.id, target.id, target.clock);
        const answer = target.running ? target.servePiece(this.id, feed, position) : undefined;
        try {
          return await answer;
        } finally {
          await this.#pass(target.id, this.id, clock);
        }
      };
      ask()
        .finally(() => timer.cancel())
        .then(resolve, reject);
    });
  }

  /** Resolves at the other side, on its clock; never if the way is blocked. */
  #pass(from: MemberId, to: MemberId, clock: Clock): Promise<void> {
    return new Promise((resolve) => {
      if (this.#wire.isBlocked(from, to)) return;
      clock.after(this.#wire.delayMs(from, to), resolve);
    });
  }
}
