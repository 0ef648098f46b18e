/** Certificates of a server that follow their files, and what is told of refused handshakes. */

import type { Network } from '../common/index.js';
import type { Metrics } from './metrics/index.js';
import { checkDirectories, type NodePorts } from './node/index.js';
import type { AutoTls, PortTls, ServerConfig } from './options/index.js';
import { AutoTlsPair, type RenewedTls, renewedTls, tlsRefusals } from './platform/index.js';

export interface LiveTlsPorts extends Pick<NodePorts, 'clock' | 'disk' | 'logger'> {
  readonly network: Network;
}

/** TLS of both ports; undefined where there is none. */
export interface LiveTls {
  readonly client: PortTls | undefined;
  readonly peer: PortTls | undefined;
  /** Looks at all files now, and logs what it comes to. Never rejects. */
  reread(): Promise<void>;
}

/**
 * TLS as the configuration wants it; certificates that are to be generated are. Rejects with
 * StorageError if the data directory can't be one, or with the error of the disk.
 */
export async function openTls(
  config: ServerConfig,
  ports: LiveTlsPorts,
  metrics: Metrics,
): Promise<LiveTls> {
  const { clientAutoTls, clientTls, peerAutoTls, peerTls } = config;
  // Before something is put into a directory that belongs to somebody else.
  if ((clientAutoTls ?? peerAutoTls) !== undefined) await checkDirectories(ports.disk, config);
  const client = await openPort('client', clientTls, clientAutoTls, ports, metrics);
  const peer = await openPort('peer', peerTls, peerAutoTls, ports, metrics);
  const both = client === undefined && peer === undefined ? [] : [client, peer];
  return {
    client,
    peer,
    async reread() {
      if (both.length === 0) ports.logger.info('there are no certificates to be read again');
      await Promise.all(both.map((port) => port?.reread()));
    },
  };
}

async function openPort(
  endpoint: 'client' | 'peer',
  given: PortTls | undefined,
  auto: AutoTls | undefined,
  ports: LiveTlsPorts,
  metrics: Metrics,
): Promise<RenewedTls | undefined> {
  const { clock, logger } = ports;
  const pair = auto === undefined ? undefined : new AutoTlsPair(auto, ports);
  const tls = pair === undefined ? given : await pair.open();
  if (tls === undefined) return undefined;
  const prepare = pair === undefined ? undefined : () => pair.renew();
  const onRefused = tlsRefusals(endpoint, clock, logger, metrics);
  return renewedTls(tls, onRefused, { ...ports, endpoint, prepare });
}
