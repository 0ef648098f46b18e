/**
 * The client half: one connection, many calls. Members use it among themselves, and the load
 * generator does, so a unary call must cost as little here as at the server: a request's head is a
 * template that is encoded once, and equal reply heads are decoded once.
 */

import {
  type Clock,
  GrpcCode,
  type Network,
  type NetworkAddress,
  onAbort,
  type Timer,
  type TlsOptions,
} from '../common/index.js';
import type { ClientCallHost } from './call-host.js';
import { StreamingCall } from './client-stream.js';
import { UnaryCall } from './client-unary.js';
import { Connection } from './connection.js';
import type { ConnectionOwner } from './connection-owner.js';
import { type DeadlineWheel, deadlineWheelOf } from './deadline-wheel.js';
import { clientPreface, ErrorCode } from './frames.js';
import { HeaderField } from './header-field.js';
import { HeaderTemplate } from './hpack-encode.js';
import { transportLimitsDefault } from './limits.js';
import type { Stream } from './stream.js';
import { formatTimeout } from './timeout.js';
import type {
  CallOptions,
  ClientCall,
  ClientStream,
  GrpcClient,
  RpcStatus,
  TransportLimits,
} from './types.js';

export interface ConnectOptions {
  readonly clock: Clock;
  readonly network: Network;
  readonly address: NetworkAddress;
  readonly tls?: TlsOptions | undefined;
  /** `:authority`; by default `host:port`, or `localhost` for a unix socket. */
  readonly authority?: string;
  readonly userAgent?: string;
  /** Until TCP, TLS and the server's SETTINGS are there. */
  readonly connectTimeoutMs?: number;
  /** Gives up connecting; says nothing about the connection once there is one. */
  readonly signal?: AbortSignal | undefined;
  /** Windows, backlog, keepalive (off by default); the message limit is 2^31-1 by default. */
  readonly limits?: Partial<TransportLimits>;
}

const clientLimits: TransportLimits = {
  ...transportLimitsDefault,
  // As etcd's client: what the server sends is the server's to decide.
  receiveMessageBytesMax: 0x7fff_ffff,
  keepaliveIntervalMs: Number.POSITIVE_INFINITY,
};

/** Connects; rejects if there is no working HTTP/2 connection within `connectTimeoutMs`. */
export async function connectGrpc(options: ConnectOptions): Promise<GrpcClient> {
  const timeoutMs = options.connectTimeoutMs ?? 10_000;
  const startMs = options.clock.nowMs();
  const { address, tls, signal } = options;
  const socket = await options.network.connect(address, tls, timeoutMs, signal);
  return new Promise((resolve, reject) => {
    const leftMs = Math.max(0, timeoutMs - (options.clock.nowMs() - startMs));
    const timer = options.clock.after(leftMs, () => {
      reject(new Error('no SETTINGS from the server within the time limit'));
      client.destroy();
    });
    const client = new Client(options, (make) => {
      const limits = { ...clientLimits, ...options.limits };
      const connection = new Connection(socket, options.clock, limits, false, make);
      socket.setHandler(connection);
      connection.sender.output.copy(clientPreface);
      connection.start();
      connection.sender.flush();
      return connection;
    });
    const takeBack = onAbort(signal, () => {
      timer.cancel();
      reject(signal?.reason);
      client.destroy();
    });
    const settled = <Value>(settle: (value: Value) => void): ((value: Value) => void) => {
      return (value) => {
        takeBack();
        settle(value);
      };
    };
    client.whenSettled(timer, settled(resolve), settled(reject));
  });
}

interface MethodTemplate {
  readonly metadata: CallOptions['metadata'];
  readonly head: HeaderTemplate;
}

/** One connection with its calls. */
export class Client implements GrpcClient, ConnectionOwner, ClientCallHost {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly wheel: DeadlineWheel;
  readonly limits: TransportLimits;
  onClose: (() => void) | undefined;
  readonly #fixed: readonly HeaderField[];
  readonly #templates = new Map<string, MethodTemplate>();
  #timeoutMs = -1;
  #timeoutTemplate: HeaderTemplate | undefined;
  /** Calls that wait for the server to allow one more stream. */
  #waiting: Array<UnaryCall | StreamingCall> = [];
  #settled: (() => void) | undefined;
  #failed: ((error: Error) => void) | undefined;
  #closers: Array<() => void> = [];

