/**
 * The one error of the client. Everything that leaves the SDK as a rejection is an
 * `EtcdClientError`; what went wrong is in `code` (gRPC's word), `reason` (etcd's or the client's
 * word), and, for a change of data, `outcome`: whether it is certain that it did not happen.
 *
 * Invariant: `outcome` is `failed` only if the request provably was not executed. A request whose
 * bytes may have left and whose reply did not come is `unknown` (L-35).
 */

import { type ErrorReason, errorTable, GrpcCode } from '../common/index.js';

/** gRPC's status names. */
export type StatusName = Exclude<keyof typeof GrpcCode, 'OK'>;

/** Texts of etcd's that kvorum does not have in common's table. */
const otherTexts = {
  CLUSTER_ID_MISMATCH: 'etcdserver: cluster ID mismatch',
  NO_DOWNGRADE_JOB: 'etcdserver: no inflight downgrade job',
  CLUSTER_VERSION_UNAVAILABLE: 'etcdserver: cluster version not found during downgrade',
} as const;

/** What a server of etcd's kind can say. */
export type ServerReason = ErrorReason | keyof typeof otherTexts;

/** What the client itself can say. */
export type ClientReason =
  /** No endpoint could be connected to in time; nothing was sent. */
  | 'CONNECT_FAILED'
  /** The connection went away while the call was running. */
  | 'CONNECTION_LOST'
  /** The call's own deadline passed. */
  | 'CALL_TIMEOUT'
  /** The caller's AbortSignal. */
  | 'ABORTED'
  /** The client, or the object the call belongs to, is closed. */
  | 'CLOSED'
  /** Options that contradict each other, caught at run time. */
  | 'INVALID_OPTION'
  /** A codec or schema refused the value. */
  | 'ENCODE_FAILED'
  | 'DECODE_FAILED'
  /** A 64-bit number of the server is above 2^53 - 1. */
  | 'UNSAFE_INTEGER'
  /** The lease is gone, or may be by now. */
  | 'LEASE_LOST'
  /** The key of a lock, a leadership or a registration is gone, or belongs to somebody else. */
  | 'NOT_OWNER'
  /** The transaction met changes by others as often as it was allowed to. */
  | 'CONFLICT'
  /** The function that gives the password or the token failed, or gave nothing of use. */
  | 'CREDENTIALS_FAILED'
  /** The server does not have this call, or not this service: an older one, or a proxy. */
  | 'UNIMPLEMENTED'
  /** The server ended a watch, with a text of its own. */
  | 'WATCH_REFUSED'
  /** A message above what the server takes. */
  | 'MESSAGE_TOO_LARGE'
  /** What a proxy or an unknown server said; see `message`. */
  | 'OTHER';

export type Reason = ServerReason | ClientReason;

/**
 * `failed`: nothing was changed. `unknown`: the request may or may not have been executed; read
 * before doing it again, or make it idempotent with a compare.
 */
export type Outcome = 'failed' | 'unknown';

/** What an {@link EtcdClientError} is made of. */
export interface ErrorDetails {
  readonly code: StatusName;
  readonly reason: Reason;
  readonly outcome: Outcome;
  readonly message: string;
  readonly cause?: unknown;
  readonly method?: string | undefined;
  readonly key?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly attempts?: number | undefined;
  readonly compactRevision?: number | undefined;
}

/** The only error class of the client. */
export class EtcdClientError extends Error {
  override readonly name = 'EtcdClientError';
  readonly code: StatusName;
  readonly reason: Reason;
  readonly outcome: Outcome;
  /** Full gRPC method, if the error belongs to a call. */
  readonly method: string | undefined;
  /** The key that it is about, or where the range begins: whole, not relative to a namespace. */
  readonly key: string | undefined;
  /** `host:port` of the server that was asked, if one was. */
  readonly endpoint: string | undefined;
  /** How often the request was sent; 0: never. */
  readonly attempts: number;
  /** With COMPACTED from a watch: the oldest revision that can still be watched. */
  readonly compactRevision: number | undefined;

  constructor(details: ErrorDetails) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code;
    this.reason = details.reason;
    this.outcome = details.outcome;
    this.method = details.method;
    this.key = details.key;
    this.endpoint = details.endpoint;
    this.attempts = details.attempts ?? 0;
    this.compactRevision = details.compactRevision;
  }

  /** With the message, which JSON leaves out of errors; without stack and cause. */
  toJSON(): Readonly<Record<string, unknown>> {
    const { name, message, code, reason, outcome, method, key, endpoint, attempts } = this;
    const { compactRevision } = this;
    return {
      ...{ name, message, code, reason, outcome, method, key, endpoint, attempts },
      compactRevision,
    };
  }
}

/**
 * The error, with the stack of here: called where an async function has caught it, so that the
 * stack goes on through the `await`s of the caller. It was made in a callback of a socket, whose
 * stack tells nobody anything. Costs nothing while all goes well.
 */
export function atCaller(error: unknown): unknown {
  if (error instanceof EtcdClientError) Error.captureStackTrace(error, atCaller);
  return error;
}

/** A copy that says which key it is about, if it did not say. */
export function aboutKey(error: Error, key: string): Error {
  if (!(error instanceof EtcdClientError) || error.key !== undefined) return error;
  const { message, cause, code, reason, outcome, method, endpoint, attempts } = error;
  const { compactRevision } = error;
  return new EtcdClientError({
    ...{ message, cause, code, reason, outcome, method, endpoint, attempts, compactRevision, key },
  });
}

/**
 * A program may have the client twice: as an ES module, and as what one of its packages requires.
 * Each has a class of its own, and errors of both have this.
 */
const brand = Symbol.for('kvorum.EtcdClientError');
Object.defineProperty(EtcdClientError.prototype, brand, { value: true });

/** True for the client's error, and for one with this reason if it is given. */
export function isEtcdError(error: unknown, reason?: Reason): error is EtcdClientError {
  if (!(error instanceof Error && brand in error)) return false;
  return reason === undefined || ('reason' in error && error.reason === reason);
}

const reasons: ReadonlyMap<string, ServerReason> = new Map([
  ...Object.entries(errorTable).map(
    ([reason, [, text]]) => [text, reason as ServerReason] as const,
  ),
  ...Object.entries(otherTexts).map(([reason, text]) => [text, reason as ServerReason] as const),
]);
const statusNames: readonly string[] = Object.keys(GrpcCode);

/** The reason whose text this is; `OTHER` if nobody knows it. */
export function reasonOf(text: string): Reason {
  const known = reasons.get(text);
  if (known !== undefined) return known;
  return /message larger than max/.test(text) ? 'MESSAGE_TOO_LARGE' : 'OTHER';
}

/** gRPC's name of a numeric status. */
export function statusName(code: number): StatusName {
  return (statusNames[code] ?? 'UNKNOWN') as StatusName;
}

/** Options that can't be fulfilled, found at run time. */
export function invalidOption(message: string): EtcdClientError {
  return new EtcdClientError({
    code: 'INVALID_ARGUMENT',
    reason: 'INVALID_OPTION',
    outcome: 'failed',
    message,
  });
}
