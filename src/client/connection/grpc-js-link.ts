/**
 * A {@link Link} over @grpc/grpc-js; the only file that imports it.
 *
 * One grpc-js channel is made for one connection: it is handed out when it is READY and given up
 * for good when it leaves that state, so reconnecting, backoff and balancing are ours and the same
 * for every transport. grpc-js's own retries are off: they would send a change a second time.
 *
 * Calls are made on the channel itself, below grpc-js's Client, which would wrap each in an
 * interceptor chain, a duplex stream and an Error with a stack.
 */

import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import * as grpc from '@grpc/grpc-js';
import { assert, GrpcCode, onAbort } from '../../common/index.js';
import { streamWindowBytes } from '../limits.js';
import type { Endpoint } from './endpoint.js';
import type {
  Dial,
  DialOptions,
  Link,
  LinkCall,
  LinkCallOptions,
  LinkStream,
  RpcStatus,
} from './link.js';
import { secureContextOf } from './network-node.js';
import { backgroundClock, nodeClock, systemTimeAfter } from './runtime-node.js';

type Channel = InstanceType<typeof grpc.Channel>;
type RawCall = ReturnType<Channel['createCall']>;

/** What is never to happen happens after a day: above 2^31 ms timers fire at once. */
const never = 24 * 60 * 60 * 1000;
const noFlags = 0;
/** Time for the last frames to leave. */
const farewellMs = 250;
/** Unsent bytes of a stream above which `send` says false. */
const sendHighWaterBytes = 64 * 1024;

/** A TCP or unix socket, as far as we care. */
interface Destroyable {
  destroy(): void;
}

/**
 * The sockets of each dial. grpc-js can't give up a connect that hangs: the socket of an attempt
 * at a filtered port would keep the process alive for minutes. So the sockets that come into being
 * in the course of a dial are noted through Node's diagnostics channel, and destroyed with it.
 */
const socketsOfDial = new AsyncLocalStorage<Destroyable[]>();
let dialsRunning = 0;

subscribe('net.client.socket', (message) => {
  const sockets = dialsRunning === 0 ? undefined : socketsOfDial.getStore();
  if (sockets !== undefined) sockets.push((message as { readonly socket: Destroyable }).socket);
});

/** {@link Dial} with @grpc/grpc-js. */
export const dialGrpcJs: Dial = async (endpoint, options) => {
  dialsRunning += 1;
  const sockets: Destroyable[] = [];
  try {
    return await socketsOfDial.run(sockets, () => dial(endpoint, options, sockets));
  } catch (error) {
    for (const socket of sockets) socket.destroy();
    throw error;
  } finally {
    dialsRunning -= 1;
    assert(dialsRunning >= 0, 'no more dials end than began');
    // Following promises costs every promise of the process; only do it while it is needed.
    if (dialsRunning === 0) socketsOfDial.disable();
  }
};

function dial(endpoint: Endpoint, options: DialOptions, sockets: Destroyable[]): Promise<Link> {
  const channel = new grpc.Channel(
    targetOf(endpoint),
    credentialsOf(endpoint, options),
    channelOptions(endpoint, options),
  );
  return new Promise((resolve, reject) => {
    let over = false;
    let takeBack = (): void => undefined;
    const timer = nodeClock.after(options.connectTimeoutMs, () =>
      fail(new Error(`no connection to ${endpoint.address} in ${options.connectTimeoutMs} ms`)),
    );
    const done = (): void => {
      over = true;
      timer.cancel();
      takeBack();
    };
    const fail = (error: Error): void => {
      if (over) return;
      done();
      channel.close();
      reject(error);
    };
    const look = (): void => {
      if (over) return;
      const state = channel.getConnectivityState(true);
      if (state === grpc.connectivityState.READY) {
        done();
        resolve(new GrpcJsLink(channel, sockets));
        return;
      }
      if (state === grpc.connectivityState.TRANSIENT_FAILURE) {
        askWhy(channel, (why) => fail(new Error(why)));
        return;
      }
      channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, look);
    };
    takeBack = onAbort(options.signal, () => fail(new Error('the client was closed')));
    look();
  });
}

/** Only a call that fails tells why there is no connection. */
function askWhy(channel: Channel, done: (why: string) => void): void {
  const call = channel.createCall(
    '/grpc.health.v1.Health/Check',
    Number.POSITIVE_INFINITY,
    null,
    null,
    noFlags,
  );
  call.start(new grpc.Metadata(), {
    onReceiveMetadata() {},
    onReceiveMessage() {},
    onReceiveStatus: (status) => done(status.details),
  });
  call.halfClose();
}

class GrpcJsLink implements Link {
  onClose: (() => void) | undefined;
  readonly #channel: Channel;
  readonly #target: string;
  readonly #calls = new Set<GrpcJsUnary | GrpcJsStream>();
  readonly #sockets: readonly Destroyable[];
  #usable = true;
  #closed = false;
  #metadata: LinkCallOptions['metadata'];
  #encoded = new grpc.Metadata();
  #drained: (() => void) | undefined;