  constructor(options: ConnectOptions, make: (owner: ConnectionOwner) => Connection) {
    this.clock = options.clock;
    this.wheel = deadlineWheelOf(options.clock);
    this.limits = { ...clientLimits, ...options.limits };
    this.#fixed = [
      new HeaderField(':authority', options.authority ?? authorityOf(options.address)),
      new HeaderField('content-type', 'application/grpc'),
      new HeaderField('te', 'trailers'),
      new HeaderField('user-agent', options.userAgent ?? 'kvorum'),
    ];
    this.#scheme = new HeaderField(':scheme', options.tls === undefined ? 'http' : 'https');
    this.connection = make(this);
  }

  readonly #scheme: HeaderField;

  get usable(): boolean {
    return !this.connection.draining && !this.connection.closed;
  }

  /** Streams now open; for tests. */
  get streamCount(): number {
    return this.connection.streams.size;
  }

  unary(
    method: string,
    request: Uint8Array,
    options: CallOptions,
    done: (status: RpcStatus, message: Buffer | undefined) => void,
  ): ClientCall {
    const call = new UnaryCall(this, method, request, options, done);
    this.#start(call);
    return call;
  }

  stream(method: string, options: CallOptions): ClientStream {
    const call = new StreamingCall(this, method, options);
    this.#start(call);
    return call;
  }

  async close(): Promise<void> {
    if (this.connection.closed) return;
    const closed = new Promise<void>((resolve) => this.#closers.push(resolve));
    this.connection.drainClient();
    await closed;
  }

  destroy(): void {
    this.connection.destroy();
  }

  /** Opens a stream for the call, now or when the server allows it. */
  #start(call: UnaryCall | StreamingCall): void {
    const connection = this.connection;
    const wait = connection.streams.size >= connection.peerConcurrentStreamsMax && this.usable;
    if (wait && this.#waiting.length < this.limits.concurrentStreamsMax) {
      this.#waiting.push(call);
      return;
    }
    const stream = wait ? undefined : connection.openStream();
    if (stream !== undefined) call.begin(stream);
    // After the turn: the caller has not got the call yet, nor set its callbacks.
    else this.clock.afterTurn(() => call.refuse(unusable));
  }

  /** Writes the head of a request. */
  sendHead(stream: Stream, method: string, options: CallOptions, timeoutMs: number): void {
    let template = this.#templates.get(method);
    if (template === undefined || template.metadata !== options.metadata) {
      template = { metadata: options.metadata, head: this.#newHead(method, options) };
      this.#templates.set(method, template);
    }
    let timeout: HeaderTemplate | undefined;
    if (timeoutMs >= 0) {
      if (timeoutMs !== this.#timeoutMs || this.#timeoutTemplate === undefined) {
        const field = new HeaderField('grpc-timeout', formatTimeout(timeoutMs));
        this.#timeoutTemplate = new HeaderTemplate([field]);
        this.#timeoutMs = timeoutMs;
      }
      timeout = this.#timeoutTemplate;
    }
    this.connection.sender.sendHeaders(stream, template.head, false, timeout);
  }

  /** Resolves once the server's SETTINGS are there. */
  whenSettled(timer: Timer, resolve: (client: Client) => void, reject: (e: Error) => void): void {
    this.#settled = () => {
      timer.cancel();
      this.#failed = undefined;
      resolve(this);
    };
    this.#failed = (error) => {
      timer.cancel();
      reject(error);
    };
    if (this.connection.settled) this.#settled();
    else if (this.connection.closed) this.#failed(new Error('connection closed'));
  }

  // ConnectionOwner

  onStream(stream: Stream): void {
    this.connection.resetStream(stream, ErrorCode.PROTOCOL_ERROR); // never: servers open none
  }

  onSettings(): void {
    this.#settled?.();
    this.#settled = undefined;
    this.onStreamGone();
  }

  onGoaway(): void {
    this.#refuseWaiting();
  }

  onStreamGone(): void {
    const connection = this.connection;
    while (
      this.#waiting.length > 0 &&
      connection.streams.size < connection.peerConcurrentStreamsMax
    ) {
      const call = this.#waiting.shift();
      if (call === undefined || call.over) continue;
      const stream = connection.openStream();
      if (stream === undefined) {
        this.#waiting.unshift(call);
        break;
      }
      call.begin(stream);
    }
  }

  onClosed(error: Error | undefined): void {
    this.#refuseWaiting();
    this.#failed?.(error ?? new Error('the server closed the connection'));
    this.#failed = undefined;
    for (const resolve of this.#closers.splice(0)) resolve();
    this.onClose?.();
  }

  #refuseWaiting(): void {
    for (const call of this.#waiting.splice(0)) {
      call.refuse(unusable);
    }
  }

  #newHead(method: string, options: CallOptions): HeaderTemplate {
    const fields = [
      new HeaderField(':method', 'POST'),
      this.#scheme,
      new HeaderField(':path', method),
      ...this.#fixed,
    ];
    for (const [name, value] of options.metadata ?? []) fields.push(new HeaderField(name, value));
    return new HeaderTemplate(fields);
  }
}

const unusable: RpcStatus = {
  code: GrpcCode.UNAVAILABLE,
  message: 'the connection is closing',
  maySent: false,
};

function authorityOf(address: NetworkAddress): string {
  if ('path' in address) return 'localhost';
  return address.host.includes(':')
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}
