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

/** Texts of etcd's auth and membership errors, beside those in common's table. */
const authAndMemberTexts = {
  ROOT_ROLE_NOT_EXIST: 'etcdserver: root user does not have root role',
  USER_EMPTY: 'etcdserver: user name is empty',
  USER_ALREADY_EXISTS: 'etcdserver: user name already exists',
  ROLE_ALREADY_EXISTS: 'etcdserver: role name already exists',
  ROLE_EMPTY: 'etcdserver: role name is empty',
  AUTH_FAILED: 'etcdserver: authentication failed, invalid user ID or password',
  PERMISSION_NOT_GIVEN: 'etcdserver: permission not given',
  PERMISSION_DENIED: 'etcdserver: permission denied',
  ROLE_NOT_GRANTED: 'etcdserver: role is not granted to the user',
  PERMISSION_NOT_GRANTED: 'etcdserver: permission is not granted to the role',
  INVALID_AUTH_TOKEN: 'etcdserver: invalid auth token',
  AUTH_OLD_REVISION: 'etcdserver: revision of auth store is old',
  INVALID_AUTH_MANAGEMENT: 'etcdserver: invalid auth management',
  NO_PASSWORD_USER: 'auth: authentication failed, password was given for no password user',
  MEMBER_EXISTS: 'etcdserver: member ID already exist',
  PEER_URL_EXISTS: 'etcdserver: Peer URLs already exists',
  NOT_ENOUGH_STARTED_MEMBERS:
    'etcdserver: re-configuration failed due to not enough started members',
  MEMBER_NOT_LEARNER: 'etcdserver: can only promote a learner member',
  LEARNER_NOT_READY: 'etcdserver: can only promote a learner member which is in sync with leader',
  TOO_MANY_LEARNERS: 'etcdserver: too many learner members in cluster',
  UNHEALTHY: 'etcdserver: unhealthy cluster',
  CLUSTER_ID_MISMATCH: 'etcdserver: cluster ID mismatch',
  NO_DOWNGRADE_JOB: 'etcdserver: no inflight downgrade job',
  CLUSTER_VERSION_UNAVAILABLE: 'etcdserver: cluster version not found during downgrade',
} as const;

/** What a server of etcd's kind can say. */
export type ServerReason = ErrorReason | keyof typeof authAndMemberTexts;

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
    this.endpoint = details.endpoint;
    this.attempts = details.attempts ?? 0;
    this.compactRevision = details.compactRevision;
  }
}

/** True for the client's error, and for one with this reason if it is given. */
export function isEtcdError(error: unknown, reason?: Reason): error is EtcdClientError {
  return error instanceof EtcdClientError && (reason === undefined || error.reason === reason);
}

const reasons: ReadonlyMap<string, ServerReason> = new Map([
  ...Object.entries(errorTable).map(
    ([reason, [, text]]) => [text, reason as ServerReason] as const,
  ),
  ...Object.entries(authAndMemberTexts).map(
    ([reason, text]) => [text, reason as ServerReason] as const,
  ),
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
