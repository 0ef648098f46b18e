/**
 * HTTP/1.1 on a port that also speaks HTTP/2: an ordinary node:http server that never listens. It
 * is handed connections whose first bytes are not HTTP/2, with those bytes pushed back, as a
 * Duplex over the ByteStream; so it works on simulated networks, too.
 */

import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { Duplex } from 'node:stream';
import { type ByteStream, httpBodyMsMax } from '../../common/index.js';
import type {
  Http1Acceptor,
  HttpHandler,
  HttpRequest,
  HttpResponse,
  PeerOfCall,
} from '../../transport/index.js';
import { asksForWebSocket, WebSockets } from './websocket-node.js';

const headersTimeoutMs = 10_000;
const requestTimeoutMs = httpBodyMsMax;
const messageBytesMaxDefault = 4 * 1024 * 1024;
/** How long kept-alive connections may take to end once the server closes. */
const closeLingerMs = 1_000;

/** An {@link Http1Acceptor} that answers with `handle`; a WebSocket's messages have a bound. */
export function createHttp1(
  handle: HttpHandler,
  messageBytesMax = messageBytesMaxDefault,
): Http1Acceptor {
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
  const webSockets = new WebSockets(messageBytesMax);
  server.on('upgrade', (request, socket: Duplex, head) => {
    if (asksForWebSocket(request)) void upgrade(webSockets, handle, request, socket, head);
    else serveWithoutUpgrade(server, request, socket, head);
  });
  const sockets = new Set<Duplex>();
  return {
    accept(stream, head) {
      const socket = toSocket(stream);
      peers.set(socket, { address: stream.remoteAddress, identity: stream.identity });
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      socket.on('error', () => {});
      server.emit('connection', socket);
      if (head.length > 0) socket.push(Buffer.from(head));
    },
    close() {
      webSockets.close();
      return closeAll(server, sockets);
    },
  };
}

async function serve(
  handle: HttpHandler,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const asked = toRequest(request, false);
  response.once('close', () => {
    if (!response.writableFinished) asked.onGone?.();
  });
  try {
    await answer(response, await handle(asked));
  } catch {
    if (response.headersSent) response.destroy();
    else response.writeHead(500, { 'content-length': 0 }).end();
  }
}

/** A WebSocket, if the handler wants one here; else the answer of a plain request, the last one. */
async function upgrade(
  webSockets: WebSockets,
  handle: HttpHandler,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const asked = toRequest(request, true);
  let isGone = false;
  socket.once('close', () => {
    isGone = true;
  });
  try {
    const reply = await handle(asked);
    if (isGone) return;
    if (reply.webSocket !== undefined) {
      webSockets.accept(request, socket, head, reply.webSocket);
      return;
    }
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as never);
    response.once('finish', () => socket.end());
    await answer(response, reply);
  } catch {
    socket.destroy();
  }
}

/**
 * A client that would go on with another protocol (`Upgrade: h2c`, as Java's does with each first
 * request) is answered as if it had not said so. Node has given the connection up by now: it is
 * given back to it, from the start of the request on.
 */
function serveWithoutUpgrade(
  server: Server,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  const { rawHeaders } = request;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name, value] = [rawHeaders[i] as string, rawHeaders[i + 1] as string];
    const isUpgrade = /^(upgrade|http2-settings)$/i.test(name);
    if (!isUpgrade)
      lines.push(`${name}: ${name.toLowerCase() === 'connection' ? others(value) : value}`);
  }
  socket.removeAllListeners('timeout');
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', socket);
}

/** What `Connection` says beside the upgrade. */
function others(connection: string): string {
  const names = connection.split(',').map((name) => name.trim());
  const kept = names.filter((name) => !/^(upgrade|http2-settings)$/i.test(name));
  return kept.length === 0 ? 'keep-alive' : kept.join(', ');
}

function toRequest(request: IncomingMessage, wantsWebSocket: boolean): HttpRequest {
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
    body: request.iterator({ destroyOnReturn: false }),
    peer: peers.get(request.socket) ?? nobody,
    wantsWebSocket,
    onGone: undefined,
    drop: () => request.socket.destroy(),
  };
}

/** Who is at the other end of a socket. */
const peers = new WeakMap<Duplex, PeerOfCall>();
const nobody: PeerOfCall = {
  address: '',
  identity: { commonName: '', certificateVerified: false },
};

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
      // A copy, for node:http takes it when it likes.
      if (!duplex.push(Buffer.from(chunk))) stream.pause();
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
