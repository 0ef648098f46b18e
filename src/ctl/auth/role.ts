/** `role`: what those who have it may do. */

import { prefixEnd } from '../../client/raw/index.js';
import { type KeyString, keyFromBytes } from '../../common/index.js';
import { PermissionType } from '../../proto/index.js';
import { command, flag } from '../command/index.js';
import { goQuotedBytes, headerFields, headerOf } from '../print/index.js';
import { openEnd, roleLines } from './role-lines.js';
import { rpc } from './rpcs.js';
import { asked, badArguments, show } from './words.js';

const add = command({
  name: 'add',
  usage: '<role name>',
  short: 'Adds a role',
  async run(context, args) {
    const name = only(args, 'add');
    const { bytes } = await asked(context, rpc.roleAdd, { name });
    await show(context, 'RoleAdd', bytes, { simple: () => `Role ${name} created\n` });
    return undefined;
  },
});

const remove = command({
  name: 'delete',
  usage: '<role name>',
  short: 'Deletes a role',
  async run(context, args) {
    const role = only(args, 'delete');
    const { bytes } = await asked(context, rpc.roleDelete, { role });
    await show(context, 'RoleDelete', bytes, { simple: () => `Role ${role} deleted\n` });
    return undefined;
  },
});

const get = command({
  name: 'get',
  usage: '<role name>',
  short: 'Shows what a role may do',
  async run(context, args) {
    const role = only(args, 'get');
    const answer = await asked(context, rpc.roleGet, { role });
    await show(context, 'RoleGet', answer.bytes, roleLines(role, answer, context.global.hex));
    return undefined;
  },
});

const list = command({
  name: 'list',
  short: 'Lists the roles',
  async run(context, args) {
    if (args.length > 0) throw badArguments('role list command requires no arguments');
    const { bytes, message } = await asked(context, rpc.roleList, {});
    await show(context, 'RoleList', bytes, {
      simple: () => message.roles.map((name) => `${name}\n`).join(''),
      fields: () => {
        const roles = message.roles.map((name) => ` ${goQuotedBytes(Buffer.from(name))}`);
        const header = headerOf(bytes, 'etcdserverpb.AuthRoleListResponse');
        return `${headerFields(header, context.global.hex)}"Roles" :${roles.join('')}\n`;
      },
    });
    return undefined;
  },
});

const rangeFlags = {
  prefix: flag.bool(false, 'all keys that begin with the key'),
  'from-key': flag.bool(false, 'all keys from the key on'),
};

const grant = command({
  name: 'grant-permission',
  usage: '<role name> <permission type> <key> [endkey]',
  short: 'Allows a role to read or write keys',
  flags: rangeFlags,
  async run(context, args, flags) {
    const [name, type, ...keys] = args;
    if (name === undefined || type === undefined || keys.length === 0) {
      const what = 'role name, permission type, and key [endkey]';
      throw badArguments(`role grant command requires ${what} as its argument`);
    }
    const perm = { type: typeOf(type), ...rangeOf(keys, flags) };
    const { bytes } = await asked(context, rpc.roleGrant, { name, perm });
    await show(context, 'RoleGrantPermission', bytes, { simple: () => `Role ${name} updated\n` });
    return undefined;
  },
});

const revoke = command({
  name: 'revoke-permission',
  usage: '<role name> <key> [endkey]',
  short: 'Takes a permission from a role',
  flags: rangeFlags,
  async run(context, args, flags) {
    const [role, ...keys] = args;
    const [given] = keys;
    if (role === undefined || given === undefined) {
      const what = 'role name and key [endkey]';
      throw badArguments(`role revoke-permission command requires ${what} as its argument`);
    }
    const { key, rangeEnd } = rangeOf(keys, flags);
    const { bytes } = await asked(context, rpc.roleRevoke, { role, key, rangeEnd });
    await show(context, 'RoleRevokePermission', bytes, {
      simple: () => revoked(role, keyFromText(given), rangeEnd),
    });
    return undefined;
  },
});

/** Ends of ranges are bytes: of a prefix, they may be no text. */
function revoked(role: string, key: KeyString, rangeEnd: KeyString): Buffer {
  const range = rangeEnd === openEnd ? `[${key}, <open ended>` : `[${key}, ${rangeEnd})`;
  const what = rangeEnd === '' ? `key ${key}` : `range ${range}`;
  return Buffer.concat([
    Buffer.from(`Permission of ${what} is revoked from role `, 'latin1'),
    Buffer.from(`${role}\n`),
  ]);
}

function typeOf(text: string): number {
  const types: Readonly<Record<string, number>> = PermissionType;
  const name = text.toUpperCase();
  const type = Object.hasOwn(types, name) ? types[name] : undefined;
  if (type === undefined) throw badArguments(`invalid permission type: ${text}`);
  return type;
}

interface RangeFlags {
  readonly prefix: boolean;
  readonly 'from-key': boolean;
}

/** The keys that a permission is about. The empty key means all of them, or with no flag `\0`. */
function rangeOf(keys: readonly string[], flags: RangeFlags) {
  const [first = '', end] = keys;
  const { prefix, 'from-key': fromKey } = flags;
  const isOne = first === '' || end === undefined;
  if (isOne && prefix && fromKey) {
    throw badArguments('--from-key and --prefix flags are mutually exclusive');
  }
  if (first === '') return { key: '\0', rangeEnd: prefix || fromKey ? openEnd : '' };
  const key = keyFromText(first);
  if (end === undefined) {
    if (prefix) return { key, rangeEnd: prefixEnd(key) };
    return { key, rangeEnd: fromKey ? openEnd : '' };
  }
  if (prefix) throw badArguments('unexpected endkey argument with --prefix flag');
  if (fromKey) throw badArguments('unexpected endkey argument with --from-key flag');
  return { key, rangeEnd: keyFromText(end) };
}

function keyFromText(text: string): KeyString {
  return keyFromBytes(Buffer.from(text));
}

function only(args: readonly string[], name: string): string {
  const [role] = args;
  if (role === undefined || args.length !== 1) {
    throw badArguments(`role ${name} command requires role name as its argument`);
  }
  return role;
}

export const roleCommand = command({
  name: 'role',
  usage: '<subcommand>',
  short: 'Role related commands',
  group: 'Authentication commands',
  commands: [add, remove, get, list, grant, revoke],
});
