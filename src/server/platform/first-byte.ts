/**
 * Plain and TLS on one port: the first byte tells. TLS begins with a handshake record (22); neither
 * HTTP/1.1 nor the preface of HTTP/2 does, both being text.
 */

import type { Socket } from 'node:net';

const handshakeRecord = 22;

/**
 * Calls one of the two with the socket, nothing of it read, once it has sent something; one that
 * says nothing within `timeoutMs` is closed.
 */
export function byFirstByte(
  socket: Socket,
  timeoutMs: number,
  on: { tls(socket: Socket): void; plain(socket: Socket): void },
): void {
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  // Whoever takes the socket over hears of what comes later.
  const ignore = (): void => {};
  socket.on('error', ignore);
  const look = (): void => {
    const head: unknown = socket.read();
    // Nothing yet, or the end of one that has said nothing.
    if (!(head instanceof Buffer) || head.length === 0) {
      if (socket.readableEnded) socket.destroy();
      return;
    }
    clearTimeout(timer);
    socket.off('readable', look);
    socket.off('end', end);
    socket.off('close', stop);
    socket.unshift(head);
    if (head[0] === handshakeRecord) on.tls(socket);
    else on.plain(socket);
    socket.off('error', ignore);
  };
  const end = (): void => void socket.destroy();
  const stop = (): void => clearTimeout(timer);
  socket.on('readable', look);
  socket.once('end', end);
  socket.once('close', stop);
}
