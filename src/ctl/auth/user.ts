/** `user`: who there is, with which roles. */

import { command, flag } from '../command/index.js';
import { passwordOf } from './password.js';
import { roleLines } from './role-lines.js';
import { rpc } from './rpcs.js';
import { asked, badArguments, show } from './words.js';

const add = command({
  name: 'add',
  usage: '<user name or user:password>',
  short: 'Adds a user',
  flags: {
    interactive: flag.bool(true, 'ask for the password; =false reads it from stdin'),
    'new-user-password': flag.string('', 'the password'),
    'no-password': flag.bool(false, 'without a password: known by the name in a certificate'),
  },
  async run(context, args, flags) {
    const [given] = args;
    if (given === undefined || args.length !== 1) {
      throw badArguments('user add command requires user name as its argument');
    }
    const noPassword = flags['no-password'];
    let name = given;
    let password = '';
    const at = given.indexOf(':');
    if (noPassword) {
      // The whole argument is the name.
    } else if (flags['new-user-password'] !== '') {
      password = flags['new-user-password'];
    } else if (at < 0) {
      password = await passwordOf(given, context.io, flags.interactive);
    } else {
      name = given.slice(0, at);
      password = given.slice(at + 1);
      if (name === '') throw badArguments('empty user name is not allowed');
    }
    const request = { name, password, options: { noPassword } };
    const { bytes } = await asked(context, rpc.userAdd, request);
    await show(context, 'UserAdd', bytes, { simple: () => `User ${name} created\n` });
    return undefined;
  },
});

const remove = command({
  name: 'delete',
  usage: '<user name>',
  short: 'Deletes a user',
  async run(context, args) {
    const name = only(args, 'user delete command requires user name as its argument');
    const { bytes } = await asked(context, rpc.userDelete, { name });
    await show(context, 'UserDelete', bytes, { simple: () => `User ${name} deleted\n` });
    return undefined;
  },
});

const get = command({
  name: 'get',
  usage: '<user name>',
  short: 'Shows the roles of a user',
  flags: { detail: flag.bool(false, 'show what the roles may do, too') },
  async run(context, args, flags) {
    const name = only(args, 'user get command requires user name as its argument');
    const { bytes, message } = await asked(context, rpc.userGet, { name });
    if (!flags.detail) {
      const roles = message.roles.map((role) => ` ${role}`).join('');
      await show(context, 'UserGet', bytes, { simple: () => `User: ${name}\nRoles:${roles}\n` });
      return undefined;
    }
    await context.io.stdout(`User: ${name}\n`);
    for (const role of message.roles) {
      await context.io.stdout('\n');
      const answer = await asked(context, rpc.roleGet, { role });
      await show(context, 'RoleGet', answer.bytes, roleLines(role, answer, context.global.hex));
    }
    return undefined;
  },
});

const list = command({
  name: 'list',
  short: 'Lists the users',
  async run(context, args) {
    if (args.length > 0) throw badArguments('user list command requires no arguments');
    const { bytes, message } = await asked(context, rpc.userList, {});
    await show(context, 'UserList', bytes, {
      simple: () => message.users.map((name) => `${name}\n`).join(''),
    });
    return undefined;
  },
});

const passwd = command({
  name: 'passwd',
  usage: '<user name>',
  short: 'Changes the password of a user',
  flags: {
    interactive: flag.bool(true, 'ask for the password; =false reads it from stdin'),
  },
  async run(context, args, flags) {
    const name = only(args, 'user passwd command requires user name as its argument');
    const password = await passwordOf(name, context.io, flags.interactive);
    const { bytes } = await asked(context, rpc.userChangePassword, { name, password });
    await show(context, 'UserChangePassword', bytes, { simple: () => 'Password updated\n' });
    return undefined;
  },
});

const grantRole = command({
  name: 'grant-role',
  usage: '<user name> <role name>',
  short: 'Gives a role to a user',
  async run(context, args) {
    const [user, role] = args;
    if (user === undefined || role === undefined || args.length !== 2) {
      throw badArguments('user grant command requires user name and role name as its argument');
    }
    const { bytes } = await asked(context, rpc.userGrantRole, { user, role });
    await show(context, 'UserGrantRole', bytes, {
      simple: () => `Role ${role} is granted to user ${user}\n`,
    });
    return undefined;
  },
});

const revokeRole = command({
  name: 'revoke-role',
  usage: '<user name> <role name>',
  short: 'Takes a role from a user',
  async run(context, args) {
    const [name, role] = args;
    if (name === undefined || role === undefined || args.length !== 2) {
      throw badArguments('user revoke-role requires user name and role name as its argument');
    }
    const { bytes } = await asked(context, rpc.userRevokeRole, { name, role });
    await show(context, 'UserRevokeRole', bytes, {
      simple: () => `Role ${role} is revoked from user ${name}\n`,
    });
    return undefined;
  },
});

function only(args: readonly string[], otherwise: string): string {
  const [name] = args;
  if (name === undefined || args.length !== 1) throw badArguments(otherwise);
  return name;
}

export const userCommand = command({
  name: 'user',
  usage: '<subcommand>',
  short: 'User related commands',
  group: 'Authentication commands',
  commands: [add, remove, get, list, passwd, grantRole, revokeRole],
});
