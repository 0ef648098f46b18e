/** Connections to the servers: endpoints, the pool, and the two transports. */

export { ask } from './ask.js';
export { checkTls } from './check-tls.js';
export { dialOf } from './dial.js';
export { parseEndpoint, parseEndpoints } from './endpoint.js';
export type { Link, LinkCall, LinkStream, RpcStatus } from './link.js';
export { secureContextOf } from './network-node.js';
export { closedError, type Pick, Pool, Slot, type Until } from './pool.js';
export { backgroundClock, isProduction, nodeRuntime, onExit, warn } from './runtime-node.js';
export type {
  ClientTls,
  ConnectionEvent,
  PingOptions,
  Runtime,
  TlsSource,
  TransportName,
} from './types.js';
