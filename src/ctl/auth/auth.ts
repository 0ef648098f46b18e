/** `auth`: whether users have to say who they are. */

import { isEtcdError } from '../../client/index.js';
import { type CommandContext, command } from '../command/index.js';
import { ask } from '../connect/index.js';
import { print } from '../print/index.js';
import { rpc } from './rpcs.js';
import { badArguments } from './words.js';

const enable = command({
  name: 'enable',
  short: 'Turns authentication on',
  async run(context, args) {
    noArguments('enable', args);
    await turnOn(context);
    await context.io.stdout('Authentication Enabled\n');
    return undefined;
  },
});

/** There has to be a user root; the role of that name is made, and given to it, if it is not there. */
async function turnOn(context: CommandContext): Promise<void> {
  const client = await context.client();
  const { clock } = context.io;
  const endMs = clock.nowMs() + context.global['command-timeout'];
  const options = () => ({ timeoutMs: Math.max(0, endMs - clock.nowMs()) });
  for (;;) {
    try {
      await ask(client, rpc.enable, {}, options());
      return;
    } catch (error) {
      if (!isEtcdError(error, 'ROOT_ROLE_NOT_EXIST')) throw error;
      await ask(client, rpc.roleAdd, { name: 'root' }, options());
      await ask(client, rpc.userGrantRole, { user: 'root', role: 'root' }, options());
    }
  }
}

const disable = command({
  name: 'disable',
  short: 'Turns authentication off',
  async run(context, args) {
    noArguments('disable', args);
    await ask(await context.client(), rpc.disable, {});
    await context.io.stdout('Authentication Disabled\n');
    return undefined;
  },
});

const status = command({
  name: 'status',
  short: 'Says whether authentication is on',
  async run(context, args) {
    noArguments('status', args);
    const { bytes, message } = await ask(await context.client(), rpc.status, {});
    await print(context, {
      type: 'etcdserverpb.AuthStatusResponse',
      bytes,
      simple: () =>
        `Authentication Status: ${message.enabled}\nAuthRevision: ${message.authRevision}\n`,
    });
    return undefined;
  },
});

function noArguments(name: string, args: readonly string[]): void {
  if (args.length > 0) {
    throw badArguments(`auth ${name} command does not accept any arguments`);
  }
}

export const authCommand = command({
  name: 'auth',
  usage: '<enable or disable>',
  short: 'Turns authentication on or off',
  group: 'Authentication commands',
  commands: [enable, disable, status],
});
