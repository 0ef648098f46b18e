/**
 * Links over our own gRPC transport: each member dials the others for what it sends, and listens
 * on its peer URLs for what they send. See types.ts for what it promises.
 */

import {
  assert,
  EtcdError,
  GrpcCode,
  type Listener,
  type MemberId,
  onAbort,
  peerControlQueueBytesMax,
  peerMessageBytesMax,
} from '../../common/index.js';
import type { Message } from '../../raft/index.js';
import { createGrpcServer, type GrpcServer, turnFlusherOf } from '../../transport/index.js';
import type { ServerUrl } from '../options/index.js';
import { introduceNobody, PeerError } from './handshake.js';
import { Inbound } from './inbound.js';
import { Link, unary, unreachable } from './link.js';
import { LinkSet } from './link-set.js';
import {
  dial,
  dialable,
  listenerPingMs,
  type PeerContext,
  type PeerTransportOptions,
} from './peer-context.js';
import { SharedFrames } from './shared-frames.js';
import { SnapshotFeeds } from './snapshot-feeds.js';
import { fetchSnapshot } from './snapshot-fetch.js';
import type { PeerAddress, PeerHandler, PeerMethod, PeerTransport } from './types.js';
import { UnreachableTeller } from './unreachable-teller.js';

export type { PeerTransportOptions } from './peer-context.js';

/** A {@link PeerTransport} on sockets. */
export interface SocketPeerTransport extends PeerTransport {
  /** Where others can connect: the listen URLs, their ports filled in. After `start`. */
  readonly listeningUrls: readonly string[];
}

/** Calls and lanes of a member on one connection: two lanes, and calls that run. */
const concurrentStreamsMax = 2000;
/** Unsent bytes of a connection from another member: pieces of a snapshot, replies. */
const backlogBytesMax = 2 * peerMessageBytesMax;

/** Makes the links of one member; it neither listens nor dials before `start`. */
export function createPeerTransport(options: PeerTransportOptions): SocketPeerTransport {
  return new Transport(options);
}

/** What there is between `start` and `stop`. */
interface Running {
  readonly context: PeerContext;
  readonly inbound: Inbound;
  readonly feeds: SnapshotFeeds;
  readonly server: GrpcServer;
}

class Transport implements SocketPeerTransport {
  listeningUrls: readonly string[] = [];
  readonly #options: PeerTransportOptions;
  readonly #links = new LinkSet<Link>();
  readonly #frames = new SharedFrames();
  #unreachable: UnreachableTeller | undefined;
  #running: Running | undefined;
  readonly #stopping = new AbortController();
  #stopped = false;

  constructor(options: PeerTransportOptions) {
    this.#options = options;
  }

  async start(handler: PeerHandler): Promise<void> {
    assert(this.#running === undefined && !this.#stopped, 'a peer transport starts once');
    const options = this.#options;
    const teller = new UnreachableTeller(options.clock, (member) => handler.unreachable(member));
    this.#unreachable = teller;
    const context: PeerContext = {
      ...options,
      handler,
      unreachable: (id) => teller.add(id),
      frames: this.#frames,
      nobodyListens(id) {
        if (!inbound.hasLaneOf(id)) handler.gone(id);
      },
    };
    const inbound: Inbound = new Inbound(context);
    const feeds = new SnapshotFeeds(context, inbound);
    const server = createGrpcServer({
      clock: options.clock,
      network: options.network,
      logger: options.logger,
      methods: new Map([...inbound.methods(), feeds.method()]),
      limits: {
        receiveMessageBytesMax: peerMessageBytesMax,
        concurrentStreamsMax,
        connectionBacklogBytesMax: backlogBytesMax,
        keepaliveIntervalMs: listenerPingMs(options),
        keepaliveTimeoutMs: listenerPingMs(options) / 3,
        // Dialers ping when there is nothing to say, which is their right here.
        keepaliveMinTimeMs: 0,
        keepaliveIdleMinTimeMs: 0,
      },
    });
    this.#running = { context, inbound, feeds, server };
    try {
      const urls: string[] = [];
      for (const url of options.listenUrls) {
        const tls = url.secure ? options.tls?.listen : undefined;
        assert(!url.secure || tls !== undefined, 'a secure peer URL without a certificate');
        urls.push(listeningUrl(url, await server.listen(url.address, tls)));
      }
      this.listeningUrls = urls;
    } catch (error) {
      await this.stop();
      throw error;
    }
    // Stopped while it began to listen.
    if (this.#stopped) return;
    this.#links.start({
      self: context.hello().memberId,
      metrics: context.metrics,
      open: (peer) => new Link(context, peer),
      dropped: context.unreachable,
    });
  }

  setPeers(peers: readonly PeerAddress[]): void {
    this.#links.setPeers(peers);
    this.#running?.inbound.recheck();
  }

  send(messages: readonly Message[]): void {
    this.#links.send(messages);
    this.#frames.forget();
  }

  hurried(work: () => void): void {
    turnFlusherOf(this.#options.clock).gather(work);
  }

  flush(): void {
    turnFlusherOf(this.#options.clock).flushFew();
  }

  async call(
    member: MemberId,
    method: PeerMethod,
    body: Uint8Array,
    timeoutMs: number,
  ): Promise<Buffer> {
    const link = this.#links.get(member);
    if (link === undefined) throw unreachable(member);
    return link.call(method, body, timeoutMs);
  }

  async callUrl(
    text: string,
    method: PeerMethod,
    body: Uint8Array,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<Buffer> {
    const { clock } = this.#options;
    const url = dialable(text);
    const deadlineMs = clock.nowMs() + timeoutMs;
    const client = await dial(
      this.#options,
      url,
      timeoutMs,
      peerControlQueueBytesMax,
      2,
      signal,
    ).catch((cause: unknown) => {
      signal?.throwIfAborted();
      if (clock.nowMs() >= deadlineMs) throw new EtcdError('TIMEOUT', { cause });
      throw new PeerError(GrpcCode.UNAVAILABLE, `${text} can't be reached: ${String(cause)}`);
    });
    const takeBack = onAbort(signal, () => client.destroy());
    try {
      const leftMs = Math.max(1, deadlineMs - clock.nowMs());
      return await unary(client, method, body, leftMs, introduceNobody);
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      takeBack();
      client.destroy();
    }
  }

  async fetchSnapshot(
    member: MemberId,
    receive: (piece: Uint8Array) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const running = this.#running;
    if (running === undefined) throw unreachable(member);
    await fetchSnapshot({
      context: running.context,
      member,
      urls: () => this.#links.get(member)?.urls,
      receive,
      signal: AbortSignal.any([signal, this.#stopping.signal]),
    });
  }

  connectedSinceMs(member: MemberId): number | undefined {
    return this.#links.get(member)?.connectedSinceMs;
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#unreachable?.stop();
    this.#stopping.abort(new EtcdError('STOPPED'));
    this.#links.end((link) => link.stop());
    // First who could open more of them.
    await this.#running?.server.close();
    await this.#running?.feeds.stop();
  }
}

/** The URL as typed, with the port that was really taken. */
function listeningUrl(url: ServerUrl, { address }: Listener): string {
  if ('path' in address) return url.text;
  const host = url.host.includes(':') ? `[${url.host}]` : url.host;
  return `${url.scheme}://${host}:${address.port}`;
}
