/**
 * HTTP/1.1 on a port that also speaks HTTP/2: an ordinary node:http server that never listens. It
 * is handed connections whose first bytes are not HTTP/2, with those bytes pushed back, as a
 * Duplex over the ByteStream; so it works on simulated networks, too.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Duplex } from 'node:stream';
import type { ByteStream, PeerIdentity } from '../../common/index.js';
import type {
  Http1Acceptor,
  HttpHandler,
  HttpRequest,
  HttpResponse,
} from '../../transport/index.js';

/** A gateway request carries at most a Put of 1.5 MiB in base64. */
const bodyBytesMax = 4 * 1024 * 1024;
const headersTimeoutMs = 10_000;
const requestTimeoutMs = 60_000;
/** How long kept-alive connections may take to end once the server closes. */
const closeLingerMs = 1_000;

/** An {@link Http1Acceptor} that answers with `handle`. */
export function createHttp1(handle: HttpHandler): Http1Acceptor {
  const server = createServer({
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: headersTimeoutMs / 2,
  });
  // Only a server that listens watches its connections for timeouts, and knows which are idle.
  server.emit('listening');
  server.on('request', (request, response) => {
    void serve(handle, request, response);
  });
  const sockets = new Set<Duplex>();
  return {
    accept(stream, head) {
      const socket = toSocket(stream);
      identities.set(socket, stream.identity);
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      socket.on('error', () => {});
      server.emit('connection', socket);
      if (head.length > 0) socket.push(head);
    },
    close: () => closeAll(server, sockets),
  };
}

async function serve(
  handle: HttpHandler,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const body = await readBody(request);
    if (body === undefined) {
      response.writeHead(413, { connection: 'close', 'content-length': 0 }).end();
      return;
    }
    await answer(response, await handle(toRequest(request, body)));
  } catch {
    if (response.headersSent) response.destroy();
    else response.writeHead(500, { 'content-length': 0 }).end();
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    if (!(chunk instanceof Buffer)) continue;
    bytes += chunk.length;
    if (bytes > bodyBytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function toRequest(request: IncomingMessage, body: Buffer): HttpRequest {
  const headers: Record<string, string | undefined> = Object.create(null);
  for (const [name, value] of Object.entries(request.headers)) {
    headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  let url = request.url ?? '/';
  // The form for proxies, which every server has to understand: its host is the one that counts.
  const absolute = /^https?:\/\/([^/?#]*)/i.exec(url);
  if (absolute !== null) {
    headers.host = absolute[1];
    url = url.slice(absolute[0].length) || '/';
  }
  const mark = url.indexOf('?');
  return {
    method: request.method ?? 'GET',
    path: mark < 0 ? url : url.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1)),
    headers,
    body,
    identity: identities.get(request.socket) ?? nobody,
  };
}

/** Whose certificate a socket showed. */
const identities = new WeakMap<Duplex, PeerIdentity>();
const nobody: PeerIdentity = { commonName: '', certificateVerified: false };

async function answer(response: ServerResponse, reply: HttpResponse): Promise<void> {
  const { body } = reply;
  if (typeof body === 'string' || body instanceof Uint8Array) {
    // With it a client knows the end of a body that it has, whatever becomes of the connection.
    const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    response.writeHead(reply.status, { 'content-length': length, ...reply.headers }).end(body);
    return;
  }
  response.writeHead(reply.status, reply.headers);
  response.flushHeaders();
  let gone = false;
  let wake: (() => void) | undefined;
  const iterator = body[Symbol.asyncIterator]();
  response.once('close', () => {
    gone = true;
    wake?.();
    // Also while the next piece is being waited for: a watch may not have one for hours.
    if (!response.writableFinished) void iterator.return?.();
  });
  response.on('drain', () => wake?.());
  while (!gone) {
    const next = await iterator.next();
    if (next.done === true || gone) break;
    if (response.write(next.value)) continue;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
  response.end();
}

function closeAll(server: Server, sockets: Set<Duplex>): Promise<void> {
  // Closes idle connections, and ends the watch over timeouts.
  server.close();
  if (sockets.size === 0) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, closeLingerMs);
    for (const socket of sockets) {
      socket.once('close', () => {
        if (sockets.size > 0) return;
        clearTimeout(timer);
        resolve();
      });
    }
  });
}

/** What node:http expects of a socket, over a ByteStream. */
function toSocket(stream: ByteStream): Duplex {
  let afterDrain: (() => void) | undefined;
  const duplex = new Duplex({
    read() {
      stream.resume();
    },
    write(chunk: Buffer, _encoding, done) {
      if (stream.write(chunk)) done();
      else afterDrain = done;
    },
    writev(chunks, done) {
      let room = true;
      stream.cork();
      for (const { chunk } of chunks) room = stream.write(chunk as Buffer);
      stream.uncork();
      if (room) done();
      else afterDrain = done;
    },
    final(done) {
      stream.end();
      done();
    },
    destroy(error, done) {
      clearTimeout(idleTimer);
      stream.destroy();
      done(error);
    },
  });
  let idleTimer: NodeJS.Timeout | undefined;
  stream.setHandler({
    onData(chunk) {
      idleTimer?.refresh();
      if (!duplex.push(chunk)) stream.pause();
    },
    onEnd() {
      duplex.push(null);
    },
    onDrain() {
      const next = afterDrain;
      afterDrain = undefined;
      next?.();
    },
    onClose(error) {
      duplex.destroy(error);
    },
  });
  return Object.assign(duplex, {
    remoteAddress: stream.remoteAddress,
    encrypted: stream.alpnProtocol !== '',
    /** node:http ends idle kept-alive connections with this. */
    setTimeout(timeoutMs: number) {
      clearTimeout(idleTimer);
      if (timeoutMs > 0) {
        idleTimer = setTimeout(() => duplex.emit('timeout'), timeoutMs).unref();
      }
      return duplex;
    },
  });
}
