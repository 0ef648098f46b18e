/** Leases: granted, kept alive, and known to be lost in time. */

export { LeaseClient } from './lease-client.js';
export { keepAliveShape } from './option-shapes.js';
export type {
  KeepAliveOptions,
  LeaseGrant,
  LeaseHandle,
  LeaseState,
  Leases,
  LeaseTimeToLive,
} from './types.js';
