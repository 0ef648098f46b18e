/** Running a cluster: members, maintenance and auth administration. */

import type { MemberId, Revision } from '../../common/index.js';
import type { CallOptions, EndpointOptions, Header } from '../call/index.js';
import type { KeyRange } from '../keyspace/index.js';

// ----------------------------------------------------------------------------------- cluster

export interface Member {
  readonly id: MemberId;
  /** '' before it has started. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

export interface Cluster {
  members(options?: CallOptions & { readonly serializable?: boolean }): Promise<readonly Member[]>;
  add(
    peerUrls: readonly string[],
    options?: CallOptions & { readonly learner?: boolean },
  ): Promise<Member>;
  remove(id: MemberId, options?: CallOptions): Promise<readonly Member[]>;
  update(
    id: MemberId,
    peerUrls: readonly string[],
    options?: CallOptions,
  ): Promise<readonly Member[]>;
  promote(id: MemberId, options?: CallOptions): Promise<readonly Member[]>;
}

// ------------------------------------------------------------------------------- maintenance

export interface MemberStatus {
  readonly header: Header;
  readonly version: string;
  readonly dbSizeBytes: number;
  readonly dbSizeInUseBytes: number;
  /** 0n: it sees none. */
  readonly leader: MemberId;
  readonly raftIndex: number;
  readonly raftTerm: number;
  readonly raftAppliedIndex: number;
  readonly errors: readonly string[];
  readonly isLearner: boolean;
  /** '' and 0 from servers before 3.6. */
  readonly storageVersion: string;
  readonly dbSizeQuotaBytes: number;
}

export type AlarmName = 'NOSPACE' | 'CORRUPT';

export interface Alarm {
  readonly memberId: MemberId;
  readonly alarm: AlarmName;
}

export interface SnapshotChunk {
  readonly bytes: Buffer;
  readonly receivedBytes: number;
  /** As far as the server has said. */
  readonly totalBytes: number;
}

export interface SnapshotOptions extends EndpointOptions {
  readonly onProgress?: (progress: {
    readonly receivedBytes: number;
    readonly totalBytes: number;
  }) => void;
}

export interface Maintenance {
  status(options?: EndpointOptions): Promise<MemberStatus>;
  /** Forgets history before `revision`; COMPACTED if that was done already. */
  compact(
    revision: Revision,
    options?: CallOptions & {
      /** Reply only when it is gone from the disk. */
      readonly physical?: boolean;
    },
  ): Promise<{ readonly header: Header }>;
  /** Blocks the member meanwhile. */
  defragment(options?: EndpointOptions): Promise<void>;
  /** Of the key space at a revision; equal on members with equal `compactRevision`. */
  hashKv(options?: EndpointOptions & { readonly revision?: Revision }): Promise<{
    readonly header: Header;
    readonly hash: number;
    readonly compactRevision: Revision;
    readonly hashRevision: Revision;
  }>;
  alarms(options?: CallOptions): Promise<readonly Alarm[]>;
  /** Clears one alarm, or all there are. */
  disarm(alarm?: Alarm, options?: CallOptions): Promise<readonly Alarm[]>;
  /** The backend of one member as a file, chunk by chunk, checked against its hash at the end. */
  snapshot(options?: SnapshotOptions): AsyncIterableIterator<Buffer, undefined>;
  moveLeader(to: MemberId, options?: EndpointOptions): Promise<void>;
  downgrade(
    action: 'validate' | 'enable' | 'cancel',
    version: string,
    options?: CallOptions,
  ): Promise<{ readonly version: string }>;
}

// -------------------------------------------------------------------------------------- auth

export type PermissionKind = 'read' | 'write' | 'readwrite';

export interface Permission {
  readonly kind: PermissionKind;
  readonly range: KeyRange;
}

/** As the server has it. It can be granted to another role, and its range revoked, as it is. */
export interface GrantedPermission extends Permission {
  /** `[key, rangeEnd)`; rangeEnd is empty for one key, and one zero byte for no end. */
  readonly key: Buffer;
  readonly rangeEnd: Buffer;
}

/**
 * Users, roles and permissions. While auth is on, who calls needs the role root, but for `status`,
 * `user` of oneself and `role` of a role that one has.
 */
export interface AuthAdmin {
  /** Needs a user `root` with the role `root`: ROOT_USER_NOT_EXIST, ROOT_ROLE_NOT_EXIST. */
  enable(options?: CallOptions): Promise<void>;
  disable(options?: CallOptions): Promise<void>;
  status(
    options?: CallOptions,
  ): Promise<{ readonly enabled: boolean; readonly authRevision: number }>;
  users(options?: CallOptions): Promise<readonly string[]>;
  /** The user's roles. */
  user(name: string, options?: CallOptions): Promise<readonly string[]>;
  addUser(
    name: string,
    /** Without: only a client certificate with this common name. */
    password: string | undefined,
    options?: CallOptions,
  ): Promise<void>;
  deleteUser(name: string, options?: CallOptions): Promise<void>;
  /**
   * Ends all tokens of the user. A client that changes the password of its own user goes on with
   * the new one, unless a function gives it; if the outcome is unknown it has the old one.
   */
  changePassword(name: string, password: string, options?: CallOptions): Promise<void>;
  grantRole(user: string, role: string, options?: CallOptions): Promise<void>;
  revokeRole(user: string, role: string, options?: CallOptions): Promise<void>;
  roles(options?: CallOptions): Promise<readonly string[]>;
  /** The role's permissions. */
  role(name: string, options?: CallOptions): Promise<readonly GrantedPermission[]>;
  addRole(name: string, options?: CallOptions): Promise<void>;
  deleteRole(name: string, options?: CallOptions): Promise<void>;
  /** Replaces the kind of a permission of the role that has the same range. */
  grantPermission(role: string, permission: Permission, options?: CallOptions): Promise<void>;
  /** `range` as it was granted: a part of it is PERMISSION_NOT_GRANTED. */
  revokePermission(role: string, range: KeyRange, options?: CallOptions): Promise<void>;
}
