/**
 * The ways a call can end. Handlers are functions with a context, not methods with closures: one
 * put makes no closure at all.
 */

import { type ErrorReason, EtcdError, GrpcCode } from '../../common/index.js';
import { ProtoError } from '../../proto/index.js';
import type { ServerCall } from '../../transport/index.js';
import type { Host } from '../feature/index.js';

/** The complete `header` field of a reply at `revision` (0: leave the revision out). */
export function headerAt(host: Host, revision: number): Buffer {
  return host.headers.header(revision, host.term());
}

/** Ends the call with what `error` says; an unknown one is a bug, answered as such and logged. */
export function failCall(host: Host, call: ServerCall, error: unknown): void {
  if (error instanceof EtcdError) {
    call.fail(error.code, error.message);
  } else if (error instanceof ProtoError) {
    call.fail(GrpcCode.INTERNAL, `grpc: error unmarshalling request: ${error.message}`);
  } else {
    host.logger.error('a request failed in an unexpected way', {
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

/** Resolves when the stream has room again, or has no more use for it. */
export function drained(call: ServerCall): Promise<void> {
  if (call.cancelled) return Promise.resolve();
  return new Promise((resolve) => {
    call.onDrain = resolve;
    call.onCancel = resolve;
  });
}
