/** What is told of TLS handshakes that a listener refused: a count, and lines, but no flood. */

import type { Clock, Logger, TlsRefusal, TlsRefusalKind } from '../../common/index.js';
import { type Metrics, SlowLog } from '../metrics/index.js';

const kinds: readonly TlsRefusalKind[] = [
  'certificate',
  'revoked',
  'protocol',
  'timeout',
  'crowded',
  'reset',
  'closed',
];

/** Names of a certificate in one line: anybody may have made it. */
const namesMax = 10;

/**
 * For the listeners of an endpoint, 'client' or 'peer'. Of each kind of refusal at most one line a
 * second, so that a flood of one does not hide another.
 */
export function tlsRefusals(
  endpoint: 'client' | 'peer',
  clock: Clock,
  logger: Logger,
  metrics: Metrics,
): (refusal: TlsRefusal) => void {
  const logs = new Map(kinds.map((kind) => [kind, new SlowLog(clock, logger)]));
  for (const kind of kinds) metrics.tlsRefusals.of(endpoint, kind);
  const message = `rejected connection on ${endpoint} endpoint`;
  return ({ kind, presented, remoteAddress, serverName, reason }) => {
    metrics.tlsRefusals.inc(endpoint, kind);
    // etcd's fields.
    const names = presented && {
      ipAddresses: presented.addresses.slice(0, namesMax),
      dnsNames: presented.hostNames.slice(0, namesMax),
    };
    const fields = { remoteAddr: remoteAddress, serverName, ...names, error: reason };
    if (kind === 'closed') {
      // As in etcd: whoever only looks whether somebody listens does so every few seconds.
      logger.debug(message, fields);
      return;
    }
    logs.get(kind)?.warn(message, fields);
  };
}
