/**
 * Every bound in the system that is not a flag, with its unit in the name and its reason beside it.
 * docs/limits.md is the same list for people.
 */

/** etcd's --max-request-bytes default: the largest client request that may enter the log. */
export const requestBytesMaxDefault = 1_572_864;
/** What gRPC accepts above that for framing, as etcd: the server's receive limit is the sum. */
export const grpcOverheadBytes = 512 * 1024;
/** etcd's --max-txn-ops default. */
export const txnOpsMaxDefault = 128;
/** etcd's largest lease TTL. */
export const leaseTtlSecondsMax = 9_000_000_000;
/** etcd's default backend quota for --quota-backend-bytes=0. */
export const quotaBytesDefault = 2 * 1024 * 1024 * 1024;
/** What etcd adds to key and value when it asks whether a put fits the quota. */
export const putOverheadBytes = 256;
/** What etcd counts for a lease. */
export const leaseOverheadBytes = 64;
/** WAL segments are preallocated at this size, so that fdatasync has no metadata to write. */
export const walSegmentBytes = 64 * 1024 * 1024;
/** No WAL record is longer: a length above it is damage, not a reason to allocate. */
export const walRecordBytesMax = 64 * 1024 * 1024;
/** The longest synchronous piece of work; longer jobs give way to the event loop in between. */
export const sliceMsMax = 5;
/** Unapplied entries above which new proposals get `too many requests`, as in etcd. */
export const commitApplyGapMax = 5000;
/** Snapshot RPC chunk size, as etcd. */
export const snapshotChunkBytes = 32 * 1024;
/** RangeStream: keys in the first chunk, as etcd. */
export const rangeStreamFirstChunkKeys = 10;
/** Distinct revisions in one catch-up WatchResponse at the most, as etcd. */
export const watchCatchUpRevisionsMax = 1000;
/** A stream with more unsent bytes than this gets no more live events; it catches up later. */
export const watchBacklogBytesMax = 4 * 1024 * 1024;
/** Lease scan period of the primary lessor, and its revocations per scan, as etcd. */
export const leaseScanMs = 500;
export const leaseRevokesPerScanMax = 500;
