/** `move-leader`: another member is to lead; only the one that leads now can be asked. */

import type { RawClient } from '../../client/raw/index.js';
import { type CommandContext, CommandError, command, exit } from '../command/index.js';
import { ask, urlOf } from '../connect/index.js';
import { print } from '../print/index.js';
import { hexId, readId } from './member-id.js';
import { moveLeader, status } from './rpcs.js';

export const moveLeaderCommand = command({
  name: 'move-leader',
  usage: '<transferee-member-id>',
  short: 'Lets another member lead',
  group: 'Cluster maintenance commands',
  async run(context, args) {
    const targetId = targetOf(args);
    const client = await context.client();
    const { clock } = context.io;
    const endMs = clock.nowMs() + context.global['command-timeout'];
    const leftMs = (): number => Math.max(0, endMs - clock.nowMs());
    const { endpoint, leader } = await leaderOf(context, client, leftMs);
    const { bytes } = await ask(
      client,
      moveLeader,
      { targetId },
      { endpoint, timeoutMs: leftMs() },
    );
    await print(context, {
      type: 'etcdserverpb.MoveLeaderResponse',
      bytes,
      simple: () => `Leadership transferred from ${hexId(leader)} to ${hexId(targetId)}\n`,
    });
    return undefined;
  },
});

function targetOf(args: readonly string[]): bigint {
  const [text] = args;
  if (text === undefined || args.length !== 1) {
    throw new CommandError('move-leader command needs 1 argument', exit.badArguments);
  }
  try {
    return readId(text);
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : '', exit.badArguments);
  }
}

/** The endpoint of the member that leads. */
async function leaderOf(context: CommandContext, client: RawClient, leftMs: () => number) {
  const { endpoints } = context.global;
  for (const one of endpoints) {
    const endpoint = urlOf(one, context.global);
    const { message } = await ask(client, status, {}, { endpoint, timeoutMs: leftMs() });
    if (message.header?.memberId === message.leader) return { endpoint, leader: message.leader };
  }
  const where = endpoints.map((one) => one.trim()).join(' ');
  throw new CommandError(`no leader endpoint given at [${where}]`, exit.badArguments);
}
