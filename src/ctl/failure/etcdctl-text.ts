/**
 * The words of etcdctl for a call that failed. Its client knows the texts of etcd's server, and
 * says them as they are; the end of the time is Go's, and all else is gRPC's.
 */

import { type EtcdClientError, isEtcdError, type Reason } from '../../client/index.js';
import { errorTable } from '../../common/index.js';

const timedOut = 'context deadline exceeded';

/** What etcdctl says behind `Error: `. */
export function etcdctlText(error: unknown): string {
  if (!isEtcdError(error)) return error instanceof Error ? error.message : String(error);
  const { reason } = error;
  if (reason === 'CALL_TIMEOUT' || reason === 'CONNECT_FAILED') return timedOut;
  if (reason === 'ABORTED' || reason === 'CLOSED') return 'context canceled';
  return isKnown(error) ? error.message : grpcText(error);
}

/** Texts that etcdctl's client does not know, so that it says them in gRPC's frame. */
const framed: ReadonlySet<Reason> = new Set<Reason>([
  ...(['INVALID_CLIENT_API_VERSION', 'UNKNOWN_METHOD', 'PERMISSION_NOT_GIVEN'] as const),
  ...(['NO_PASSWORD_USER', 'PASSWORD_TOO_LONG', 'TOKEN_VERIFY_ONLY'] as const),
  ...(['TIMEOUT_APPLY', 'TIMEOUT_LEADER_TRANSFER', 'DEADLINE_EXCEEDED'] as const),
  ...(['WATCH_CANCELED', 'REQUEST_CANCELED'] as const),
  ...(['STREAM_SORT_UNSUPPORTED', 'STREAM_FILTER_UNSUPPORTED'] as const),
  // Of kvorum alone.
  ...(['RATE_LIMITED', 'ANSWER_TOO_LARGE', 'SNAPSHOT_NOT_TAKEN'] as const),
]);

/** Texts that it knows, and kvorum's server does not have. */
const others: ReadonlySet<Reason> = new Set<Reason>([
  ...(['CLUSTER_ID_MISMATCH', 'NO_DOWNGRADE_JOB', 'CLUSTER_VERSION_UNAVAILABLE'] as const),
]);

/** One that the server said in words that etcdctl's client knows. */
function isKnown({ reason }: EtcdClientError): boolean {
  return others.has(reason) || (Object.hasOwn(errorTable, reason) && !framed.has(reason));
}

function grpcText({ code, message }: EtcdClientError): string {
  // DEADLINE_EXCEEDED is DeadlineExceeded in Go.
  const name = code
    .toLowerCase()
    .replace(/(?:^|_)([a-z])/g, (_all, letter: string) => letter.toUpperCase())
    .replace(/^Cancelled$/, 'Canceled')
    .replace(/^Ok$/, 'OK');
  return `rpc error: code = ${name} desc = ${message}`;
}
