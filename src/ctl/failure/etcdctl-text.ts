/**
 * The words of etcdctl for a call that failed. Its client knows the texts of etcd's server, and
 * says them as they are; the end of the time is Go's, and all else is gRPC's.
 */

import { type EtcdClientError, isEtcdError } from '../../client/index.js';
import { errorTable } from '../../common/index.js';

const timedOut = 'context deadline exceeded';

/** What etcdctl says behind `Error: `. */
export function etcdctlText(error: unknown): string {
  if (!isEtcdError(error)) return error instanceof Error ? error.message : String(error);
  const { reason } = error;
  if (reason === 'CALL_TIMEOUT' || reason === 'CONNECT_FAILED') return timedOut;
  if (reason === 'ABORTED' || reason === 'CLOSED') return 'context canceled';
  return isServers(error) ? error.message : grpcText(error);
}

/** One that the server said in etcd's words, which need no frame. */
function isServers({ reason, message }: EtcdClientError): boolean {
  return Object.hasOwn(errorTable, reason) || message.startsWith('etcdserver: ');
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
