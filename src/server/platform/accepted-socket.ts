/**
 * An accepted socket that reads into the buffer of all sockets. Node lets one say so (`onread`)
 * only of sockets that one makes oneself, so this makes one around the handle of the accepted one,
 * as Node's own modules do among themselves (`handle`, Node 20 to 26). Should a later Node not have
 * that any more, the socket reads as Node lets it.
 */

import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { SharedReads, SocketStream } from '../../transport/index.js';

/** What a socket of Node has inside. */
interface Inner {
  _handle?: { readonly useUserBuffer?: unknown } | null;
  server?: unknown;
  _server?: unknown;
}

/** Options of a socket that TypeScript does not know of. */
interface HandleOptions extends SocketConstructorOpts {
  readonly handle: object;
  readonly highWaterMark: number;
  readonly noDelay: boolean;
  readonly onread: OnReadOpts;
}

/** The stream of a socket of which nothing has been read yet. */
export function acceptedStream(socket: Socket, highWaterBytes: number): SocketStream {
  const inner = socket as Inner;
  const handle = inner._handle;
  if (typeof handle?.useUserBuffer !== 'function') return new SocketStream(socket);
  const reads = new SharedReads();
  const options: HandleOptions = {
    handle,
    allowHalfOpen: true,
    highWaterMark: highWaterBytes,
    noDelay: true,
    onread: reads.onread,
  };
  // The server counts its sockets when they close.
  const { server, _server } = inner;
  inner._handle = null;
  inner.server = null;
  inner._server = null;
  const own = Object.assign(new Socket(options), { server, _server });
  return new SocketStream(own, undefined, reads);
}
