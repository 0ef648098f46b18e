/** What etcdctl says of a call that failed: etcd's text, or that of gRPC's status in Go. */

import type { EtcdClientError } from '../../client/index.js';

/** gRPC's names of statuses, of which Go's are made. */
const goNames: Readonly<Record<string, string>> = { CANCELLED: 'Canceled', DATA_LOSS: 'DataLoss' };

/** The text after `Error: `. */
export function goErrorText({ code, reason, message }: EtcdClientError): string {
  if (reason === 'CONNECT_FAILED' || reason === 'CALL_TIMEOUT') return 'context deadline exceeded';
  if (reason === 'ABORTED') return 'context canceled';
  if (message.startsWith('etcdserver: ')) return message;
  return `rpc error: code = ${goNames[code] ?? inGo(code)} desc = ${message}`;
}

/** `FAILED_PRECONDITION` is `FailedPrecondition`. */
function inGo(code: string): string {
  return code
    .split('_')
    .map((word) => word.charAt(0) + word.slice(1).toLowerCase())
    .join('');
}