  constructor(channel: Channel, sockets: readonly Destroyable[]) {
    this.#channel = channel;
    this.#sockets = sockets;
    this.#target = channel.getTarget();
    channel.watchConnectivityState(grpc.connectivityState.READY, Number.POSITIVE_INFINITY, () =>
      this.#gone(),
    );
  }

  get usable(): boolean {
    return this.#usable;
  }

  unary(
    method: string,
    request: Uint8Array,
    options: LinkCallOptions,
    done: (status: RpcStatus, message: Buffer | undefined) => void,
  ): LinkCall {
    const raw = this.#open(method, options);
    const call = new GrpcJsUnary(raw, this.#target, this.#calls, done, () => this.#callOver());
    raw.start(this.#metadataOf(options), call);
    raw.sendMessageWithContext({}, asBuffer(request));
    raw.halfClose();
    raw.startRead();
    return call;
  }

  stream(method: string, options: LinkCallOptions): LinkStream {
    const raw = this.#open(method, options);
    const call = new GrpcJsStream(raw, this.#target, this.#calls, () => this.#callOver());
    raw.start(this.#metadataOf(options), call);
    raw.startRead();
    return call;
  }

  async close(): Promise<void> {
    this.#usable = false;
    if (this.#calls.size > 0) await new Promise<void>((resolve) => (this.#drained = resolve));
    this.destroy();
  }

  destroy(): void {
    this.#usable = false;
    for (const call of [...this.#calls]) call.cancel();
    this.#gone();
    // The session says good-bye by itself, unless the other side does not read any more.
    backgroundClock.after(farewellMs, () => {
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  #open(method: string, options: LinkCallOptions): RawCall {
    const { timeoutMs } = options;
    const deadline =
      timeoutMs === undefined ? Number.POSITIVE_INFINITY : systemTimeAfter(timeoutMs);
    return this.#channel.createCall(method, deadline, null, null, noFlags);
  }

  /** The same array of metadata comes with nearly every call, and grpc-js copies what it gets. */
  #metadataOf(options: LinkCallOptions): grpc.Metadata {
    if (options.metadata === this.#metadata) return this.#encoded;
    const encoded = new grpc.Metadata();
    for (const [name, value] of options.metadata ?? []) {
      // As on the wire: grpc-js wants the bytes.
      encoded.add(name, name.endsWith('-bin') ? Buffer.from(value, 'base64') : value);
    }
    this.#metadata = options.metadata;
    this.#encoded = encoded;
    return encoded;
  }

  #callOver(): void {
    if (this.#calls.size === 0) this.#drained?.();
  }

  /** Left READY, for good: running calls end by themselves, new ones go elsewhere. */
  #gone(): void {
    this.#usable = false;
    if (this.#closed) return;
    this.#closed = true;
    this.#channel.close();
    this.onClose?.();
  }
}

/** True unless grpc-js never began the call on a connection. */
function maySent(call: RawCall, target: string): boolean {
  return call.getPeer() !== target;
}

/**
 * Twice: grpc-js starts a call a few microtasks after `start`, also if it was cancelled before, and
 * then nobody would end the stream at the server (found by the test of etcd3#62).
 */
function cancelCall(call: RawCall): void {
  call.cancelWithStatus(grpc.status.CANCELLED, 'context canceled');
  nodeClock.afterTurn(() => call.cancelWithStatus(grpc.status.CANCELLED, 'context canceled'));
}

class GrpcJsUnary implements LinkCall {
  readonly #raw: RawCall;
  readonly #target: string;
  readonly #calls: Set<LinkCall>;
  readonly #done: (status: RpcStatus, message: Buffer | undefined) => void;
  readonly #over: () => void;
  #message: Buffer | undefined;

  constructor(
    raw: RawCall,
    target: string,
    calls: Set<LinkCall>,
    done: (status: RpcStatus, message: Buffer | undefined) => void,
    over: () => void,
  ) {
    this.#raw = raw;
    this.#target = target;
    this.#calls = calls;
    this.#done = done;
    this.#over = over;
    this.#message = undefined;
    calls.add(this);
  }

  cancel(): void {
    cancelCall(this.#raw);
  }

  onReceiveMetadata(): void {}

  onReceiveMessage(message: Buffer): void {
    this.#message = message;
  }

  onReceiveStatus(status: grpc.StatusObject): void {
    if (!this.#calls.delete(this)) return;
    this.#over();
    if (status.code === grpc.status.OK) {
      if (this.#message !== undefined) this.#done(okStatus, this.#message);
      else this.#done(noReply, undefined);
      return;
    }
    this.#done(statusOf(status, maySent(this.#raw, this.#target)), undefined);
  }
}

class GrpcJsStream implements LinkStream {
  onMessage: ((message: Buffer) => void) | undefined;
  onStatus: ((status: RpcStatus) => void) | undefined;
  onDrain: (() => void) | undefined;
  readonly #raw: RawCall;
  readonly #target: string;
  readonly #calls: Set<LinkCall>;
  readonly #onOver: () => void;
  readonly #queue: Buffer[] = [];
  #sending = false;
  #over = false;
  #backlogBytes = 0;
  #paused = false;
  #reading = true;
  #ended = false;

  constructor(raw: RawCall, target: string, calls: Set<LinkCall>, over: () => void) {
    this.#raw = raw;
    this.#target = target;
    this.#calls = calls;
    this.#onOver = over;
    calls.add(this);
  }

  send(message: Uint8Array): boolean {
    if (this.#ended) return true;
    this.#queue.push(asBuffer(message));
    this.#backlogBytes += message.length;
    if (!this.#sending) this.#sendNext();
    return this.#backlogBytes < sendHighWaterBytes;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (!this.#sending) this.#raw.halfClose();
  }

  /** One message at a time: grpc-js keeps only one before the call has a connection. */
  #sendNext(): void {
    const message = this.#queue.shift();
    if (message === undefined) {
      this.#sending = false;
      if (this.#ended) this.#raw.halfClose();
      return;
    }
    this.#sending = true;
    const callback = (): void => {
      const wasFull = this.#backlogBytes >= sendHighWaterBytes;
      this.#backlogBytes -= message.length;
      assert(this.#backlogBytes >= 0, 'no more leaves than was sent');
      if (this.#over) return;
      if (wasFull && this.#backlogBytes < sendHighWaterBytes) this.onDrain?.();
      this.#sendNext();
    };
    this.#raw.sendMessageWithContext({ callback }, message);
  }

  cancel(): void {
    cancelCall(this.#raw);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    if (!this.#reading) this.#read();
  }

  onReceiveMetadata(): void {}

  onReceiveMessage(message: Buffer): void {
    this.#reading = false;
    this.onMessage?.(message);
    if (!this.#paused && !this.#reading) this.#read();
  }

  onReceiveStatus(status: grpc.StatusObject): void {
    if (!this.#calls.delete(this)) return;
    this.#ended = true;
    this.#over = true;
    this.#queue.length = 0;
    this.#onOver();
    this.onStatus?.(
      status.code === grpc.status.OK
        ? okStatus
        : statusOf(status, maySent(this.#raw, this.#target)),
    );
  }

  #read(): void {
    this.#reading = true;
    this.#raw.startRead();
  }
}

const okStatus: RpcStatus = { code: GrpcCode.OK, message: '', maySent: true };
const noReply: RpcStatus = {
  code: GrpcCode.INTERNAL,
  message: 'the call ended without a reply',
  maySent: true,
};

function statusOf(status: grpc.StatusObject, sent: boolean): RpcStatus {
  return { code: status.code as GrpcCode, message: status.details, maySent: sent };
}

function asBuffer(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function targetOf(endpoint: Endpoint): string {
  return endpoint.port === 0 ? endpoint.address : `dns:${endpoint.address}`;
}

function channelOptions(endpoint: Endpoint, options: DialOptions): grpc.ClientOptions {
  const { keepalive, tls } = options;
  return {
    'grpc.primary_user_agent': 'kvorum-client',
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
    'grpc.enable_retries': 0,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.client_idle_timeout_ms': never,
    // One attempt; another is another channel.
    'grpc.initial_reconnect_backoff_ms': never,
    'grpc.max_reconnect_backoff_ms': never,
    'grpc-node.flow_control_window': streamWindowBytes,
    ...(endpoint.port === 0 ? { 'grpc.default_authority': 'localhost' } : {}),
    ...(tls?.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': tls.serverName }),
    ...(keepalive === undefined
      ? {}
      : {
          'grpc.keepalive_time_ms': keepalive.intervalMs,
          'grpc.keepalive_timeout_ms': keepalive.timeoutMs,
          // etcd's servers close connections that are pinged while no call is running.
          'grpc.keepalive_permit_without_calls': 0,
        }),
  };
}

function credentialsOf(endpoint: Endpoint, { tls }: DialOptions): grpc.ChannelCredentials {
  if (tls === undefined && !endpoint.secure) return grpc.credentials.createInsecure();
  const verify: grpc.VerifyOptions =
    tls?.insecureSkipVerify === true
      ? { rejectUnauthorized: false, checkServerIdentity: () => undefined }
      : {};
  if (tls?.ca === undefined) {
    return grpc.credentials.createSsl(null, pem(tls?.key), pem(tls?.cert), verify);
  }
  // For `createSsl` only roots are trust anchors.
  return grpc.credentials.createFromSecureContext(secureContextOf(tls), verify);
}

function pem(given: string | Uint8Array | undefined): Buffer | null {
  return given === undefined ? null : Buffer.from(given);
}
