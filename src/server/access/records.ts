/**
 * The meta records of users and roles (docs/on-disk-format.md). Names of users, roles and keys are
 * in hexadecimal, so that the order of records is that of bytes, as etcd lists them. One record for
 * each grant: a change of one does not write all others again.
 *
 *     auth/enabled                        1 while auth is on, else there is none
 *     auth/revision                       8 bytes, big endian; none: 1
 *     auth/user/U                         authpb.User without its roles
 *     auth/user-role/U/R                  1: user U has role R
 *     auth/role/R                         1: there is the role R
 *     auth/permission/R/key/rangeEnd      4 bytes, big endian: permType
 */

import { crc32c, type KeyString, keyToBytes, StorageError } from '../../common/index.js';
import { authUser, ProtoError } from '../../proto/index.js';

export const authMetaPrefix = 'auth/';
export const enabledName = `${authMetaPrefix}enabled`;
export const authRevisionName = `${authMetaPrefix}revision`;
export const userPrefix = `${authMetaPrefix}user/`;
export const userRolePrefix = `${authMetaPrefix}user-role/`;
export const rolePrefix = `${authMetaPrefix}role/`;
export const permissionPrefix = `${authMetaPrefix}permission/`;

/** All records that a sum is of; users before who has roles, roles before what they permit. */
export const summedPrefixes = [userPrefix, userRolePrefix, rolePrefix, permissionPrefix];

/** What records hold whose name says all. */
export const isThere = Buffer.from([1]);

/** A user as stored, without its roles. */
export interface UserRecord {
  readonly name: string;
  /** bcrypt, byte for byte; '': no password fits. */
  readonly hash: KeyString;
  /** Only by the common name of a client certificate. */
  readonly noPassword: boolean;
}

/** A permission of a role; `type` see PermissionType, others are kept and permit nothing. */
export interface Permission {
  readonly type: number;
  readonly key: KeyString;
  readonly rangeEnd: KeyString;
}

/** As in requests. */
export type PermittedRange = Pick<Permission, 'key' | 'rangeEnd'>;

/** The order of the permissions of a role, and of their records: by key, then by end. */
export function comparePermissions(a: PermittedRange, b: PermittedRange): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return a.rangeEnd < b.rangeEnd ? -1 : a.rangeEnd > b.rangeEnd ? 1 : 0;
}

/** A record's part in the sum of all; undefined: there is none. */
export function sumOf(name: string, value: Uint8Array | undefined): number {
  return value === undefined ? 0 : crc32c(value, crc32c(Buffer.from(name)));
}

export function userName(name: string): string {
  return userPrefix + nameToHex(name);
}

export function userRoleName(user: string, role: string): string {
  return `${userRolePrefix}${nameToHex(user)}/${nameToHex(role)}`;
}

export function roleName(role: string): string {
  return rolePrefix + nameToHex(role);
}

export function permissionName(role: string, key: KeyString, rangeEnd: KeyString): string {
  return `${permissionPrefix}${nameToHex(role)}/${keyToHex(key)}/${keyToHex(rangeEnd)}`;
}

export function encodeAuthRevision(revision: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(revision));
  return bytes;
}

export function decodeAuthRevision(value: Uint8Array): number {
  if (value.length !== 8) throw damaged(authRevisionName);
  return Number(bufferOf(value).readBigUInt64BE());
}

/** `roles`: as etcd stores a user; ours are in records of their own. */
export function encodeUser(
  { hash, name, noPassword }: UserRecord,
  roles: readonly string[] = [],
): Buffer {
  // As etcd writes it: with options, also if nothing is in them.
  const options = { noPassword };
  return authUser.encode({ name: Buffer.from(name), password: keyToBytes(hash), roles, options });
}

/** Throws StorageError. */
export function decodeUser(recordName: string, value: Uint8Array): UserRecord {
  try {
    const { name, options, password } = authUser.decode(value);
    const noPassword = options?.noPassword ?? false;
    return { name: name.toString(), hash: password.toString('latin1'), noPassword };
  } catch (error) {
    if (error instanceof ProtoError) throw damaged(recordName);
    throw error;
  }
}

/** User and role of a record below {@link userRolePrefix}. */
export function decodeUserRole(recordName: string): readonly [string, string] {
  const [user, role] = recordName.slice(userRolePrefix.length).split('/');
  return [nameFromHex(user), nameFromHex(role)];
}

export function decodeRole(recordName: string): string {
  return nameFromHex(recordName.slice(rolePrefix.length));
}

export function encodePermission({ type }: Permission): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(type);
  return bytes;
}

/** Role and permission of a record below {@link permissionPrefix}. Throws StorageError. */
export function decodePermission(
  recordName: string,
  value: Uint8Array,
): readonly [string, Permission] {
  if (value.length !== 4) throw damaged(recordName);
  const [role, key, rangeEnd] = recordName.slice(permissionPrefix.length).split('/');
  const type = bufferOf(value).readInt32BE();
  return [nameFromHex(role), { type, key: keyFromHex(key), rangeEnd: keyFromHex(rangeEnd) }];
}

function nameToHex(name: string): string {
  return Buffer.from(name).toString('hex');
}

function nameFromHex(hex = ''): string {
  return Buffer.from(hex, 'hex').toString();
}

function keyToHex(key: KeyString): string {
  return keyToBytes(key).toString('hex');
}

function keyFromHex(hex = ''): KeyString {
  return Buffer.from(hex, 'hex').toString('latin1');
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function damaged(recordName: string): StorageError {
  return new StorageError(`the record ${recordName} of users and roles is damaged`, {
    path: 'member/kv',
    remedy: 'Restore this member from a snapshot, or from the others of its cluster.',
  });
}
