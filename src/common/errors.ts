/**
 * Every error that leaves this program towards a client, with etcd's exact text and gRPC code.
 * Clients match on these texts, so they are data, not prose: docs/errors.md lists them and a test
 * holds the two together. Source: etcd api/v3rpc/rpctypes (facts only).
 */

/** gRPC status codes by name (grpc/doc/statuscodes). */
export const GrpcCode = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;
export type GrpcCode = (typeof GrpcCode)[keyof typeof GrpcCode];

const c = GrpcCode;

/** reason -> [code, text]. The order is that of docs/errors.md. */
export const errorTable = {
  EMPTY_KEY: [c.INVALID_ARGUMENT, 'etcdserver: key is not provided'],
  KEY_NOT_FOUND: [c.INVALID_ARGUMENT, 'etcdserver: key not found'],
  VALUE_PROVIDED: [c.INVALID_ARGUMENT, 'etcdserver: value is provided'],
  LEASE_PROVIDED: [c.INVALID_ARGUMENT, 'etcdserver: lease is provided'],
  TOO_MANY_OPS: [c.INVALID_ARGUMENT, 'etcdserver: too many operations in txn request'],
  DUPLICATE_KEY: [c.INVALID_ARGUMENT, 'etcdserver: duplicate key given in txn request'],
  INVALID_CLIENT_API_VERSION: [c.INVALID_ARGUMENT, 'etcdserver: invalid client api version'],
  INVALID_SORT_OPTION: [c.INVALID_ARGUMENT, 'etcdserver: invalid sort option'],
  MEMBER_BAD_URLS: [c.INVALID_ARGUMENT, 'etcdserver: given member URLs are invalid'],
  REQUEST_TOO_LARGE: [c.INVALID_ARGUMENT, 'etcdserver: request is too large'],
  COMPACTED: [c.OUT_OF_RANGE, 'etcdserver: mvcc: required revision has been compacted'],
  FUTURE_REVISION: [c.OUT_OF_RANGE, 'etcdserver: mvcc: required revision is a future revision'],
  LEASE_TTL_TOO_LARGE: [c.OUT_OF_RANGE, 'etcdserver: too large lease TTL'],
  NO_SPACE: [c.RESOURCE_EXHAUSTED, 'etcdserver: mvcc: database space exceeded'],
  // etcd means ResourceExhausted, but what reaches the wire is Unknown (C-8.2).
  TOO_MANY_REQUESTS: [c.UNKNOWN, 'etcdserver: too many requests'],
  LEASE_NOT_FOUND: [c.NOT_FOUND, 'etcdserver: requested lease not found'],
  MEMBER_NOT_FOUND: [c.NOT_FOUND, 'etcdserver: member not found'],
  LEASE_EXISTS: [c.FAILED_PRECONDITION, 'etcdserver: lease already exists'],
  MEMBER_EXISTS: [c.FAILED_PRECONDITION, 'etcdserver: member ID already exist'],
  PEER_URL_EXISTS: [c.FAILED_PRECONDITION, 'etcdserver: Peer URLs already exists'],
  // As TOO_MANY_REQUESTS: meant as FailedPrecondition, Unknown on the wire.
  NOT_ENOUGH_STARTED: [
    c.UNKNOWN,
    'etcdserver: re-configuration failed due to not enough started members',
  ],
  MEMBER_NOT_LEARNER: [c.FAILED_PRECONDITION, 'etcdserver: can only promote a learner member'],
  LEARNER_NOT_READY: [
    c.FAILED_PRECONDITION,
    'etcdserver: can only promote a learner member which is in sync with leader',
  ],
  TOO_MANY_LEARNERS: [c.FAILED_PRECONDITION, 'etcdserver: too many learner members in cluster'],
  LEARNER_READ_ONLY: [
    c.FAILED_PRECONDITION,
    'kvorum: a read-only member stays a learner; start it without --read-only-member to promote it',
  ],
  NOT_LEADER: [c.FAILED_PRECONDITION, 'etcdserver: not leader'],
  NOT_CAPABLE: [c.FAILED_PRECONDITION, 'etcdserver: not capable'],
  LEARNER_UNSUPPORTED: [c.FAILED_PRECONDITION, 'etcdserver: rpc not supported for learner'],
  BAD_LEADER_TRANSFEREE: [c.FAILED_PRECONDITION, 'etcdserver: bad leader transferee'],
  DOWNGRADE_BAD_FORMAT: [c.INVALID_ARGUMENT, 'etcdserver: wrong downgrade target version format'],
  DOWNGRADE_BAD_TARGET: [c.INVALID_ARGUMENT, 'etcdserver: invalid downgrade target version'],
  DOWNGRADE_IN_PROGRESS: [
    c.FAILED_PRECONDITION,
    'etcdserver: cluster has a downgrade job in progress',
  ],
  // etcd has no code for it, so it is Unknown.
  UNKNOWN_METHOD: [c.UNKNOWN, 'etcdserver: unknown method'],
  AUTH_NOT_ENABLED: [c.FAILED_PRECONDITION, 'etcdserver: authentication is not enabled'],
  ROOT_USER_NOT_EXIST: [c.FAILED_PRECONDITION, 'etcdserver: root user does not exist'],
  USER_NOT_FOUND: [c.FAILED_PRECONDITION, 'etcdserver: user name not found'],
  ROLE_NOT_FOUND: [c.FAILED_PRECONDITION, 'etcdserver: role name not found'],
  ROOT_ROLE_NOT_EXIST: [c.FAILED_PRECONDITION, 'etcdserver: root user does not have root role'],
  USER_EXISTS: [c.FAILED_PRECONDITION, 'etcdserver: user name already exists'],
  ROLE_EXISTS: [c.FAILED_PRECONDITION, 'etcdserver: role name already exists'],
  ROLE_NOT_GRANTED: [c.FAILED_PRECONDITION, 'etcdserver: role is not granted to the user'],
  PERMISSION_NOT_GRANTED: [
    c.FAILED_PRECONDITION,
    'etcdserver: permission is not granted to the role',
  ],
  USER_EMPTY: [c.INVALID_ARGUMENT, 'etcdserver: user name is empty'],
  ROLE_EMPTY: [c.INVALID_ARGUMENT, 'etcdserver: role name is empty'],
  AUTH_FAILED: [
    c.INVALID_ARGUMENT,
    'etcdserver: authentication failed, invalid user ID or password',
  ],
  PERMISSION_NOT_GIVEN: [c.INVALID_ARGUMENT, 'etcdserver: permission not given'],
  INVALID_AUTH_MANAGEMENT: [c.INVALID_ARGUMENT, 'etcdserver: invalid auth management'],
  // Go errors that etcd has no code for.
  NO_PASSWORD_USER: [
    c.UNKNOWN,
    'auth: authentication failed, password was given for no password user',
  ],
  PASSWORD_TOO_LONG: [c.UNKNOWN, 'bcrypt: password length exceeds 72 bytes'],
  TOKEN_VERIFY_ONLY: [c.UNKNOWN, 'auth: token signing attempted with verify-only key'],
  AUTH_OLD_REVISION: [c.INVALID_ARGUMENT, 'etcdserver: revision of auth store is old'],
  PERMISSION_DENIED: [c.PERMISSION_DENIED, 'etcdserver: permission denied'],
  INVALID_AUTH_TOKEN: [c.UNAUTHENTICATED, 'etcdserver: invalid auth token'],
  NO_LEADER: [c.UNAVAILABLE, 'etcdserver: no leader'],
  LEADER_CHANGED: [c.UNAVAILABLE, 'etcdserver: leader changed'],
  STOPPED: [c.UNAVAILABLE, 'etcdserver: server stopped'],
  TIMEOUT: [c.UNAVAILABLE, 'etcdserver: request timed out'],
  TIMEOUT_LEADER_FAILURE: [
    c.UNAVAILABLE,
    'etcdserver: request timed out, possibly due to previous leader failure',
  ],
  TIMEOUT_CONNECTION_LOST: [
    c.UNAVAILABLE,
    'etcdserver: request timed out, possibly due to connection lost',
  ],
  TIMEOUT_APPLY: [
    c.UNAVAILABLE,
    'etcdserver: request timed out, waiting for the applied index took too long',
  ],
  UNHEALTHY: [c.UNAVAILABLE, 'etcdserver: unhealthy cluster'],
  TIMEOUT_LEADER_TRANSFER: [
    c.UNKNOWN,
    'etcdserver: request timed out, leader transfer took too long',
  ],
  CORRUPT: [c.DATA_LOSS, 'etcdserver: corrupt cluster'],
  WATCH_CANCELED: [c.CANCELLED, 'etcdserver: watch canceled'],
  REQUEST_CANCELED: [c.CANCELLED, 'etcdserver: request canceled'],
  DEADLINE_EXCEEDED: [c.DEADLINE_EXCEEDED, 'context deadline exceeded'],
  STREAM_SORT_UNSUPPORTED: [c.UNIMPLEMENTED, 'RangeStream does not support custom sort orders'],
  STREAM_FILTER_UNSUPPORTED: [c.UNIMPLEMENTED, 'RangeStream does not support revision filters'],
  RATE_LIMITED: [c.RESOURCE_EXHAUSTED, 'kvorum: more requests than --rate-limit allows'],
  ANSWER_TOO_LARGE: [
    c.RESOURCE_EXHAUSTED,
    'kvorum: the answer is too large for --answers-memory-bytes: ask for less at once',
  ],
  SNAPSHOT_NOT_TAKEN: [c.ABORTED, 'kvorum: nothing of the snapshot was taken for 30 seconds'],
} as const satisfies Record<string, readonly [GrpcCode, string]>;

