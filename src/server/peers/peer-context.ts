/** What all parts of the peer transport are given. */

import {
  type Clock,
  GrpcCode,
  idToHex,
  type Logger,
  type MemberId,
  type Network,
  type NetworkAddress,
  peerMessageBytesMax,
  type Random,
  type TlsOptions,
} from '../../common/index.js';
import { connectGrpc, type GrpcClient } from '../../transport/index.js';
import type { PeerMetrics } from '../metrics/index.js';
import { type PortTls, parseUrl, type ServerUrl } from '../options/index.js';
import { PeerError } from './handshake.js';
import type { SharedFrames } from './shared-frames.js';
import type { PeerHandler, PeerHello } from './types.js';

export interface PeerTransportOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Network;
  readonly logger: Logger;
  readonly metrics: PeerMetrics;
  /** ServerConfig.listenPeerUrls. */
  readonly listenUrls: readonly ServerUrl[];
  /** ServerConfig.peerTls. */
  readonly tls: PortTls | undefined;
  /** ServerConfig.electionMs: what a dead link must be noticed in, or so. */
  readonly electionMs: number;
  /** To call from; undefined: the system chooses. */
  readonly localAddress?: string | undefined;
  /** Who this member is; asked for when a link is opened, so not before there is an answer. */
  readonly hello: () => PeerHello;
}

/** The options, and what comes with the start. */
export interface PeerContext extends PeerTransportOptions {
  readonly handler: PeerHandler;
  /** After the turn, once for each member: see `PeerHandler.unreachable`. */
  unreachable(member: MemberId): void;
  /** Both lanes to the member are down, and nobody listens where it was. */
  nobodyListens(member: MemberId): void;
  /** What the messages of one round have in common. */
  readonly frames: SharedFrames;
}

/** Until a dialled connection is of use: time for TLS on a busy machine, too. */
export function dialTimeoutMs(context: PeerTransportOptions): number {
  return Math.max(1000, context.electionMs);
}

/** With very short election timeouts a busy process must not be taken for a dead one at once. */
const silenceMsMin = 1000;

/**
 * A connection for members, with its keepalive: without a sign of life it ends after `elections`
 * election timeouts. `signal` gives up dialling.
 */
export function dial(
  context: PeerTransportOptions,
  url: ServerUrl,
  timeoutMs: number,
  queueBytesMax: number,
  elections: number,
  signal: AbortSignal | undefined,
): Promise<GrpcClient> {
  const silenceMs = Math.max(silenceMsMin, elections * context.electionMs);
  const pingAfterMs = silenceMs / 3;
  return connectGrpc({
    clock: context.clock,
    network: context.network,
    address: addressOf(context, url),
    tls: dialTls(context, url),
    connectTimeoutMs: timeoutMs,
    signal,
    userAgent: 'kvorum-peer',
    limits: {
      receiveMessageBytesMax: peerMessageBytesMax,
      streamBacklogHighWaterBytes: queueBytesMax,
      keepaliveIntervalMs: pingAfterMs,
      keepaliveTimeoutMs: silenceMs - pingAfterMs,
    },
  });
}

function addressOf({ localAddress }: PeerTransportOptions, { address }: ServerUrl): NetworkAddress {
  if (localAddress === undefined || 'path' in address) return address;
  return { ...address, localAddress };
}

/** Without a certificate of our own the other side's is checked all the same. */
function dialTls(context: PeerTransportOptions, url: ServerUrl): TlsOptions | undefined {
  if (!url.secure) return undefined;
  return context.tls?.dial ?? {};
}

/**
 * Silence after which a listener pings: later than dialers give up, because our pings would be
 * signs of life to one that we can't hear.
 */
export function listenerPingMs(context: PeerTransportOptions): number {
  return 3 * Math.max(silenceMsMin, context.electionMs);
}

/** Throws {@link PeerError} for a text that is no URL. */
export function dialable(text: string): ServerUrl {
  const url = parseUrl(text);
  if (typeof url === 'string') throw new PeerError(GrpcCode.INVALID_ARGUMENT, url);
  return url;
}

/** Label of a member in logs and metrics. */
export function labelOf(member: MemberId): string {
  return idToHex(member);
}
