/**
 * gRPC over HTTP/2 as seen by its users. A message is always the protobuf bytes without gRPC's
 * five-byte prefix. Nothing here knows what a message means.
 */

import type { Caller, GrpcCode, PeerIdentity } from '../common/index.js';

/** The other end of a connection. */
export interface PeerOfCall {
  /** `address:port`, for people. */
  readonly address: string;
  readonly identity: PeerIdentity;
}

/** Where the messages of a call are counted as they pass. */
export interface MessageCounts {
  messagesReceived: number;
  messagesSent: number;
}

/**
 * When a call went through the steps on its way, on the injected clock: noted by whoever handles
 * it, and looked at only if it is slow, or traced. 0: not, or not that anybody knows.
 */
export interface CallSteps {
  /** What it changes was given to Raft. */
  readonly proposedMs: number;
  /** Where that stands in the log, and when it had been applied. */
  readonly index: number;
  readonly appliedMs: number;
  /** It reads, and it was confirmed that this member may answer. */
  readonly confirmedMs: number;
  /** It had to wait for memory for its answer until then. */
  readonly roomMs: number;
}

/** Is told what a call is answered, for an audit. It must not keep what it is shown. */
export interface CallWitness {
  /** A message in pieces, before it is sent. */
  answered(parts: readonly Uint8Array[]): void;
  /** Called once; `message` is that of an error. */
  ended(code: GrpcCode, message: string): void;
}

/** One RPC at the server, unary or streaming. All calls on it after its end are ignored. */
export interface ServerCall {
  /** Full method, `/package.Service/Method`. */
  readonly method: string;
  readonly peer: PeerOfCall;
  /** Milliseconds on the injected clock at which the client gives up; undefined: never. */
  readonly deadlineMs: number | undefined;
  /** First value of a metadata key (lower case, not `-bin`). */
  metadata(key: string): string | undefined;
  /** Decoded first value of a `-bin` key. */
  binaryMetadata(key: string): Buffer | undefined;
  /**
   * True once the client cancelled, the deadline passed, the connection is gone, a message was too
   * long to be sent, or too many calls waited for room.
   */
  readonly cancelled: boolean;
  /** Set by the handler: called at most once, when `cancelled` becomes true before the end. */
  onCancel: (() => void) | undefined;
  /** Unary: the one message and status OK. The bytes are copied or sent before this returns. */
  reply(message: Uint8Array): void;
  /** As `reply`, for a message in pieces; ownership of the pieces passes to the transport. */
  replyParts(parts: readonly Uint8Array[]): void;
  /**
   * Ends the call with an error; nothing after it is sent. `details`: an encoded google.rpc.Status
   * that says the same and more (`grpc-status-details-bin`).
   */
  fail(code: GrpcCode, message: string, details?: Uint8Array): void;
  /**
   * Streaming: one message; ownership passes to the transport. False: `backlogBytes` is above the
   * high-water mark, `onDrain` will tell.
   */
  send(message: Uint8Array): boolean;
  sendParts(parts: readonly Uint8Array[]): boolean;
  /** Streaming: status OK, no more messages. */
  end(): void;
  /** Bytes given to this call that flow control or the socket have not let out yet. */
  readonly backlogBytes: number;
  /** False: so much is unsent that an answer which may be large should not be made now. */
  readonly hasRoom: boolean;
  /** The same for one that is short, or is read in one piece: of one key. */
  readonly hasShortRoom: boolean;
  /**
   * Calls `run` once there is room; never if the call ends before. `heldBytes`: what the request
   * holds until then. If too many wait already the call ends with TOO_MANY_REQUESTS.
   */
  whenRoom(run: () => void, heldBytes?: number, isShort?: boolean): void;
  /**
   * Before so many bytes more are held for the answer in the making. Undefined: go on; else once
   * the promise has resolved. It rejects if the answer is to be given up: too large, too many wait,
   * or the call is over. Whoever takes room leaves it, whatever happens.
   */
  takeRoom(bytes: number): Promise<void> | undefined;
  /** No more is taken; what was stays until `leaveRoom`, for an answer that is sent in pieces. */
  settleRoom(): void;
  /** The answer has been handed over, or is given up. */
  leaveRoom(): void;
  onDrain: (() => void) | undefined;
  /** Streaming: each message; it is only borrowed, copy what is kept. */
  onMessage: ((message: Buffer) => void) | undefined;
  /** Streaming: the client half-closed. */
  onEnd: (() => void) | undefined;
  /** Streaming: stop and go on reading (flow control pushes back on the client). */
  pause(): void;
  resume(): void;
  /** Who makes it, once the guards have found out; undefined: it is not asked. */
  caller?: Caller | undefined;
  /** Streaming: may be set before the handler returns; what then passes `send` and `onMessage`. */
  counts?: MessageCounts | undefined;
  /** Set before the handler runs; undefined: nobody looks. */
  witness?: CallWitness | undefined;
  /** Where its time went; undefined: it has no steps. */
  steps?: CallSteps | undefined;
}

/** Gets the one request of a unary (or server-streaming) RPC; it is only borrowed. */
export type UnaryHandler = (request: Buffer, call: ServerCall) => void;
/** Called when the stream opens; sets `onMessage` and friends before it returns. */
export type StreamHandler = (call: ServerCall) => void;

/** How the server treats one method. */
export type MethodHandler =
  | { readonly kind: 'unary'; readonly handle: UnaryHandler }
  | { readonly kind: 'serverStream'; readonly handle: UnaryHandler }
  | { readonly kind: 'bidi'; readonly handle: StreamHandler };