/** Stable name of an error that a client can receive. */
export type ErrorReason = keyof typeof errorTable;

/**
 * The address can be reached, and nobody listens there: its machine said so. Whoever is only
 * silent, or accepts and closes, does not end in this.
 */
export class ConnectionRefusedError extends Error {
  override readonly name = 'ConnectionRefusedError';
}

/** An operating error: expected, answered to a client, never fatal. */
export class EtcdError extends Error {
  override readonly name = 'EtcdError';
  readonly reason: ErrorReason;
  readonly code: GrpcCode;

  constructor(reason: ErrorReason, options?: { readonly cause?: unknown }) {
    const [code, text] = errorTable[reason];
    super(text, options);
    this.reason = reason;
    this.code = code;
  }
}

/** Damage found on disk, or a disk that failed: stops the node with what a person needs to know. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  /** The damaged file or directory. */
  readonly path: string;
  /** Byte offset of the damage in it; -1 if it has none. */
  readonly offset: number;
  /** What the operator can do, one sentence. */
  readonly remedy: string;

  constructor(
    what: string,
    details: {
      readonly path: string;
      readonly offset?: number;
      readonly remedy: string;
      readonly cause?: unknown;
    },
  ) {
    const offset = details.offset ?? -1;
    const at = offset >= 0 ? `${details.path} at offset ${offset}` : details.path;
    super(`${what}: ${at}. ${details.remedy}`, { cause: details.cause });
    this.path = details.path;
    this.offset = offset;
    this.remedy = details.remedy;
  }
}
