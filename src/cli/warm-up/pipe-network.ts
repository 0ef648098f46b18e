/**
 * A network inside of this process, for one client and one server: no port of the machine is taken,
 * and nothing waits for a timer. The ends of a connection are wrapped as sockets are, so that what
 * V8 learns of the transport here holds for sockets, too.
 */

import type { Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import type { ByteStream, Network, NetworkAddress } from '../../common/index.js';
import { SocketStream } from '../../transport/index.js';

/** As sockets of the server have it. */
const highWaterBytes = 256 * 1024;

/** Addresses are ports only: whoever listens on one is found by it. TLS is not offered. */
export function pipeNetwork(): Network {
  const acceptors = new Map<string, (stream: ByteStream) => void>();
  return {
    async listen(address, _tls, onStream) {
      acceptors.set(nameOf(address), onStream);
      return {
        address,
        close: async () => void acceptors.delete(nameOf(address)),
        keepAlive() {},
      };
    },
    async connect(address) {
      const accept = acceptors.get(nameOf(address));
      if (accept === undefined) throw new Error(`nobody listens on ${nameOf(address)}`);
      const [here, there] = duplexPair({ highWaterMark: highWaterBytes });
      // Before Node 22 an end does not notice that the other was destroyed.
      here.once('close', () => there.destroy());
      there.once('close', () => here.destroy());
      accept(new SocketStream(there as Socket));
      return new SocketStream(here as Socket);
    },
    async resolve(host) {
      return [host];
    },
  };
}

function nameOf(address: NetworkAddress): string {
  return 'path' in address ? address.path : String(address.port);
}
