/** Leases. */
export { type LeaseFeature, leaseFeature } from './feature.js';
export type { LeaseKeyRights } from './key-rights.js';
export type { Lessor } from './lessor.js';
export {
  decodeLeaseRecord,
  encodeLeaseRecord,
  type LeaseRecord,
  leaseMetaName,
  leaseMetaPrefix,
} from './stored-lease.js';
