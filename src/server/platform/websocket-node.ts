/**
 * WebSockets by the package ws, as requests: each message is a line of the body of one request, and
 * each line of the answer's body is one message, sent in fragments as it is made.
 */

import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { HttpResponse, WebSocketAnswer } from '../../transport/index.js';

type UpgradeRequest = Parameters<WebSocketServer['handleUpgrade']>[0];

/** Normal closure (RFC 6455 section 7.4.1), and that of a server that stops. */
const closedNormally = 1000;
const goingAway = 1001;
/** Bytes of messages that wait to be read above which no more is read from the socket. */
const waitingBytesMax = 64 * 1024;

/** True if a client wants to speak it. */
export function asksForWebSocket(request: UpgradeRequest): boolean {
  return /(^|,)\s*websocket\s*(,|$)/i.test(request.headers.upgrade ?? '');
}

/** Makes them of connections. */
export class WebSockets {
  readonly #server: WebSocketServer;
  readonly #protocols = new WeakMap<UpgradeRequest, string>();

  /** `messageBytesMax`: a longer message closes its socket. */
  constructor(messageBytesMax: number) {
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: messageBytesMax,
      perMessageDeflate: false,
      clientTracking: true,
      handleProtocols: (_offered, request) => this.#protocols.get(request) ?? false,
    });
  }

  /** Shakes hands (or says what is wrong with the request), and has the rest answered. */
  accept(request: UpgradeRequest, socket: Duplex, head: Buffer, answer: WebSocketAnswer): void {
    if (answer.protocol !== '') this.#protocols.set(request, answer.protocol);
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      void converse(webSocket, answer);
    });
  }

  /** Ends all. */
  close(): void {
    for (const webSocket of this.#server.clients) webSocket.close(goingAway);
  }
}

async function converse(webSocket: WebSocket, answer: WebSocketAnswer): Promise<void> {
  const lines = new Lines(webSocket);
  const asked = {
    body: lines,
    onGone: undefined as (() => void) | undefined,
    drop: () => webSocket.terminate(),
  };
  // What is wrong with a frame is told to the client by the close that follows.
  webSocket.on('error', () => {});
  webSocket.once('close', () => asked.onGone?.());
  try {
    await sendLines(webSocket, await answer.handle(asked));
    webSocket.close(closedNormally);
  } catch {
    webSocket.terminate();
  }
}

async function sendLines(webSocket: WebSocket, { body }: HttpResponse): Promise<void> {
  if (typeof body === 'string') {
    for (const line of body.split('\n')) if (line !== '') await send(webSocket, line, true);
    return;
  }
  if (body instanceof Uint8Array) return;
  let hasBegun = false;
  for await (const piece of body) {
    const text = typeof piece === 'string' ? piece : Buffer.from(piece).toString('utf8');
    const parts = text.split('\n');
    for (const [at, part] of parts.entries()) {
      const isLast = at < parts.length - 1;
      if (part === '' && !(isLast && hasBegun)) continue;
      await send(webSocket, part, isLast);
      hasBegun = !isLast;
    }
  }
  if (hasBegun) await send(webSocket, '', true);
}

/** Resolves once it has left; rejects if the socket is closed. */
function send(webSocket: WebSocket, text: string, fin: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    webSocket.send(text, { fin, binary: false }, (error) => {
      if (error === undefined || error === null) resolve();
      else reject(error);
    });
  });
}

/** The messages that come, each as a line; read once. */
class Lines implements AsyncIterable<Buffer>, AsyncIterator<Buffer, undefined> {
  readonly #webSocket: WebSocket;
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #isOver = false;
  #wake: (() => void) | undefined;

  constructor(webSocket: WebSocket) {
    this.#webSocket = webSocket;
    webSocket.on('message', (data) => this.#add(data as Buffer));
    webSocket.once('close', () => this.#end());
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    for (;;) {
      const piece = this.#waiting.shift();
      if (piece !== undefined) {
        this.#waitingBytes -= piece.length;
        if (this.#waitingBytes <= waitingBytesMax) this.#webSocket.resume();
        return { done: false, value: piece };
      }
      if (this.#isOver) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async return(): Promise<IteratorResult<Buffer, undefined>> {
    this.#end();
    this.#waiting.length = 0;
    this.#webSocket.resume();
    return { done: true, value: undefined };
  }

  #add(message: Buffer): void {
    if (this.#isOver) return;
    this.#waiting.push(message, newline);
    this.#waitingBytes += message.length + newline.length;
    if (this.#waitingBytes > waitingBytesMax) this.#webSocket.pause();
    this.#wakeUp();
  }

  #end(): void {
    this.#isOver = true;
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

const newline = Buffer.from('\n');
