/**
 * One HTTP/2 connection at the server: decides what each new stream is (a call of a known method,
 * a plain HTTP request, or an error in grpc-go's words) and keeps what its calls share.
 */

import { assert, type ByteStream, type Clock, GrpcCode } from '../common/index.js';
import type { ServerCallHost } from './call-host.js';
import { Connection } from './connection.js';
import type { ConnectionOwner } from './connection-owner.js';
import type { DeadlineWheel } from './deadline-wheel.js';
import { acceptEncodingGzip, ReplyTemplates, trailersOnly } from './grpc-status.js';
import type { HeaderField } from './header-field.js';
import type { HeaderBlock } from './hpack-decode.js';
import { HttpCall } from './http-call.js';
import { parseRequestHead, type RequestHead } from './message-head.js';
import type { SendRoom } from './send-room.js';
import { GrpcServerCall } from './server-call.js';
import type { AbortReason, Stream, StreamOwner } from './stream.js';
import type {
  CallObserver,
  HttpHandler,
  MethodHandler,
  PeerOfCall,
  TransportLimits,
} from './types.js';

/** What all connections of a server share. */
export interface ServerShared {
  readonly clock: Clock;
  readonly limits: TransportLimits;
  readonly wheel: DeadlineWheel;
  readonly methods: ReadonlyMap<string, MethodHandler>;
  readonly services: ReadonlySet<string>;
  readonly http: HttpHandler | undefined;
  readonly observe: CallObserver | undefined;
  readonly room: SendRoom;
}

/** Owner of a stream that was answered at once: takes what still arrives and drops it. */
const nobody: StreamOwner = {
  onHeaders() {},
  onData() {},
  onAbort(_errorCode: number, _reason: AbortReason) {},
  onWritable() {},
};

/** Turns streams into calls. */
export class ServerConnection implements ConnectionOwner, ServerCallHost {
  readonly connection: Connection;
  readonly templates = new ReplyTemplates();
  readonly peer: PeerOfCall;
  readonly clock: Clock;
  readonly limits: TransportLimits;
  readonly wheel: DeadlineWheel;
  readonly observe: CallObserver | undefined;
  readonly room: SendRoom;
  readonly #shared: ServerShared;
  readonly #onSettled: () => void;
  readonly #onClosed: (error: Error | undefined) => void;

  constructor(
    socket: ByteStream,
    shared: ServerShared,
    onSettled: () => void,
    onClosed: (error: Error | undefined) => void,
  ) {
    this.clock = shared.clock;
    this.limits = shared.limits;
    this.wheel = shared.wheel;
    this.observe = shared.observe;
    this.room = shared.room;
    this.#shared = shared;
    this.#onSettled = onSettled;
    this.#onClosed = onClosed;
    this.peer = { address: socket.remoteAddress, identity: socket.identity };
    this.connection = new Connection(socket, shared.clock, shared.limits, true, this, shared.room);
  }

  onStream(stream: Stream, block: HeaderBlock, endStream: boolean): void {
    assert(stream.owner === undefined, 'a stream becomes one call');
    const head = block.request ?? parseRequestHead(block.fields);
    if (block.tooLong) {
      this.#refuse(stream, 431, GrpcCode.RESOURCE_EXHAUSTED, 'header list too long');
      return;
    }
    const handler = this.#shared.methods.get(head.path);
    if (
      handler !== undefined &&
      head.method === 'POST' &&
      head.grpcError === '' &&
      (head.encoding === '' || head.encoding === 'gzip') &&
      isGrpc(head.contentType)
    ) {
      const call = new GrpcServerCall(this, stream, head, handler);
      stream.owner = call;
      call.open(endStream);
      return;
    }
    this.#serveHttpOrRefuse(stream, head, handler, endStream);
  }

  onSettings(): void {
    this.#onSettled();
  }

  onGoaway(): void {}

  onStreamGone(): void {}

  onClosed(error: Error | undefined): void {
    this.#onClosed(error);
  }

  #serveHttpOrRefuse(
    stream: Stream,
    head: RequestHead,
    handler: MethodHandler | undefined,
    endStream: boolean,
  ): void {
    if (!isGrpc(head.contentType)) {
      const http = this.#shared.http;
      if (http === undefined || head.contentType.startsWith('application/grpc')) {
        const type = JSON.stringify(head.contentType);
        const text = `invalid gRPC request content-type ${type}`;
        this.#refuse(stream, 415, GrpcCode.INVALID_ARGUMENT, text);
        return;
      }
      const call = new HttpCall(this.connection, stream, head, this.peer, http);
      stream.owner = call;
      call.open(endStream);
    } else if (head.method !== 'POST') {
      const method = JSON.stringify(head.method);
      const text = `Received a HEADERS frame with :method ${method} which should be POST`;
      this.#refuse(stream, 405, GrpcCode.INTERNAL, text);
    } else if (head.grpcError !== '') {
      this.#refuse(stream, 400, GrpcCode.INTERNAL, head.grpcError);
    } else if (handler === undefined) {
      this.#refuse(stream, 200, GrpcCode.UNIMPLEMENTED, this.#unknown(head.path));
    } else {
      const encoding = JSON.stringify(head.encoding);
      const text = `grpc: Decompressor is not installed for grpc-encoding ${encoding}`;
      this.#refuse(stream, 200, GrpcCode.UNIMPLEMENTED, text, acceptEncodingGzip);
    }
  }

  /** grpc-go's texts. */
  #unknown(path: string): string {
    const name = path.startsWith('/') ? path.slice(1) : path;
    const slash = name.lastIndexOf('/');
    if (slash < 0) return `malformed method name: ${JSON.stringify(path)}`;
    const service = name.slice(0, slash);
    if (!this.#shared.services.has(service)) return `unknown service ${service}`;
    return `unknown method ${name.slice(slash + 1)} for service ${service}`;
  }

  #refuse(
    stream: Stream,
    httpStatus: number,
    code: GrpcCode,
    text: string,
    more?: HeaderField,
  ): void {
    stream.owner = nobody;
    const fields = trailersOnly(httpStatus, code, text);
    if (more !== undefined) fields.push(more);
    this.connection.sender.sendHeaders(stream, fields, true);
  }
}

/** `application/grpc`, or with a subtype or parameters; not `application/grpc-web`. */
function isGrpc(contentType: string): boolean {
  return (
    contentType === 'application/grpc' ||
    contentType.startsWith('application/grpc+') ||
    contentType.startsWith('application/grpc;')
  );
}
