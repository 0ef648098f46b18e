/**
 * A port that is listened on before the server that will answer there: a member tells the cluster
 * its address when it starts, so the address has to be known by then.
 */

import type { ByteStream, Listener, Network, NetworkAddress, TlsOptions } from '../common/index.js';

/** A listening socket whose streams go to whoever listens on `network` at its address. */
export interface BoundPort {
  readonly port: number;
  /** As the network it was bound on, but for this one address. */
  readonly network: Network;
  /** Whether the port, as long as it is taken, keeps the process alive; at first it does. */
  keepAlive(keeps: boolean): void;
  close(): Promise<void>;
}

/** Listens on a free port of `host`; streams that come before the server are closed. */
export async function bindPort(network: Network, host: string): Promise<BoundPort> {
  let accept: ((stream: ByteStream) => void) | undefined;
  const listener: Listener = await network.listen({ host, port: 0 }, undefined, (stream) => {
    if (accept !== undefined) accept(stream);
    else stream.destroy();
  });
  const { address } = listener;
  const port = 'port' in address ? address.port : 0;
  const isOurs = (asked: NetworkAddress): boolean => 'port' in asked && asked.port === port;
  return {
    port,
    network: {
      connect: (to, tls, timeoutMs, signal) => network.connect(to, tls, timeoutMs, signal),
      resolve: (name) => network.resolve(name),
      async listen(asked: NetworkAddress, tls: TlsOptions | undefined, onStream) {
        if (!isOurs(asked) || tls !== undefined) return network.listen(asked, tls, onStream);
        accept = onStream;
        return {
          address,
          async close() {
            accept = undefined;
          },
          keepAlive: (keeps) => listener.keepAlive(keeps),
        };
      },
    },
    keepAlive: (keeps) => listener.keepAlive(keeps),
    close: () => listener.close(),
  };
}
