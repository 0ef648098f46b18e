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
  readonly refusal: (request: WatchCreateRequest, call: ServerCall) => string | undefined;
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
        stream.create(request, this.#options.refusal(request, this.#call));
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
    if (stream.stop()) this.#call.pause();
  }

  #drained(): void {
    if (this.#stream?.drained() === true) this.#call.resume();
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