/** Plain HTTP beside gRPC on the same port: what a route gets and gives. */
export interface HttpRequest {
  readonly method: string;
  /** Path without query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** In pieces as they come; what is not read holds the client up. To be read once. */
  readonly body: AsyncIterable<Buffer>;
  readonly peer: PeerOfCall;
  /** It asks to go on as a WebSocket: an answer with `webSocket` lets it. */
  readonly wantsWebSocket: boolean;
  /** Set by the handler: called at most once, if the client goes away before all was answered. */
  onGone: (() => void) | undefined;
  /** Breaks the connection, or the stream, off. */
  drop(): void;
}
export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Made piece by piece: sent as it comes, `return()` is called if the client goes away. */
  readonly body: Uint8Array | string | AsyncIterable<Uint8Array | string>;
  /** In the place of the answer. */
  readonly webSocket?: WebSocketAnswer;
}
/**
 * A request in a WebSocket: each of its messages is one line of the body of a request, and each
 * line of the answer's body becomes one message, whatever its status.
 */
export interface WebSocketAnswer {
  /** The subprotocol that is agreed to; '' for none. */
  readonly protocol: string;
  readonly handle: (
    request: Pick<HttpRequest, 'body' | 'drop' | 'onGone'>,
  ) => Promise<HttpResponse>;
}
export type HttpHandler = (request: HttpRequest) => Promise<HttpResponse>;

/** How an RPC ended, for metrics and logs. Called once for each call that reached a handler. */
export type CallObserver = (
  method: string,
  kind: MethodHandler['kind'],
  code: GrpcCode,
  durationMs: number,
  call: Pick<ServerCall, 'metadata' | 'peer' | 'steps'>,
) => void;

/** Limits of the server half, each with a policy in docs/limits.md. */
export interface TransportLimits {
  /** gRPC message, both directions of compression; above: RESOURCE_EXHAUSTED. */
  readonly receiveMessageBytesMax: number;
  /** Streams open at once on one connection; above: REFUSED_STREAM. */
  readonly concurrentStreamsMax: number;
  /** Decoded header list; above: the stream is refused with 431 semantics. */
  readonly headerListBytesMax: number;
  /** HEADERS + CONTINUATION bytes of one block; above: ENHANCE_YOUR_CALM. */
  readonly headerBlockBytesMax: number;
  /** RST_STREAM frames from the peer in one second; above: ENHANCE_YOUR_CALM. */
  readonly resetsPerSecondMax: number;
  /**
   * SETTINGS + PRIORITY + empty DATA frames in one second, and PINGs with nothing sent since the
   * last; above: ENHANCE_YOUR_CALM.
   */
  readonly controlFramesPerSecondMax: number;
  /** From accept to the end of the preface (and TLS handshake). */
  readonly handshakeTimeoutMs: number;
  /** Flow-control windows that the server grants: a stream's and a connection's. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** `send` returns false above this. */
  readonly streamBacklogHighWaterBytes: number;
  /** Unsent bytes of a connection above which its further calls wait. */
  readonly connectionBacklogBytesMax: number;
  /** Unsent bytes of all connections of a server above which large answers wait. */
  readonly serverBacklogBytesMax: number;
  /** A reader that takes nothing for so long while others wait for room is disconnected. */
  readonly stalledReaderMs: number;
  /** A larger message is not sent; the call ends with RESOURCE_EXHAUSTED. */
  readonly sendMessageBytesMax: number;
  /** Idle time after which the server pings, and how long it waits for the answer. */
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
  /** Ping also while no stream is open; etcd's servers close connections of clients that do. */
  readonly keepaliveWithoutStreams: boolean;
  /** Pings from the client closer than this are counted; too many: GOAWAY too_many_pings. */
  readonly keepaliveMinTimeMs: number;
  /** The same while no stream is open. */
  readonly keepaliveIdleMinTimeMs: number;
}

/** The end of a unary call at the client. */
export interface RpcStatus {
  readonly code: GrpcCode;
  readonly message: string;
  /** False only if it is certain that no byte of the request left for the server. */
  readonly maySent: boolean;
}

/** A gRPC client connection of our own (members among themselves, the load generator). */
export interface GrpcClient {
  /** `done` is called once; `message`, which is the caller's, is undefined unless the code is OK. */
  unary(
    method: string,
    request: Uint8Array,
    options: CallOptions,
    done: (status: RpcStatus, message: Buffer | undefined) => void,
  ): ClientCall;
  stream(method: string, options: CallOptions): ClientStream;
  /** True until the connection is closing or closed. */
  readonly usable: boolean;
  onClose: (() => void) | undefined;
  /** Lets running calls end, then closes. */
  close(): Promise<void>;
  destroy(): void;
}
export interface CallOptions {
  readonly timeoutMs?: number;
  readonly metadata?: ReadonlyArray<readonly [string, string]>;
}
export interface ClientCall {
  cancel(): void;
}
export interface ClientStream extends ClientCall {
  /** False: above the high-water mark; `onDrain` will tell. Ownership passes. */
  send(message: Uint8Array): boolean;
  /** Half-close. */
  end(): void;
  /** The message is borrowed, if the network reads into a buffer that it uses again. */
  onMessage: ((message: Buffer) => void) | undefined;
  onStatus: ((status: RpcStatus) => void) | undefined;
  onDrain: (() => void) | undefined;
  pause(): void;
  resume(): void;
}
