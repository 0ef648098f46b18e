/**
 * What a failed call means: may it be sent again, and is it certain that nothing was changed.
 *
 * THE RULE: a change whose bytes may have left is never sent twice. The exceptions are answers in
 * which the server itself says that it refused the request at the door: a token it does not
 * accept, or a member that does not serve this kind of request. Source: etcd's server checks both
 * before anything is proposed (v3rpc interceptors); L-35.
 */

import { GrpcCode } from '../../common/index.js';
import type { RpcStatus } from '../connection/index.js';
import { EtcdClientError, type Outcome, type Reason, reasonOf, statusName } from '../errors.js';

/**
 * `read`: changes nothing. `local`: a read that one member answers alone, without a leader.
 * `write`: changes something.
 */
export type CallKind = 'read' | 'local' | 'write';

const c = GrpcCode;

/** Errors that a server gives before it does anything, or when it did nothing. */
const refusingCodes: ReadonlySet<number> = new Set([
  c.INVALID_ARGUMENT,
  c.NOT_FOUND,
  c.ALREADY_EXISTS,
  c.PERMISSION_DENIED,
  c.FAILED_PRECONDITION,
  c.OUT_OF_RANGE,
  c.UNIMPLEMENTED,
  c.UNAUTHENTICATED,
]);

const refusingReasons: ReadonlySet<Reason> = new Set<Reason>([
  'NO_LEADER',
  'TOO_MANY_REQUESTS',
  'CORRUPT',
  'MESSAGE_TOO_LARGE',
  'NOT_ENOUGH_STARTED',
  'UNHEALTHY',
]);

/**
 * Not among them, though it looks so: NO_SPACE. A put that crosses the quota when it is applied is
 * applied *and* answered with it.
 */

/** Whether a change that ended like this may have happened. */
export function outcomeOf(kind: CallKind, status: RpcStatus, reason: Reason): Outcome {
  if (kind !== 'write' || !status.maySent) return 'failed';
  return refusingCodes.has(status.code) || refusingReasons.has(reason) ? 'failed' : 'unknown';
}

const againCodes: ReadonlySet<number> = new Set([
  c.UNAVAILABLE,
  c.ABORTED,
  // A stream that was cut off, by a proxy or a server that stops.
  c.INTERNAL,
  c.CANCELLED,
]);

/** Whether a read that ended like this may do better next time. */
export function worthRepeating(status: RpcStatus, reason: Reason): boolean {
  return againCodes.has(status.code) || reason === 'TOO_MANY_REQUESTS';
}

/** The member could not serve it, others may. */
export function blamesServer(status: RpcStatus): boolean {
  return status.code === c.UNAVAILABLE || status.code === c.DEADLINE_EXCEEDED;
}

/** The server did not accept the token that was sent. */
export function refusesToken(reason: Reason, hadToken: boolean): boolean {
  if (reason === 'INVALID_AUTH_TOKEN' || reason === 'AUTH_OLD_REVISION') return true;
  // Auth was off when the client asked for a token, and has been switched on since.
  return reason === 'USER_EMPTY' && !hadToken;
}

/** Where and how a call failed. */
export interface CallContext {
  readonly kind: CallKind;
  readonly method: string;
  /** What it is about, as users see it. */
  readonly key?: string | undefined;
  readonly endpoint: string | undefined;
  readonly attempts: number;
}

/** The error of a call that ended with `status`. */
export function callError(status: RpcStatus, context: CallContext): EtcdClientError {
  const server = reasonOf(status.message);
  const timedOut = status.code === c.DEADLINE_EXCEEDED && server !== 'MESSAGE_TOO_LARGE';
  const reason = timedOut ? 'CALL_TIMEOUT' : transportReason(status, server);
  return new EtcdClientError({
    code: statusName(status.code),
    reason,
    outcome: outcomeOf(context.kind, status, reason),
    message: timedOut ? 'the deadline of the call passed' : messageOf(status, context),
    method: context.method,
    key: context.key,
    endpoint: context.endpoint,
    attempts: context.attempts,
  });
}

/** Who knows no KV service is no port for clients: kvorum's port for peers speaks gRPC, too. */
function messageOf({ code, message }: RpcStatus, { endpoint }: CallContext): string {
  if (code !== c.UNIMPLEMENTED || !/unknown service etcdserverpb\.KV/.test(message)) return message;
  return `${message}: ${endpoint} is a port for peers, or no server of etcd's kind`;
}

function transportReason(status: RpcStatus, reason: Reason): Reason {
  if (reason !== 'OTHER') return reason;
  if (status.code === c.UNIMPLEMENTED) return 'UNIMPLEMENTED';
  return status.code === c.UNAVAILABLE ? 'CONNECTION_LOST' : reason;
}

/** The caller's signal ended the call. */
export function abortedError(signal: AbortSignal, sent: boolean, context: CallContext) {
  return new EtcdClientError({
    code: 'CANCELLED',
    reason: 'ABORTED',
    outcome: sent && context.kind === 'write' ? 'unknown' : 'failed',
    message: 'the call was aborted',
    cause: signal.reason,
    method: context.method,
    key: context.key,
    endpoint: context.endpoint,
    attempts: context.attempts,
  });
}
