/** How members reach each other, and the pieces that a simulated transport is made of. */

// What a transport counts is its business, whoever makes it.
export { PeerMetrics } from '../metrics/index.js';
export { decodeMessage, encodeMessage, isBulk } from './codec.js';
export { FrameError } from './frame.js';
export { asAnswer, onlyMembers, PeerError } from './handshake.js';
export { unreachable } from './link.js';
export { LinkSet, type LinkSetOptions, type PeerLink } from './link-set.js';
export { dialable, labelOf, type PeerTransportOptions } from './peer-context.js';
export { type Redial, redialMs, steadyMs } from './redial.js';
export { makeRoom, noSuchFeed } from './snapshot-feeds.js';
export { createPeerTransport, type SocketPeerTransport } from './transport.js';
export type {
  PeerAddress,
  PeerHandler,
  PeerHello,
  PeerMethod,
  PeerRefusal,
  PeerTransport,
  SnapshotFeed,
  SnapshotPiece,
} from './types.js';
export { UnreachableTeller } from './unreachable-teller.js';
