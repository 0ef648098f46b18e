/** A plain HTTP request that came over HTTP/2: same routes, same answers as over HTTP/1.1. */

import type { Connection } from './connection.js';
import { ErrorCode } from './frames.js';
import { HeaderField } from './header-field.js';
import type { HeaderBlock } from './hpack-decode.js';
import { HttpBody } from './http-body.js';
import type { RequestHead } from './message-head.js';
import type { AbortReason, Stream, StreamOwner } from './stream.js';
import type { HttpHandler, HttpRequest, HttpResponse, PeerOfCall } from './types.js';

/** One request: the handler begins with its head; both bodies may be long. */
export class HttpCall implements StreamOwner {
  readonly #connection: Connection;
  readonly #stream: Stream;
  readonly #head: RequestHead;
  readonly #handler: HttpHandler;
  readonly #body: HttpBody;
  readonly #request: HttpRequest;
  #answered = false;
  #gone = false;
  #wake: (() => void) | undefined;

  constructor(
    connection: Connection,
    stream: Stream,
    head: RequestHead,
    peer: PeerOfCall,
    handler: HttpHandler,
  ) {
    this.#connection = connection;
    this.#stream = stream;
    this.#head = head;
    this.#handler = handler;
    this.#body = new HttpBody(connection, stream);
    this.#request = httpRequest(head, this.#body, peer, () => this.#drop());
  }

  open(endStream: boolean): void {
    if (endStream) this.#body.end();
    this.#handler(this.#request).then(
      (response) => this.#answer(response),
      () => this.#answer({ status: 500, headers: {}, body: '' }),
    );
  }

  onHeaders(_block: HeaderBlock, endStream: boolean): void {
    if (endStream) this.#body.end();
  }

  onData(from: Buffer, start: number, end: number, endStream: boolean): void {
    this.#body.add(from, start, end);
    if (endStream) this.#body.end();
  }

  onAbort(_errorCode: number, _reason: AbortReason): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#body.lose();
    this.#wake?.();
    this.#request.onGone?.();
  }

  onWritable(): void {
    this.#wake?.();
  }

  #drop(): void {
    this.#connection.resetStream(this.#stream, ErrorCode.CANCEL);
    this.onAbort(ErrorCode.CANCEL, 'reset');
  }

  #answer(response: HttpResponse): void {
    if (this.#answered || this.#gone) return;
    this.#answered = true;
    // A handler that streams may go on reading; of others nobody reads what is left.
    if (isWhole(response.body)) this.#body.drop();
    const fields = [new HeaderField(':status', String(response.status))];
    for (const [name, value] of Object.entries(response.headers)) {
      fields.push(new HeaderField(name.toLowerCase(), value));
    }
    const sender = this.#connection.sender;
    const { body } = response;
    if (!isWhole(body)) {
      sender.sendHeaders(this.#stream, fields, this.#head.method === 'HEAD');
      if (this.#head.method !== 'HEAD') void this.#sendAll(body);
      return;
    }
    const bytes = typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
    if (response.headers['content-length'] === undefined && response.status !== 204) {
      fields.push(new HeaderField('content-length', String(bytes.length)));
    }
    const bare = bytes.length === 0 || this.#head.method === 'HEAD';
    sender.sendHeaders(this.#stream, fields, bare);
    if (bare) return;
    sender.queue(this.#stream, bytes);
    sender.end(this.#stream, 'data');
  }

  /** Sends a body that is made piece by piece; waits whenever the client does not read. */
  async #sendAll(body: AsyncIterable<Uint8Array | string>): Promise<void> {
    const sender = this.#connection.sender;
    const stream = this.#stream;
    try {
      for await (const piece of body) {
        if (this.#gone) return;
        sender.queue(stream, typeof piece === 'string' ? Buffer.from(piece, 'utf8') : piece);
        sender.push(stream);
        if (stream.queuedBytes > 0) {
          stream.overHighWater = true;
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          this.#wake = undefined;
        }
      }
      this.#body.drop();
      if (!this.#gone) sender.end(stream, 'data');
    } catch {
      this.#connection.resetStream(stream, ErrorCode.INTERNAL_ERROR);
    }
  }
}

function isWhole(body: HttpResponse['body']): body is string | Uint8Array {
  return typeof body === 'string' || body instanceof Uint8Array;
}

/** The request as a route sees it. */
function httpRequest(
  head: RequestHead,
  body: HttpBody,
  peer: PeerOfCall,
  drop: () => void,
): HttpRequest {
  const headers: Record<string, string | undefined> = Object.create(null);
  for (const { name, value } of head.fields) {
    if (name.startsWith(':')) continue;
    const earlier = headers[name];
    const separator = name === 'cookie' ? '; ' : ', ';
    headers[name] = earlier === undefined ? value : `${earlier}${separator}${value}`;
  }
  if (headers.host === undefined) headers.host = head.authority;
  const mark = head.path.indexOf('?');
  return {
    method: head.method,
    path: mark < 0 ? head.path : head.path.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? '' : head.path.slice(mark + 1)),
    headers,
    body,
    peer,
    wantsWebSocket: false,
    onGone: undefined,
    drop,
  };
}
