/** `downgrade`: one minor version back. */

import { DowngradeAction } from '../../proto/index.js';
import type { CommandContext } from '../command/index.js';
import { CommandError, command, exit } from '../command/index.js';
import { ask } from '../connect/index.js';
import { print } from '../print/index.js';
import { downgrade } from './rpcs.js';

const validate = command({
  name: 'validate',
  usage: '<TARGET_VERSION>',
  short: 'Says whether the cluster can go back to a version',
  async run(context, args) {
    await change(context, 'validate', DowngradeAction.VALIDATE, versionOf(args));
    return undefined;
  },
});

const enable = command({
  name: 'enable',
  usage: '<TARGET_VERSION>',
  short: 'Begins to go back to a version',
  async run(context, args) {
    await change(context, 'enable', DowngradeAction.ENABLE, versionOf(args));
    return undefined;
  },
});

const cancel = command({
  name: 'cancel',
  short: 'Stays at the version that the cluster has',
  async run(context) {
    await change(context, 'cancel', DowngradeAction.CANCEL, '');
    return undefined;
  },
});

function versionOf(args: readonly string[]): string {
  const [version] = args;
  if (version === undefined) throw badArguments('TARGET_VERSION not provided');
  if (args.length > 1) throw badArguments('too many arguments');
  if (version === '') throw badArguments('target version not provided');
  return version;
}

async function change(
  context: CommandContext,
  what: string,
  action: number,
  version: string,
): Promise<void> {
  const kind = action === DowngradeAction.VALIDATE ? ('read' as const) : ('write' as const);
  const client = await context.client();
  const { bytes, message } = await ask(client, { ...downgrade, kind }, { action, version });
  await print(context, {
    type: 'etcdserverpb.DowngradeResponse',
    bytes,
    simple: () => `Downgrade ${what} success, cluster version ${message.version}\n`,
  });
}

function badArguments(message: string): CommandError {
  return new CommandError(message, exit.badArguments);
}

export const downgradeCommand = command({
  name: 'downgrade',
  usage: '<TARGET_VERSION>',
  short: 'Downgrade related commands',
  group: 'Cluster maintenance commands',
  commands: [validate, enable, cancel],
});
