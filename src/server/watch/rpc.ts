/**
 * The Watch RPC: binds one bidi call to a WatchStream of the hub. Step 2 of the data path for
 * requests, and where the messages of step 11 leave.
 */

import { GrpcCode } from '../../common/index.js';
import {
  decodeWatchRequest,
  ProtoError,
  type WatchCreateRequest,
  type WatchRequest,
} from '../../proto/index.js';
import type { ServerCall, StreamHandler } from '../../transport/index.js';
import { type LeaderGate, requireLeader } from '../rpc/index.js';
import type { WatchHub } from './hub.js';
import type { WatchStream } from './stream.js';

/** What the Watch RPC needs. */
export interface WatchRpcOptions {
  readonly hub: WatchHub;
  readonly leader: LeaderGate;
  /**
   * Whether the caller may read the range, asked once for each create request: undefined if so,
   * else the full status text (`rpc error: code = ... desc = ...`) for cancel_reason.
   */
  readonly refusal: (
    request: WatchCreateRequest,
    call: ServerCall,
  ) => string | undefined | Promise<string | undefined>;
}

/** Handles `/etcdserverpb.Watch/Watch`. */
export function watchHandler(options: WatchRpcOptions): StreamHandler {
  return (call) => {
    const session = new WatchSession(options, call);
    session.start();
  };
}

/** One call and its stream. */
class WatchSession {
  readonly #options: WatchRpcOptions;
  readonly #call: ServerCall;
  #stream: WatchStream | undefined;
  /** Whether the caller may watch what it asked for last is being found out. */
  #isAsking = false;
  /** Its client does not read the replies. */
  #isFull = false;
  #releaseGate: (() => void) | undefined;

  constructor(options: WatchRpcOptions, call: ServerCall) {
    this.#options = options;
    this.#call = call;
  }

  start(): void {
    const call = this.#call;
    this.#releaseGate = requireLeader(this.#options.leader, call, () => this.#finish());
    if (this.#releaseGate === undefined) return;
    this.#stream = this.#options.hub.open(call, takesAnySize(call));
    call.onCancel = () => this.#finish();
    // A client that half-closes asks for nothing more, but goes on listening: as etcd, the stream
    // stays until the client cancels it.
    call.onEnd = undefined;
    call.onDrain = () => this.#drained();
    call.onMessage = (message) => this.#receive(message);
  }

  #receive(message: Buffer): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    let request: WatchRequest;
    try {
      request = decodeWatchRequest(message);
    } catch (error) {
      if (!(error instanceof ProtoError)) throw error;
      this.#finish();
      this.#call.fail(GrpcCode.INTERNAL, `grpc: error unmarshalling request: ${error.message}`);
      return;
    }
    switch (request.type) {
      case 'create':
        this.#create(stream, request);
        break;
      case 'cancel':
        stream.cancel(request.watchId);
        break;
      case 'progress':
        stream.requestProgress();
        break;
      case 'none':
        // A union member of a newer client: ignored, as in etcd.
        break;
    }
    // Replies to requests are bounded as well: who does not read is not read from.
    this.#pauseIfFull(stream);
  }

  #pauseIfFull(stream: WatchStream): void {
    if (!stream.stop()) return;
    this.#isFull = true;
    this.#call.pause();
  }

  #create(stream: WatchStream, request: WatchCreateRequest): void {
    const refusal = this.#options.refusal(request, this.#call);
    if (!(refusal instanceof Promise)) {
      stream.create(request, refusal);
      return;
    }
    // What the client says after it waits for it.
    this.#isAsking = true;
    this.#call.pause();
    void refusal.then((found) => {
      this.#isAsking = false;
      if (this.#stream === undefined) return;
      stream.create(request, found);
      this.#pauseIfFull(stream);
      this.#readOn();
    });
  }

  #drained(): void {
    if (this.#stream?.drained() !== true) return;
    this.#isFull = false;
    this.#readOn();
  }

  #readOn(): void {
    if (!this.#isAsking && !this.#isFull) this.#call.resume();
  }

  #finish(): void {
    this.#releaseGate?.();
    this.#releaseGate = undefined;
    this.#stream?.close();
    this.#stream = undefined;
  }
}

/**
 * How much a client receives in one message it does not say. etcd's own for Go takes 2 GiB, all
 * others take gRPC's 4 MiB unless they were told otherwise: etcd's largest responses end their
 * watches, for ever, so these get smaller ones.
 */
function takesAnySize(call: ServerCall): boolean {
  return call.metadata('user-agent')?.includes('grpc-go/') ?? false;
}
