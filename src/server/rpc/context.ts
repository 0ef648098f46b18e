/**
 * What every rpc handler needs of the node, and the ways a call can end. Handlers are functions
 * with a context, not methods with closures: one put makes no closure at all.
 */

import {
  type Clock,
  type ErrorReason,
  EtcdError,
  GrpcCode,
  type Logger,
} from '../../common/index.js';
import { type HeaderEncoder, ProtoError } from '../../proto/index.js';
import type { MvccStore } from '../../storage/index.js';
import type { ServerCall } from '../../transport/index.js';
import type { Metrics } from '../metrics/metrics.js';
import type { NodeLoop } from '../node/loop.js';
import type { ReadGate, ReadWaiter } from '../node/read-gate.js';

export interface RpcContext {
  readonly clock: Clock;
  readonly store: MvccStore;
  readonly loop: NodeLoop;
  readonly reads: ReadGate;
  readonly headers: HeaderEncoder;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly requestBytesMax: number;
  readonly txnOpsMax: number;
  hasLeader(): boolean;
  /** The member's present Raft term. */
  term(): number;
  /** Undefined, or why this request must not be proposed now (quota): see kv/cost.ts. */
  spaceFor(costBytes: number): ErrorReason | undefined;
}

/** The complete `header` field of a reply at `revision` (0: leave the revision out). */
export function headerAt(rpc: RpcContext, revision: number): Buffer {
  return rpc.headers.header(revision, rpc.term());
}

/** Ends the call with what `error` says; an unknown one is a bug, answered as such and logged. */
export function failCall(rpc: RpcContext, call: ServerCall, error: unknown): void {
  if (error instanceof EtcdError) {
    call.fail(error.code, error.message);
  } else if (error instanceof ProtoError) {
    call.fail(GrpcCode.INTERNAL, `grpc: error unmarshalling request: ${error.message}`);
  } else {
    rpc.logger.error('a request failed in an unexpected way', {
      method: call.method,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    call.fail(GrpcCode.INTERNAL, 'internal error, see the log of this member');
  }
}

/** Ends the call with the error of `reason`. */
export function refuseCall(call: ServerCall, reason: ErrorReason): void {
  const error = new EtcdError(reason);
  call.fail(error.code, error.message);
}

/** Runs `run` once a linearizable read may happen here; `bytes`: of the request that waits. */
export function linearizableRead<Context>(
  rpc: RpcContext,
  run: ReadWaiter<Context>,
  context: Context,
  bytes: number,
): void {
  rpc.reads.add(run, context, bytes);
  rpc.loop.schedule();
}

/**
 * Resolves once so little is unsent that another large piece may be made, or the call is over; at
 * once: undefined.
 */
export function roomFor(call: ServerCall): Promise<void> | undefined {
  if (call.hasRoom || call.cancelled) return undefined;
  return new Promise((resolve) => {
    call.onCancel = resolve;
    call.whenRoom(resolve);
  });
}

/** Sends a reply that may be in pieces. */
export function replyWith(call: ServerCall, parts: readonly Uint8Array[]): void {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) call.reply(only);
  else call.replyParts(parts);
}
